"""The process that a batch's children are forked from: it loads what they need and runs nothing."""

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Iterable, Sequence

from f2rcli.batch.warm import received
from f2rcli.errors import F2RError

# What `f2r denoise` loads on its way through a clip; the last few only where they are installed.
LOADED = (
    "f2rcli.cli.commands.denoise", "f2rcli.engine.stream",
    "f2rcli.methods.f2r", "f2rcli.io.video.reader", "f2rcli.io.video.writer",
    "f2rcli.io.images", "f2rcli.io.preview", "f2rcli.io.raw",
    "f2rcli.io.stacks", "f2rcli.cli.terminal.progress", "safetensors.numpy", "torch.utils._device",
    "numpy.ma", "pydantic.fields", "pydantic.type_adapter", "pydantic.types", "rawpy", "rich.live",
)  # fmt: skip
BUILT = "f2rcli.engine.loading"  # builds networks, where it is loaded


def serve(number: int) -> list[str]:
    """Fork a child for every command line that comes through a socket, and tell how it ended.

    Returns in each child, its standard streams set, with its command line; ends the process when
    the socket's other end closes. Nothing here starts a thread: a fork copies one alone.
    """
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the parent
    for module in LOADED:
        with contextlib.suppress(ImportError):  # a child that needs it says so
            importlib.import_module(module)
    if BUILT in sys.modules:
        with contextlib.suppress(F2RError):
            sys.modules[BUILT].build_ahead()
    gc.freeze()  # pages that no collection touches stay shared
    link = socket.socket(fileno=number)
    waiting = selectors.DefaultSelector()
    waiting.register(link, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.data is not None:  # a child has ended
                waiting.unregister(key.fd)
                _tell(key.fd, *key.data)
                continue
            asked = received(link)
            if asked is None:
                raise SystemExit(0)
            arguments, (answers, *streams) = asked
            process = os.fork()
            if not process:
                others = [key.fd for key in waiting.get_map().values()]
                others += [key.data[1].detach() for key in waiting.get_map().values() if key.data]
                waiting.close()
                _become(streams, [answers, *others])
                signal.signal(signal.SIGINT, usual)
                return arguments
            _close(streams)
            answer = socket.socket(fileno=answers)
            _send(answer, process)
            waiting.register(os.pidfd_open(process), selectors.EVENT_READ, (process, answer))


def _become(streams: Sequence[int], others: Iterable[int]) -> None:
    """In a fork: take input, output and messages for its own, and hold on to a claim."""
    os.setpgid(0, 0)  # a terminal's Ctrl-C is for the parent alone
    for standard, given in enumerate(streams[:3]):
        os.dup2(given, standard)
    _close([*streams[:3], *others])
    sys.stdin, sys.stdout, sys.stderr = (  # those of before remember what kind of file they were
        open(number, mode, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
        for number, mode, errors in ((0, "r", None), (1, "w", None), (2, "w", "backslashreplace"))
    )


def _tell(handle: int, process: int, answer: socket.socket) -> None:
    """Say how a child ended: its exit code, or minus the number of a signal."""
    _, status = os.waitpid(process, 0)
    os.close(handle)
    _send(answer, os.waitstatus_to_exitcode(status))
    answer.close()


def _send(answer: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # the parent is gone
        answer.send(json.dumps(number).encode())


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
