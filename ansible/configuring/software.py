"""What the agent is: an npm package, a binary, the operator's own role, or none of them."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

_NAMES = {
    "AGENT_NPM_PACKAGE": "agent_npm_package",
    "AGENT_NPM_REGISTRY": "agent_npm_registry",
    "AGENT_BINARY": "agent_binary",
    "AGENT_BINARY_SHA256": "agent_binary_sha256",
    "AGENT_ROLE": "agent_role",
    "AGENT_COMMAND": "agent_command",
}
_SOURCES = ("AGENT_NPM_PACKAGE", "AGENT_BINARY", "AGENT_ROLE")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")


def read_software(environment: Mapping[str, str], problems: list[str]) -> dict[str, object]:
    """Returns variables of the role `agent`; problems are appended without showing a value."""
    given = {name: environment[name] for name in _NAMES if environment.get(name)}
    problems += [f"{name}: must be one line" for name, text in given.items() if not text.isprintable()]
    sources = [name for name in _SOURCES if name in given]
    if len(sources) > 1:
        problems.append(f"{', '.join(sources)}: set only one of them")
    needs_command = {"AGENT_NPM_PACKAGE", "AGENT_ROLE"} & given.keys()
    if needs_command and "AGENT_COMMAND" not in given:
        problems.append(f"AGENT_COMMAND: required with {needs_command.pop()}")
    problems += _problems_of_files(given)
    software: dict[str, object] = {_NAMES[name]: text for name, text in given.items()}
    if not problems and given.get("AGENT_BINARY", "").startswith("/"):
        with open(given["AGENT_BINARY"], "rb") as binary:
            software["agent_binary_sha256"] = hashlib.file_digest(binary, "sha256").hexdigest()
    if environment.get("AGENT_PACKAGES"):
        software["agent_packages"] = re.split(r"[,\s]+", environment["AGENT_PACKAGES"].strip(", \n"))
    if environment.get("AGENT_ENVIRONMENT_FILE"):
        software["agent_environment"] = _read_assignments(Path(environment["AGENT_ENVIRONMENT_FILE"]), problems)
    return software


def _problems_of_files(given: Mapping[str, str]) -> list[str]:
    problems = []
    binary = given.get("AGENT_BINARY", "")
    if binary.startswith("https://"):
        if not re.fullmatch(r"[0-9a-f]{64}", given.get("AGENT_BINARY_SHA256", "")):
            problems.append("AGENT_BINARY_SHA256: must be 64 hex digits, for a binary at an address")
    elif binary and not (Path(binary).is_absolute() and Path(binary).is_file()):
        problems.append("AGENT_BINARY: must be an https address or the absolute path of a local file")
    role = given.get("AGENT_ROLE", "")
    if role and not (Path(role).is_absolute() and (Path(role) / "tasks").is_dir()):
        problems.append("AGENT_ROLE: must be the absolute path of a role: a folder with a tasks folder")
    return problems


def _read_assignments(path: Path, problems: list[str]) -> dict[str, str]:
    """Parses NAME=value lines as they are; empty lines and lines starting with # are skipped."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        problems.append("AGENT_ENVIRONMENT_FILE: cannot be read")
        return {}
    matches = {
        number: _ASSIGNMENT.fullmatch(line.strip())
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.strip().startswith("#")
    }
    problems += [
        f"AGENT_ENVIRONMENT_FILE: line {number} is not NAME=value" for number, match in matches.items() if not match
    ]
    return {match[1]: match[2] for match in matches.values() if match}
