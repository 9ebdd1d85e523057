"""Detects whether Ansible changed while a run used it."""

from pathlib import Path


class Installed:
    """Ansible's own folder, as it was at the beginning of the run."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._before = _identity(program)

    def change(self) -> str | None:
        """Returns what happened to it since, as a sentence; None if nothing did."""
        now = _identity(self._program)
        if now == self._before:
            return None
        what = "was removed" if now is None else "was replaced"
        return f"Ansible ({self._program}) {what} while this run used it: is its folder shared with another installation?"


def _identity(program: Path) -> tuple[int, ...] | None:
    try:
        found = program.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns)
