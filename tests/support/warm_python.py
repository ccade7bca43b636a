"""A Python process that imports the heavy libraries once and forks for every command: Snakemake, and the script of each of its jobs.

A command runs in a process of its own, as with `python`, but without the seconds that imports take. If its caller is killed, it is
terminated, with all that it started. `handroll` is not imported beforehand, so that each project uses its own copy. All commands have the
same hash seed; tests that need others use real processes.
"""

import atexit
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

LIBRARIES = """
numpy scipy.fftpack scipy.linalg scipy.ndimage scipy.optimize scipy.signal scipy.spatial.transform scipy.stats pandas polars
pyarrow.dataset pyarrow.parquet cv2 av soundfile soxr torch torch.utils.tensorboard accelerate numba sympy sklearn.mixture mediapipe mido
mir_eval pretty_midi diffusers.schedulers.scheduling_ddpm diffusers.schedulers.scheduling_dpmsolver_multistep huggingface_hub
pydantic yaml jinja2 requests jsonschema nbformat docutils.core dpath snakemake.api snakemake.cli snakemake.executors.local
snakemake.notebook snakemake.scheduling snakemake.script snakemake.workflow
"""
"""What Snakemake and most rules import."""

COMMAND = """#!{python} -IS
import os, sys
sys.path.insert(0, {folder!r})
from warm_python import run_at
status = run_at({address!r}, sys.argv[1:], os.getcwd(), dict(os.environ), (0, 1, 2))
sys.exit(status if status >= 0 else 128 - status)
"""
"""An executable that takes the arguments of `python`: a script with its arguments, or `-m` and a module."""


class Process:
    """A command in a process that the server at a socket forks, in a process group of its own. `pid` is that process."""

    def __init__(self, address, arguments, folder, environment, streams):
        self.returncode = None
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.connection.connect(address)
        socket.send_fds(self.connection, [json.dumps((arguments, folder, environment)).encode()], streams)
        self.pid = int(self.connection.recv(16))

    def wait(self):
        """Wait for the end of the command; returns its exit status, negative for a signal."""
        if self.returncode is None:
            with self.connection:
                self.returncode = int(self.connection.recv(16))
        return self.returncode

    def poll(self):
        """Exit status, or None while the command runs."""
        if self.returncode is None and not select.select([self.connection], [], [], 0.0)[0]:
            return None
        return self.wait()


def run_at(*arguments):
    """Run a command as `Process` does; returns its exit status, negative for a signal."""
    return Process(*arguments).wait()


def start(arguments, folder, environment, output):
    """Start `python ARGUMENTS` in a folder, with all its output to an open file; returns the running `Process`."""
    with open(os.devnull) as nothing:
        streams = nothing.fileno(), output.fileno(), output.fileno()
        return Process(server()[0], [str(argument) for argument in arguments], str(folder), environment, streams)


def run(arguments, folder, environment):
    """Run `python ARGUMENTS` in a folder; returns the finished process with all its output in `stdout`."""
    with tempfile.TemporaryFile() as output:
        status = start(arguments, folder, environment, output).wait()
        output.seek(0)
        return subprocess.CompletedProcess(arguments, status, output.read().decode())


@cache
def server():
    """Address of the server of this test session, and a lease: the first worker starts it, and it ends with the last lease."""
    from filelock import FileLock

    folder = Path(tempfile.gettempdir(), f"warm-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}")
    address = f"{folder}/socket"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            folder.mkdir()
            environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            command = [sys.executable, __file__, str(folder)]
            process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=True)
            assert process.stdout.readline(), "the server did not start"
        lease = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        lease.connect(address)
        lease.send(b"lease")
    return address, lease


def serve(folder):
    """Fork for every command that arrives, until all leases have ended."""
    import contextlib
    import gc
    import importlib
    import selectors
    import shutil
    import signal

    sys.path.pop(0)
    for library in LIBRARIES.split():
        importlib.import_module(library)
    assert "handroll" not in sys.modules
    gc.freeze()
    command = Path(folder, "python")
    command.write_text(COMMAND.format(python=sys.executable, folder=str(Path(__file__).parent), address=f"{folder}/socket"))
    command.chmod(0o755)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"{folder}/socket")
    listener.listen(64)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    print("ready", flush=True)
    processes, leases = set(), set()
    while True:
        for key, _ in selector.select():
            if key.fileobj in leases:
                selector.unregister(key.fileobj)
                leases.remove(key.fileobj)
                if not leases:
                    shutil.rmtree(folder)
                    Path(f"{folder}.lock").unlink()
                    for process in processes:
                        os.kill(process, signal.SIGTERM)
                    return
                continue
            if key.fileobj is listener:
                connection, _ = listener.accept()
                message, streams, *_ = socket.recv_fds(connection, 1 << 20, 3)
                if message == b"lease":
                    leases.add(connection)
                    selector.register(connection, selectors.EVENT_READ)
                    continue
                process = os.fork()
                if not process:
                    execute(str(command), *json.loads(message), streams)
                for stream in streams:
                    os.close(stream)
                connection.send(str(process).encode())
                processes.add(process)
                selector.register(os.pidfd_open(process), selectors.EVENT_READ, (process, connection))
                selector.register(connection, selectors.EVENT_READ, (process, None))
                continue
            process, connection = key.data
            if connection is None:
                # The caller never sends anything else: the socket is closed, because the caller was killed.
                selector.unregister(key.fileobj)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process, signal.SIGTERM)
                continue
            status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            processes.remove(process)
            selector.unregister(key.fileobj)
            os.close(key.fileobj)
            if connection in selector.get_map():
                selector.unregister(connection)
            with connection, contextlib.suppress(OSError):
                connection.send(str(status).encode())


def execute(command, arguments, folder, environment, streams):
    """Become the process of a command: run it and exit. Snakemake runs the scripts of its jobs with `command`."""
    import runpy
    import threading
    import traceback

    import numpy
    import torch

    status = 1
    try:
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        module = arguments[0] == "-m"
        search = environment.get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:0] = [folder if module else str(Path(arguments[0]).parent), *filter(None, search)]
        numpy.random.seed()  # noqa: NPY002  as in a new process
        torch.seed()
        if module:
            sys.argv, sys.executable = arguments[1:], command
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1])
