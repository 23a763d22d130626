"""How an engine runs its networks: rounding, whose weights."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch

from f2rcli import weights
from f2rcli.engine import device as tiles
from f2rcli.engine import engine as engine_room
from f2rcli.engine import stream
from f2rcli.engine.level import NoiseTracker
from f2rcli.engine.planes_store import Packing
from f2rcli.methods.f2r import F2R
from f2rcli.noise.model import nothing
from f2rcli.planes import packing
from tests.engine.conftest import engine_for, noisy_clip

Engine = engine_room.Engine
looked_ahead = stream.looked_ahead
Runner = tiles.Runner

pytestmark = pytest.mark.skipif(not weights.available(), reason="no weights are bundled")


def test_a_file_named_like_bundled_ones_is_used_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "f2r-full.safetensors"
    shutil.copy(weights.folder() / weights.manifest()["f2r-full-blind"]["file"], own)
    engine = engine_for(noisy_clip(1), weights=str(own))
    assert engine.weights.sha256 == weights.manifest()["f2r-full-blind"]["sha256"]


def exact(sigma: float, precision: str = "auto") -> bool:
    """Whether pictures with told noise of `sigma` go to the coarse network in fp32."""
    frames = noisy_clip(2, sigma=sigma)
    engine = replace(engine_for(frames, sigma=sigma, precision=precision), precision="bf16")
    tracker = NoiseTracker(engine, frames[0].layout)
    tracker.measure_opening([])
    source = frames[0].layout
    method = cast(F2R, engine.new_method(source, faint=tracker.faint))
    picture = Packing(source, method.stride).packed(engine.store.planes(frames[0]))
    with torch.inference_mode():
        full = method.networks.coarse(packing(source), picture, nothing(packing(source), picture))
    return bool(torch.equal(method.prepare(0, picture, None).coarse, full))


def test_faint_noise_is_not_lost_in_the_rounding_of_whole_pictures() -> None:
    assert exact(2)
    assert not exact(6)
    assert not exact(2, precision="bf16")  # as the user asked
