"""Lets Ansible start before its server is reached: it loads its code and the playbook, then waits."""

import contextlib
import os


class Gate:
    """A pipe whose read end Ansible inherits. callbacks/progress.py reads a byte from it before the first
    task.
    """

    def __init__(self) -> None:
        self.read_end, self._write_end = os.pipe()

    def open(self) -> None:
        """Lets Ansible go on. It may have ended meanwhile, with an error of its own."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._write_end, b"1")

    def close(self) -> None:
        os.close(self.read_end)
        os.close(self._write_end)
