"""Run command lines in processes that need not import torch again.

A cold start of ``clipcli`` spends seconds on the imports of torch and open_clip. The server imports them once and then
forks a process for each command line. The process has the command's own arguments, folder, environment, standard
streams and exit status; it can be sent signals and be killed.

``command()`` is what a test puts in place of ``[sys.executable, "-m", "clipcli"]``: a small client, which gives its
arguments and its standard streams to the server, passes signals on, and ends as the forked process ends.

What differs from a cold start: all modules are imported already, and variables that Python or a library reads when it
is imported have no effect. ``needs_cold_start`` says when a difference of two environments is of this kind.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

STREAMS = (0, 1, 2)
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH)
READ_AT_IMPORT = ("PYTHON", "LC_", "LANG", "OMP_", "MKL_", "OPENBLAS_", "LD_", "MALLOC_")


def needs_cold_start(environment: Mapping[str, str], served: Mapping[str, str]) -> bool:
    """Say whether two environments differ in a variable that is read before a command line is."""
    names = {name for name in environment.keys() | served.keys() if name.startswith(READ_AT_IMPORT)}
    return any(environment.get(name) != served.get(name) for name in names)


class Connection:
    """Messages of JSON, one per line, over a stream socket."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel, self._rest = channel, b""

    def send(self, message: Any) -> None:
        self.channel.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> Any:
        """Return the next message, or None if the other side has gone."""
        while b"\n" not in self._rest:
            try:
                more = self.channel.recv(1 << 16)
            except InterruptedError:
                continue
            except ConnectionError:
                more = b""
            if not more:
                return None
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)


# --- client -------------------------------------------------------------------------------------------------


def be_client(address: str, arguments: list[str]) -> NoReturn:
    """Have a command line run by the server, and end as it ends."""
    opened = [number for number in STREAMS if _is_open(number)]
    channel = socket.socket(socket.AF_UNIX)
    channel.connect(address)
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    socket.send_fds(channel, [b"\n"], opened)
    ignored = [number for number in FORWARDED if signal.getsignal(number) == signal.SIG_IGN]
    connection = Connection(channel)
    folder = os.getcwd()  # noqa: PTH109 - the client imports as little as it can
    connection.send([arguments, opened, folder, dict(os.environ), ignored])
    process = connection.receive()
    for number in FORWARDED:
        signal.signal(number, lambda number, _: os.kill(process, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    status = connection.receive()
    if status is None:
        os._exit(70)
    if os.WIFSIGNALED(status):
        deadly = os.WTERMSIG(status)
        if deadly != signal.SIGKILL:
            signal.signal(deadly, signal.SIG_DFL)
        os.kill(os.getpid(), deadly)
    os._exit(os.WEXITSTATUS(status))


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


# --- server -------------------------------------------------------------------------------------------------


def be_server(address: str) -> None:
    """Serve until the process that started this server has closed its end of our stdin."""
    import gc
    import selectors

    _import_all()
    gc.collect()
    gc.freeze()  # so that collections in the children do not copy our pages
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C on the test run is for the test run
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as ready:
        listener.bind(address)
        listener.listen(64)
        ready.register(listener, selectors.EVENT_READ)
        ready.register(0, selectors.EVENT_READ)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while all(key.fileobj is listener for key, _ in ready.select()):
            channel, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _keep(channel)
            channel.close()


def _import_all() -> None:
    """Import what commands import, and start no thread: a forked process has but one."""
    import importlib
    import pkgutil

    import clipcli
    from clipcli.models._torchvision import import_open_clip

    import_open_clip()
    for module in pkgutil.walk_packages(clipcli.__path__, "clipcli."):
        if not module.name.endswith("__main__") and ".distributed" not in module.name:
            importlib.import_module(module.name)
    for name in ("matplotlib.pyplot", "open_clip_train.train", "pyarrow.parquet", "sklearn.linear_model"):
        importlib.import_module(name)


def _keep(channel: socket.socket) -> NoReturn:
    """Fork the process for one command line and report how it ends; kill it if the client is killed."""
    import select

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(channel, 1, len(STREAMS))
    connection = Connection(channel)
    arguments, numbers, folder, environment, ignored = connection.receive()
    process = os.fork()
    if process == 0:
        channel.close()
        _run(arguments, dict(zip(numbers, streams, strict=True)), folder, environment, ignored)
    for stream in streams:
        os.close(stream)
    connection.send(process)
    watch = os.pidfd_open(process)
    ended, _, _ = select.select([watch, channel.fileno()], [], [])
    if watch not in ended:
        os.kill(process, signal.SIGKILL)
    connection.send(os.waitpid(process, 0)[1])
    os._exit(0)


def _run(
    arguments: list[str], streams: dict[int, int], folder: str, environment: dict[str, str], ignored: list[int]
) -> NoReturn:
    """Become the process of one command line."""
    import atexit
    import threading
    import time

    for number in FORWARDED:
        signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
    if signal.SIGINT not in ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    _move(streams)
    for stream, name in zip(STREAMS, ("stdin", "stdout", "stderr"), strict=True):
        setattr(sys, name, _stream(stream) if stream in streams else None)
    sys.argv = ["clipcli", *arguments]
    sys.path[0] = folder  # as `python -m` has it
    _reload_settings_of_hub()
    code = _code_of_main()
    threading._shutdown()  # type: ignore[attr-defined]  # as at the end of every Python process
    atexit._run_exitfuncs()
    for file in (sys.stdout, sys.stderr):
        if file is not None:
            file.flush()
    os._exit(code)


def _move(streams: dict[int, int]) -> None:
    """Put the client's streams in the place of ours."""
    for number in STREAMS:
        if number in streams:
            os.dup2(streams[number], number)
        else:
            os.close(number)
    for stream in set(streams.values()) - set(STREAMS):
        os.close(stream)


def _stream(number: int) -> Any:
    """Open a standard stream as Python does at its start."""
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "utf-8").partition(":")
    buffering = 1 if number == 2 or os.isatty(number) else -1
    handling = errors or ("strict" if number < 2 else "backslashreplace")
    return open(number, "r" if number == 0 else "w", buffering, encoding, handling, closefd=False)


def _reload_settings_of_hub() -> None:
    import importlib

    import huggingface_hub.constants

    importlib.reload(huggingface_hub.constants)


def _code_of_main() -> int:
    import traceback

    from clipcli.__main__ import main

    try:
        main()
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        sys.stderr.write(f"{stop.code}\n")
        return 1
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        return 1
    return 0


# --- the tests' side ----------------------------------------------------------------------------------------


class ForkServer:
    """A server that lives as long as this object, or as the process that made it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        import subprocess
        import tempfile

        self.environment = dict(environment)
        self._folder = tempfile.TemporaryDirectory(prefix="clipcli-tests-")  # the path of a socket must be short
        self._address = os.path.join(self._folder.name, "socket")  # noqa: PTH118
        self._process = subprocess.Popen(
            [sys.executable, __file__, "serve", self._address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=self.environment | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.is_ready = self._process.stdout.readline() == "ready\n"

    def command(self) -> list[str]:
        """Return what to run in place of ``python -m clipcli``."""
        return [sys.executable, "-I", "-S", __file__, self._address]

    def close(self) -> None:
        self._process.communicate()
        self._folder.cleanup()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        be_server(sys.argv[2])
    else:
        be_client(sys.argv[1], sys.argv[2:])
