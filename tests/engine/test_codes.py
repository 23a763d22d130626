"""Large frames of a stream are held as 16-bit codes, and come out as they would in float32."""

from typing import Any

import numpy as np
import pytest
import torch

from f2rcli.engine import noise, stream
from f2rcli.frames import Frame
from f2rcli.methods.base import Prepared
from f2rcli.methods.rgb_f2r import F2R
from f2rcli.models.large import codes, strips
from tests.engine.conftest import engine_for, info_of, noisy_clip

tracking = noise.tracking
denoise_stream = stream.denoise_stream

HEIGHT, WIDTH = 45, 85


def restored(
    monkeypatch: pytest.MonkeyPatch, frames: list[Frame], large: int, *, threads: int = 1,
    interlaced: bool = False, **settings: Any,
) -> list[Frame]:  # fmt: skip
    """A clip restored where frames and strips of so many pixels are large."""
    held: list[Prepared] = []
    prepare = F2R.prepare

    def watched(own: F2R, *given: Any) -> Prepared:
        held.append(prepare(own, *given))
        return held[-1]

    with monkeypatch.context() as patch:
        patch.setattr(codes, "LARGE", large)
        patch.setattr(strips, "PIXELS", large)
        patch.setattr(F2R, "prepare", watched)
        # Sums of bf16 depend on where they begin, which shows beside codes.
        engine = engine_for(
            frames, interlaced=interlaced, device="cpu", precision="fp32", **settings
        )
        engine.threads = threads
        out = list(denoise_stream(frames, info_of(frames, interlaced=interlaced), engine))
    kinds = {frame.noisy.dtype for frame in held[-len(frames) :]}
    assert kinds == {torch.uint16 if large < HEIGHT * WIDTH // 2 else torch.float32}
    return out


@pytest.mark.parametrize(
    ("count", "sigma", "settings"),
    [
        (4, 20.0, {"sigma": 20.0, "tile": "64", "interlaced": True}),
        (3, 2.0, {"sigma": 2.0, "ensemble": "on"}),
        (6, 20.0, {}),
    ],
)
def test_codes_change_what_comes_out_by_less_than_rounding(
    count: int, sigma: float, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "REFRESH_EVERY", 4)
    frames = noisy_clip(count, sigma=sigma, height=HEIGHT, width=WIDTH)
    plain = restored(monkeypatch, frames, 10**6, **settings)
    coded = restored(monkeypatch, frames, 1000, threads=2, **settings)
    apart = np.array([p.planes for p in plain]).astype(int) - np.array([c.planes for c in coded])
    assert abs(apart).max() <= 1
    assert abs(apart).mean() < 0.2
