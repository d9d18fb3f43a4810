"""The raster job of `rios-awsbatch demo`: an index of a scene. It needs GDAL, but not RIOS."""
