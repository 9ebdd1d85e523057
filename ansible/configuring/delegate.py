"""Has the run done by a process that has loaded Ansible already (prepared.py), if the caller names one.

This process then only guards it, as guard.py does: whoever kills it, or its parent, ends the run.
"""

import os
import select
import socket
from collections.abc import Mapping

ADDRESS = "AGENT_PREPARED"
"""The environment's name for the socket of the prepared process."""
ACCEPTED = b"a"
LENGTH_BYTES = 8
_ACCEPT_SECONDS = 10.0
_KILLED = 137


def delegate(environment: Mapping[str, str]) -> int | None:
    """Returns the run's exit code, or None if no prepared process has accepted it: then nothing of it has
    begun, and it is to be done here.
    """
    address = environment.get(ADDRESS)
    if not address:
        return None
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        if not _is_accepted(connection, address, encode(environment)):
            return None
        return _guarded(connection, parent)


def encode(environment: Mapping[str, str]) -> bytes:
    """The environment as /proc shows one, and before it its length."""
    block = b"\0".join(os.fsencode(f"{name}={value}") for name, value in environment.items())
    return len(block).to_bytes(LENGTH_BYTES) + block


def _is_accepted(connection: socket.socket, address: str, message: bytes) -> bool:
    connection.settimeout(_ACCEPT_SECONDS)
    try:
        connection.connect(address)
        sent = socket.send_fds(connection, [message], [1, 2])
        connection.sendall(message[sent:])
        return connection.recv(1) == ACCEPTED
    except OSError:
        return False


def _guarded(connection: socket.socket, parent: int) -> int:
    from guard import Alarm, Stopped, clean_up_after_kill

    connection.settimeout(None)
    alarm = Alarm(parent)
    try:
        while not alarm.wait(1.0, connection.fileno()):
            pass
    except Stopped:
        # It reads the end of the connection, cleans up and answers; cleaning up has its own time limit.
        connection.shutdown(socket.SHUT_WR)
        select.select([connection], [], [])
    if code := connection.recv(1):
        return code[0]
    clean_up_after_kill()
    return _KILLED
