"""Run one clip in a process of its own, so that a crash affects that clip alone."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

from f2rcli.batch.warm import ForkServer, WarmChild, can_fork
from f2rcli.errors import EXIT_DAMAGED, EXIT_OK

ALONE = "F2R_ONE_CLIP"  # set in a child: its clip must never be taken for a folder of clips
COMMAND = [sys.executable, "-m", "f2rcli.cli.child"]
Listener = Callable[[dict[str, Any]], None]
Child = subprocess.Popen[bytes] | WarmChild
PATIENCE = 30.0  # seconds a child may take to clean up before it is killed


@dataclass
class Ended:
    """The exit code of a child, and its last words."""

    code: int
    result: dict[str, Any] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)  # the last
    warnings: list[str] = field(default_factory=list)
    error: dict[str, Any] = field(default_factory=dict)
    stderr: str = ""  # the end of it

    @property
    def good(self) -> bool:
        return self.code in (EXIT_OK, EXIT_DAMAGED) and bool(self.result)

    def reason(self) -> str:
        """Why it failed, in one line."""
        if self.error:
            return str(self.error["message"])
        if self.code < 0:
            return f"its process {_fate(-self.code)}."
        last = (self.stderr.strip().splitlines() or ["no reason given"])[-1]
        return f"its process ended with code {self.code}: {last}."


def _fate(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if name == "SIGKILL":
        return "was killed (SIGKILL); perhaps memory ran out"
    return f"{'was ended' if name == 'SIGTERM' else 'crashed'} ({name})"


class Children:
    """The processes that are running now; `stop` ends them all and lets no more begin."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Child] = set()
        self._fork_servers: dict[tuple[str, ...], ForkServer] = {}
        self.stopped = threading.Event()

    def run(
        self,
        command: Sequence[str],
        arguments: Sequence[str],
        claim: int | None = None,
        listener: Listener = lambda event: None,
    ) -> Ended:
        """Run a command with arguments, --json among them, to its end; `listener` gets its
        progress.

        The child holds on to the descriptor `claim`. Raises InterruptedError after `stop`.
        """
        with tempfile.TemporaryFile() as words:
            born = partial(self._born, command, arguments, words, claim)
            with self._started(born) as child:
                ended = Ended(code=0)
                for line in child.stdout or ():
                    if _took_in(line, ended):
                        listener(ended.progress)
                ended.code = child.wait()
            ended.stderr = _tail(words)
        return ended

    @contextlib.contextmanager
    def _started(self, born: Callable[[], Child]) -> Iterator[Child]:
        # Its standard input is never written to: it closes when this process ends, however that
        # comes about, and the child then ends too. A group of its own: Ctrl-C in a terminal
        # reaches this process alone, which ends its children once.
        with self._lock:
            if self.stopped.is_set():
                raise InterruptedError
            child = born()
            self._running.add(child)
        try:
            yield child
        finally:
            with self._lock:
                self._running.discard(child)
            if child.poll() is None:
                child.kill()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()
            child.wait()

    def _born(
        self, command: Sequence[str], arguments: Sequence[str], words: IO[bytes], claim: int | None
    ) -> Child:
        """A child, from a process that has everything loaded where there can be one."""
        if can_fork():
            fork_server = self._fork_servers.setdefault(tuple(command), ForkServer(command))
            with contextlib.suppress(OSError):
                return fork_server.child(arguments, words.fileno(), claim)
        special: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {}
        if claim is not None:
            special["pass_fds"] = (claim,)
        return subprocess.Popen(
            [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words,
            **special,
        )  # fmt: skip

    def stop(self) -> None:
        """Ask every child to clean up and end; those that do not are killed."""
        self.stopped.set()
        with self._lock:
            running = list(self._running)
        for child in running:
            if os.name == "posix":
                child.terminate()
            elif child.stdin is not None:  # Windows would end it at once, without cleaning up
                child.stdin.close()
        for child in running:
            try:
                child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
        for fork_server in self._fork_servers.values():
            fork_server.close()


def _took_in(line: bytes, ended: Ended) -> bool:
    """Take in one event, and return whether it is progress; other lines are left out."""
    try:
        event = json.loads(line)
    except ValueError:
        return False
    match event.get("event") if isinstance(event, dict) else None:
        case "result":
            ended.result = event
        case "progress":
            ended.progress = event
            return True
        case "warning":
            ended.warnings.append(" ".join(str(event["message"]).split()))
        case "error":
            ended.error = event
    return False


def _tail(words: IO[bytes]) -> str:
    size = words.seek(0, os.SEEK_END)
    words.seek(max(0, size - 4000))
    return words.read().decode("utf-8", "replace")
