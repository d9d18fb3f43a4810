"""What a block of RIOS 1.4 is told of its inputs, where their datasets are not open.

RIOS 1.4 finds the file and the dataset of an input by the identity of its array, and forgets both
when the block is pickled. So main describes the inputs by name, and whoever unpickles the block
puts the descriptions in the place of the datasets. They have GDAL's names.
"""

import contextlib
import dataclasses
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Final

__all__ = ["InputDescriptions", "Inputs", "restore_inputs"]

# By name, and by the place in the list if the input is a list: a dataset, and its file's name.
Inputs = dict[tuple[str, int | None], tuple["Described", str]]

_OF_DATASETS: Final = ("RasterCount", "RasterXSize", "RasterYSize")
_OF_BANDS: Final = ("DataType", "XSize", "YSize")
_ASKED: Final = ("GetDescription", "GetMetadata")
_ASKED_DATASETS: Final = (*_ASKED, "GetGeoTransform", "GetProjection")
_ASKED_BANDS: Final = (*_ASKED, "GetNoDataValue", "GetScale", "GetOffset", "GetColorInterpretation")


@dataclasses.dataclass(frozen=True)
class Described:
    """In the place of a GDAL dataset or band.

    Attributes:
        what: What users call it.
        values: The values of attributes.
        answers: What methods return if they are called without arguments.
        bands: The bands of a dataset.
    """

    what: str
    values: dict[str, Any]
    answers: dict[str, Any]
    bands: "tuple[Described, ...]" = ()

    def __getattr__(self, name: str) -> Any:
        """Return what main has asked GDAL.

        Raises:
            AttributeError: It has not asked for that.
        """
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self.values:
            return self.values[name]
        if name in self.answers:
            return self._method(name)
        raise AttributeError(self._refusal(name))

    def GetRasterBand(self, number: int) -> "Described | None":  # noqa: N802 - GDAL's name
        """Return a band; None if there is no such band, as GDAL does."""
        return self.bands[number - 1] if 0 < number <= len(self.bands) else None

    def GetMetadataItem(self, name: str, domain: str = "") -> Any:  # noqa: N802 - GDAL's name
        """Return an item of the metadata that has no domain."""
        if domain:
            raise AttributeError(self._refusal(f"GetMetadataItem({name!r}, {domain!r})"))
        return self.answers.get("GetMetadata", {}).get(name)

    def _method(self, name: str) -> Callable[..., Any]:
        def answer(*arguments: Any) -> Any:
            if any(arguments):
                raise AttributeError(self._refusal(f"{name}{arguments}"))
            return self.answers[name]

        return answer

    def _refusal(self, wanted: str) -> str:
        known = ", ".join(sorted([*self.values, *self.answers]))
        return (
            f"{wanted} of {self.what} cannot be had in a worker: with RIOS 1.4 the file is open "
            f"in the main script only, and workers know its {known}. Ask for it before you call "
            "`apply`, and pass it in otherargs."
        )


class InputDescriptions:
    """Describes the inputs of blocks. Each dataset is described once."""

    def __init__(self) -> None:
        self._known: weakref.WeakKeyDictionary[Any, Described] = weakref.WeakKeyDictionary()

    def of(self, job_info: Any) -> Inputs:
        """Describe the inputs of a job info that has not been prepared for pickling."""
        lookup = getattr(getattr(job_info, "info", None), "blocklookup", None) or {}
        found = {}
        for place, array in _arrays(job_info):
            if id(array) in lookup:
                dataset, filename = lookup[id(array)]
                found[place] = self._describe(dataset, filename), filename
        return found

    def _describe(self, dataset: Any, filename: str) -> Described:
        known = self._known.get(dataset)
        if known is None:
            known = self._known[dataset] = _described_dataset(dataset, filename)
        return known


def restore_inputs(job_info: Any, inputs: Inputs) -> None:
    """Have RIOS find the descriptions by the arrays of an unpickled job info."""
    arrays = dict(_arrays(job_info))
    job_info.info.blocklookup = {
        id(arrays[place]): entry for place, entry in inputs.items() if place in arrays
    }


def _arrays(job_info: Any) -> Iterator[tuple[tuple[str, int | None], Any]]:
    for name, value in vars(job_info.inputs).items():
        if isinstance(value, list):
            for index, array in enumerate(value):
                yield (name, index), array
        else:
            yield (name, None), value


def _described_dataset(dataset: Any, filename: str) -> Described:
    values, answers = _ask(dataset, _OF_DATASETS, _ASKED_DATASETS)
    bands = []
    for number in range(1, values.get("RasterCount", 0) + 1):
        asked = _ask(dataset.GetRasterBand(number), _OF_BANDS, _ASKED_BANDS)
        bands.append(Described(f"band {number} of {filename}", *asked))
    return Described(filename, values, answers, tuple(bands))


def _ask(
    raster: Any, attributes: tuple[str, ...], methods: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the values of a dataset's or band's attributes, and the answers of its methods."""
    values, answers = {}, {}
    for name in attributes:
        with contextlib.suppress(AttributeError, RuntimeError):  # GDAL raises RuntimeError
            values[name] = getattr(raster, name)
    for name in methods:
        with contextlib.suppress(AttributeError, RuntimeError):
            answers[name] = getattr(raster, name)()
    return values, answers
