"""The SSH connection shared by the whole run. It is opened before Ansible starts, so that a failure has a
clear reason.
"""

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from invocation import NEW_KNOWN_HOSTS, SSH_CONFIG
from guard import Alarm
from streams import Tail

REACH_SECONDS = 90.0
NEW_KEY_SECONDS = 10.0
_PAUSE_SECONDS = 0.2
_LONGEST_REASON = 300
_WRONG_KEY = ("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED")


class Unreached(Exception):
    """The server cannot be reached securely."""


def open_connection(
    host: str, folder: Path, environment: Mapping[str, str], alarm: Alarm, limit_seconds: float
) -> None:
    """Waits until the server shows a pinned host key and accepts our key. Raises Unreached."""
    _until_answered([], host, folder, environment, alarm, min(REACH_SECONDS, limit_seconds))


def check_new_host_key(host: str, folder: Path, environment: Mapping[str, str], alarm: Alarm) -> None:
    """Checks the new host key over a fresh connection that does not accept the old one. Raises Unreached."""
    own = ["-o", "ControlPath=none", "-o", f"UserKnownHostsFile={folder / NEW_KNOWN_HOSTS}"]
    _until_answered(own, host, folder, environment, alarm, NEW_KEY_SECONDS, wait_for_key=True)


def _until_answered(
    options: list[str],
    host: str,
    folder: Path,
    environment: Mapping[str, str],
    alarm: Alarm,
    limit_seconds: float,
    wait_for_key: bool = False,
) -> None:
    deadline = time.monotonic() + limit_seconds
    reason = "no answer"
    command = ["ssh", "-F", str(folder / SSH_CONFIG), *options, "--", host, "true"]
    while True:
        code, said = _try(command, environment, alarm, deadline)
        if code == 0:
            return
        # A try that was cut off may have printed nothing readable.
        reason = _last_line(said) or reason
        wrong_key = any(text in said for text in _WRONG_KEY)
        if wrong_key and not wait_for_key:
            raise Unreached("the server's host key is not one of the pinned keys; nothing was sent to it")
        if time.monotonic() >= deadline:
            raise Unreached(f"the server cannot be reached: {reason}")
        pause_until = time.monotonic() + _PAUSE_SECONDS
        while time.monotonic() < pause_until:
            alarm.wait(pause_until - time.monotonic())


def _last_line(said: str) -> str:
    """The last printable line, without control characters that would move a terminal's cursor."""
    for line in reversed(said.splitlines()):
        if readable := "".join(character for character in line if character.isprintable()).strip():
            return readable[:_LONGEST_REASON]
    return ""


def _try(
    command: list[str], environment: Mapping[str, str], alarm: Alarm, deadline: float
) -> tuple[int, str]:
    # Read until the run ends: the connection's master keeps standard error open while it lives.
    errors = Tail()
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors.write_end,
        )
    finally:
        errors.started()
    while (code := process.poll()) is None:
        if time.monotonic() >= deadline:
            process.kill()
        alarm.wait(deadline - time.monotonic())
    # After a failure there is no master; after a success the output is not needed.
    return code, errors.text() if code != 0 else ""
