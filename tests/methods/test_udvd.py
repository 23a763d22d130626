"""UDVD: windows, what is computed once, tiles, and what it does without a covariance or noise."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from f2rcli.engine import device as tiles
from f2rcli.engine import stream
from f2rcli.errors import WeightsError
from f2rcli.frames import Family
from f2rcli.methods.base import Prepared
from f2rcli.methods.udvd import UDVD
from f2rcli.models.layers import Belief, padded
from f2rcli.models.udvd import UDVDNet as Network
from f2rcli.noise import model
from f2rcli.weights import Header, Weights, load, save
from f2rcli.window import Window, same_shot, thumbnail, windows
from tests.engine.conftest import engine_for, info_of, noisy_clip

denoise_stream = stream.denoise_stream
Runner = tiles.Runner
NoiseModel = model.NoiseModel

TINY = {"widths": (4, 4, 6, 6, 4), "middle": 3, "last": 4, "radius": 2}
NOISE = NoiseModel.gaussian(0.1, 3)
CPU = torch.device("cpu")


HEADER = Header(method="udvd", space=Family.RGB, channels=3, length=5, config=TINY)


def tiny(run=padded) -> UDVD:
    torch.manual_seed(0)
    return UDVD(Network(3, 5, **TINY), run)  # type: ignore[arg-type]


def clip(count: int, rows: int = 24, columns: int = 36) -> list[Tensor]:
    torch.manual_seed(1)
    return list(torch.rand(count, 1, 3, rows, columns))


def looked(method: UDVD, frames: list[Tensor]) -> list[Window[Prepared]]:
    ready = [method.prepared(i, frame) for i, frame in enumerate(frames)]
    return list(windows(ready, method.length))


def saved(folder: Path, made: Header) -> str:
    torch.manual_seed(0)
    network = Network(made.channels, made.length, **made.config)
    path = folder / "tiny.safetensors"
    save(path, made, network.state_dict())
    return str(path)


@torch.no_grad()
def test_a_stream_computes_the_first_stage_once_per_triple() -> None:
    runs: list[str] = []

    def run(network, *inputs):
        runs.append(type(network).__name__)
        return padded(network, *inputs)

    method = tiny(run=run)
    results = [method.restored(window, NOISE) for window in looked(method, clip(8))]
    inner = 8 - 2  # triples of neighbours, and mirrored ones at either end
    assert runs.count("Branches") == inner + 2 * 2
    assert runs.count("Second") == 8
    for place, window in enumerate(looked(method, clip(8))):
        alone = tiny().restored(window, NOISE)
        torch.testing.assert_close(results[place], alone)


@torch.no_grad()
def test_noise_of_small_flat_pictures_is_no_cut() -> None:
    method, flat = tiny(), 0.5 + 0.1 * torch.randn(6, 1, 1, 64, 96).expand(-1, -1, 3, -1, -1)
    looks = [thumbnail(method.prepared(i, f).look[0, 0].numpy()) for i, f in enumerate(flat)]
    assert all(same_shot(*pair) for pair in pairwise(looks))


@torch.no_grad()
def test_what_is_kept_does_not_grow_with_the_clip() -> None:
    method = tiny()
    for window in looked(method, clip(12, 8, 8)):
        method.restored(window, NOISE)
    assert len(method._made) <= 5


@torch.no_grad()
def test_the_method_is_the_network_and_the_posterior_mean() -> None:
    method, frames = tiny(), clip(7)
    window = looked(method, frames)[3]
    out = method.networks(torch.stack(frames[1:6], 1))
    belief = Belief.of(out)
    restored = method.restored(window, NOISE)
    expected = belief.posterior_mean(frames[3], torch.full_like(belief.mean, 0.1**2))
    torch.testing.assert_close(restored, expected)


@pytest.mark.parametrize("size", [(80, 136), (93, 139)])
@torch.no_grad()
def test_tiles_give_the_very_numbers_of_whole_frames(size: tuple[int, int]) -> None:
    still = clip(1, *size)[0]
    frames = [still + 0.2 * noise for noise in clip(5, *size)]
    whole, tiled = (tiny(run=Runner(CPU, "fp32", tile)) for tile in (None, 64))
    one, other = (method.restored(looked(method, frames)[2], NOISE) for method in (whole, tiled))
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 4])
@torch.no_grad()
def test_fewer_frames_than_a_window_are_restored_all_the_same(count: int) -> None:
    method = tiny()
    for window in looked(method, clip(count)):
        assert method.restored(window, NOISE).isfinite().all()


def test_a_header_that_describes_no_such_network_is_refused(tmp_path: Path) -> None:
    good = load(saved(tmp_path, HEADER))
    for wrong in ({"length": 7}, {"config": {"widths": (1, 2)}}, {"config": {"heads": 3}}):
        with pytest.raises(WeightsError, match="tiny"):
            UDVD.of(Weights("tiny", replace(good.header, **wrong), good.tensors), padded)


@torch.no_grad()
def test_noise_that_was_not_told_is_measured_and_said(tmp_path: Path, only_measured: None) -> None:
    path, frames = saved(tmp_path, HEADER), noisy_clip(7, sigma=25)
    told = engine_for(frames, method="udvd", weights=path, sigma=25.0)
    assert len(list(denoise_stream(frames, info_of(frames), told))) == 7
    assert not told.found.notes
    untold = engine_for(frames, method="udvd", weights=path)
    list(denoise_stream(frames, info_of(frames), untold))
    (note,) = untold.found.notes
    assert note.startswith("no sigma= given: the noise was measured, ")
    said = float(note.split("measured, ")[1].split(" of")[0])
    assert said == pytest.approx(25, rel=0.15)


@pytest.mark.parametrize("channels", [1, 4])
@torch.no_grad()
def test_gray_pictures_and_packed_mosaics_are_restored_like_colour(channels: int) -> None:
    torch.manual_seed(0)
    method = UDVD(Network(channels, 5, **TINY), padded)
    frames = list(torch.rand(5, 1, channels, 20, 28))
    raw = NoiseModel((0.01,) * channels, (0.02,) * channels, (0.05,) * channels)
    restored = method.restored(looked(method, frames)[2], raw)
    belief = Belief.of(method.networks(torch.stack(frames, 1)))
    expected = belief.posterior_mean(frames[2], raw.level(belief.mean).square())
    torch.testing.assert_close(restored, expected)


def test_wider_networks_are_known_to_need_more_memory() -> None:
    small, search = Network(3, 5, widths=(8, 16, 48, 32, 16), middle=8, last=24), 780
    wide, narrow = UDVD(Network(3, 5), padded), UDVD(small, padded)
    assert wide.activation_bytes - search == 4 * (narrow.activation_bytes - search)
