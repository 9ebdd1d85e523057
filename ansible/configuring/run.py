"""One run, from start to end."""

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import invocation
from gate import Gate
from guard import Alarm
from inputs import Inputs
from installed import Installed
from marks import mark_run
from processes import adopt_orphans, end_all, of_run
from reach import Unreached, check_new_host_key, open_connection
from scratch import remove_leftovers, scratch_folder
from start import Process, start_ansible
from streams import TAIL_BYTES, LogPipe, limit_memory

TIMED_OUT = 124
TAIL_LINES = 20
TAIL_LINE_BYTES = 2048
_RECAP = re.compile(rb"^agent-\S+\s*: ok=(\d+)\s+changed=(\d+)", re.MULTILINE)
_FAILURES = {2: "a task failed", 4: "the server cannot be reached"}


class TimedOut(Exception):
    """The run's own time limit has passed."""


def configure(inputs: Inputs, alarm: Alarm) -> int:
    """Configures the server and returns the exit code. Raises guard.Stopped after all of the run's processes
    are ended.
    """
    started = time.monotonic()
    limit_memory()
    remove_leftovers()
    adopt_orphans()
    installed = Installed(inputs.ansible_playbook)
    log = _open_log(inputs.log_file)
    begin = os.lseek(log, 0, os.SEEK_END)
    with scratch_folder() as (folder, run_id):
        mark_run(run_id)
        invocation.write_files(folder, inputs)
        try:
            code = _run_connected(folder, inputs, run_id, log, alarm)
        except TimedOut:
            _report_failure(f"timed out after {inputs.timeout_seconds:g} s", _since(log, begin))
            return TIMED_OUT
        except Unreached as error:
            os.write(log, f"{error}\n".encode())
            print(f"configure: {error}", file=sys.stderr)
            return 1
        if code != 0 and (change := installed.change()):
            # Anything else Ansible reports, such as missing modules or an unreachable server, only follows
            # from this.
            _report_failure(change, _since(log, begin))
            return 1
        if code != 0:
            _report_failed_task(folder, code, _since(log, begin))
            return 1
        _report_success(inputs, _since(log, begin), time.monotonic() - started)
        return 0


def _run_connected(folder: Path, inputs: Inputs, run_id: str, log: int, alarm: Alarm) -> int:
    """Starts Ansible at once, and lets its first task begin once the server is reached."""
    deadline = time.monotonic() + inputs.timeout_seconds
    environment = invocation.environment(folder, inputs, run_id)
    gate = Gate()
    try:
        with _running_ansible(folder, inputs, run_id, environment, log, gate) as process:
            if inputs.connection == "ssh":
                with _told("Reach the server over SSH", inputs, log):
                    open_connection(inputs.host, folder, environment, alarm, deadline - time.monotonic())
            gate.open()
            code = _end_of(process, alarm, deadline)
        # An image gets no host key: each server made from it will have its own.
        if inputs.connection == "ssh" and inputs.purpose == "agent" and code == 0:
            with _told("Check the new host key on a separate connection", inputs, log):
                check_new_host_key(inputs.host, folder, environment, alarm)
        return code
    finally:
        gate.close()
        end_all(lambda: of_run(run_id))


@contextlib.contextmanager
def _told(what: str, inputs: Inputs, log: int) -> Iterator[None]:
    """Prints a step's result as callbacks/progress.py does for tasks; exceptions are reported elsewhere."""
    start, began = time.time(), time.monotonic()
    yield
    seconds = time.monotonic() - began
    line = f"{what}: ok ({seconds:.1f} s)"
    mark = f" operation={inputs.operation_id}" if inputs.operation_id else ""
    trace = f" trace={inputs.trace_context[3:35]}" if inputs.trace_context else ""
    os.write(log, f"progress: {line}{mark}{trace}\n".encode())
    _append(inputs.progress_file, line)
    span = {"kind": "task", "name": what, "start": start, "end": start + seconds, "outcome": "success"}
    _append(inputs.spans_file, json.dumps(span))


def _append(path: Path | None, line: str) -> None:
    if path is None:
        return
    with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600), "a") as file:
        file.write(f"{line}\n")


@contextlib.contextmanager
def _running_ansible(
    folder: Path, inputs: Inputs, run_id: str, environment: dict[str, str], log: int, gate: Gate
) -> Iterator[Process]:
    output = LogPipe(log)
    try:
        process = start_ansible(
            invocation.arguments(folder, inputs),
            environment | {invocation.GATE: str(gate.read_end)},
            folder,
            output.write_end,
            gate.read_end,
        )
    finally:
        output.started()
    try:
        yield process
    finally:
        # Also after success: ssh's connection master would linger.
        end_all(lambda: of_run(run_id, process.pid))
        output.close()


def _end_of(process: Process, alarm: Alarm, deadline: float) -> int:
    while (code := process.poll()) is None:
        if time.monotonic() >= deadline:
            raise TimedOut
        alarm.wait(deadline - time.monotonic())
    return code


def _open_log(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    os.fchmod(log, 0o600)
    return log


def _since(log: int, begin: int) -> bytes:
    """The end of the run's log output."""
    size = os.fstat(log).st_size
    begin = max(begin, size - 2 * TAIL_BYTES)
    return os.pread(log, size - begin, begin)


def _report_failure(reason: str, output: bytes) -> None:
    tail = [line[:TAIL_LINE_BYTES].decode(errors="replace") for line in output.splitlines()[-TAIL_LINES:]]
    print(f"configure: {reason}", *tail, sep="\n", file=sys.stderr)


def _report_failed_task(folder: Path, code: int, output: bytes) -> None:
    """Prints the failed task and its message, which is what an operator needs; the log has the rest."""
    try:
        failure = json.loads((folder / invocation.FAILURE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        _report_failure(_FAILURES.get(code, f"ansible-playbook exited with {code}"), output)
        return
    reason = "the server cannot be reached" if code == 4 else "failed"
    print(f'configure: task "{failure["task"]}": {reason}', failure["message"], sep="\n", file=sys.stderr)


def _report_success(inputs: Inputs, output: bytes, seconds: float) -> None:
    if inputs.new_host_public_key and inputs.purpose == "agent":
        print(f"host key {inputs.new_host_public_key}")
    if inputs.connection == "simulated":
        if inputs.checked_file:
            inputs.checked_file.touch(mode=0o600)
        print("syntax checked (simulated machine)")
        return
    recap = _RECAP.findall(output)
    tasks, changed = recap[-1] if recap else (b"0", b"0")
    print(f"configured {int(tasks)} tasks, {int(changed)} changed, {seconds:.1f} s")
