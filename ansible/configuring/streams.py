"""Bounds what comes from a server where it enters: root there decides how much it says, and for how long."""

import contextlib
import os
import resource
import threading

LOG_BYTES = 4 * 1024 * 1024
TAIL_BYTES = 64 * 1024
"""What is kept of the end of a log beyond its limit."""
PROGRESS = b"progress: "
_PROGRESS_BYTES = 1024 * 1024
_LONGEST_LINE = 64 * 1024
_CHUNK = 64 * 1024
_JOIN_SECONDS = 5.0
MEMORY_BYTES = 1024 * 1024 * 1024
"""What any process of a run may take: Ansible holds all that a task prints, several times over."""


def limit_memory() -> None:
    """For this process and all it starts. The kernel says no to more; the run fails, and nothing else on this host does."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))


class Tail:
    """Reads a pipe to its end, however much comes, and keeps the end of it."""

    def __init__(self, keep_bytes: int = TAIL_BYTES) -> None:
        self._keep = keep_bytes
        self._kept = b""
        self._read, self.write_end = os.pipe()
        self._thread = threading.Thread(target=self._drain, daemon=True)

    def _drain(self) -> None:
        while chunk := os.read(self._read, _CHUNK):
            self._kept = (self._kept + chunk)[-self._keep :]
        os.close(self._read)

    def started(self) -> None:
        """To be called once the writer has its end of the pipe; a thread is better begun after a fork than before."""
        os.close(self.write_end)
        self._thread.start()

    def text(self, wait_seconds: float = _JOIN_SECONDS) -> str:
        """What was said last. Others may hold the pipe open: it is waited for no longer than so."""
        self._thread.join(wait_seconds)
        return self._kept.decode("utf-8", errors="replace")


class LogPipe:
    """Takes what a process prints into a log: the first 4 MB, after that the lines that tell of progress, and at the end the last lines."""

    def __init__(self, log: int) -> None:
        self._log = log
        self._written = 0
        self._progress = 0
        self._left_out = 0
        self._line = b""
        self._tail = b""
        self._read, self.write_end = os.pipe()
        self._thread = threading.Thread(target=self._drain, daemon=True)

    def started(self) -> None:
        """To be called once the writer has its end of the pipe; a thread is better begun after a fork than before."""
        os.close(self.write_end)
        self._thread.start()

    def close(self) -> None:
        """Waits for the rest, and writes how much was left out, with the end of it."""
        self._thread.join(_JOIN_SECONDS)
        if self._left_out:
            note = f"\n… {self._left_out} bytes left out; the last of them:\n"
            os.write(self._log, note.encode() + self._tail + b"\n")

    def _drain(self) -> None:
        while chunk := os.read(self._read, _CHUNK):
            room = max(0, LOG_BYTES - self._written)
            self._write(chunk[:room])
            if rest := chunk[room:]:
                self._left_out += len(rest)
                self._tail = (self._tail + rest)[-TAIL_BYTES:]
                self._pick_progress(rest)
        os.close(self._read)

    def _pick_progress(self, chunk: bytes) -> None:
        *lines, self._line = (self._line + chunk).split(b"\n")
        # Of a line that is too long only the end is held, which begins as no line of progress does.
        self._line = self._line[-_LONGEST_LINE:]
        for line in lines:
            if line.startswith(PROGRESS) and self._progress < _PROGRESS_BYTES:
                self._progress += len(line)
                os.write(self._log, line + b"\n")

    def _write(self, data: bytes) -> None:
        self._written += len(data)
        if data:
            os.write(self._log, data)
