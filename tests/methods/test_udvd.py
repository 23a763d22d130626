"""UDVD: what no output may see, windows, what is computed once, tiles, noise that was not told."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from f2rcli.engine import device as tiles
from f2rcli.engine import stream
from f2rcli.errors import WeightsError
from f2rcli.frames import Family
from f2rcli.methods.base import Prepared
from f2rcli.methods.udvd import UDVD, UDVDNet
from f2rcli.models.layers import Belief, padded
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
    return UDVD(UDVDNet(3, 5, **TINY), run)  # type: ignore[arg-type]


def clip(count: int, rows: int = 24, columns: int = 36) -> list[Tensor]:
    torch.manual_seed(1)
    return list(torch.rand(count, 1, 3, rows, columns))


def looked(method: UDVD, frames: list[Tensor]) -> list[Window[Prepared]]:
    ready = [method.prepared(i, frame) for i, frame in enumerate(frames)]
    return list(windows(ready, method.length))


def saved(folder: Path, made: Header) -> str:
    torch.manual_seed(0)
    network = UDVDNet(made.channels, made.length, **made.config)
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
    method = UDVD(UDVDNet(channels, 5, **TINY), padded)
    frames = list(torch.rand(5, 1, channels, 20, 28))
    raw = NoiseModel((0.01,) * channels, (0.02,) * channels, (0.05,) * channels)
    restored = method.restored(looked(method, frames)[2], raw)
    belief = Belief.of(method.networks(torch.stack(frames, 1)))
    expected = belief.posterior_mean(frames[2], raw.level(belief.mean).square())
    torch.testing.assert_close(restored, expected)


def test_wider_networks_are_known_to_need_more_memory() -> None:
    small, search = UDVDNet(3, 5, widths=(8, 16, 48, 32, 16), middle=8, last=24), 780
    wide, narrow = UDVD(UDVDNet(3, 5), padded), UDVD(small, padded)
    assert wide.activation_bytes - search == 4 * (narrow.activation_bytes - search)


# --- Its network


class Still(nn.Module):
    """Finds every neighbour where the middle frame is."""

    reach = 0

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x.new_zeros(len(x), 4, *x.shape[-2:])


def blind(channels: int = 1, *, still: bool = False) -> UDVDNet:
    torch.manual_seed(0)
    network = UDVDNet(channels, 5, **TINY).double()  # type: ignore[arg-type]
    if still:
        network.first.moved = Still()
    return network


@pytest.mark.parametrize("size", [(20, 20), (17, 23), (26, 16)])
def test_a_pixel_never_sees_itself_in_any_frame_and_all_others(size) -> None:
    rows, columns = size
    network = blind(still=True)
    frames = torch.rand(1, 5, 1, rows, columns, dtype=torch.double, requires_grad=True)
    out = network(frames)
    for row, column in ((0, 0), (rows - 1, columns - 1), (7, 11), (rows - 1, 3), (5, columns - 1)):
        (seen,) = torch.autograd.grad(out[0, 0, row, column], frames, retain_graph=True)
        assert seen[0, :, 0, row, column].abs().max() == 0
        hidden = (seen[0, :, 0] == 0).sum((1, 2))
        assert (hidden <= 1 + rows * columns // 1000).all()


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("size", [(20, 20), (17, 23)])
def test_a_pixel_replaced_in_every_frame_changes_no_bit_of_its_estimate(size, still: bool) -> None:
    network = blind(still=still)
    picture = torch.rand(1, 1, 1, *size, dtype=torch.double)
    frames = picture + 0.1 * torch.rand(1, 5, 1, *size, dtype=torch.double)
    other = frames.clone()
    other[..., 6, 9] = 5.0
    with torch.no_grad():
        before, after = network(frames), network(other)
    assert torch.equal(before[..., 6, 9], after[..., 6, 9])
    assert not torch.equal(before[..., 6, 10], after[..., 6, 10])


@pytest.mark.parametrize("factor", [0.1, 3.7])
def test_the_network_scales_with_its_input(factor: float) -> None:
    network, frames = blind(channels=3), torch.rand(1, 5, 3, 16, 20, dtype=torch.double)
    with torch.no_grad():
        torch.testing.assert_close(
            network(factor * frames), factor * network(frames), rtol=1e-12, atol=1e-15
        )
        assert network(0 * frames).abs().max() == 0
        assert not torch.allclose(network(-frames), -network(frames))


def test_an_output_is_the_sum_of_what_it_sees_weighed_by_its_gradient() -> None:
    frames = torch.rand(1, 5, 1, 16, 16, dtype=torch.double, requires_grad=True)
    out = blind()(frames)[0, 0, 5, 6]
    (weights,) = torch.autograd.grad(out, frames)
    torch.testing.assert_close((weights * frames).sum(), out)


def test_the_published_widths_have_the_published_parameters() -> None:
    """Measured on the release: 2.132 million."""
    count = sum(parameter.numel() for parameter in UDVDNet(3, 5).parameters())
    assert count / 1e6 == pytest.approx(2.132, abs=5e-4)
    first = sum(p.numel() for p in UDVDNet(3, 5).first.parameters())
    assert first / 1e6 == pytest.approx(0.889, abs=5e-4)


def test_a_wide_picture_is_not_made_square() -> None:
    network, seen = blind(), []
    network.first.unet.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    with torch.no_grad():
        network(torch.rand(1, 5, 1, 12, 40, dtype=torch.double))
    assert [tuple(shape[-2:]) for shape in seen] == [(12, 40), (40, 12)]


def test_only_five_frames_make_a_window() -> None:
    with pytest.raises(ValueError, match="sees 5 frames"):
        UDVDNet(3, 7)
