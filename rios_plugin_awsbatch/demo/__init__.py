"""The raster job of `rios-awsbatch demo`; it needs GDAL, and no RIOS."""
