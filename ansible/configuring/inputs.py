"""The inputs of a run, read from the environment alone."""

import base64
import binascii
import ipaddress
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from software import read_software

Connection = Literal["ssh", "simulated", "local"]
Purpose = Literal["agent", "image"]

SITE_PLAYBOOK = Path(__file__).resolve().parent.parent / "site.yml"
AGENT_ID = re.compile(r"[a-z0-9](-?[a-z0-9])*")
PRIVATE_KEY = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----\s.+\s-----END \1-----", re.DOTALL)


class InputError(Exception):
    """The environment is invalid. The text names every problem and shows no value."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """One run's validated inputs. Secrets are not part of the representation."""

    agent_id: str
    host: str
    health_port: int
    connection: Connection
    log_file: Path
    timeout_seconds: float
    ansible_playbook: Path
    playbook: Path
    search_path: str
    host_keys: tuple[str, ...] = ()
    """Known host keys, each as "type base64"."""
    private_key: str = field(default="", repr=False)
    new_host_key: str = field(default="", repr=False)
    new_host_public_key: str = ""
    software: Mapping[str, object] = field(default_factory=dict, repr=False)
    """What the agent is, as variables of the role `agent`."""
    proxy_command: str = ""
    purpose: Purpose = "agent"
    """`image`: the server gets no agent, and its disk is cleaned at the end."""
    version: str = ""
    """The playbook's version: on a disk made from an image of it, most is in place."""
    progress_file: Path | None = None
    """Also receives the lines of callbacks/progress.py, and nothing else."""
    spans_file: Path | None = None
    """Receives the beginning and end of every task, for traces."""
    operation_id: str = ""
    trace_context: str = ""
    """As W3C Trace Context writes it."""
    checked_file: Path | None = None
    """Created by a successful check for a simulated machine: ../configure then skips the next one."""


def read_inputs(environment: Mapping[str, str]) -> Inputs:
    """Raises InputError with one line for each missing or malformed variable."""
    reader = _Reader(environment)
    connection = reader.read("AGENT_CONNECTION", _connection)
    over_ssh = connection == "ssh"
    search_path = environment.get("PATH") or os.defpath
    # Used before there are inputs; only validated here.
    reader.read("AGENT_SCRATCH_DIR", _folder, default=tempfile.gettempdir())
    inputs = {
        "agent_id": reader.read("AGENT_ID", _agent_id),
        "host": reader.read("AGENT_HOST", _address),
        "health_port": reader.read("AGENT_HEALTH_PORT", _port),
        "connection": connection,
        "log_file": reader.read("AGENT_LOG_FILE", _absolute_path),
        "timeout_seconds": reader.read("AGENT_TIMEOUT_SECONDS", _seconds, default="600"),
        "ansible_playbook": reader.read("ANSIBLE_BIN", _ansible_playbook, default=search_path),
        "playbook": SITE_PLAYBOOK,
        "search_path": search_path,
        "host_keys": reader.read("AGENT_HOST_PUBLIC_KEY", _host_keys, default=None if over_ssh else ""),
        "private_key": reader.read("AGENT_SSH_PRIVATE_KEY", _private_key, default=None if over_ssh else ""),
        "new_host_key": reader.read("AGENT_NEW_HOST_KEY", _private_key, default=None if over_ssh else ""),
        "purpose": reader.read("AGENT_PURPOSE", _purpose, default="agent"),
        "version": reader.read("AGENT_VERSION", _version, default=""),
        "progress_file": reader.read("AGENT_PROGRESS_FILE", _optional_path, default=""),
        "spans_file": reader.read("AGENT_SPANS_FILE", _optional_path, default=""),
        "operation_id": reader.read("AGENT_OPERATION_ID", _operation_id, default=""),
        "trace_context": reader.read("TRACEPARENT", _trace_context, default=""),
        "checked_file": reader.read("AGENT_CHECKED_FILE", _optional_path, default=""),
        "proxy_command": reader.read("AGENT_SSH_PROXY_COMMAND", _one_line, default=""),
    }
    if connection == "local":
        inputs["playbook"] = reader.read("AGENT_PLAYBOOK", _playbook)
    elif environment.get("AGENT_PLAYBOOK"):
        reader.problems.append("AGENT_PLAYBOOK: only allowed with AGENT_CONNECTION=local")
    inputs["software"] = read_software(environment, reader.problems)
    if over_ssh and inputs["new_host_key"]:
        inputs["new_host_public_key"] = reader.read("AGENT_NEW_HOST_KEY", public_half)
    if reader.problems:
        raise InputError("configure: invalid environment\n  " + "\n  ".join(reader.problems))
    return Inputs(**inputs)


class _Reader:
    """Collects problems instead of stopping at the first. An empty variable counts as unset."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[str] = []

    def read(self, name: str, parse: Callable[[str], Any], default: str | None = None) -> Any:
        text = self._environment.get(name) or default
        if text is None:
            self.problems.append(f"{name}: missing")
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.problems.append(f"{name}: {error}")
            return None


def _connection(text: str) -> str:
    if text not in get_args(Connection):
        raise ValueError(f"must be one of {', '.join(get_args(Connection))}")
    return text


def _purpose(text: str) -> str:
    if text not in get_args(Purpose):
        raise ValueError(f"must be one of {', '.join(get_args(Purpose))}")
    return text


def _version(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z._-]{0,300}", text):
        raise ValueError("must be a version: letters, digits, dots, hyphens")
    return text


def _agent_id(text: str) -> str:
    if len(text) > 40 or not AGENT_ID.fullmatch(text):
        raise ValueError("must be at most 40 lower-case letters and digits, separated by single hyphens")
    return text


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("must be an IP address") from None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535) or int(text) == 22:
        raise ValueError("must be a port from 1 to 65535, other than SSH's")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise ValueError("must be a number of seconds, more than 0 and at most a day")
    return seconds


def _absolute_path(text: str) -> Path:
    if not Path(text).is_absolute():
        raise ValueError("must be an absolute path")
    return Path(text)


def _optional_path(text: str) -> Path | None:
    return _absolute_path(text) if text else None


def _operation_id(text: str) -> str:
    if len(text) > 100 or not re.fullmatch(r"[0-9A-Za-z-]*", text):
        raise ValueError("must be an id")
    return text


def _trace_context(text: str) -> str:
    # A caller's own, malformed one is no reason to fail.
    return text if re.fullmatch(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", text) else ""


def _folder(text: str) -> Path:
    if not _absolute_path(text).is_dir():
        raise ValueError("no such folder")
    return Path(text)


def _playbook(text: str) -> Path:
    if not _absolute_path(text).is_file():
        raise ValueError("no such file")
    return Path(text)


def _ansible_playbook(search_path: str) -> Path:
    found = shutil.which("ansible-playbook", path=search_path)
    if not found:
        raise ValueError("no ansible-playbook there (unset: on PATH)")
    return Path(found).absolute()


def _host_keys(text: str) -> tuple[str, ...]:
    return tuple(_host_key(line) for line in text.strip().splitlines())


def _host_key(line: str) -> str:
    """Accepts "type base64", with or without a host in front and a comment behind; the host is always
    AGENT_HOST.
    """
    for kind, blob in itertools.pairwise(line.split()):
        try:
            content = base64.b64decode(blob, validate=True)
        except (binascii.Error, ValueError):
            continue
        # The key blob begins with its type, as a length-prefixed string.
        if content[4:].startswith(kind.encode()) and int.from_bytes(content[:4]) == len(kind):
            return f"{kind} {blob}"
    raise ValueError("must be public keys, one per line, as in a known_hosts file")


def _private_key(text: str) -> str:
    key = text.replace("\r\n", "\n").strip()
    if text and not PRIVATE_KEY.fullmatch(key):
        raise ValueError("must be a private key with its BEGIN and END lines")
    return f"{key}\n" if key else ""


def public_half(text: str) -> str:
    """The public half of a private key in OpenSSH's format, which contains it unencrypted."""
    try:
        content = base64.b64decode("".join(text.strip().splitlines()[1:-1]))
        if not content.startswith(b"openssh-key-v1\0"):
            raise ValueError
        fields = []
        at = len(b"openssh-key-v1\0")
        # Skip cipher, key derivation and its options, and the number of keys; the public key follows.
        for skipped in (0, 0, 0, 4):
            at += skipped
            length = int.from_bytes(content[at : at + 4])
            fields.append(content[at + 4 : at + 4 + length])
            at += 4 + length
        blob = fields[-1]
        kind = blob[4 : 4 + int.from_bytes(blob[:4])].decode("ascii")
        return _host_key(f"{kind} {base64.b64encode(blob).decode()}")
    except (ValueError, IndexError, binascii.Error):
        raise ValueError("must be a private key in OpenSSH's own format") from None


def _one_line(text: str) -> str:
    if any(ord(character) < 32 for character in text):
        raise ValueError("must be one line")
    return text
