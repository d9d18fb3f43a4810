"""Input files of every kind, and descriptions of output files to compare."""

from pathlib import Path

import numpy as np
from osgeo import gdal, gdal_array, ogr, osr

UTM, DEGREES = 32756, 4326
ORIGIN, PIXEL = (400000.0, 6900000.0), 30.0
COLUMNS, ROWS = 110, 90  # blocks of 32 x 32 do not fit
BLOCK = 32

# Written block by block in another order, sums of floats differ in their last digits.
INEXACT = ("STATISTICS_MEAN", "STATISTICS_STDDEV")


def projection(epsg):
    system = osr.SpatialReference()
    system.ImportFromEPSG(epsg)
    system.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return system


def write_image(
    path, array, *, origin=ORIGIN, pixel=PIXEL, epsg=UTM, nodata=None, driver="GTiff", colours=False
):
    """Write bands x rows x columns into a file."""
    bands, rows, columns = array.shape
    kind = gdal_array.NumericTypeCodeToGDALTypeCode(array.dtype.type)
    options = ["TILED=YES", "BLOCKXSIZE=32", "BLOCKYSIZE=32"] if driver == "GTiff" else []
    raster = gdal.GetDriverByName(driver).Create(str(path), columns, rows, bands, kind, options)
    raster.SetGeoTransform((origin[0], pixel, 0.0, origin[1], 0.0, -pixel))
    raster.SetProjection(projection(epsg).ExportToWkt())
    for number, band in enumerate(array, 1):
        raster.GetRasterBand(number).WriteArray(band)
        if nodata is not None:
            raster.GetRasterBand(number).SetNoDataValue(nodata)
    if colours:
        table = gdal.ColorTable()
        for value in range(8):
            table.SetColorEntry(value, (30 * value, 255 - 30 * value, 7 * value, 255))
        raster.GetRasterBand(1).SetColorTable(table)
        raster.GetRasterBand(1).SetMetadataItem("LAYER_TYPE", "thematic")
    raster.FlushCache()


def write_fields(path):
    """Write a few polygons with an attribute into a shapefile."""
    source = ogr.GetDriverByName("ESRI Shapefile").CreateDataSource(str(path))
    layer = source.CreateLayer("fields", projection(UTM), ogr.wkbPolygon)
    layer.CreateField(ogr.FieldDefn("crop", ogr.OFTInteger))
    for crop, (left, top, size) in enumerate(
        [(5, 5, 40), (50, 20, 30), (20, 60, 25), (80, 70, 15)], 3
    ):
        x, y = ORIGIN[0] + left * PIXEL + 4, ORIGIN[1] - top * PIXEL - 4
        width = size * PIXEL
        corners = [(x, y), (x + width, y), (x + width / 2, y - width), (x, y)]
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetField("crop", crop)
        ring = ", ".join(f"{cx} {cy}" for cx, cy in corners)
        feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POLYGON (({ring}))"))
        layer.CreateFeature(feature)
    source.FlushCache()


def make_scene(folder):
    """Write all input files into a folder, and return it."""
    gdal.UseExceptions()
    osr.UseExceptions()
    ogr.UseExceptions()
    random = np.random.default_rng(3)

    def numbers(kind, bands, rows=ROWS, columns=COLUMNS, top=250):
        return random.integers(0, top, (bands, rows, columns)).astype(kind)

    folder = Path(folder)
    write_image(folder / "bands.tif", numbers("uint16", 3, top=5000), nodata=0)
    write_image(folder / "other.tif", numbers("int16", 3), nodata=-7)
    shifted = (ORIGIN[0] + 20 * PIXEL, ORIGIN[1] - 15 * PIXEL)
    write_image(folder / "shifted.tif", numbers("float32", 3), origin=shifted, nodata=-999)
    coarse = (ORIGIN[0] - 67.0, ORIGIN[1] + 83.0)
    write_image(
        folder / "coarse.tif", numbers("uint8", 1, 60, 70), origin=coarse, pixel=60.0, nodata=0
    )
    degrees = {"origin": (151.97, -27.99), "pixel": 0.0005, "epsg": DEGREES}
    write_image(folder / "degrees.tif", numbers("float32", 1, 120, 140), **degrees)
    write_image(folder / "classes.img", numbers("uint8", 1, top=8), driver="HFA", colours=True)
    write_fields(folder / "fields.shp")
    return folder


def describe(path):
    """Return everything about a raster file that must be the same as in a serial run's output."""
    raster = gdal.Open(str(path))
    assert raster is not None, path
    return {
        "driver": raster.GetDriver().ShortName,
        "projection": raster.GetProjection(),
        "geotransform": raster.GetGeoTransform(),
        "size": (raster.RasterXSize, raster.RasterYSize, raster.RasterCount),
        "metadata": _without_paths(raster.GetMetadata()),
        "bands": [
            _describe_band(raster.GetRasterBand(number + 1)) for number in range(raster.RasterCount)
        ],
    }


def _describe_band(band):
    table, colours = band.GetDefaultRAT(), band.GetColorTable()
    return {
        "type": gdal.GetDataTypeName(band.DataType),
        "nodata": band.GetNoDataValue(),
        "description": band.GetDescription(),
        "metadata": _without_paths(band.GetMetadata()),
        "colours": colours and [colours.GetColorEntry(n) for n in range(colours.GetCount())],
        "table": table and _describe_table(table),
        "overviews": [band.GetOverview(n).ReadAsArray() for n in range(band.GetOverviewCount())],
        "pixels": band.ReadAsArray(),
    }


def _describe_table(table):
    columns = range(table.GetColumnCount())
    return {table.GetNameOfCol(column): table.ReadAsArray(column) for column in columns}


def _without_paths(metadata):
    return {name: value for name, value in metadata.items() if not name.startswith("AREA")}


def differences(one, other, where=""):
    """Return where two descriptions differ; nothing if they are the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = [f"{where}: {sorted(one)} or {sorted(other)}"] if one.keys() != other.keys() else []
        return found + [
            d
            for key in one.keys() & other.keys()
            for d in differences(one[key], other[key], f"{where}/{key}")
        ]
    if isinstance(one, list) and isinstance(other, list):
        found = [f"{where}: {len(one)} or {len(other)}"] if len(one) != len(other) else []
        pairs = enumerate(zip(one, other, strict=False))
        return found + [
            d for number, pair in pairs for d in differences(*pair, f"{where}/{number}")
        ]
    if isinstance(one, np.ndarray):
        return [] if np.array_equal(one, other) else [f"{where}: arrays differ"]
    if where.endswith(INEXACT):
        return (
            []
            if np.isclose(float(one), float(other), rtol=1e-9)
            else [f"{where}: {one} or {other}"]
        )
    return [] if one == other else [f"{where}: {one!r} or {other!r}"]
