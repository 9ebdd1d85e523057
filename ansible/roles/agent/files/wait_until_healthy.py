"""Waits until the agent answers GET /health: ADDRESS SECONDS. Says why if it does not."""

import http.client
import subprocess
import sys
import time
import urllib.request

PAUSE_SECONDS = 0.1
# The agent's journal may contain secrets, so it stays on the server.
STATE = "--property=ActiveState,SubState,Result,ExecMainStatus,NRestarts"


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is no healthy answer."""

    def redirect_request(self, *_: object) -> None:
        return None


def answer(url: str) -> str:
    """Returns what is wrong with the answer, empty if it is healthy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects)
    try:
        with opener.open(url, timeout=5) as response:
            return "" if response.status == 200 else f"status {response.status}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(error)


def main() -> None:
    url, seconds = sys.argv[1], int(sys.argv[2])
    deadline = time.monotonic() + seconds
    while problem := answer(url):
        if time.monotonic() >= deadline:
            shown = subprocess.run(["systemctl", "show", STATE, "agent.service"], capture_output=True, text=True)
            service = ", ".join(sorted(shown.stdout.split()))
            sys.exit(
                f"No healthy answer within {seconds} s: {problem}\n"
                f"Its service: {service} (more: journalctl -u agent, on the server)"
            )
        time.sleep(PAUSE_SECONDS)


main()
