#!/usr/bin/python3
"""Writes several small files and brings services in line with them: a task for each costs several round
trips.

../action/server_settings.py checks the arguments and sends this file with them as one program. It uses the
standard library alone: loading Ansible's own takes most of a module's processor time on the server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

DOCUMENTATION = r"""
---
module: server_settings
short_description: Writes several small text files, each atomically, and applies them
description:
  - >-
    Creates, updates and removes files and links, runs the commands that apply them, and starts, restarts or
    reloads services, in one module call.
  - Every file with a validator is validated before any file is replaced.
  - >-
    C(pending) exists from before the first change until everything is applied, so that the run after a
    killed or failed one applies all of it again.
options:
  pending:
    description: A marker file below /run; while it exists, everything counts as changed.
    type: path
  files:
    description: The files, in order.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path. Missing parent folders are created with mode 0755, owned by root.
        type: path
        required: true
      content:
        description: Content of a regular file, owned by root.
        type: str
      mode:
        description: Mode of a regular file, in octal digits.
        type: str
        default: "0644"
      link:
        description: Target of a symbolic link, instead of content.
        type: str
      absent:
        description: Whether the path must not exist.
        type: bool
        default: false
      validate:
        description: Command that must accept the file before it is put in place; %s is the file's path.
        type: list
        elements: str
  commands:
    description: Commands that apply files.
    type: list
    elements: dict
    suboptions:
      argv:
        description: The command.
        type: list
        elements: str
        required: true
      paths:
        description: It runs if one of these files has changed.
        type: list
        elements: path
        required: true
  services:
    description: Services that must run, applied after the commands.
    type: list
    elements: dict
    suboptions:
      name:
        description: The unit's full name.
        type: str
        required: true
      enabled:
        description: Whether it must start at every boot; it is never disabled.
        type: bool
        default: false
      paths:
        description: It is restarted or reloaded if one of these files has changed.
        type: list
        elements: path
        default: []
      reloads:
        description: Whether a change is applied by a reload.
        type: bool
        default: false
      outdated:
        description: Whether to apply it although no file has changed.
        type: bool
        default: false
"""
EXAMPLES = r"""
- name: "Write the settings"
  server_settings:
    files:
      - path: "/etc/example.conf"
        content: "a = 1\n"
    services:
      - name: "example.service"
        enabled: true
        paths: ["/etc/example.conf"]
"""
RETURN = r"""
changed_paths:
  description: The paths that differed, or all of them if an earlier change is still pending.
  type: list
  returned: always
"""

UNITS = "/etc/systemd/system/"


class Failure(Exception):
    """The settings could not be written or applied."""


def is_right(file: dict[str, Any]) -> bool:
    """Whether the path is already as requested."""
    path = file["path"]
    if file["absent"]:
        return not os.path.lexists(path)
    if file["link"] is not None:
        return os.path.islink(path) and os.readlink(path) == file["link"]
    try:
        status = os.stat(path)
        with open(path, encoding="utf-8", errors="surrogateescape") as present:
            same = present.read() == file["content"]
    except OSError:
        return False
    return same and status.st_mode & 0o7777 == int(file["mode"], 8) and status.st_uid == status.st_gid == 0


def write_beside(file: dict[str, Any]) -> str:
    """Creates the new file or link beside the path, under a temporary name."""
    # Replaces the file behind a link, such as /etc/default/locale on newer Debians.
    target = file["path"] if file["content"] is None else os.path.realpath(file["path"])
    os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
    staged = f"{os.path.dirname(target)}/.{os.path.basename(target)}.{os.getpid()}"
    if file["content"] is None:
        os.symlink(file["link"], staged)
        return staged
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as new:
        new.write(file["content"])
        os.fchmod(descriptor, int(file["mode"], 8))
    return staged


def refusal(file: dict[str, Any], staged: str) -> str | None:
    """Returns the validator's objection to the new file."""
    if not file["validate"]:
        return None
    ended = call([word.replace("%s", staged) for word in file["validate"]])
    said = (ended.stderr or ended.stdout).strip()
    return None if ended.returncode == 0 else f"{file['path']} would be invalid: {said}"


def call(argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command whose output is for people."""
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    text = {"encoding": "utf-8", "errors": "replace"}
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, env=environment, **text)
    except OSError as error:
        raise Failure(f"{argv[0]}: {error.strerror}") from None


def write(wrong: list[dict[str, Any]]) -> None:
    """Stages and validates everything that differs, and only then replaces any of it."""
    staged: dict[str, str] = {}
    try:
        for file in (file for file in wrong if not file["absent"]):
            staged[file["path"]] = write_beside(file)
            reason = refusal(file, staged[file["path"]])
            if reason is not None:
                raise Failure(reason)
        for file in wrong:
            if file["absent"]:
                os.unlink(file["path"])
            else:
                target = file["path"] if file["content"] is None else os.path.realpath(file["path"])
                os.replace(staged.pop(file["path"]), target)
    finally:
        for path in staged.values():
            os.unlink(path)


def run(argv: list[str]) -> str:
    """Returns what the command printed. Raises Failure."""
    ended = call(argv)
    if ended.returncode != 0:
        said = (ended.stderr or ended.stdout).strip()
        raise Failure(f"{' '.join(argv)}: {said or f'exit code {ended.returncode}'}")
    return ended.stdout


def states(names: list[str]) -> dict[str, dict[str, str]]:
    """Reads the services' states in one call."""
    if not names:
        return {}
    out = run(["systemctl", "show", "--property=ActiveState,UnitFileState", "--", *names])
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in out.strip().split("\n\n")]
    return dict(zip(names, blocks, strict=True))


def verbs(service: dict[str, Any], state: dict[str, str], changed: set[str]) -> list[str]:
    """Returns what the service needs, as verbs of systemctl."""
    is_active = state["ActiveState"] == "active"
    needed = ["enable"] if service["enabled"] and state["UnitFileState"] != "enabled" else []
    if service["outdated"] or changed.intersection(service["paths"]):
        # Either of the two also starts a service that does not run.
        return [*needed, "reload-or-restart" if service["reloads"] else "restart"]
    return needed if is_active else [*needed, "start"]


def apply(settings: dict[str, Any], changed: set[str]) -> bool:
    """Runs the commands and changes the services. Returns whether anything was to be done."""
    steps = [each["argv"] for each in settings["commands"] if changed.intersection(each["paths"])]
    services = settings["services"]
    found = states([service["name"] for service in services])
    wanted: dict[str, list[str]] = {}
    for service in services:
        for verb in verbs(service, found[service["name"]], changed):
            wanted.setdefault(verb, []).append(service["name"])
    if "enable" in wanted:
        # What starts at the next boot is read then.
        steps.append(["systemctl", "enable", "--no-reload", "--", *wanted.pop("enable")])
    if any(path.startswith(UNITS) for path in changed):
        steps.append(["systemctl", "daemon-reload"])
    steps += [["systemctl", verb, "--", *names] for verb, names in wanted.items()]
    if not settings["check_mode"]:
        for argv in steps:
            run(argv)
    return bool(steps)


def mark(path: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "w", encoding="utf-8"):
        pass


def settle(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the task's result. Raises Failure, OSError."""
    pending = settings["pending"]
    files = settings["files"]
    wrong = [file for file in files if not is_right(file)]
    is_pending = pending is not None and os.path.exists(pending)
    changed = [file["path"] for file in (files if is_pending else wrong)]
    if wrong and not settings["check_mode"]:
        if pending:
            mark(pending)
        write(wrong)
    applied = apply(settings, set(changed))
    if pending and not settings["check_mode"] and os.path.exists(pending):
        os.unlink(pending)
    return {"changed": bool(changed) or applied, "changed_paths": changed}


def main(settings: dict[str, Any]) -> None:
    """Prints the result as JSON. What the action appends to this file calls it."""
    try:
        print(json.dumps(settle(settings)))
    except (Failure, OSError) as error:
        print(json.dumps({"failed": True, "msg": str(error)}))
        sys.exit(1)
