"""Children forked from one process that has everything loaded."""

import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator

import pytest

from f2rcli.batch.child import Children
from f2rcli.batch.warm import ForkServer, can_fork

pytestmark = pytest.mark.skipif(not can_fork(), reason="this system starts children anew")

# A child prints its parent and a line of its input, then ends as its argument says.
CODE = """
import os, signal, sys
from f2rcli.cli import fork_server
fork_server.LOADED = ()
word = fork_server.serve(int(sys.argv[2]))[0]
print(os.getppid(), os.getpgrp() == os.getpid(), flush=True)
print("words", file=sys.stderr, flush=True)
if word == "wait":
    sys.stdin.read()
elif word == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
sys.exit(int(word))
"""


@pytest.fixture
def fork_server() -> Iterator[ForkServer]:
    one = ForkServer([sys.executable, "-c", CODE])
    yield one
    one.close()


def ended(fork_server: ForkServer, word: str) -> tuple[int, str, str]:
    """Exit code, output and messages of a child."""
    with tempfile.TemporaryFile() as words:
        child = fork_server.child([word], words.fileno(), None)
        with child.stdin, child.stdout:
            output = child.stdout.read().decode()
        code = child.wait()
        assert child.poll() == code
        words.seek(0)
        return code, output, words.read().decode()


def test_all_come_from_one_process_and_end_as_they_do(fork_server: ForkServer) -> None:
    plain, other, crashed = (ended(fork_server, word) for word in ("0", "7", "crash"))
    assert (plain[0], other[0], crashed[0]) == (0, 7, -signal.SIGSEGV)
    assert plain[1] == other[1] == crashed[1]
    assert plain[1].split()[1] == "True"
    assert plain[2] == "words\n"


def test_one_that_waits_is_ended_and_another_begins_where_their_process_was_killed(
    fork_server: ForkServer,
) -> None:
    with tempfile.TemporaryFile() as words:
        child = fork_server.child(["wait"], words.fileno(), None)
        parent = int(child.stdout.readline().split()[0])
        assert child.poll() is None
        child.terminate()
        assert child.wait(240) == -signal.SIGTERM
        orphan = fork_server.child(["wait"], words.fileno(), None)
        os.kill(parent, signal.SIGKILL)
        assert orphan.wait(240) == -signal.SIGKILL
        for one in (child, orphan):
            one.stdin.close()
            one.stdout.close()
    code, output, _ = ended(fork_server, "0")
    assert code == 0
    assert int(output.split()[0]) != parent


def test_one_killed_a_moment_ago_is_replaced(
    fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket is closed before it counts as ended."""
    assert ended(fork_server, "0")[0] == 0
    killed = fork_server._process
    assert killed is not None
    killed.kill()
    killed.wait()
    monkeypatch.setattr(killed, "poll", lambda: None)
    assert ended(fork_server, "7")[0] == 7


def test_where_nothing_can_be_forked_a_child_starts_anew() -> None:
    children = Children()
    try:
        found = children.run([sys.executable, "-c", 'print(\'{"event": "result"}\')'], ["x"])
    finally:
        children.stop()
    assert found.result == {"event": "result"}
    assert found.code == 0


def test_one_killed_with_a_request_in_hand_is_replaced(fork_server: ForkServer) -> None:
    """It was asked while it was dying, and nobody answered."""
    assert ended(fork_server, "0")[0] == 0
    killed = fork_server._process
    assert killed is not None
    killed.send_signal(signal.SIGSTOP)
    threading.Timer(0.2, killed.kill).start()
    assert ended(fork_server, "7")[0] == 7
    assert fork_server._process is not killed
