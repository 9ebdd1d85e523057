"""Sends ../library/server_settings.py to the server, with its arguments, as one program on Python's standard
input: no argument of a process, and no file on the server, ever contains them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

PROGRAM = Path(__file__).resolve().parent.parent / "library" / "server_settings.py"
LONGEST_REASON = 10_000
# Shorter lines, such as braces, stand in other texts too.
SHORTEST_SECRET = 6

FILE = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str"},
    "mode": {"type": "str", "default": "0644"},
    "link": {"type": "str"},
    "absent": {"type": "bool", "default": False},
    "validate": {"type": "list", "elements": "str"},
}
COMMAND = {
    "argv": {"type": "list", "elements": "str", "required": True},
    "paths": {"type": "list", "elements": "path", "required": True},
}
SERVICE = {
    "name": {"type": "str", "required": True},
    "enabled": {"type": "bool", "default": False},
    "paths": {"type": "list", "elements": "path", "default": []},
    "reloads": {"type": "bool", "default": False},
    "outdated": {"type": "bool", "default": False},
}
ARGUMENTS = {
    "pending": {"type": "path"},
    "files": {"type": "list", "elements": "dict", "required": True, "options": FILE},
    "commands": {"type": "list", "elements": "dict", "default": [], "options": COMMAND},
    "services": {"type": "list", "elements": "dict", "default": [], "options": SERVICE},
}
ONE_OF = ("content", "link", "absent")


class ActionModule(ActionBase):
    """The action behind the task `server_settings`."""

    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Returns only what the program is known to return: the server decides what it prints."""
        super().run(tmp, task_vars)
        _, settings = self.validate_argument_spec(argument_spec=ARGUMENTS)
        for file in settings["files"]:
            if sum(bool(file[name]) or file[name] == "" for name in ONE_OF) != 1:
                raise AnsibleActionFail(f"{file['path']}: exactly one of {', '.join(ONE_OF)} must be given")
        settings["check_mode"] = self._task.check_mode
        python = (task_vars or {}).get("ansible_python_interpreter", "/usr/bin/python3")
        ended = self._low_level_execute_command(f"{python} -I -", in_data=program(settings))
        return result_of(ended, secrets_in(settings["files"]))


def program(settings: dict[str, Any]) -> bytes:
    """The whole program: the file, and a call with the arguments as one literal."""
    return f"{PROGRAM.read_text(encoding='utf-8')}\n\nmain(json.loads({json.dumps(settings)!r}))\n".encode()


def secrets_in(files: list[dict[str, Any]]) -> list[str]:
    """Returns the lines of the files that not everybody may read, the longest first: as they are, as in JSON,
    and as in the program.
    """
    hidden = [file for file in files if not int(file.get("mode") or "0644", 8) & 0o004]
    lines = {line.strip() for file in hidden for line in (file.get("content") or "").splitlines()}
    encoded = [(line, json.dumps(line)[1:-1]) for line in lines]
    texts = {text for line, in_json in encoded for text in (line, in_json, repr(in_json)[1:-1])}
    return sorted((text for text in texts if len(text) >= SHORTEST_SECRET), key=len, reverse=True)


def result_of(ended: dict[str, Any], secrets: list[str]) -> dict[str, Any]:
    """Raises AnsibleActionFail with the program's reason, or with what its start said. The server has been
    sent the secrets, and may repeat them.
    """
    try:
        said = json.loads(ended["stdout"])
        changed, paths = bool(said["changed"]), [str(path) for path in said["changed_paths"]]
    except (ValueError, KeyError, TypeError):
        reason = reason_of(ended)
        for secret in secrets:
            reason = reason.replace(secret, "[withheld]")
        raise AnsibleActionFail(reason[-LONGEST_REASON:]) from None
    return {"changed": changed, "changed_paths": paths}


def reason_of(ended: dict[str, Any]) -> str:
    try:
        return str(json.loads(ended["stdout"])["msg"])
    except (ValueError, KeyError, TypeError):
        said = f"{ended['stdout']}\n{ended['stderr']}".strip()
        return said or f"its program ended with {ended['rc']}"
