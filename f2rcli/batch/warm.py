"""Children that start with everything loaded, forked from a process that does nothing else.

Loading torch and the formats takes two seconds, more than a small clip itself. One process loads
them once and runs nothing; each clip gets a fork of it, which shares that memory and dies alone.
Linux only: other systems cannot fork a process that has loaded such libraries, and start anew.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence

SERVE = "--serve"  # the command's argument before the number of the socket
LARGEST = 1 << 17  # bytes of a command line
DYING = 5.0  # seconds, in which a killed process ends
HOLDS = 4  # descriptors at most: input, output, messages, the claim; and the one to answer on


def can_fork() -> bool:
    """Whether this system forks processes with threads' libraries loaded, and watches them."""
    return sys.platform == "linux" and hasattr(os, "pidfd_open")


class WarmChild:
    """A working fork, with what its parent needs of `subprocess.Popen`. Raises
    ChildProcessError."""

    def __init__(self, answers: socket.socket, stdin: int, stdout: int) -> None:
        self.returncode: int | None = None
        self._answers = answers
        self._lock = threading.Lock()
        word = answers.recv(LARGEST)
        if not word:
            raise ChildProcessError("the process that forks the children did not start")
        self._handle: int | None = None  # stays its own even when the number is another's
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            self._handle = os.pidfd_open(json.loads(word))
        self.stdin, self.stdout = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb")

    def poll(self) -> int | None:
        """The exit code, if it has ended; minus the number of the signal that killed it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended. Raises subprocess.TimeoutExpired."""
        with self._lock:
            if self.returncode is None:
                self._answers.settimeout(timeout)
                try:
                    word = self._answers.recv(LARGEST)
                except (TimeoutError, BlockingIOError) as error:
                    raise subprocess.TimeoutExpired("f2r", timeout or 0) from error
                if not word:  # nobody will tell: the process it was forked from is gone
                    self.kill()
                self.returncode = json.loads(word or str(-int(signal.SIGKILL)))
                self._answers.close()
                if self._handle is not None:
                    os.close(self._handle)
                self._handle = None
            return self.returncode

    def terminate(self) -> None:
        """Ask it to clean up and end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)


class ForkServer:
    """The process that children are forked from; started when the first is wanted."""

    def __init__(self, command: Sequence[str]) -> None:
        """command: what runs a child, without its arguments."""
        self.command = list(command)
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def child(
        self, arguments: Sequence[str], words: int, claim: int | None, *, again: bool = True
    ) -> WarmChild:
        """A fork that runs these arguments, its messages going to `words`. Raises OSError. again:
        whether to ask another process if the first is killed meanwhile."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        (input_end, stdin), (stdout, output_end) = os.pipe(), os.pipe()
        given = [theirs.fileno(), input_end, output_end, words, *([] if claim is None else [claim])]
        with contextlib.ExitStack() as begun:
            begun.callback(ours.close)
            for end in (stdin, stdout):
                begun.callback(os.close, end)
            with theirs, open(input_end, "rb"), open(output_end, "wb"), self._lock:
                self._ask(json.dumps(list(arguments)).encode(), given)
                asked = self._process
            try:
                child = WarmChild(ours, stdin, stdout)
            except ChildProcessError:
                if again and asked is not None and _ends(asked):
                    return self.child(arguments, words, claim, again=False)
                raise
            begun.pop_all()
        return child

    def _ask(self, words: bytes, given: Sequence[int]) -> None:
        try:
            socket.send_fds(self._started(), [words], given)
        except BrokenPipeError:  # it was killed, a moment ago
            self.close()
            socket.send_fds(self._started(), [words], given)

    def _started(self) -> socket.socket:
        if self._process is not None and self._process.poll() is not None:
            self.close()  # it was killed: the next one is as good
        if self._socket is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    [*self.command, SERVE, str(theirs.fileno())], pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    process_group=0,
                )  # fmt: skip
            self._socket = ours
        return self._socket

    def close(self) -> None:
        """Let it end, once its children have."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()  # it has nothing to clean up
            self._process.wait()
        self._socket = self._process = None


def _ends(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process that no longer answers ends, as one does that was killed."""
    try:
        process.wait(DYING)
    except subprocess.TimeoutExpired:
        return False
    return True


def received(link: socket.socket) -> tuple[list[str], list[int]] | None:
    """The next command line and its descriptors; None once no more will come."""
    data, descriptors, _, _ = socket.recv_fds(link, LARGEST, HOLDS + 1)
    return (json.loads(data), list(descriptors)) if data else None
