"""What progress says: counts, pace and time to go, by a clock of the test's own."""

import time

import pytest

from f2rcli.cli.console import Console
from f2rcli.cli.progress import FrameMeter, Meter


class Clock:
    """Time that passes when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def advanced(meter: FrameMeter, clock: Clock, frames: int, seconds: float) -> None:
    for _ in range(frames):
        clock.now += seconds
        meter.advance()


def test_the_clock_of_a_bar_stops_where_the_next_one_begins() -> None:
    """A training was past its first stage, whose clock ran on below 5 of 204 steps."""
    meter = Meter(Console())
    first = meter.add("preparing")
    meter.show(first, 5, 204, "5/204 steps")
    meter.add("learning")
    shown = first.elapsed
    time.sleep(0.01)
    assert first.elapsed == shown is not None


def test_pace_and_time_to_go_are_of_late() -> None:
    clock = Clock()
    meter = FrameMeter(Console(), "clip", 100, clock=clock)
    advanced(meter, clock, 10, 2.0)
    advanced(meter, clock, 40, 0.5)
    assert meter.pace == 2.0
    assert meter.eta == 25.0


def test_frames_of_an_earlier_run_are_not_speed() -> None:
    """After a resume 0:15 was shown for a job of an hour."""
    clock = Clock()
    meter = FrameMeter(Console(), "clip", 250, clock=clock)
    meter.replayed = 50
    advanced(meter, clock, 50, 0.01)
    assert meter.eta is None
    advanced(meter, clock, 5, 10.0)
    assert meter.eta == pytest.approx(195 * 10.0, rel=1e-4)


def test_the_time_to_go_is_true_after_a_resume() -> None:
    """Nothing is prepared for the last two frames; of those that are replayed, nothing else is."""
    seconds = [0.02] * 7 + [0.19, 0.01, 0.085, 0.085] + [0.285] * 19 + [0.2, 0.2]
    clock = Clock()
    meter = FrameMeter(Console(), "clip", len(seconds), clock=clock)
    meter.replayed = 11
    for number, taken in enumerate(seconds, 1):
        advanced(meter, clock, 1, taken)
        assert meter.eta is None or meter.eta == pytest.approx(sum(seconds[number:]), rel=0.05)
    assert meter.eta is not None


def test_the_time_to_go_is_true_from_a_tenth_on() -> None:
    """Frames that share the first window, or the last, come faster: seconds at 1920x1080."""
    seconds = [16.8, 2.8, 2.5, *[4.3, 4.3, 4.3, 4.6, 4.4, 4.6, 4.2] * 3, 2.5, 2.7]
    clock, said = Clock(), []
    meter = FrameMeter(Console(), "clip", len(seconds), clock=clock)
    for number, taken in enumerate(seconds, 1):
        advanced(meter, clock, 1, taken)
        said.append((meter.eta, sum(seconds[number:])))
    known = [(eta, true) for eta, true in said if eta and true]
    assert len(known) == len(seconds) - 4  # the first of usual pace is the fourth
    for eta, true in known:
        assert eta == pytest.approx(true, rel=0.15)


def test_a_container_that_counts_too_few_ends_the_guess() -> None:
    clock = Clock()
    meter = FrameMeter(Console(), "clip", 3, exact=False, clock=clock)
    advanced(meter, clock, 3, 1.0)
    assert "3/~3 frames" in meter.words()
    advanced(meter, clock, 1, 1.0)
    assert (meter.total, meter.eta) == (None, None)


def test_the_last_line_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    meter = FrameMeter(Console(), "clip", 2, clock=clock)
    advanced(meter, clock, 2, 10.0)
    meter.finish()
    assert capsys.readouterr().err.count("2/2 frames") == 1
