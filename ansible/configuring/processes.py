"""Finds and ends the processes of a run, wherever they moved.

Ansible's workers and ssh's connection masters call setsid, so a process group does not hold them. On Linux
they are found in two ways, because each has a gap: as descendants (orphans are handed to this process, see
`adopt_orphans`), and by a variable in their environment (which ssh overwrites with its title).
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

MARKER = "AGENT_STACKS_CONFIGURE_ID"
GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.02
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Makes this process adopt descendants that lose their parent (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_all(find: Callable[[], set[int]]) -> None:
    """Ends the processes that `find` returns, including those started meanwhile: SIGTERM, then SIGKILL after
    5 s.
    """
    for number, limit_seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
        deadline = time.monotonic() + limit_seconds
        told: set[int] = set()
        while found := find():
            for pid in found - told:
                _send(pid, number)
            told |= found
            if time.monotonic() >= deadline:
                break
            time.sleep(_POLL_SECONDS)
        if not found:
            return


def of_run(run_id: str, group: int | None = None) -> set[int]:
    """Returns the live processes of this run. `group`: Ansible's initial process group, if it has started."""
    _reap()
    if not os.path.isdir("/proc/self"):
        return {-group} if group is not None and _exists(-group) else set()
    return descendants(os.getpid()) | marked(run_id)


def marked(run_id: str) -> set[int]:
    """Returns the live processes whose environment carries the run's tag (Linux)."""
    wanted = f"{MARKER}={run_id}".encode()
    return {pid for pid in _pids() if pid != os.getpid() and wanted in _read(f"/proc/{pid}/environ").split(b"\0")}


def descendants(ancestor: int) -> set[int]:
    """Returns the live descendants of a process (Linux), without zombies."""
    children: dict[int, list[int]] = {}
    living: set[int] = set()
    for pid in _pids():
        # The fields follow the name in parentheses, which may contain anything: state, parent, …
        state, parent = (_read(f"/proc/{pid}/stat").rpartition(b")")[2].split() + [b"Z", b"0"])[:2]
        children.setdefault(int(parent), []).append(pid)
        if state not in (b"Z", b"X"):
            living.add(pid)
    found: set[int] = set()
    ahead = [ancestor]
    while ahead:
        below = children.get(ahead.pop(), [])
        found.update(below)
        ahead.extend(below)
    return found & living


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit()) if os.path.isdir("/proc") else iter(())


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        # The process is gone, or belongs to another user.
        return b""


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
