"""Where the folders ``stack`` and ``image`` are: within the installed package, or beside it in its repository."""

from pathlib import Path

__all__ = ["folder"]


def folder(name: str) -> Path:
    """Return the path of one of the folders that the wheel carries.

    Args:
        name: ``stack`` or ``image``.
    """
    installed = Path(__file__).parent / "shipped_files" / name
    return installed if installed.is_dir() else Path(__file__).parents[1] / name
