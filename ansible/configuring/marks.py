"""The tags by which the processes of a run are found, in a process that was forked and has no environment of
its own.

The kernel shows a process's environment as it was at its start. So a prepared process is started with
placeholders (../configure), and each process forked from it writes its run's tags over them, in place.
"""

import ctypes
import os
import sys
from collections.abc import Mapping

from processes import MARKER

ENGINE = "AGENT_STACKS_RUNNER"
_SAME = ("AGENT_STACKS_INSTALLATION", "AGENT_STACKS_WORKER")
_LENGTHS = {MARKER: 16, ENGINE: 36}
_places: dict[str, int] = {}


def find_places() -> bool:
    """Finds the placeholders in this process's memory. Returns whether what is written there will be seen."""
    if sys.platform != "linux" or any(len(os.environ.get(name, "")) != size for name, size in _LENGTHS.items()):
        return False
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    _places.update({name: libc.getenv(name.encode()) for name in _LENGTHS})
    return all(write(name, os.environ[name]) for name in _LENGTHS)


def write(name: str, text: str) -> bool:
    """Writes a tag where there is a place for it. Returns whether the kernel shows it."""
    if (place := _places.get(name)) is None or len(text.encode()) != _LENGTHS[name]:
        return False
    ctypes.memmove(place, text.encode(), _LENGTHS[name])
    with open("/proc/self/environ", "rb") as shown:
        return f"{name}={text}".encode() in shown.read().split(b"\0")


def adopt(environment: Mapping[str, str]) -> bool:
    """Takes over the tags of the caller. Returns whether this process now has all of them."""
    if any(environment.get(name) != os.environ.get(name) for name in _SAME):
        return False
    return ENGINE not in environment or write(ENGINE, environment[ENGINE])


def mark_run(run_id: str) -> None:
    """Tags this process, if it is a forked one, with its run. Raises OSError."""
    if _places and not write(MARKER, run_id):
        raise OSError("the processes of this run could not be found again")
