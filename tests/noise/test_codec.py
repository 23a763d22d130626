"""Pictures through a codec: the same each time, one for one, and as stored."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from f2rcli.noise.synthesis.law import Coding, recoded


def pictures(count: int = 8) -> NDArray[np.uint8]:
    """A texture that moves, with noise: what B-frames are made for."""
    rng = np.random.default_rng(0)
    texture = np.kron(rng.integers(40, 215, (21, 29)), np.ones((8, 8)))
    moving = [texture[2 * i : 96 + 2 * i, 3 * i : 160 + 3 * i, None] for i in range(count)]
    noisy = [picture + rng.normal(0, 30, (96, 160, 3)) for picture in moving]
    return np.clip(np.stack(noisy), 0, 255).astype(np.uint8)


@pytest.fixture
def fill_memory() -> Iterator[Callable[[int], None]]:
    """Fills what is allocated from now on with a byte (glibc's M_PERTURB), large pieces as well."""
    allocator = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if allocator is None:
        pytest.skip("this C library does not fill memory")
    perturb, largest = -6, -3
    allocator(largest, 1 << 30)
    yield lambda byte: allocator(perturb, byte)
    allocator(perturb, 0)
    allocator(largest, 128 << 10)


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_memory_changes_no_samples(encoder: str, fill_memory: Callable[[int], None]) -> None:
    results = []
    for byte in (1, 85, 170, 254):
        fill_memory(byte)
        frames = recoded(pictures(), Coding(encoder, 23))
        results.append(b"".join(plane.tobytes() for planes in frames for plane in planes))
    assert len(set(results)) == 1


def test_frames_come_as_the_decoder_stores_them_one_for_one() -> None:
    clip = pictures()
    frames = list(recoded(clip, Coding("libx264", 23), Fraction(24)))
    assert len(frames) == len(clip)
    for planes in frames:
        assert [plane.shape for plane in planes] == [(96, 160), (48, 80), (48, 80)]


NARROW = """
import numpy as np
from f2rcli.noise.synthesis.law import Coding, recoded
rng = np.random.default_rng(0)
for height, width in [(48, 48), (64, 40), (128, 48)] * 10:
    clip = rng.integers(0, 256, (9, height, width, 3), np.uint8)
    assert len(list(recoded(clip, Coding("libx265", 25)))) == 9
"""


def test_x265_codes_narrow_pictures_within_its_memory() -> None:
    """With its AVX2 code, the process ended with corrupted memory."""
    subprocess.run([sys.executable, "-c", NARROW], check=True, timeout=60)
