"""Light and unclipped noise, and noise that went through a codec, have weights of their own."""

import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from f2rcli import weights
from f2rcli.engine import engine as engine_room
from f2rcli.engine import stream, tiles
from f2rcli.engine.contract.residual import CODED
from f2rcli.engine.level import NoiseTracker
from f2rcli.engine.packing import Packing
from f2rcli.frames import Frame, Mosaic
from f2rcli.methods.f2r import F2R
from f2rcli.noise.told import nothing
from f2rcli.planes import packing
from f2rcli.sensor import bayer_layout
from tests.engine.conftest import engine_for, info_of, noisy_clip

Engine = engine_room.Engine
denoise_stream = stream.denoise_stream
looked_ahead = stream.looked_ahead
Runner = tiles.Runner

pytestmark = pytest.mark.skipif(not weights.available(), reason="no weights are bundled")


def used(sigma: float, **settings: object) -> str:
    """The weights that a clip with noise of `sigma`, clipped to RGB codes, went through."""
    frames = noisy_clip(3, sigma=sigma, height=48, width=64)
    engine = engine_for(frames, **settings)
    next(denoise_stream(frames, info_of(frames), engine))
    assert engine.weights_sha256 == weights.manifest()[engine.weights_name]["sha256"]
    return engine.weights_name


def test_the_measured_noise_chooses_the_weights() -> None:
    assert used(3) == "f2r-full-light"
    assert used(30) == "f2r-full"


def test_noise_that_a_codec_has_been_at_has_weights_of_its_own() -> None:
    frames = noisy_clip(3, sigma=30, height=48, width=64)
    engine = engine_for(frames)
    engine.slack = CODED
    next(denoise_stream(frames, info_of(frames), engine))
    assert engine.weights_name == "f2r-full-coded-noise"


def test_a_still_burst_of_a_stack_keeps_its_texture_by_the_weights_for_light_noise() -> None:
    rng, codes = (
        np.random.default_rng(0),
        np.array([clip.planes for clip in noisy_clip(1, sigma=0)]),
    )
    chosen = {}
    for sigma, step, levels in product((15, 24), (0, 2), (None, (0.0, 255.0))):
        shown = (np.roll(codes[0], step * t, axis=2) for t in range(6))
        noisy = np.rint([one + rng.normal(0, sigma, one.shape) for one in shown]).clip(0, 255)
        frames = [
            replace(frame, layout=replace(frame.layout, levels=levels), planes=tuple(planes))
            for frame, planes in zip(noisy_clip(6), noisy.astype(np.uint8), strict=True)
        ]
        tracker = NoiseTracker(engine_for(frames), frames[0].layout)
        tracker.measure_opening(frames)
        chosen[sigma, step, levels is None] = tracker.light
    assert chosen == {key: key == (15, 0, False) for key in chosen}


def test_weights_that_are_named_are_used_whatever_the_noise() -> None:
    assert used(3, weights="f2r-full") == "f2r-full"
    assert used(30, weights="f2r-full-light") == "f2r-full-light"


def test_a_file_named_like_bundled_ones_is_used_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "f2r-full.safetensors"
    shutil.copy(weights.folder() / weights.manifest()["f2r-full-blind"]["file"], own)
    engine = engine_for(noisy_clip(1), weights=str(own))
    assert engine.suited(weights.KINDS).sha256 == weights.manifest()["f2r-full-blind"]["sha256"]


def exact(sigma: float, precision: str = "auto") -> bool:
    """Whether pictures with told noise of `sigma` go to the coarse network in fp32."""
    frames = noisy_clip(2, sigma=sigma)
    engine = replace(engine_for(frames, sigma=sigma, precision=precision), precision="bf16")
    tracker = NoiseTracker(engine, frames[0].layout)
    tracker.measure_opening([])
    source = frames[0].layout
    method = cast(F2R, engine.new_method(source, faint=tracker.faint))
    picture = Packing(source, method.stride).packed(engine.planes(frames[0]))
    with torch.inference_mode():
        full = method.networks.coarse(packing(source), picture, nothing(packing(source), picture))
    return bool(torch.equal(method.prepare(0, picture, None).coarse, full.picture))


def test_faint_noise_is_not_lost_in_the_rounding_of_whole_pictures() -> None:
    assert exact(2)
    assert not exact(6)
    assert not exact(2, precision="bf16")  # as the user asked


def test_what_a_run_costs_is_told_of_the_networks_that_its_noise_chooses(monkeypatch) -> None:
    timed: list[Runner] = []
    monkeypatch.setattr(
        Engine, "_probe", lambda _, method, source: timed.append(method._run) or 1.0
    )
    for sigma in (2, 20):
        frames = noisy_clip(3, sigma=sigma, height=48, width=64)
        engine = engine_for(frames)
        noise = looked_ahead(frames, info_of(frames), engine)
        assert noise is not None
        engine.predict(info_of(frames), noise.new_method())
    engine.predict(info_of(frames))
    assert [run.exact for run in timed] == [True, False, False]


def averages(sigma: float, **settings: object) -> bool:
    """Whether networks run as an ensemble beside told noise of `sigma`."""
    frames = noisy_clip(2, sigma=sigma)
    engine = engine_for(frames, sigma=sigma, **settings)
    tracker = NoiseTracker(engine, frames[0].layout)
    tracker.measure_opening([])
    method = cast(F2R, engine.new_method(frames[0].layout, faint=tracker.faint))
    return cast(Runner, method._run).ensemble


def test_an_ensemble_runs_where_it_is_asked_for() -> None:
    assert not averages(2)
    assert averages(30, ensemble="on")


def test_a_mosaic_is_never_turned_over() -> None:
    """Its cells would begin with another colour."""
    layout = bayer_layout(Mosaic(pattern="RGGB", black=(0.0,) * 4, white=(4095.0,) * 4), 12)
    frames = [Frame(planes=(np.zeros((64, 64), np.uint16),), layout=layout)] * 2
    method = cast(F2R, engine_for(frames, ensemble="on").new_method(layout))
    assert not cast(Runner, method._run).ensemble


def test_networks_that_may_not_serve_are_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    network = weights.Weights.network
    monkeypatch.setattr(
        weights.Weights, "network", lambda own, make: built.append(own.name) or network(own, make)
    )
    frames = noisy_clip(1, height=48, width=64)
    engine = engine_for(frames)
    assert not built
    engine.new_method(frames[0].layout, kinds=["light"])
    assert built == ["f2r-full-light"]
