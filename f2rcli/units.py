"""Numbers for people: sizes, lengths of time and rates in the units they are read in."""


def count(number: int, unit: str = "frame") -> str:
    """A number of things: `1 frame`, `2 frames`."""
    return f"1 {unit}" if number == 1 else f"{number} {unit}s"


def size(number: float) -> str:
    """Bytes as `312 bytes`, `3.9 kB`, `1.8 MB` or `2.1 GB`."""
    if number < 1000:
        return f"{number:.0f} bytes"
    return _scaled(number, ("kB", "MB", "GB", "TB"))


def bit_rate(bits: float) -> str:
    """Bits per second as `128 kbit/s` or `4.2 Mbit/s`."""
    return f"{bits:.0f} bit/s" if bits < 1000 else _scaled(bits, ("kbit/s", "Mbit/s", "Gbit/s"))


# The noise alone, as a PSNR, is 34 dB at 5 of 255 and 22 dB at 20: hardly seen, and seen at once.
LIGHT, STRONG = 5.0, 20.0


def noise_level(sigma: float) -> str:
    """A standard deviation, of 255, with a word for it: `usual, sigma 9.8 of 255`."""
    word = "light" if sigma < LIGHT else "strong" if sigma > STRONG else "usual"
    return f"{word}, sigma {sigma:.1f} of 255"


def scale_of(levels: tuple[float, float] | None) -> tuple[float, float, str]:
    """The code of black, those from there to white, and what they are: of 255, or a stack's own.
    levels: a stack's codes of black and white."""
    if levels is None:
        return 0.0, 255.0, "of 255"
    return levels[0], levels[1] - levels[0], "in the file's own units"


def _scaled(value: float, units: tuple[str, ...]) -> str:
    """A value of 1000 or more with three digits, or two below 10, and the unit that suits it."""
    for unit in units[:-1]:
        value /= 1000
        if value < 999.5:
            return f"{value:.0f} {unit}" if value >= 99.5 else f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} {units[-1]}"


def span(seconds: float) -> str:
    """A length of time as h:mm:ss, or m:ss below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def duration(seconds: float) -> str:
    """The length of a clip: `0.64 s` below a minute, `1:02:03` above."""
    return f"{seconds:.2f} s" if seconds < 59.995 else span(seconds)
