"""Progress is right with and without a known count, on a terminal, in a pipe and as events."""

import io
import json
import re

import pytest
from rich.cells import cell_len
from rich.console import Console as RichConsole

from f2rcli.cli.terminal.console import Console, EventStream
from f2rcli.cli.terminal.progress import RunMeter
from tests.cli.conftest import Clock


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.setenv("TERM", "xterm")
    quiet = Console()
    quiet.human = RichConsole(file=io.StringIO(), width=200)
    return quiet


def terminal(width: int, encoding: str = "utf-8") -> RichConsole:
    """A terminal whose streams write as Python's standard error does."""
    file = io.TextIOWrapper(io.BytesIO(), encoding, errors="backslashreplace", newline="")
    return RichConsole(file=file, force_terminal=True, width=width, color_system=None)


def shown(human: RichConsole) -> list[str]:
    """The lines that a terminal got, without control sequences."""
    human.file.flush()
    text = human.file.buffer.getvalue().decode(human.encoding)  # type: ignore[attr-defined]
    return re.sub(r"\x1b\[\S*?[a-zA-Z]", "", text).replace("\r", "\n").splitlines()


def said(console: Console) -> str:
    return said_by(console.human)


def said_by(console: RichConsole) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def run(meter: RunMeter, clock: Clock, frames: int, seconds: float) -> None:
    with meter:
        for _ in range(frames):
            clock.now += seconds
            meter.advance(12.34)
        meter.finish()


def test_a_pipe_gets_a_line_every_ten_seconds_and_one_at_the_end(console, clock) -> None:
    run(RunMeter(console, "clip.mp4", 50, clock=clock), clock, frames=50, seconds=0.5)
    lines = said(console).splitlines()
    assert lines == [
        "clip.mp4: 20/50 frames, 2.00 frames/s, ETA 0:15, sigma 12.3",
        "clip.mp4: 40/50 frames, 2.00 frames/s, ETA 0:05, sigma 12.3",
        "clip.mp4: 50/50 frames, 2.00 frames/s, 0:25 elapsed, sigma 12.3",
    ]


def test_the_time_until_the_first_frame_is_not_its_pace(console, clock) -> None:
    clock.now += 30.0
    meter = RunMeter(console, "clip.mp4", 30, clock=clock)
    clock.now += 15.0  # noise is measured
    for _ in range(10):
        clock.now += 1.0
        meter.advance()
    assert said(console).splitlines()[0] == "clip.mp4: 1/30 frames, 0:16 elapsed"
    assert meter.pace == 1.0
    assert meter.eta == 20.0


def test_an_unknown_count_shows_elapsed_time_instead_of_eta(console, clock) -> None:
    run(RunMeter(console, "pipe", None, clock=clock), clock, frames=25, seconds=0.5)
    assert (
        said(console).splitlines()[0] == "pipe: 20 frames, 2.00 frames/s, 0:10 elapsed, sigma 12.3"
    )


def test_a_guessed_count_is_marked_and_a_wrong_one_given_up(console, clock) -> None:
    run(RunMeter(console, "c", 30, exact=False, clock=clock), clock, frames=45, seconds=0.5)
    lines = said(console).splitlines()
    assert "20/~30 frames" in lines[0]
    assert "c: 40 frames" in lines[1]
    assert "45/45 frames" in lines[-1]


def test_events_count_and_are_valid_json(console, clock) -> None:
    out = io.StringIO()
    console.events = EventStream(out, clock=clock)
    run(RunMeter(console, "c", 4, clock=clock), clock, frames=4, seconds=1.0)
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [event["frames"] for event in events] == [1, 2, 3, 4, 4]
    assert events[1] == {
        "event": "progress", "time": 2.0, "frames": 2, "total": 4, "exact": True,
        "fps": 1.0, "eta": 2.0, "sigma": 12.34,
    }  # fmt: skip
    assert said(console) == ""


@pytest.mark.parametrize("total", [None, 6])
def test_a_terminal_gets_a_bar(console, clock, total) -> None:
    console.human = RichConsole(file=io.StringIO(), force_terminal=True, width=120)
    run(RunMeter(console, "clip [1].mp4", total, clock=clock), clock, frames=6, seconds=0.5)
    assert "clip [1].mp4" in said(console)
    assert "6/6 frames, 2.00 frames/s" in said(console)


def test_quiet_shows_nothing(console, clock) -> None:
    console.quiet = True
    console.human = RichConsole(file=io.StringIO(), force_terminal=True, width=120)
    run(RunMeter(console, "c", 50, clock=clock), clock, frames=50, seconds=0.5)
    assert said(console) == ""


def test_an_empty_run_says_so_without_dividing_by_zero(console, clock) -> None:
    run(RunMeter(console, "c", None, clock=clock), clock, frames=0, seconds=0.0)
    assert said(console) == "c: 0/0 frames, 0:00 elapsed\n"


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_bar_fits_the_terminal_and_never_loses_count_and_time(console, clock, width) -> None:
    console.human = RichConsole(file=io.StringIO(), force_terminal=True, width=width)
    meter = RunMeter(console, "a long name of a clip.mkv", 1234, exact=False, clock=clock)
    for _ in range(123):
        clock.now += 0.5
        meter.advance(12.34)
    plain = RichConsole(file=io.StringIO(), width=width)
    plain.print(meter.bars.get_renderable())
    (line,) = said_by(plain).splitlines()
    assert len(line) <= width
    assert line.startswith("a lon")
    assert "123/~1234 frames" in line
    assert "ETA 9:16" in line
    assert ("frames/s" in line) == (width >= 60)
    assert ("sigma" in line) == (width >= 80)


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "cp1252", "utf-8"])
def test_a_bar_fits_whatever_the_terminal_can_print(console, clock, encoding) -> None:
    console.human = terminal(40, encoding)
    name = "a name of a clip that is long: Ünï 漢字漢字漢字 👍.mp4"
    run(RunMeter(console, name, 6, clock=clock), clock, frames=6, seconds=0.5)
    run(RunMeter(console, name[-14:], 6, clock=clock), clock, frames=6, seconds=0.5)
    lines = shown(console.human)
    assert max(map(cell_len, lines)) <= 40
    assert sum("6/6 frames, 0:03 elapsed" in line for line in lines) >= 2


def test_a_dumb_terminal_gets_lines_as_a_pipe_does(console, clock, monkeypatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    console.human = terminal(80)
    run(RunMeter(console, "c", 50, clock=clock), clock, frames=50, seconds=0.5)
    assert [line.split(",")[0] for line in shown(console.human)] == [
        "c: 20/50 frames", "c: 40/50 frames", "c: 50/50 frames",
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_long_lines_go_on_set_in_and_within_the_terminal(console, encoding) -> None:
    console.human = terminal(40, encoding)
    console.note("out.mp4: 250 frames, 10.00 s, 5.2 MB -> 3.1 MB, libx264 yuv420p")
    console.note("  kept audio #1 aac, " + "Ü" * 30 + ", chapters")
    console.warning("short")
    lines = shown(console.human)
    assert max(map(cell_len, lines)) <= 40
    assert [line.rstrip() for line in lines[:3]] == [
        "out.mp4: 250 frames, 10.00 s, 5.2 MB", "  -> 3.1 MB, libx264 yuv420p",
        "  kept audio #1 aac,",
    ]  # fmt: skip
    assert all(line.startswith("    ") for line in lines[3:-1])
    assert lines[-1] == "warning: short"


def test_results_keep_their_names_in_a_column_of_a_narrow_terminal(console, monkeypatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "40")
    row = "picture   424x240, yuv 4:2:0, 8 bits, limited range, matrix bt601"
    for out, wanted in (
        (
            Screen(),
            ["picture   424x240, yuv 4:2:0, 8 bits,", " " * 10 + "limited range, matrix bt601"],
        ),
        (io.StringIO(), [row]),
    ):
        monkeypatch.setattr("sys.stdout", out)
        console.rows([row])
        assert [line.rstrip() for line in out.getvalue().splitlines()] == wanted
