"""Values are checked before anything slow happens; the message names what there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f2rcli.cli.options import checks
from f2rcli.errors import UsageError


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0.0), ("12.5", 12.5), ("1:30", 90.0), ("1:02:03.5", 3723.5), (".5", 0.5), ("90", 90.0)],
)
def test_times_are_seconds_or_clock_readings(text: str, value: float) -> None:
    assert checks.seconds("--start", text) == value


@pytest.mark.parametrize("text", ["", "-1", "1:2:3:4", "abc", "1e3", "nan", "inf", "1:-2", "5s"])
def test_what_is_not_a_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a time"):
        checks.seconds("--start", text)


@given(st.floats(min_value=0, max_value=1e5).map(lambda x: round(x, 3)))
def test_a_time_written_as_a_clock_reads_back(value: float) -> None:
    hours, rest = divmod(value, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{int(hours)}:{int(minutes):02d}:{rest:06.3f}"
    assert checks.seconds("--end", text) == pytest.approx(value, abs=2e-3)


def test_an_empty_span_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing lies between"):
        checks.read_options("5", "5", None, "auto", strict=False)


@pytest.mark.parametrize("value", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps"])
def test_devices_are_known(value: str) -> None:
    checks.check_device(value)


@pytest.mark.parametrize("value", ["gpu", "cuda:", "cuda:x", "CPU", "", "cuda0"])
def test_other_devices_are_refused_with_the_list(value: str) -> None:
    with pytest.raises(UsageError) as caught:
        checks.check_device(value)
    assert "cuda:1" in str(caught.value.hint)


@pytest.mark.parametrize("value", ["0", "-4", "12.5", "on", ""])
def test_other_tiles_are_refused(value: str) -> None:
    with pytest.raises(UsageError):
        checks.check_tile(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 4.01])
def test_numbers_out_of_range_are_refused_nan_too(value: float) -> None:
    with pytest.raises(UsageError, match="must lie between 0 and 4"):
        checks.check_number("--strength", value, 0, 4)


def test_a_near_miss_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        checks.check_choice("--precision", "pf32", list(checks.PRECISIONS))
    assert "Did you mean fp32?" in str(caught.value.hint)


def test_weights_are_names_or_paths() -> None:
    checks.check_weights(None, ["small"])
    checks.check_weights("small", ["small"])
    checks.check_weights("./mine.safetensors", ["small"])
    with pytest.raises(UsageError, match="smal: no such choice"):
        checks.check_weights("smal", ["small"])


def test_encoder_options_are_pairs() -> None:
    assert checks.pairs(["tune=grain", "x264-params=a=1:b=2"]) == (
        ("tune", "grain"),
        ("x264-params", "a=1:b=2"),
    )
    for wrong in ("tune", "=grain"):
        with pytest.raises(UsageError, match="not key=value"):
            checks.pairs([wrong])
