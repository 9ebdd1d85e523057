"""Waits until the agent answers GET /health: HOST PORT SECONDS. Says why if it does not.

Speaks HTTP itself: loading Python's own client takes longer than the whole answer.
"""

import socket
import subprocess
import sys
import time

PAUSE_SECONDS = 0.1
ANSWER_SECONDS = 5
LONGEST_STATUS_LINE = 1000
# The agent's journal may contain secrets, so it stays on the server.
STATE = "--property=ActiveState,SubState,Result,ExecMainStatus,NRestarts"


def answer(host: str, port: int) -> str:
    """Returns what is wrong with the answer, empty if it is healthy. A redirect is no healthy answer."""
    name = f"[{host}]" if ":" in host else host
    try:
        with socket.create_connection((host, port), timeout=ANSWER_SECONDS) as connection:
            connection.sendall(f"GET /health HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n\r\n".encode())
            said = connection.makefile("rb").readline(LONGEST_STATUS_LINE).decode("latin-1")
    except OSError as error:
        return str(error)
    protocol, _, rest = said.partition(" ")
    if not protocol.startswith("HTTP/"):
        return "no answer in HTTP"
    status = rest.split(" ")[0].strip()
    return "" if status == "200" else f"status {status}"


def main() -> None:
    host, port, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    deadline = time.monotonic() + seconds
    while problem := answer(host, port):
        if time.monotonic() >= deadline:
            shown = subprocess.run(["systemctl", "show", STATE, "agent.service"], capture_output=True, text=True)
            service = ", ".join(sorted(shown.stdout.split()))
            sys.exit(
                f"No healthy answer within {seconds} s: {problem}\n"
                f"Its service: {service} (more: journalctl -u agent, on the server)"
            )
        time.sleep(PAUSE_SECONDS)


main()
