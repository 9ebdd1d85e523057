"""Prints one line per finished task with its result and duration, and records what made the run fail."""

from __future__ import annotations

import importlib
import json
import os
import time
from typing import Any

from ansible.plugins import loader
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: progress
type: notification
short_description: A line for every finished task, and a file that says which task failed and why
description:
  - In the log the lines begin with C(progress:). The machine's output is there too and can imitate them, so
    followers of a run read the file that C(AGENT_PROGRESS_FILE) names, which nothing else writes to.
  - C(AGENT_SPANS_FILE), if set, gets a JSON line for every task and for the whole playbook, for traces.
requirements:
  - enabled in the configuration
"""

LONGEST_MESSAGE_LINES = 5
LONGEST_LINE = 1000


class CallbackModule(CallbackBase):
    """Complements the default output, which has the details."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()
        self._start = self._play_start = time.time()

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._play_start = time.time()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        load_plugins()
        wait_at_gate()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._begin()

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._begin()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        is_failed = bool(stats.failures or stats.dark)
        _span("play", "ansible-playbook", self._play_start, "failure" if is_failed else "success")

    def v2_runner_on_ok(self, result: Any) -> None:
        changed = bool(result.result.get("changed"))
        self._say(result, "changed" if changed else "ok")
        _span("task", result.task.get_name(), self._start, "success", changed=changed)

    def v2_runner_on_skipped(self, result: Any) -> None:
        _span("task", result.task.get_name(), self._start, "skip")

    def _begin(self) -> None:
        self._began = time.monotonic()
        self._start = time.time()

    def v2_runner_retry(self, result: Any) -> None:
        attempts = result.result.get("attempts", 0)
        if attempts == 1 or attempts % 10 == 0:
            self._say(result, f"not yet, try {attempts}")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if ignore_errors:
            self._say(result, "failed, ignored")
            return
        self._say(result, "failed")
        _span("task", result.task.get_name(), self._start, "failure")
        self._keep(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._say(result, "the server cannot be reached")
        _span("task", result.task.get_name(), self._start, "failure")
        self._keep(result)

    def _say(self, result: Any, how: str) -> None:
        # Local checks and includes are not worth a line.
        if result.task.action.rpartition(".")[2] in QUIET:
            return
        seconds = time.monotonic() - self._began
        line = f"{result.task.get_name()}: {how} ({seconds:.1f} s)"
        self._display.display(f"progress: {line}{_mark()}")
        _tell(line)

    def _keep(self, result: Any) -> None:
        path = os.environ.get("AGENT_FAILURE_FILE")
        if path is None:
            return
        failure = {"task": result.task.get_name(), "message": message_of(result.result)}
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(failure, file)


def _mark() -> str:
    """Names the operation and its trace, so that a search for either finds the lines."""
    operation = os.environ.get("AGENT_OPERATION_ID", "")
    trace = os.environ.get("TRACEPARENT", "")[3:35]
    return (f" operation={operation}" if operation else "") + (f" trace={trace}" if trace else "")


def _tell(line: str) -> None:
    _append("AGENT_PROGRESS_FILE", " ".join(line.split())[:LONGEST_LINE])


def _span(kind: str, name: str, start: float, outcome: str, **more: Any) -> None:
    end = max(start, time.time())
    span = {"kind": kind, "name": name[:LONGEST_LINE], "start": start, "end": end, "outcome": outcome, **more}
    _append("AGENT_SPANS_FILE", json.dumps(span))


def _append(variable: str, line: str) -> None:
    path = os.environ.get(variable)
    if path is None:
        return
    with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600), "a", encoding="utf-8") as file:
        file.write(line + "\n")


def wait_at_gate() -> None:
    """Waits until ../configure has reached the server; while it tries, Ansible has loaded everything else."""
    if (gate := os.environ.pop("AGENT_GATE", None)) is None:
        return
    # Nothing to read: configure has given up, and is about to end this process.
    if not os.read(int(gate), 1):
        os._exit(1)
    os.close(int(gate))


def load_plugins() -> None:
    """Each task runs in a process of its own: what is loaded here, none of them has to load again."""
    for load, names in PLUGINS.items():
        for name in names:
            load(name, class_only=True)
    importlib.import_module("ansible.executor.module_common")


PLUGINS = {
    loader.action_loader.get: ("ansible.builtin.raw", "ansible.builtin.normal", "ansible.builtin.assert", "server_settings"),
    loader.connection_loader.get: ("ansible.builtin.ssh",),
    loader.become_loader.get: ("ansible.builtin.sudo",),
    loader.shell_loader.get: ("ansible.builtin.sh",),
    loader.lookup_loader.get: ("ansible.builtin.template", "ansible.builtin.file"),
}
QUIET = frozenset({"assert", "include_tasks", "include_role", "import_tasks", "validate_argument_spec"})


def message_of(result: dict[str, Any]) -> str:
    """Returns the relevant part of a failed task's result; Ansible has already removed what `no_log` hides.
    """
    if "censored" in result:
        return "its output is hidden because it may contain a secret (no_log)"
    for item in result.get("results", []):
        if isinstance(item, dict) and item.get("failed"):
            return message_of(item)
    parts = [str(result.get("msg", "")), str(result.get("stderr") or result.get("module_stderr") or "")]
    lines = [line.strip()[:LONGEST_LINE] for part in parts for line in part.splitlines() if line.strip()]
    return "\n".join(dict.fromkeys(lines[:LONGEST_MESSAGE_LINES])) or "it gave no reason"
