"""FITVNet: its published sizes and reach, what is computed once, how shots end, what is refused."""

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from f2rcli import weights
from f2rcli.engine import device as tiles
from f2rcli.engine import stream
from f2rcli.errors import WeightsError
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.methods.fitvnet import FITVNet, FITVNetNetworks, FusionBlock, ImageModule
from f2rcli.models.layers import padded
from f2rcli.noise import model
from f2rcli.weights import Header
from f2rcli.window import windows
from tests.engine.conftest import clean_clip, info_of, noisy_clip, psnr, to_frames

EngineSettings = stream.EngineSettings
denoise_stream = stream.denoise_stream
load_engine = stream.load_engine
Runner = tiles.Runner
NoiseModel = model.NoiseModel

TINY = {"image": {"width": 6}, "block": {"widths": (4, 4, 8, 8)}}
NOISE, NONE = (NoiseModel.gaussian(sigma, 3) for sigma in (0.1, 0.0))


def networks() -> FITVNetNetworks:
    """Untrained, with every parameter drawn at random."""
    torch.manual_seed(0)
    made = FITVNetNetworks(3, TINY)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.8 / parameter[0].numel() ** 0.5)
    return made.eval()


class Counting:
    """A Run that notes how often each network ran."""

    def __init__(self) -> None:
        self.calls: Counter[int] = Counter()

    def __call__(self, network: nn.Module, *inputs: Any) -> Any:
        self.calls[id(network)] += 1
        return padded(network, *inputs)


def pictures(count: int, size: tuple[int, int] = (40, 48)) -> list[torch.Tensor]:
    return list(torch.rand(count, 1, 3, *size, generator=torch.Generator().manual_seed(1)))


def panning(count: int, size: tuple[int, int]) -> list[torch.Tensor]:
    """A drawn scene that moves by three pixels a frame."""
    rows, columns = (side // 5 + 8 for side in size)
    drawn = np.random.default_rng(2).random((1, 3, rows, columns), np.float32)
    scene = nn.functional.interpolate(torch.from_numpy(drawn), scale_factor=5, mode="bicubic")
    height, width = size
    return [scene[..., :height, 3 * t : 3 * t + width].contiguous() for t in range(count)]


def restored(
    method: FITVNet, clip: list[torch.Tensor], noise: NoiseModel = NOISE, first: int = 0,
    last: int | None = None,
) -> Any:  # fmt: skip
    with torch.inference_mode():
        ready = (method.prepared(i, frame) for i, frame in enumerate(clip))
        around = islice(windows(ready, method.length), first, last)
        return [method.restored(window, noise) for window in around]


@pytest.fixture
def stored(tmp_path: Path) -> str:
    """Untrained weights on disk."""
    header = Header(method="fitvnet", space=Family.RGB, channels=3, length=5, config=TINY)
    path = tmp_path / "tiny.safetensors"
    weights.save(path, header, networks().state_dict())
    return str(path)


def test_each_network_runs_once_per_frame_and_mirrors_cost_two_triples_at_either_end() -> None:
    run, nets = Counting(), networks()
    restored(FITVNet(nets, run), pictures(9))
    assert run.calls[id(nets.image)] == 9
    assert run.calls[id(nets.merge)] == 9
    assert run.calls[id(nets.triple)] == 9 + 2  # centres -1 and 9 stand for mirrored ones


def test_what_is_kept_of_earlier_windows_gives_what_a_new_start_gives() -> None:
    nets, clip = networks(), pictures(6, (32, 32))
    kept = restored(FITVNet(nets, padded), clip)
    ready = [FITVNet(nets, padded).prepared(i, frame) for i, frame in enumerate(clip)]
    for result, window in zip(kept, windows(ready, 5), strict=True):
        with torch.inference_mode():
            fresh = FITVNet(nets, padded).restored(window, NOISE)
        torch.testing.assert_close(result, fresh, rtol=0, atol=1e-6)


def test_the_streamed_result_is_that_of_the_networks_as_they_are_trained() -> None:
    nets, clip = networks(), pictures(5, (64, 32))
    streamed = restored(FITVNet(nets, padded), clip)[2]
    with torch.inference_mode():
        level = torch.full((1, 5, 1, 64, 32), 0.1)
        _, joined = nets(torch.stack(clip, 1), level)
    torch.testing.assert_close(streamed, joined, rtol=0, atol=1e-5)


def averaging() -> FITVNetNetworks:
    """Networks whose image module is the identity and whose blocks are near the mean of three."""
    nets = networks()
    nets.image.forward = lambda noisy: noisy  # type: ignore[method-assign]  # of this test alone
    for block in (nets.triple, nets.merge):
        block.forward = lambda frames, level: frames.mean(1)  # type: ignore[method-assign]
    return nets


def test_aligned_blocks_see_what_the_middle_frame_shows() -> None:
    """On a pan by three pixels a frame, which a plain mean blurs; training sees the same."""
    clip = panning(5, (130, 160))
    inner, nets = (..., slice(16, -16), slice(16, -16)), averaging()
    streamed = restored(FITVNet(nets, padded), clip, NONE)[2]
    _, joined = nets(torch.stack(clip, 1), torch.zeros(1, 5, 1, 130, 160))
    torch.testing.assert_close(streamed, joined, rtol=0, atol=1e-5)
    triples = [torch.stack(clip[i : i + 3]).mean(0) for i in range(3)]
    plain = torch.stack(triples).mean(0)
    errors = [float((one - clip[2])[inner].square().mean() ** 0.5) for one in (streamed, plain)]
    assert errors[0] < 0.2 * errors[1]


def test_a_new_clip_does_not_see_the_one_before() -> None:
    """Frames of both have the same indices."""
    method, clip = FITVNet(networks(), padded), pictures(5, (32, 32))
    restored(method, [1 - frame for frame in clip])
    method.forget()
    again, fresh = restored(method, clip), restored(FITVNet(method.networks, padded), clip)
    assert all(torch.equal(a, b) for a, b in zip(again, fresh, strict=True))


def test_frames_that_are_prepared_anew_are_joined_anew() -> None:
    """Where the noise turns out to be another."""
    clip, louder = pictures(5, (32, 32)), NoiseModel.gaussian(0.3, 3)
    method, fresh = (FITVNet(networks(), padded) for _ in range(2))
    restored(method, clip)
    method.forget_from(0)
    again = restored(method, clip, louder)
    for one, other in zip(again, restored(fresh, clip, louder), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_memory_of_triples_is_bounded() -> None:
    method = FITVNet(networks(), padded)
    for _ in restored(method, pictures(12, (32, 32))):
        assert len(method._made) <= 8


@pytest.mark.parametrize("count", [1, 2, 3])
def test_shots_of_fewer_than_five_frames_give_as_many_results(count: int) -> None:
    method = FITVNet(networks(), padded)
    results = restored(method, pictures(count), NONE)
    assert len(results) == count
    assert all(r.isfinite().all() and r.shape == (1, 3, 40, 48) for r in results)


def test_flat_and_equal_frames_stay_equal_to_each_other() -> None:
    for clip in ([torch.full((1, 3, 40, 48), 0.4)] * 6, [pictures(1)[0]] * 6):
        results = restored(FITVNet(networks(), padded), clip)
        for result in results[1:]:
            torch.testing.assert_close(result, results[0], rtol=0, atol=1e-6)


def test_tiles_give_the_numbers_of_the_whole_picture() -> None:
    """But for what the last digit of an estimate changes of a flow."""
    nets, clip = networks(), panning(5, (40, 488))
    cpu = torch.device("cpu")
    (whole,), (tiled,) = (
        restored(FITVNet(nets, Runner(cpu, "fp32", tile)), clip, first=2, last=3)
        for tile in (None, 72)
    )
    torch.testing.assert_close(whole, tiled, rtol=0, atol=1e-3)


def engine_of(frames: list[Frame], stored: str | None, **settings: Any) -> Any:
    chosen = EngineSettings(method="fitvnet", weights=stored, precision="fp32", **settings)
    return load_engine(chosen, info_of(frames))


@pytest.mark.parametrize("sigma", [30.0, None])
def test_the_engine_restores_every_frame(stored: str, sigma: float | None) -> None:
    frames = noisy_clip(7, height=50, width=70)
    engine = engine_of(frames, stored, sigma=sigma)
    done = list(denoise_stream(iter(frames), info_of(frames), engine))
    assert [frame.pts for frame in done] == [frame.pts for frame in frames]
    assert all((a.planes[0] != b.planes[0]).any() for a, b in zip(done, frames, strict=True))
    assert 20 < np.mean(engine.found.noise.sigma8) < 35  # told, or measured by other weights


def test_gray_clips_go_through_rgb_weights(stored: str) -> None:
    frames = to_frames(
        np.random.default_rng(0).random((3, 3, 32, 40)), PlaneLayout(family=Family.GRAY, bits=8)
    )
    engine = engine_of(frames, stored, sigma=20)
    assert len(list(denoise_stream(iter(frames), info_of(frames), engine))) == 3
    assert "gray pictures go through RGB weights" in engine.found.notes


def test_weights_of_another_method_or_missing_ones_are_named(stored: str, tmp_path: Path) -> None:
    frames = noisy_clip(2)
    with pytest.raises(WeightsError, match="weights for method fitvnet, not f2r") as refused:
        load_engine(EngineSettings(method="f2r", weights=stored), info_of(frames))
    assert refused.value.hint == "Pass method='fitvnet', or other weights."
    with pytest.raises(WeightsError, match="neither a bundled name nor a file"):
        engine_of(frames, str(tmp_path / "none.safetensors"))
    with pytest.raises(WeightsError, match="no bundled weights for method fitvnet and bayer"):
        weights.choose("fitvnet", Family.BAYER)


def test_weights_of_other_widths_than_their_header_says_are_refused(tmp_path: Path) -> None:
    wider = TINY | {"image": {"width": 12}}
    header = Header(method="fitvnet", space=Family.RGB, channels=3, length=5, config=wider)
    path = tmp_path / "wrong.safetensors"
    weights.save(path, header, networks().state_dict())
    with pytest.raises(WeightsError, match="does not fit the network its header describes"):
        engine_of(noisy_clip(2), str(path))


@pytest.mark.parametrize("sigma", [30, None])
def test_shipped_weights_take_most_of_the_noise_out(sigma: float | None) -> None:
    frames, clean = noisy_clip(5, sigma=30, height=96, width=128), clean_clip(5, 96, 128)
    engine = engine_of(frames, None, sigma=sigma)
    done = list(denoise_stream(iter(frames), info_of(frames), engine))
    assert psnr(done, clean) - psnr(frames, clean) > 8


# --- Its modules


TINY_BLOCK = (4, 4, 8, 8)


def loud(network: nn.Module) -> nn.Module:
    """Every parameter drawn anew, so that none is zero and every convolution counts."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.7 / parameter[0].numel() ** 0.5)
    return network.double().eval()


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_published_sizes_have_the_published_number_of_parameters() -> None:
    image, block = parameters(ImageModule()), parameters(FusionBlock())
    assert image == 1_095_123  # published: 1.095 M
    assert block == 1_238_821  # 2.2: 1.239 M
    assert image + 2 * block == pytest.approx(3.573e6, abs=500)


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (64, 31)])
def test_any_size_is_padded_and_cropped_again(size: tuple[int, int]) -> None:
    image, block = loud(ImageModule(3, 6)), loud(FusionBlock(3, TINY_BLOCK))
    frames = torch.rand(1, 3, 3, *size, dtype=torch.float64)
    level = torch.zeros(1, 1, *size, dtype=torch.float64)
    assert padded(image, frames[:, 0]).shape == (1, 3, *size)
    assert padded(block, frames, level).shape == (1, 3, *size)


def far(network: nn.Module, side: int, *places: int) -> int:
    """How far from a pixel the inputs that it depends on are, at most.

    With weights above zero no ReLU is ever closed, so that whatever can matter does.
    """
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    lead = (1, 3, 3) if isinstance(network, FusionBlock) else (1, 1)
    picture = torch.rand(*lead, side, side, dtype=torch.float64, requires_grad=True)
    level = torch.full((1, 1, side, side), 0.1, dtype=torch.float64)
    out = network(picture, level) if isinstance(network, FusionBlock) else network(picture)
    farthest = 0
    for place in places:
        (gradient,) = torch.autograd.grad(out[0, :, place, place].sum(), picture, retain_graph=True)
        rows = gradient.flatten(0, -3).abs().sum((0, 2)).nonzero().flatten()
        farthest = max(farthest, *(int(abs(edge - place)) for edge in (rows[0], rows[-1])))
    return farthest


def test_no_input_beyond_the_reach_matters_and_most_of_the_reach_does() -> None:
    block = loud(FusionBlock(3, TINY_BLOCK))
    assert 24 <= far(block, 128, 64, 67) <= block.reach
    image = loud(ImageModule(1, 3))
    assert 128 <= far(image, 448, 224, 255) <= image.reach
    assert image.reach % image.stride == 0
    assert block.reach % block.stride == 0


def test_a_block_begins_as_the_identity_on_its_middle_frame_and_can_leave_it() -> None:
    torch.manual_seed(0)
    block = FusionBlock()
    frames = torch.rand(2, 3, 3, 32, 32)
    level = torch.full((2, 1, 32, 32), 0.1)
    out = block(frames, level)
    assert torch.equal(out, frames[:, 1])
    out.square().sum().backward()
    assert block.tail[1].weight.grad.abs().min() > 0
