#!/usr/bin/python3
"""Gives a configured server that waited to the agent of a customer: its id, and a new host key.

Started as root over SSH while the server waits. Says "ready", then reads one line of JSON from its input:
{"agentId", "hostPrivateKey", "hostPublicKey"}. Says "done" once SSH and the agent's service have both.
Leaves what the playbook would write for that agent, so the playbook's next run changes nothing. Repeating it
changes nothing either. Without a whole line it does nothing.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys

TENANT = "/etc/agent/tenant"
HOST_KEY = "/etc/ssh/agent_host_ed25519_key"
# The playbook's: a run that is killed after its first change lets the next one, of this program or of the
# playbook, tell the services again.
PENDING = "/run/agent-settings/agent"
SERVICES = [["systemctl", "restart", "agent.service"], ["systemctl", "reload", "ssh.service"]]
LONGEST_LINE = 16 * 1024


def read_given() -> dict[str, str] | None:
    line = sys.stdin.buffer.readline(LONGEST_LINE)
    if not line.endswith(b"\n"):
        return None
    given = json.loads(line)
    if not re.fullmatch(r"[a-z0-9](-?[a-z0-9])*", given["agentId"]):
        sys.exit("agentId: malformed")
    return given


def tenant(agent_id: str) -> str:
    """The file as the playbook wrote it, with another id."""
    with open(TENANT, encoding="utf-8") as present:
        text, count = re.subn(r'(?<=^AGENT_ID=")[^"]*(?="$)', agent_id, present.read(), flags=re.MULTILINE)
    if count != 1:
        sys.exit(f"{TENANT} names no agent")
    return text


def differs(path: str, content: str) -> bool:
    with open(path, encoding="utf-8") as present:
        return present.read() != content


def replace(path: str, content: str, mode: int) -> None:
    """Atomically, as the playbook does."""
    staged = f"{os.path.dirname(path)}/.{os.path.basename(path)}.{os.getpid()}"
    try:
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as new:
            new.write(content)
            os.fchmod(descriptor, mode)
        os.replace(staged, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(staged)
        raise


def settle(files: list[tuple[str, str, int]]) -> bool:
    """Writes what differs. Returns whether the services have to be told, now or since a killed run."""
    wrong = [file for file in files if differs(file[0], file[1])]
    if wrong:
        os.makedirs(os.path.dirname(PENDING), mode=0o700, exist_ok=True)
        with open(PENDING, "w", encoding="utf-8"):
            pass
        for file in wrong:
            replace(*file)
    return os.path.exists(PENDING)


def tell_services() -> None:
    running = [(command, subprocess.Popen(command, stdout=subprocess.DEVNULL)) for command in SERVICES]
    failed = [" ".join(command) for command, child in running if child.wait() != 0]
    if failed:
        sys.exit(f"{', '.join(failed)} failed")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(PENDING)


def main() -> None:
    print("ready", flush=True)
    given = read_given()
    if given is None:
        return
    # From here on it ends, even if the connection does not live that long.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    files = [
        (TENANT, tenant(given["agentId"]), 0o600),
        (HOST_KEY, given["hostPrivateKey"].strip() + "\n", 0o600),
        (f"{HOST_KEY}.pub", given["hostPublicKey"] + "\n", 0o644),
    ]
    if settle(files):
        tell_services()
    print("done", flush=True)


main()
