#!/usr/bin/python3
"""Writes several small files at once: every task that copies or templates a file costs several round trips.
"""

from __future__ import annotations

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: settings_files
short_description: Writes several small text files, each atomically
description:
  - Creates, updates and removes files and links in one module call.
  - Every file with a validator is validated before any file is replaced.
  - A change may require a service to be notified. C(pending) exists from before the first change until the
    whole playbook is done, so that the run after a killed one notifies the services again.
options:
  pending:
    description: >-
      A marker file below /run; while it exists, everything counts as changed. The playbook removes it at its
      end.
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
"""
EXAMPLES = r"""
- name: "Write the settings"
  settings_files:
    files:
      - path: "/etc/example.conf"
        content: "a = 1\n"
"""
RETURN = r"""
changed_paths:
  description: The paths that differed, or all of them if an earlier change is still pending.
  type: list
  returned: always
"""

FILE = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str"},
    "mode": {"type": "str", "default": "0644"},
    "link": {"type": "str"},
    "absent": {"type": "bool", "default": False},
    "validate": {"type": "list", "elements": "str"},
}
ONE_OF = ("content", "link", "absent")


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


def refusal(module: AnsibleModule, file: dict[str, Any], staged: str) -> str | None:
    """Returns the validator's objection to the new file."""
    if not file["validate"]:
        return None
    code, out, err = module.run_command([word.replace("%s", staged) for word in file["validate"]])
    return None if code == 0 else f"{file['path']} would be invalid: {(err or out).strip()}"


def settle(module: AnsibleModule, wrong: list[dict[str, Any]]) -> None:
    """Stages and validates everything that differs, and only then replaces any of it."""
    staged: dict[str, str] = {}
    try:
        for file in (file for file in wrong if not file["absent"]):
            staged[file["path"]] = write_beside(file)
            reason = refusal(module, file, staged[file["path"]])
            if reason is not None:
                module.fail_json(msg=reason)
        for file in wrong:
            if file["absent"]:
                os.unlink(file["path"])
            else:
                target = file["path"] if file["content"] is None else os.path.realpath(file["path"])
                os.replace(staged.pop(file["path"]), target)
    finally:
        for path in staged.values():
            os.unlink(path)


def mark(path: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "w", encoding="utf-8"):
        pass


def main() -> None:
    files = {"type": "list", "elements": "dict", "required": True, "options": FILE}
    module = AnsibleModule(argument_spec={"files": files, "pending": {"type": "path"}}, supports_check_mode=True)
    pending = module.params["pending"]
    for file in module.params["files"]:
        if sum(bool(file[name]) or file[name] == "" for name in ONE_OF) != 1:
            module.fail_json(msg=f"{file['path']}: exactly one of {', '.join(ONE_OF)} must be given")
    wrong = [file for file in module.params["files"] if not is_right(file)]
    changed = module.params["files"] if pending and os.path.exists(pending) else wrong
    if wrong and not module.check_mode:
        if pending:
            mark(pending)
        settle(module, wrong)
    module.exit_json(changed=bool(changed), changed_paths=[file["path"] for file in changed])


if __name__ == "__main__":
    main()
