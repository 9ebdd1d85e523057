"""The private folder of a run: key, known hosts, inventory, and Ansible's own temporary files.

A lock on it is held while the run lives. The kernel releases the lock with the process, so a folder that can
be locked belongs to a dead run, even if its process id is in use again.
"""

import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import end_all, marked

_NAME = re.compile(r"agent-configure-\d+-([0-9a-f]{16})")


@contextmanager
def scratch_folder() -> Iterator[tuple[Path, str]]:
    """Yields the folder (0700, in memory if there is /dev/shm) and the run's id, and removes the folder at
    the end.
    """
    path, lock, run_id = _create()
    try:
        yield path, run_id
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def write_private(path: Path, content: str) -> None:
    """Creates a file that only this account can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(content)


def remove_leftovers() -> None:
    """Ends the processes and removes the folders of this account's killed runs."""
    for path in _parent().iterdir():
        name = _NAME.fullmatch(path.name)
        if name and _is_own_folder(path):
            _remove_if_dead(path, name[1])


def _remove_if_dead(path: Path, run_id: str) -> None:
    lock = _lock(path)
    if lock is None:
        return
    try:
        end_all(lambda: marked(run_id))
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)


def _create() -> tuple[Path, int, str]:
    while True:
        run_id = secrets.token_hex(8)
        path = _parent() / f"agent-configure-{os.getpid()}-{run_id}"
        path.mkdir(mode=0o700)
        lock = _lock(path)
        # Another run may have found it just before it was locked.
        if lock is not None and path.exists():
            return path, lock, run_id


def _parent() -> Path:
    chosen = os.environ.get("AGENT_SCRATCH_DIR")
    if chosen:
        return Path(chosen)
    shared_memory = Path("/dev/shm")
    if shared_memory.is_dir() and os.access(shared_memory, os.W_OK | os.X_OK):
        return shared_memory
    # Not TMPDIR: ssh's control sockets are created here, and a socket's path is limited to about 100 bytes.
    return Path("/tmp")


def _lock(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor
    except OSError:
        os.close(descriptor)
        return None


def _is_own_folder(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
