"""Names of files may hold anything; what is shown of them is text and nothing else."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from f2rcli.cli.signals import Stopper, Terminated
from f2rcli.cli.terminal.text import lines, one_line
from f2rcli.errors import EXIT_INPUT, EXIT_OK

EVIL = "a\x1b[31m\rb\nerror: forged\u202e.mp4"


def test_what_is_not_plain_text_is_escaped() -> None:
    assert one_line(EVIL) == r"a\x1b[31m\rb\nerror: forged\u202e.mp4"
    assert one_line("Ünï 漢字 👍 [x]") == "Ünï 漢字 👍 [x]"
    assert (
        lines("is damaged:\n  frame 2\nerror: forged") == "is damaged:\n  frame 2\\nerror: forged"
    )


def test_a_name_forges_no_line_and_no_colour(
    f2r: Callable[..., Any], clip: Path, tmp_path: Path
) -> None:
    evil = clip.rename(tmp_path / EVIL)
    log = tmp_path / "run.log"
    done = f2r("denoise", evil, "-o", tmp_path / f"out{EVIL}", "--log-file", log)
    assert done.code == EXIT_OK, done.err
    shown = [done.err, f2r("info", evil).out, log.read_text(encoding="utf-8")]
    missing = f2r("denoise", tmp_path / f"no{EVIL}")
    assert missing.code == EXIT_INPUT
    for text in (*shown, missing.err):
        assert r"a\x1b[31m\rb\nerror: forged" in text
        assert not {"\x1b", "\r", "\u202e"} & set(text)
    assert sum(line.startswith("error: ") for line in missing.err.splitlines()) == 1


def test_a_process_without_standard_streams_runs_and_keeps_results_apart(
    start: Callable[..., Any], clip: Path
) -> None:
    without = {"preexec_fn": lambda: [os.close(number) for number in (0, 1)], "stdout": None}
    done = start("denoise", clip, **without).end()
    assert done.code == EXIT_OK, done.err
    assert (clip.parent / "clip_f2r.mp4").exists()
    done = start("denoise", clip, "--dry-run", "--overwrite", **without).end()
    assert done.err.splitlines()[-2:] == [
        "error: standard output is closed.",
        "hint: Send it to a file or a pipe.",
    ]


@pytest.fixture
def stopper() -> Iterator[Stopper]:
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    one = Stopper()
    one.install()
    yield one
    one.remove()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_signal_whose_exception_python_drops_comes_again(
    stopper: Stopper, number: int, error: type[BaseException]
) -> None:
    class Cleaned:
        def __del__(self) -> None:
            signal.raise_signal(number)

    def work() -> None:
        Cleaned()
        threading.Event().wait(20)

    with pytest.raises(error):
        work()
    assert stopper.count == 1
