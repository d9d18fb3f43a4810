"""What the tests of both contracts share: a job of any function over one image."""

from tests.hosts.support import hosted


class Contract:
    """Applies functions to an image by whatever `rios` there is.

    Args:
        folder: For the files.
        parallel: Called with the controls of parallel runs.
    """

    def __init__(self, folder, parallel):
        self.folder, self._parallel = folder, parallel
        self.path = str(folder / "image")
        hosted.write(self.path, hosted.image())

    def apply(self, function, other=None, parallel=None, **files):
        """Return what ``apply`` returns, and what it wrote; serially with parallel=False."""
        from rios import applier  # noqa: PLC0415 - whichever there is

        infiles, outfiles = applier.FilenameAssociations(), applier.FilenameAssociations()
        vars(infiles).update({"img": self.path, **files})
        outfiles.out = str(self.folder / "out")
        controls = applier.ApplierControls()
        controls.setWindowXsize(hosted.BLOCK)
        controls.setWindowYsize(hosted.BLOCK)
        controls.setTempdir(str(self.folder))
        controls.setOutputDriverName("GTiff")
        controls.setCreationOptions(["TILED=YES", "BLOCKXSIZE=32", "BLOCKYSIZE=32"])
        if parallel is not False:
            (parallel or self._parallel)(controls)
        inputs = None
        if other is not None:
            inputs = applier.OtherInputs()
            vars(inputs).update(other)
        returned = applier.apply(function, infiles, outfiles, inputs, controls=controls)
        return returned, hosted.read(self.folder / "out")
