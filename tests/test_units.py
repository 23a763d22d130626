"""Numbers for people keep two or three digits at every size."""

import pytest

from f2rcli import units


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (312, "312 bytes"), (1000, "1.0 kB"), (3949, "3.9 kB"), (99_400, "99.4 kB"),
     (99_960, "100 kB"), (999_499, "999 kB"), (999_600, "1.0 MB"), (2.14e9, "2.1 GB"),
     (5e15, "5000.0 TB")],
)  # fmt: skip
def test_sizes(count: float, text: str) -> None:
    assert units.size(count) == text


@pytest.mark.parametrize(
    ("bits", "text"), [(900, "900 bit/s"), (128_000, "128 kbit/s"), (4_200_000, "4.2 Mbit/s")]
)
def test_bit_rates(bits: float, text: str) -> None:
    assert units.bit_rate(bits) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.64, "0.64 s"), (59.99, "59.99 s"), (59.996, "1:00"), (3723, "1:02:03")]
)
def test_durations(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text


def test_spans_read_like_clocks() -> None:
    spans = [units.span(seconds) for seconds in (0, 59.6, 61, 3599, 3661)]
    assert spans == ["0:00", "1:00", "1:01", "59:59", "1:01:01"]


def test_a_noise_has_one_word_wherever_it_is_told() -> None:
    told = [units.noise_level(sigma) for sigma in (2.04, 9.8, 30)]
    assert told == [
        "light, sigma 2.0 of 255", "usual, sigma 9.8 of 255", "strong, sigma 30.0 of 255",
    ]  # fmt: skip
