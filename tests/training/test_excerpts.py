"""F2R learns from what its pipeline makes of footage: the same results, gradients everywhere."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from f2rcli.engine.device import Runner
from f2rcli.errors import WeightsError
from f2rcli.methods.f2r import F2R
from f2rcli.models.planar import Networks
from f2rcli.noise.model import NoiseModel, PlaneNoise
from f2rcli.planes import LAYOUTS, Layout
from f2rcli.training.excerpts import Excerpt, TargetKind, make_excerpt
from f2rcli.training.loop import write
from f2rcli.training.methods import f2r
from f2rcli.training.muon import Muon
from f2rcli.training.noise import PlaneLaw
from f2rcli.training.stage import sample_rngs
from f2rcli.weights import Estimate
from f2rcli.window import window_at

CENTRES = (3, 5, 6)
SIGMA = 0.1
CONFIG = {
    "coarse": {"widths": (8, 8)},
    "anchor": {"widths": (8, 8), "hidden": 4},
    "refiner": {"widths": (8, 8), "embed": 4},
}
Made = Callable[..., tuple[F2R, Excerpt, Tensor]]


def scene(layout: Layout, frames: int = 9) -> Tensor:
    """(T, C, h, w): waves that move by half a cell a frame."""
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(40.0), indexing="ij")
    moved = torch.stack([columns + t / 2 for t in range(frames)])[:, None] / 4
    phases = torch.arange(layout.channels).view(1, -1, 1, 1) / 8
    return 0.5 + 0.2 * torch.sin(moved + phases) * torch.cos(rows / 5)


@pytest.fixture
def made() -> Made:
    def build(
        kind: TargetKind, name: str = "yuv420", *, clipped: bool = False
    ) -> tuple[F2R, Excerpt, Tensor]:
        layout = LAYOUTS[name]
        torch.manual_seed(0)
        networks = Networks({**CONFIG, "layouts": [name]}).eval()
        method = F2R(networks, Runner(torch.device("cpu"), "fp32", None), layout, 5)
        model = NoiseModel.gaussian(SIGMA, len(layout.planes))
        law = PlaneLaw(layout, PlaneNoise.of(model, clipped=clipped))
        clean = scene(layout)
        noisy = clean + SIGMA * torch.randn(clean.shape)
        rng = sample_rngs((0,), (0,))[0]
        with torch.inference_mode():
            excerpt = make_excerpt(method, noisy, CENTRES, kind, law, rng, clean)
        return method, excerpt, noisy

    return build


@pytest.mark.parametrize("name", ["yuv420", "rgb", "gray", "mosaic"])
def test_training_sees_what_the_pipeline_sees(made: Made, name: str) -> None:
    method, excerpt, noisy = made(TargetKind.CLEAN, name)
    model = NoiseModel.gaussian(SIGMA, len(method.layout.planes))
    given = PlaneNoise.of(model, clipped=False)
    with torch.inference_mode():
        frames = [method.prepare(i, one[None], given) for i, one in enumerate(noisy)]
        windows = [window_at(frames, i, method.length) for i in range(CENTRES[-1] + 1)]
        restored = {}
        for method.estimate in Estimate:
            method.forget()
            restored[method.estimate] = [method.restore(window, given) for window in windows]
        for centre in excerpt.centres:
            batch = f2r.held_out_batch(method.networks, excerpt, centre, 80)
            top, left = ((n - s) // 2 for n, s in zip((32, 40), batch.shown.shape[2:], strict=True))
            for estimate, pictures in restored.items():
                found = f2r.served(method.networks, batch, estimate)
                rows, columns = found.shape[2:]
                wanted = pictures[centre.place][..., top : top + rows, left : left + columns]
                inner = (..., slice(8, -8), slice(8, -8))  # beyond the reach of a crop's border
                torch.testing.assert_close(found[inner], wanted[inner], atol=5e-3, rtol=0)


def test_noise_of_a_target_is_independent_of_what_is_shown(made: Made) -> None:
    _, excerpt, noisy = made(TargetKind.RECORRUPTED, "rgb")
    clean = scene(LAYOUTS["rgb"])
    own, asked = excerpt.shown.float() - clean, excerpt.asked.float() - clean
    assert float((own * asked).mean()) == pytest.approx(0, abs=0.05 * SIGMA**2)
    assert float(own.square().mean()) == pytest.approx(1.25 * SIGMA**2, rel=0.05)
    assert float(asked.square().mean()) == pytest.approx(5 * SIGMA**2, rel=0.05)
    assert not len(excerpt.cut)
    assert len(made(TargetKind.RECORRUPTED, "rgb", clipped=True)[1].cut) == len(noisy)
    batch = excerpt.crop(excerpt.centres[0], 0, 0, 32, 40)
    torch.testing.assert_close(batch.own[0], noisy[CENTRES[0]], atol=2e-3, rtol=0)


def test_an_excerpt_is_kept_for_a_run_that_goes_on(made: Made, tmp_path: Path) -> None:
    _, excerpt, _ = made(TargetKind.RENOISED)
    excerpt.save(tmp_path / "0.safetensors")
    again = Excerpt.load(tmp_path / "0.safetensors")
    one, other = (e.draw(e.centres[1], 16, sample_rngs((1,), (0,))[0]) for e in (excerpt, again))
    for part in ("shown", "asked", "told", "noisy", "coarse", "agreement", "worth"):
        torch.testing.assert_close(getattr(one, part), getattr(other, part))
    for damage in ((tmp_path / "0.safetensors").read_bytes()[:-9], b""):
        (tmp_path / "1.safetensors").write_bytes(damage)
        with pytest.raises(WeightsError, match="not a training sample of a training run"):
            Excerpt.load(tmp_path / "1.safetensors")
    write(tmp_path / "1.safetensors", {"one": torch.zeros(1)}, {})
    with pytest.raises(WeightsError, match="a training sample of another network"):
        Excerpt.load(tmp_path / "1.safetensors")


@pytest.mark.parametrize("kind", [TargetKind.RECORRUPTED, TargetKind.RENOISED])
def test_a_gradient_reaches_all_three_networks(made: Made, kind: TargetKind) -> None:
    method, excerpt, _ = made(kind)
    stage = f2r.PairStage(method.networks, [excerpt], [], f2r.ALL)
    stage.crop = 16
    stage.loss(stage.draw(sample_rngs((0,), range(4)))).backward()
    for name in f2r.ALL:
        found = [
            p.grad
            for n, p in getattr(method.networks, name).named_parameters()
            if not n.startswith(("firsts", "second", "logits.bias"))
        ]  # before a layer that begins at zero; and what weights of neighbours share tells nothing
        assert all(grad is not None and grad.abs().sum() > 0 for grad in found), name


def test_one_batch_can_be_learnt_by_heart(made: Made) -> None:
    method, excerpt, _ = made(TargetKind.CLEAN)
    stage = f2r.PairStage(method.networks, [excerpt], [], f2r.ALL)
    stage.crop = 16
    batch = stage.draw(sample_rngs((0,), range(2)))
    optimiser = Muon(stage.network.parameters(), lr=1.5e-2)
    losses = list[float]()
    for _ in range(24):  # at most: it is learnt sooner
        optimiser.zero_grad()
        loss = stage.loss(batch)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        if losses[-1] < losses[0] - 1.0:
            break
    assert losses[-1] < losses[0] - 1.0


def test_turned_crops_show_turned_scenes(made: Made) -> None:
    _, excerpt, _ = made(TargetKind.CLEAN)
    whole = excerpt.crop(excerpt.centres[0], 0, 0, 32, 32)
    for code in range(8):
        turned = whole.turned(code)
        back = turned.turned(code) if code < 4 else turned.turned(4).turned(code & 3)
        torch.testing.assert_close(back.shown, whole.shown)
        torch.testing.assert_close(back.noisy, whole.noisy)
