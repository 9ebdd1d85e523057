"""Ensures that no process of a run outlives it, however the run ends.

Pulumi's command provider kills only its direct child, with SIGKILL. So the direct child is just a guard: a
second process does the work, notices when the guard dies, and cleans up.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
from collections.abc import Callable

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
STOPPED = 143
WATCHED = STOP_SIGNALS | {signal.SIGCHLD, signal.SIGUSR1}
_LOOK_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


class Stopped(Exception):
    """The run was asked to stop, or its caller is gone."""


class Alarm:
    """Sleeps until a child exits, a stop is requested, the parent dies, or the time is up. `leash`: a
    descriptor that becomes readable when the run is to stop.
    """

    def __init__(self, parent: int, leash: int | None = None) -> None:
        self._parent = parent
        self._leash = leash
        self._stop = False
        self._wakeup, write = os.pipe()
        for end in (self._wakeup, write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in WATCHED:
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        # SIGUSR1 only wakes: the kernel also sends it when a single thread of the parent ends.
        die_with_parent(signal.SIGUSR1)

    def _note(self, number: int, _frame: object) -> None:
        self._stop = self._stop or number in STOP_SIGNALS

    def wait(self, seconds: float, answer: int | None = None) -> bool:
        """Returns whether there is something to read from `answer`. May return early, for any reason. Raises
        Stopped.
        """
        watched = [one for one in (self._wakeup, self._leash, answer) if one is not None]
        ready = select.select(watched, [], [], max(0.0, min(seconds, _LOOK_SECONDS)))[0]
        try:
            while os.read(self._wakeup, 512):
                pass
        except BlockingIOError:
            pass
        if self._stop or os.getppid() != self._parent or self._leash in ready:
            raise Stopped
        return answer in ready


def guarded(work: Callable[[Alarm], int]) -> int:
    """Runs the work in a child process with its own session and returns its exit code."""
    parent = os.getppid()
    # Blocked until each side has its handlers, so that no signal is lost or handled twice.
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    guard = os.getpid()
    worker = os.fork()
    if worker == 0:
        _work(work, guard)
    alarm = Alarm(parent)
    ended, status = 0, 0
    try:
        while not ended:
            alarm.wait(_LOOK_SECONDS)
            ended, status = os.waitpid(worker, os.WNOHANG)
    except Stopped:
        os.kill(worker, signal.SIGTERM)
        # A short wait: cleaning up has its own time limit.
        status = os.waitpid(worker, 0)[1]
    if os.WIFSIGNALED(status):
        clean_up_after_kill()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _work(work: Callable[[Alarm], int], guard: int) -> None:
    code = 1
    try:
        os.setsid()
        code = outcome(work, Alarm(guard))
    finally:
        os._exit(code)


def outcome(work: Callable[[Alarm], int], alarm: Alarm) -> int:
    """Does the work and returns its exit code, whatever happens; says what went wrong."""
    code = 1
    try:
        code = work(alarm)
        sys.stdout.flush()
        sys.stderr.flush()
    except Stopped:
        code = STOPPED
        _say("stopped")
    except OSError as error:
        _say(str(error))
    except Exception:
        sys.excepthook(*sys.exc_info())
    return code


def clean_up_after_kill() -> None:
    """Removes what a killed process of this run could not."""
    # Not needed otherwise, and a run that another process does (delegate.py) is to start fast.
    from scratch import remove_leftovers

    remove_leftovers()


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(f"configure: {text}", file=sys.stderr, flush=True)


def die_with_parent(number: int) -> None:
    """Asks the kernel to send this signal when the parent ends. Where that is not possible, polling has to
    do.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
