"""Detects whether Ansible changed while a run used it."""

from pathlib import Path


class Installed:
    """Files that a run depends on, as they were at its beginning: Ansible's program stands for its folder."""

    def __init__(self, *files: Path) -> None:
        self._before = {file: _identity(file) for file in files}

    def change(self) -> str | None:
        """Returns what happened to one of them since, as a sentence; None if nothing did."""
        for file, before in self._before.items():
            if (now := _identity(file)) != before:
                what = "was removed" if now is None else "was replaced"
                return f"Ansible ({file}) {what} while this run used it: is its folder shared with another installation?"
        return None


def _identity(program: Path) -> tuple[int, ...] | None:
    try:
        found = program.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns)
