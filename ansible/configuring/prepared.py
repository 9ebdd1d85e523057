"""`configure serve`: a process that has loaded Ansible, and does each run in a copy of itself.

Loading Ansible takes a third of a run's processor time. The process itself never receives anything of a run:
it accepts a connection, forks, and the copy reads the caller's environment. It ends with its parent, whose
pipe is its standard input.

What a kill leaves, and who mends it:
  this process, idle       its folder: the next run removes it. Callers do their runs themselves.
  this process, at work    each copy sees that its parent has changed, ends its run and answers 143.
  the caller               the copy reads the end of the connection, and ends its run.
  a copy                   the caller reads the end of the connection, and removes what is left (delegate.py).
                           Ansible dies with the copy; its processes bear the run's tag (marks.py).
  both, or all of them     processes and folder: the next run removes them (scratch.py); the service finds
                           the processes by its tags.
"""

import gc
import importlib
import importlib.util
import os
import select
import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import marks
from delegate import ACCEPTED, LENGTH_BYTES
from guard import Alarm, outcome
from inputs import SITE_PLAYBOOK, InputError, read_inputs
from installed import Installed
from invocation import ansible_settings
from run import configure
from scratch import remove_leftovers, scratch_folder

_LONGEST_ENVIRONMENT = 8 * 1024 * 1024
_LOOK_SECONDS = 1.0
_PLUGINS = {
    "cache_loader": ["memory"],
    "callback_loader": ["default"],
    "inventory_loader": ["yaml"],
    "strategy_loader": ["linear"],
}
_MODULES = ("ansible.executor.process.worker", "multiprocessing.popen_fork", "multiprocessing.synchronize")
_HOME = SITE_PLAYBOOK.parent
_CALLBACK = _HOME / "callbacks" / "progress.py"


def serve() -> int:
    """Prints the socket's path once it accepts runs. Returns when the parent closes standard input."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if not marks.find_places():
        print("configure: serve needs Linux, and the placeholders of the run's tags", file=sys.stderr)
        return 2
    remove_leftovers()
    with scratch_folder() as (folder, _):
        code_in_use = Installed(*_files())
        load(folder)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            path = folder / "socket"
            listener.bind(str(path))
            listener.listen(64)
            print(path, flush=True)
            _accept(listener, code_in_use)
    return 0


def load(folder: Path) -> None:
    """Loads Ansible, and what every run needs of it."""
    os.environ.update(ansible_settings(folder))
    import ansible.cli.playbook
    from ansible.plugins import loader

    loader.init_plugin_loader()
    # Ansible reads the documentation of all of these before each playbook.
    for plugins in (loader.connection_loader, loader.shell_loader, loader.become_loader, loader.callback_loader):
        list(plugins.all(class_only=True))
    for plugins, names in _PLUGINS.items():
        for name in names:
            getattr(loader, plugins).get(name, class_only=True)
    for name in _MODULES:
        importlib.import_module(name)
    spec = importlib.util.spec_from_file_location("agent_progress", _CALLBACK)
    progress = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(progress)
    progress.load_plugins()
    # The copies share these objects' memory as long as nothing touches them.
    gc.collect()
    gc.freeze()


def _files() -> list[Path]:
    """What is loaded here, and by every run that starts Ansible itself as it is then."""
    program = shutil.which("ansible-playbook", path=os.environ.get("ANSIBLE_BIN") or os.environ.get("PATH"))
    own = [path for kind in ("configuring", "callbacks", "action") for path in (_HOME / kind).glob("*.py")]
    own.append(_HOME / "ansible.cfg")
    return [*([] if program is None else [Path(program)]), *own]


def _accept(listener: socket.socket, code_in_use: Installed) -> None:
    parent = os.getppid()
    watched: list[int | socket.socket] = [0, listener]
    while os.getppid() == parent:
        ready = select.select(watched, [], [], _LOOK_SECONDS)[0]
        if 0 in ready and not os.read(0, 512):
            return
        if listener in ready:
            connection = listener.accept()[0]
            if code_in_use.change() is not None:
                # Callers do their runs themselves. Once those under way have ended, the parent starts another
                # process, which loads what there is then.
                listener.close()
                watched = [0]
            elif os.fork() == 0:
                listener.close()
                _serve_one(connection)
            connection.close()
        if not _reap() and listener not in watched:
            return


def _reap() -> bool:
    """Returns whether runs are under way."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _serve_one(connection: socket.socket) -> None:
    code = 1
    try:
        parent = os.getppid()
        os.setsid()
        environment = _receive(connection)
        if marks.adopt(environment):
            os.environ.clear()
            os.environ.update(environment)
            # Until here the caller can still do the run itself.
            connection.sendall(ACCEPTED)
            code = outcome(_run, Alarm(parent, connection.fileno()))
            connection.sendall(bytes([code]))
    except OSError:
        # The caller is gone.
        pass
    finally:
        os._exit(code)


def _run(alarm: Alarm) -> int:
    try:
        inputs = read_inputs(os.environ)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return configure(inputs, alarm)


def _receive(connection: socket.socket) -> Mapping[str, str]:
    """Takes over the caller's environment, output and error. Raises OSError if it does not send them."""
    block, descriptors, *_ = socket.recv_fds(connection, 65536, 2)
    if len(descriptors) != 2:
        raise OSError("no descriptors")
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, source in enumerate((nothing, *descriptors)):
        os.dup2(source, number)
        os.close(source)
    length = int.from_bytes(block[:LENGTH_BYTES])
    if length > _LONGEST_ENVIRONMENT:
        raise OSError("too long")
    while len(block) < LENGTH_BYTES + length:
        if not (chunk := connection.recv(65536)):
            raise OSError("cut off")
        block += chunk
    assignments = os.fsdecode(block[LENGTH_BYTES:]).split("\0")
    return dict(one.split("=", 1) for one in assignments if "=" in one)
