"""Settings check themselves; messages name them as Python writes them, with their unit."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f2rcli import settings
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import UsageError
from f2rcli.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    size: int = setting(3, low=1, high=9, unit="metres")
    depth: float | None = setting(None, low=0)
    kind: str = setting("a", choices=("a", "bcd"), pattern=r"x\d", others="x and a digit")
    label: str | None = setting(None)
    inner: int = 0

    def __post_init__(self) -> None:
        settings.check(self)


def test_defaults_and_the_ends_of_ranges_are_allowed() -> None:
    Sample()
    Sample(size=1, depth=0)
    Sample(size=9, kind="x7", label="what you like")


@pytest.mark.parametrize("size", [0, 10, float("nan"), float("inf"), "5", None.__class__])
def test_what_lies_outside_is_refused_with_range_and_unit(size) -> None:
    with pytest.raises(UsageError, match=r"^size=.*: must be between 1 and 9 \(metres\)\.$"):
        Sample(size=size)


def test_a_range_may_be_open() -> None:
    with pytest.raises(UsageError, match=r"^depth=-0\.5: must be 0 or more\.$"):
        Sample(depth=-0.5)


def test_a_wrong_choice_names_the_nearest_and_all_there_are() -> None:
    with pytest.raises(UsageError, match=r"^kind='bcc': no such choice\.") as caught:
        Sample(kind="bcc")
    hint = "Did you mean bcd? Choose from a, bcd, or x and a digit."
    assert caught.value.hint == hint
    assert caught.value.__notes__ == [f"hint: {hint}"]  # for Python's tracebacks


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps"])
def test_devices_are_known(device: str) -> None:
    EngineSettings(device=device)


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CPU", "", "cuda0"])
def test_other_devices_are_refused_with_the_list(device: str) -> None:
    with pytest.raises(UsageError, match="device=") as caught:
        EngineSettings(device=device)
    assert "cuda:1" in str(caught.value.hint)


@pytest.mark.parametrize("tile", ["0", "-4", "12.5", "on", "", "63", "huge"])
def test_other_tiles_are_refused(tile: str) -> None:
    with pytest.raises(UsageError, match="tile="):
        EngineSettings(tile=tile)


def test_weights_are_names_or_paths() -> None:
    EngineSettings(weights="f2r-full")
    EngineSettings(weights="./mine.safetensors")
    with pytest.raises(UsageError, match="weights='f2r-ful': no such choice"):
        EngineSettings(weights="f2r-ful")


@pytest.mark.parametrize("sigma", [-1, 256, float("nan")])
def test_sigma_says_its_unit(sigma: float) -> None:
    with pytest.raises(UsageError, match=r"must be between 0 and 255 \(8-bit units\)"):
        EngineSettings(sigma=sigma)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0.0), ("12.5", 12.5), ("1:30", 90.0), ("1:02:03.5", 3723.5), (".5", 0.5), ("90", 90.0),
     ("90s", 90.0), ("25m", 1500.0), ("1h30m", 5400.0), ("2.5s", 2.5)],
)  # fmt: skip
def test_times_are_seconds_or_clock_readings(text: str, value: float) -> None:
    assert settings.clock("start", text) == value


@pytest.mark.parametrize("it", ["", "-1", "1:2:3:4", "abc", "1e3", "nan", "inf", "1:-2", "5x", "m"])
def test_what_is_not_a_time_is_refused(it: str) -> None:
    with pytest.raises(UsageError, match="not a time"):
        settings.clock("start", it)


@given(st.floats(min_value=0, max_value=1e5).map(lambda x: round(x, 3)))
def test_a_time_written_as_a_clock_reads_back(value: float) -> None:
    hours, rest = divmod(value, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{int(hours)}:{int(minutes):02d}:{rest:06.3f}"
    assert settings.clock("end", text) == pytest.approx(value, abs=2e-3)


def test_encoder_options_are_pairs() -> None:
    texts = ["tune=grain", "x264-params=a=1:b=2"]
    assert settings.pairs("e", texts) == (("tune", "grain"), ("x264-params", "a=1:b=2"))
    for wrong in ("tune", "=grain"):
        with pytest.raises(UsageError, match="not key=value"):
            settings.pairs("e", [wrong])
