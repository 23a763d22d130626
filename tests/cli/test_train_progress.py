"""Progress of a training run: lines now and then, JSON values that are JSON, warnings always."""

import json
import math

from f2rcli.cli.terminal.bars import joined
from f2rcli.cli.terminal.console import Console, Verbosity
from f2rcli.cli.terminal.train_progress import StepMeter
from f2rcli.training.events import Event
from f2rcli.training.events import EventKind as Kind
from tests.cli.conftest import Clock


def feed(meter: StepMeter, clock: Clock, seconds: int) -> None:
    for second in range(seconds):
        clock.now = float(second)
        meter(Event(kind=Kind.PROGRESS, stage="anchor", step=second, steps=90, loss=0.5, eta=65.0))


def test_without_a_terminal_there_is_a_line_every_ten_seconds(clock, capfd) -> None:
    feed(StepMeter(Console(), clock), clock, 35)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0] == "anchor: 10/90 steps, ETA 1:05, loss 0.5000"


def test_events_come_once_a_second_and_hold_no_nan(clock, capfd) -> None:
    console = Console()
    console.configure(Verbosity(json=True))
    meter = StepMeter(console, clock)
    for tick in range(31):
        clock.now = tick / 10
        meter(Event(kind=Kind.PROGRESS, stage="anchor", step=tick, steps=90, loss=math.nan))
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [event["step"] for event in events] == [10, 20, 30]
    assert events[0]["loss"] is None


def test_a_setback_is_a_warning_even_when_quiet(clock, capfd) -> None:
    console = Console()
    console.configure(Verbosity(quiet=True))
    meter = StepMeter(console, clock)
    meter(Event(kind=Kind.SETBACK, stage="anchor", step=5, steps=90, text="the loss rose"))
    feed(meter, clock, 35)
    assert capfd.readouterr().err == "warning: anchor step 5/90: the loss rose\n"


def test_what_was_last_known_stays_in_the_words(clock) -> None:
    meter = StepMeter(Console(), clock)
    meter(Event(kind=Kind.VALIDATED, stage="anchor", step=1, steps=9, loss=0.25, validation=0.5))
    later = Event(kind=Kind.PROGRESS, stage="anchor", step=2, steps=9, rate=1.5)
    assert joined(meter.parts(later)) == "2/9 steps, 1.50 steps/s, loss 0.2500, held out 0.50 dB"


def test_work_before_the_first_step_is_a_line_of_its_own(clock, capfd) -> None:
    meter = StepMeter(Console(), clock)
    meter(Event(kind=Kind.LOG, stage="footage", step=0, steps=0, text="measuring the noise"))
    assert capfd.readouterr().err == "measuring the noise\n"
    assert meter.tasks == {}
