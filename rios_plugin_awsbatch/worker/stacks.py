"""Where a process stood that computed for too long: it writes its stacks to a file at a signal.

`faulthandler` does so whatever the process is in, holds the GIL or waits for a lock, as long as it
can take a signal at all.
"""

import dataclasses
import faulthandler
import os
import re
import signal
import time
from pathlib import Path
from typing import Final

__all__ = ["Stacks", "read_stacks", "write_stacks_at_signal"]

# "CPU time limit exceeded" means nearly the same. Its default action ends the process.
STACK_SIGNAL: Final = signal.SIGXCPU
_LOOK_SECONDS: Final = 0.05
_LONGEST_SECONDS: Final = 2.0
_TEXT_CHARACTERS: Final = 50_000  # a failure must fit into a message
_FRAME: Final = re.compile(r'  File "(?P<file>[^"]*)", line (?P<line>\d+|\?+) in (?P<name>.*)')
_OURS: Final = os.path.join("rios_plugin_awsbatch", "worker", "")  # noqa: PTH118 - a part of paths


@dataclasses.dataclass(frozen=True)
class Stacks:
    """The stacks of a process's threads.

    Attributes:
        place: Where the thread that computes stood, as a phrase; empty if nobody knows.
        text: All stacks, as in a traceback: the most recent call comes last.
    """

    place: str = ""
    text: str = ""


def write_stacks_at_signal(descriptor: int) -> None:
    """Have this process write its stacks to a file when it gets `STACK_SIGNAL`."""
    faulthandler.register(STACK_SIGNAL, file=descriptor, all_threads=True)


def read_stacks(pid: int, path: str) -> Stacks:
    """Have a process write its stacks, and return them; without any if it is too late.

    Args:
        pid: The process, which the caller has started and not waited for.
        path: The file to which it writes them.
    """
    os.kill(pid, STACK_SIGNAL)
    deadline = time.monotonic() + _LONGEST_SECONDS
    before, text = "", ""
    while (not text or text != before) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        before, text = text, Path(path).read_text(errors="replace")
    return _stacks_in(text)


def _stacks_in(text: str) -> Stacks:
    sections: list[tuple[str, list[re.Match[str]]]] = []
    for line in text.splitlines():
        frame = _FRAME.match(line)
        if frame is None and line:
            sections.append((line.partition(" (")[0], []))
        elif frame is not None and sections:
            sections[-1][1].append(frame)
    sections = [(title, _users_part(frames)) for title, frames in sections]
    lines: list[str] = []
    for title, frames in sections:
        if frames:
            lines += [f"{title} (most recent call last):", *map(_spelled, reversed(frames))]
    current = next((frames for title, frames in sections if title.startswith("Current")), [])
    place = "{name}, line {line} of {file}".format(**current[0].groupdict()) if current else ""
    return Stacks(place, "\n".join(lines)[:_TEXT_CHARACTERS])


def _users_part(frames: list[re.Match[str]]) -> list[re.Match[str]]:
    """Return the frames, the most recent first, without our own at the end."""
    ours = next((n for n, frame in enumerate(frames) if _OURS in frame["file"]), len(frames))
    return frames[:ours]


def _spelled(frame: re.Match[str]) -> str:
    return f'  File "{frame["file"]}", line {frame["line"]}, in {frame["name"]}'
