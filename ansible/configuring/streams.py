"""Bounds a server's output where it enters: root on that server decides how much it prints, and for how long.
"""

import contextlib
import os
import resource
import threading

LOG_BYTES = 4 * 1024 * 1024
TAIL_BYTES = 64 * 1024
"""How much of the end of an oversized log is kept."""
PROGRESS = b"progress: "
_PROGRESS_BYTES = 1024 * 1024
_LONGEST_LINE = 64 * 1024
_CHUNK = 64 * 1024
_JOIN_SECONDS = 5.0
MEMORY_BYTES = 1024 * 1024 * 1024
"""Memory limit of any process of a run: Ansible holds a task's output in memory several times over."""


def limit_memory() -> None:
    """Limits this process and all it starts. Beyond the limit the run fails, and nothing else on this host is
    affected.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))


class Tail:
    """Reads a pipe to its end and keeps only the tail."""

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
        """Call it once the writer has its end of the pipe: threads are better started after a fork."""
        os.close(self.write_end)
        self._thread.start()

    def text(self, wait_seconds: float = _JOIN_SECONDS) -> str:
        """Returns the tail. Waits only this long, since others may hold the pipe open."""
        self._thread.join(wait_seconds)
        return self._kept.decode("utf-8", errors="replace")


class LogPipe:
    """Copies a process's output into a log: the first 4 MB, then only progress lines, and finally the tail.
    """

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
        """Call it once the writer has its end of the pipe: threads are better started after a fork."""
        os.close(self.write_end)
        self._thread.start()

    def close(self) -> None:
        """Waits for the rest, then writes how much was omitted, and the tail."""
        self._thread.join(_JOIN_SECONDS)
        if self._left_out:
            note = f"\n… {self._left_out} bytes omitted; the last of them:\n"
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
        # Keeps only the end of an overlong line, which cannot look like a progress line.
        self._line = self._line[-_LONGEST_LINE:]
        for line in lines:
            if line.startswith(PROGRESS) and self._progress < _PROGRESS_BYTES:
                self._progress += len(line)
                os.write(self._log, line + b"\n")

    def _write(self, data: bytes) -> None:
        self._written += len(data)
        if data:
            os.write(self._log, data)
