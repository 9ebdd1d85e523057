"""Starts Ansible: its program, or a copy of this process where it is loaded already (prepared.py)."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import NoReturn, Protocol

from guard import WATCHED, die_with_parent

_CRASHED = 250


class Process(Protocol):
    """What a run needs of subprocess.Popen."""

    pid: int

    def poll(self) -> int | None: ...


class Forked:
    """A process that was forked from this one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Returns its exit code once it has ended."""
        if self._code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if ended else None
        return self._code


def start_ansible(
    arguments: list[str], environment: dict[str, str], folder: Path, output: int, gate: int
) -> Process:
    """Starts it in its own session, in this folder, with all that it prints in `output`. It inherits `gate`,
    and dies with this process.
    """
    if "ansible.cli.playbook" not in sys.modules:
        return subprocess.Popen(
            arguments,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(gate,),
            preexec_fn=lambda: die_with_parent(signal.SIGKILL),
        )
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return Forked(pid)
    _become_ansible(arguments, environment, folder, output, gate)


def _become_ansible(
    arguments: list[str], environment: dict[str, str], folder: Path, output: int, gate: int
) -> NoReturn:
    code = _CRASHED
    try:
        _reset_signals()
        os.setsid()
        die_with_parent(signal.SIGKILL)
        _keep_open(output, gate)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        code = _run_playbook(arguments, folder)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else _CRASHED
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in WATCHED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _keep_open(output: int, gate: int) -> None:
    """Closes all else: no lock and no connection may outlive the processes that they belong to."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, source in enumerate((nothing, output, output)):
        os.dup2(source, number)
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor > 2 and descriptor != gate:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _run_playbook(arguments: list[str], folder: Path) -> NoReturn:
    """Sets what Ansible reads from the environment when it is loaded, and runs it. Raises SystemExit."""
    from ansible import constants
    from ansible.cli.playbook import PlaybookCLI

    constants.ANSIBLE_HOME = str(folder / "ansible")
    constants.DEFAULT_LOCAL_TMP = str(folder / "local")
    os.mkdir(constants.DEFAULT_LOCAL_TMP, 0o700)
    tempfile.tempdir = None
    # It sets up once more what prepared.py has, and says that it has been.
    warnings.filterwarnings("ignore", message="AnsibleCollectionFinder has already been configured")
    sys.argv = arguments
    PlaybookCLI.cli_executor(arguments)
