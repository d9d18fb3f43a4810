"""Jobs for `rios.applier.apply` of RIOS 1.4 and 2, one for each thing that it can do."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.hosts.support import functions, scene

GTIFF = ["TILED=YES", "BLOCKXSIZE=32", "BLOCKYSIZE=32"]


@dataclasses.dataclass(frozen=True)
class Job:
    """What a script would say: function, files, and what it sets.

    Attributes:
        inputs: Names of files of the scene, or lists of them.
        outputs: For each output how many files, or None for one that is no list.
        configure: Called with the controls, RIOS's applier, and what gives a file's path.
        other: The otherargs.
    """

    function: Callable[..., None]
    inputs: dict[str, Any]
    outputs: dict[str, Any] = dataclasses.field(default_factory=lambda: {"out": None})
    configure: Callable[..., None] = lambda controls, applier, place: None
    other: dict[str, Any] | None = None
    driver: str | None = "GTiff"


def _fields(controls, applier, place):
    controls.setBurnAttribute("crop", vectorname="fields")
    controls.setAlltouched(True, vectorname="fields")


def _overlap(controls, applier, place):
    controls.setOverlap(2)


def _like_image(controls, applier, place):
    controls.setReferenceImage(place("bands.tif"))
    controls.setResampleMethod("bilinear")


def _like_grid(controls, applier, place):
    from rios.pixelgrid import PixelGridDefn  # noqa: PLC0415 - where there is a RIOS

    x, y = scene.ORIGIN
    bounds = {
        "xMin": x + 300,
        "xMax": x + 2700,
        "yMin": y - 2400,
        "yMax": y - 300,
        "xRes": 40.0,
        "yRes": 40.0,
    }
    controls.setReferencePixgrid(
        PixelGridDefn(projection=scene.projection(scene.UTM).ExportToWkt(), **bounds)
    )
    controls.setFootprintType(applier.BOUNDS_FROM_REFERENCE)
    controls.setResampleMethod("near")


def _footprint(name):
    def configure(controls, applier, place):
        controls.setReferenceImage(place("bands.tif"))
        controls.setFootprintType(getattr(applier, name))

    return configure


def _layers(controls, applier, place):
    controls.selectInputImageLayers([3, 1], imagename="img")


def _thematic(controls, applier, place):
    controls.setThematic(True)
    controls.setAutoColorTableType("rainbow")
    controls.setLayerNames(["classes of land"])
    controls.setStatsIgnore(0)


def _statistics(controls, applier, place):
    controls.setStatsIgnore(7)
    controls.setOverviewLevels([2, 4])
    controls.setOverviewMinDim(8)
    controls.setOverviewAggregationType("NEAREST")
    controls.setLayerNames(["one", "two", "three"])


def _bare(controls, applier, place):
    controls.setCalcStats(False)
    controls.setOmitPyramids(True)


IMAGE = {"img": "bands.tif"}
TWO = {"img": "bands.tif", "second": "shifted.tif"}
TABLE = {"table": np.arange(100, dtype=np.float32)[::-1] ** 2, "offset": 5}

JOBS = {
    "plain": Job(functions.add_bands, IMAGE),
    "lists": Job(functions.each_of_a_list, {"many": ["bands.tif", "other.tif"]}, {"many": 2}),
    "several outputs": Job(
        functions.several_outputs, IMAGE, {"ratio": None, "mask": None, "copy": None}
    ),
    "vector": Job(functions.within_fields, {**IMAGE, "fields": "fields.shp"}, configure=_fields),
    "overlap": Job(functions.mean_of_neighbours, IMAGE, configure=_overlap),
    "reference image": Job(
        functions.two_images, {**IMAGE, "second": "coarse.tif"}, configure=_like_image
    ),
    "reprojected": Job(
        functions.two_images, {"img": "degrees.tif", "second": "bands.tif"}, configure=_like_grid
    ),
    "intersection": Job(functions.two_images, TWO, configure=_footprint("INTERSECTION")),
    "union": Job(functions.two_images, TWO, configure=_footprint("UNION")),
    "bounds": Job(functions.two_images, TWO, configure=_footprint("BOUNDS_FROM_REFERENCE")),
    "layers": Job(functions.copy_layers, IMAGE, configure=_layers),
    "thematic": Job(
        functions.classify, {**IMAGE, "classes": "classes.img"}, configure=_thematic, driver="HFA"
    ),
    "statistics": Job(functions.copy_layers, IMAGE, configure=_statistics, driver="HFA"),
    "default driver": Job(functions.copy_layers, IMAGE, driver=None),
    "bare": Job(functions.copy_layers, IMAGE, configure=_bare),
    "blocks": Job(functions.about_blocks, IMAGE),
    "otherargs": Job(functions.look_up, IMAGE, other=TABLE),
}


def run(job, folder, place, parallel=None):
    """Apply a job.

    Args:
        job: The job.
        folder: Where the outputs go.
        place: Gives the path of a file of the scene.
        parallel: Called with the controls; a serial run if not given.

    Returns:
        What ``apply`` returned, and the otherargs.
    """
    from rios import applier  # noqa: PLC0415 - where there is a RIOS

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    infiles, outfiles = applier.FilenameAssociations(), applier.FilenameAssociations()
    for name, files in job.inputs.items():
        setattr(
            infiles,
            name,
            [place(one) for one in files] if isinstance(files, list) else place(files),
        )
    for name, count in job.outputs.items():
        paths = [str(folder / f"{name}-{number}") for number in range(count or 1)]
        setattr(outfiles, name, paths[0] if count is None else paths)
    controls = applier.ApplierControls()
    controls.setWindowXsize(scene.BLOCK)
    controls.setWindowYsize(scene.BLOCK)
    controls.setTempdir(str(folder))
    if job.driver is not None:
        controls.setOutputDriverName(job.driver)
        controls.setCreationOptions(GTIFF if job.driver == "GTiff" else [])
    job.configure(controls, applier, place)
    if parallel is not None:
        parallel(controls)
    other = None
    if job.other is not None:
        other = applier.OtherInputs()
        vars(other).update(job.other)
    return applier.apply(job.function, infiles, outfiles, other, controls=controls), other


def outputs(job, folder):
    """Return the descriptions of all output files of a job."""
    counts = job.outputs.items()
    names = [f"{name}-{number}" for name, count in counts for number in range(count or 1)]
    return {name: scene.describe(Path(folder, name)) for name in names}
