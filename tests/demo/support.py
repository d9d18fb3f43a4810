"""What the demo's tests share: rasters, and job managers that compute here."""

import io
import time

import pytest
from rich.console import Console

from rios_plugin_awsbatch import hooks
from rios_plugin_awsbatch.demo.job import run_demo
from rios_plugin_awsbatch.records import MAIN, TaskRecord
from rios_plugin_awsbatch.run.statistics import Statistics

try:
    from osgeo import gdal, gdal_array, osr
except ImportError as error:
    NO_GDAL = f"GDAL's Python bindings cannot be imported: {error}"
    gdal = gdal_array = osr = None
else:
    NO_GDAL = ""
    gdal.UseExceptions()
    osr.UseExceptions()

needs_gdal = [
    pytest.mark.gdal,
    pytest.mark.skipif(bool(NO_GDAL), reason=NO_GDAL or "GDAL is there"),
]


class Serial:
    """A job manager that computes everything here, and says that workers did it."""

    def __init__(self, num_sub_jobs):
        self.num_sub_jobs = num_sub_jobs
        self.rounds = []
        self.finalised = False

    def compute(self, function, job):
        params = job.prepareForPickling().getFunctionParams()
        function(*params)
        return job.getFunctionResult(params)

    def runSubJobs(self, function, jobs, /):
        self.rounds.append([(job.info.xblock, job.info.yblock) for job in jobs])
        outputs = [self.compute(function, job) for job in jobs]
        for number in range(len(jobs)):
            record_block("a worker" if number else MAIN)
        return outputs

    def finalise(self):
        self.finalised = True

    def statistics(self):
        tasks = sum(len(some) - 1 for some in self.rounds)
        return Statistics(self.num_sub_jobs - 1, tasks, 4 * tasks, 1000, 500)


class Refusing(Serial):
    """A job manager that must not be made."""

    def __init__(self, num_sub_jobs):
        pytest.fail(f"{num_sub_jobs} sub-jobs were asked for, although the arguments cannot work")


class Interrupted(Serial):
    """A job manager whose user presses Ctrl-C in the second round."""

    def runSubJobs(self, function, jobs, /):
        if self.rounds:
            raise KeyboardInterrupt
        return super().runSubJobs(function, jobs)


class Wrong(Serial):
    """A job manager that changes one pixel."""

    def compute(self, function, job):
        index = super().compute(function, job)
        index[0, 0] += 0.001
        return index


def record_block(worker, outcome="done"):
    """Call the hooks with the record of a block that took half a second."""
    now = time.time()
    record = TaskRecord(
        run="a run",
        task=-1 if worker == MAIN else 0,
        name="a block",
        blocks=1,
        worker=worker,
        attempt=1,
        sent=now,
        begun=now,
        seconds=0.5,
        bytes_in=0,
        bytes_out=0,
        requests=0,
        outcome=outcome,
    )
    hooks.call("rios_awsbatch_task_done", record)


def run(scene, output, manager=Serial, workers=3, block=64):
    """Run the demo; return its report and its job manager."""
    made = []

    def make_manager(number):
        made.append(manager(number))
        return made[-1]

    console = Console(file=io.StringIO())
    report = run_demo(scene, output, workers, block, console, make_manager)
    return report, made[0]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def make(path, bands, *, nodata=None, descriptions=(), colours=()):
    """Write a small GeoTIFF of an array (bands, rows, columns); return its dataset."""
    kind = gdal_array.NumericTypeCodeToGDALTypeCode(bands.dtype)
    dataset = gdal.GetDriverByName("GTiff").Create(
        str(path), bands.shape[2], bands.shape[1], len(bands), kind
    )
    for number, values in enumerate(bands, 1):
        band = dataset.GetRasterBand(number)
        band.WriteArray(values)
        if nodata is not None:
            band.SetNoDataValue(nodata)
        if number <= len(descriptions):
            band.SetDescription(descriptions[number - 1])
        if number <= len(colours):
            band.SetColorInterpretation(colours[number - 1])
    return dataset
