"""How Ansible is called: its files, environment and arguments. Pure except for the files it writes."""

import json
import os
import shlex
import sys
from pathlib import Path

from inputs import SITE_PLAYBOOK, Inputs
from processes import MARKER
from scratch import write_private

ADMIN_USER = "ops"
FAILURE = "failure.json"
SSH_CONFIG = "ssh_config"
GATE = "AGENT_GATE"
"""The environment's name for the descriptor that callbacks/progress.py waits for."""
NEW_KNOWN_HOSTS = "new_known_hosts"
_INVENTORY = "inventory.yml"
_TAGS = ("agent_packages", "agent_npm_package", "agent_binary", "agent_role")
_SERVICE_MARKS = ("AGENT_STACKS_INSTALLATION", "AGENT_STACKS_WORKER", "AGENT_STACKS_RUNNER")


def write_files(folder: Path, inputs: Inputs) -> None:
    """Writes the inventory and, over SSH, ssh's files, all with mode 0600."""
    write_private(folder / _INVENTORY, json.dumps(inventory(folder, inputs)))
    if inputs.connection != "ssh":
        return
    write_private(folder / "key", inputs.private_key)
    write_private(folder / "known_hosts", "".join(f"{inputs.host} {key}\n" for key in inputs.host_keys))
    write_private(folder / NEW_KNOWN_HOSTS, f"{inputs.host} {inputs.new_host_public_key}\n")
    write_private(folder / SSH_CONFIG, ssh_config(folder, inputs))


def inventory(folder: Path, inputs: Inputs) -> dict[str, object]:
    """The inventory: one host in the group `agents`. JSON, and therefore valid YAML."""
    variables: dict[str, object] = {
        "agent_id": inputs.agent_id,
        "agent_host": inputs.host,
        "agent_health_port": inputs.health_port,
        "agent_version": inputs.version,
        "agent_becomes_image": inputs.purpose == "image",
        "agent_host_private_key": inputs.new_host_key,
        "agent_host_public_key": inputs.new_host_public_key,
        **inputs.software,
    }
    if inputs.connection == "local":
        variables |= {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    else:
        variables |= {
            "ansible_host": inputs.host,
            "ansible_user": ADMIN_USER,
            "ansible_ssh_common_args": f"-F {shlex.quote(str(folder / SSH_CONFIG))}",
        }
    return {"agents": {"hosts": {f"agent-{inputs.agent_id}": variables}}}


def ssh_config(folder: Path, inputs: Inputs) -> str:
    """ssh's settings. With them it reads no other file, uses no key agent, and never prompts."""
    proxy = [f"ProxyCommand {inputs.proxy_command}"] if inputs.proxy_command else []
    lines = [
        *proxy,
        f'IdentityFile "{folder / "key"}"',
        "IdentitiesOnly yes",
        "IdentityAgent none",
        f'UserKnownHostsFile "{folder / "known_hosts"}"',
        "GlobalKnownHostsFile /dev/null",
        "StrictHostKeyChecking yes",
        "UpdateHostKeys no",
        "BatchMode yes",
        "PreferredAuthentications publickey",
        "ForwardAgent no",
        f"User {ADMIN_USER}",
        # One connection for the whole run.
        "ControlMaster auto",
        f'ControlPath "{folder / "master"}"',
        "ControlPersist 60",
        "ConnectTimeout 10",
        # A server that dies midway is given up after 20 s.
        "ServerAliveInterval 5",
        "ServerAliveCountMax 4",
    ]
    return "Host *\n" + "".join(f"  {line}\n" for line in lines)


def arguments(folder: Path, inputs: Inputs) -> list[str]:
    """The command line, which contains no secret."""
    check = ["--syntax-check"] if inputs.connection == "simulated" else []
    skip = [f"--skip-tags={','.join(without_work(inputs))}"]
    return [str(inputs.ansible_playbook), *check, *skip, "-i", str(folder / _INVENTORY), str(inputs.playbook)]


def without_work(inputs: Inputs) -> list[str]:
    """The tags of tasks that have nothing to do: each is the name of the variable that they depend on."""
    unset = [name for name in _TAGS if not inputs.software.get(name)]
    return unset if inputs.purpose == "image" else [*unset, "agent_becomes_image"]


def ansible_settings(folder: Path) -> dict[str, str]:
    """The part of Ansible's environment that says where its files are."""
    return {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "ANSIBLE_CONFIG": str(SITE_PLAYBOOK.with_name("ansible.cfg")),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
    }


def environment(folder: Path, inputs: Inputs, run_id: str) -> dict[str, str]:
    """Ansible's whole environment. It inherits only PATH and the process tags by which the service finds its
    processes, and none of the caller's credentials.
    """
    marks = {name: os.environ[name] for name in _SERVICE_MARKS if name in os.environ}
    told = {
        "AGENT_PROGRESS_FILE": str(inputs.progress_file or ""),
        "AGENT_SPANS_FILE": str(inputs.spans_file or ""),
        "AGENT_OPERATION_ID": inputs.operation_id,
        "TRACEPARENT": inputs.trace_context,
    }
    progress = {name: value for name, value in told.items() if value}
    return marks | progress | {
        "PATH": inputs.search_path,
        **ansible_settings(folder),
        "AGENT_FAILURE_FILE": str(folder / FAILURE),
        MARKER: run_id,
    }
