"""Numbers for people keep two or three digits at every size, and have one word everywhere."""

from collections.abc import Callable

import pytest

from f2rcli import units

TOLD = {
    units.size: {
        0: "0 bytes", 312: "312 bytes", 1000: "1.0 kB", 3949: "3.9 kB", 99_400: "99.4 kB",
        99_960: "100 kB", 999_499: "999 kB", 999_600: "1.0 MB", 2.14e9: "2.1 GB", 5e15: "5000.0 TB",
    },
    units.bit_rate: {900: "900 bit/s", 128_000: "128 kbit/s", 4_200_000: "4.2 Mbit/s"},
    units.duration: {0.64: "0.64 s", 59.99: "59.99 s", 59.996: "1:00", 3723: "1:02:03"},
    units.span: {0: "0:00", 59.6: "1:00", 61: "1:01", 3599: "59:59", 3661: "1:01:01"},
    units.noise_level: {
        2.04: "light, sigma 2.0 of 255", 9.8: "usual, sigma 9.8 of 255",
        30: "strong, sigma 30.0 of 255",
    },
}  # fmt: skip


@pytest.mark.parametrize("tell", TOLD, ids=lambda tell: tell.__name__)
def test_a_number_is_told_like_this(tell: Callable[[float], str]) -> None:
    assert {number: tell(number) for number in TOLD[tell]} == TOLD[tell]
