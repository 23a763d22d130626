"""What is taken out of sensor values has no mean, over all of them and at any brightness."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from torch import Tensor

from f2rcli import yuv
from f2rcli.engine.contract.debias import _evened, with_means_kept, written_of
from f2rcli.engine.contract.debias import without_bias as of_planes
from f2rcli.engine.contract.frame_points import corrected
from f2rcli.engine.contract.residual import Beside
from f2rcli.frames import Family, Frame, Mosaic, PlaneLayout
from f2rcli.noise.planes import planes_of, with_changes
from f2rcli.samples.defects import NOTHING
from f2rcli.sensor import bayer_layout


def without_bias(change: Tensor, planes: Tensor) -> Tensor:
    """Of pictures (1, C, H, W)."""
    found = of_planes(list(change[0].numpy()), list(planes[0].numpy()))
    return torch.stack([torch.from_numpy(plane) for plane in found])[None]


def pictures(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A ramp (1, 2, H, W) and noise that would be taken out of it."""
    ramp = torch.linspace(0.1, 0.9, size).expand(1, 2, size, size)
    return ramp, 0.05 * torch.randn(ramp.shape, generator=torch.Generator().manual_seed(0))


def test_a_shade_that_depends_on_brightness_goes_and_the_noise_stays_taken_out() -> None:
    ramp, noise = pictures(256)
    wrong = torch.tensor([0.02, -0.01]).view(1, 2, 1, 1) * (ramp - 0.3)
    change = without_bias(wrong - noise, ramp + noise)
    left = (change + noise).view(1, 2, 256, 16, 16).mean((2, 4))  # by brightness
    assert left.abs().max() < 0.0015
    assert torch.corrcoef(torch.stack([change.flatten(), noise.flatten()]))[0, 1] < -0.99


def test_the_mean_of_every_plane_is_kept() -> None:
    for size in (8, 256):  # too small for bins of brightness, and large enough
        ramp, noise = pictures(size)
        mean = without_bias(noise + 0.1, ramp).double().mean((2, 3))
        assert mean.abs().max() < 1e-6


def test_pixels_on_their_own_side_of_an_edge_are_not_mixed() -> None:
    step = torch.cat([torch.full((1, 1, 128, 64), 0.2), torch.full((1, 1, 128, 64), 0.8)], 3)
    noise = 0.05 * torch.randn(step.shape, generator=torch.Generator().manual_seed(1))
    change = without_bias(-noise, step + noise)
    assert (change + noise).abs().max() < 0.005


def counted(gain: float, offset: float, read: float) -> tuple[Frame, NDArray[np.float32]]:
    """A frame of photon counts cut off at code 0, and the change to what an estimator that knows
    the light makes of it: unbiased but for some noise of its own."""
    rng = np.random.default_rng(0)
    light = np.broadcast_to(np.linspace(0.1, 3, 128), (128, 128))
    codes = gain * rng.poisson(light) + offset + rng.normal(0, read, light.shape)
    plane = np.clip(np.rint(codes), 0, 65535).astype(np.uint16)
    layout = PlaneLayout(family=Family.GRAY, bits=16, levels=(-2 * gain, 8 * gain))
    estimate = gain * light + offset + rng.normal(0, 0.2 * gain, light.shape)
    change = ((estimate - plane) / (10 * gain)).astype(np.float32)
    return Frame(planes=(plane,), layout=layout), change


@pytest.mark.parametrize("sensor", [(20.0, -15.0, 10.0), (20.0, -40.0, 20.0), (1.0, 0.0, 0.0)])
def test_written_frames_keep_their_mean_where_samples_end_at_zero(
    sensor: tuple[float, float, float],
) -> None:
    frame, change = counted(*sensor)
    before = frame.planes[0]
    assert np.count_nonzero(before == 0) > 0.2 * before.size
    as_it_is = yuv.changed(before, change, frame.layout)
    assert abs(as_it_is.mean() / before.mean() - 1) > 0.002
    done = yuv.changed(before, with_means_kept(frame, [change])[0], frame.layout)
    assert done.sum() == before.sum()
    dark, bright = done[:, :64].mean() / before[:, :64].mean(), done[:, 64:].mean()
    assert abs(dark - 1) < 0.05  # light stays where it is
    assert abs(bright / before[:, 64:].mean() - 1) < 0.02
    assert done.astype(float).std() < before.astype(float).std()


def test_frames_that_keep_their_mean_anyway_are_left_alone() -> None:
    frame, change = counted(20.0, 200.0, 10.0)
    change -= change.mean()
    assert with_means_kept(frame, [change])[0] is change
    floats = Frame(planes=(frame.planes[0].astype(np.float32),), layout=frame.layout)
    moved = change + np.float32(1)
    assert with_means_kept(floats, [moved])[0] is moved  # they are neither rounded nor cut off
    nothing = np.zeros_like(change)
    frame.planes[0][...] = 0
    assert with_means_kept(frame, [nothing])[0] is nothing


@pytest.mark.parametrize(("shape", "bins"), [((60, 70), 1), ((120, 140), 4), ((300, 301), 16)])
def test_what_goes_is_the_mean_of_equally_filled_bins_of_brightness(
    shape: tuple[int, int], bins: int
) -> None:
    """Of 4096 samples at least, 16 at most, by means over 7x7; linear between their middles."""
    rng = np.random.default_rng(2)
    plane = np.linspace(0, 1, shape[1]) ** 2 + 0.05 * rng.standard_normal(shape)
    change = 0.1 * plane**2 + 0.02 * rng.standard_normal(shape)
    (found,) = of_planes([change.astype(np.float32)], [plane.astype(np.float32)])
    level = uniform_filter(plane + change, 7)
    wanted = change
    if bins > 1:
        parts = np.array_split(np.argsort(level, axis=None), bins)
        means = [[values.ravel()[part].mean() for part in parts] for values in (level, change)]
        wanted = change - np.interp(level, *means)
    np.testing.assert_allclose(found, wanted - wanted.mean(), atol=2e-5)


@pytest.mark.parametrize("over", [3, -3, 0])
def test_codes_too_many_are_taken_where_samples_were_rounded_most(over: int) -> None:
    """One each, of those with room: the least that a sum can be changed by."""
    codes = np.random.default_rng(3).normal(0, 4, (6, 7))
    room = np.random.default_rng(4).random((6, 7)) < 0.6
    found = _evened((codes / 50).astype(np.float32), 50.0, over, room) * 50
    step = np.sign(over)
    order = sorted(np.ndindex(6, 7), key=lambda at: step * (codes[at] - np.rint(codes[at])))
    chosen = [at for at in order if room[at]][: abs(over)]
    wanted = codes.copy()
    for at in chosen:
        wanted[at] = np.rint(codes[at]) - step
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert np.rint(found).sum() == np.rint(codes).sum() - over


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("at_zero", "others"), [(-0.45, (0.2, -0.3, 1.4)), (-0.3, (0.7,)), (0.3, (-0.7, 0.55))]
)
def test_samples_cut_off_at_zero_take_no_code_and_give_none(
    at_zero: float, others: tuple[float, ...], seed: int
) -> None:
    """Half of them lie there, and changes that are alike cross the middle of a code together."""
    rng = np.random.default_rng(seed)
    plane = np.where(rng.random((16, 16)) < 0.5, 0, 12).astype(np.uint16)
    codes = np.where(plane == 0, at_zero, rng.choice(others, plane.shape))
    layout = PlaneLayout(family=Family.GRAY, bits=16, levels=(0.0, 20.0))
    frame = Frame(planes=(plane,), layout=layout)
    (kept,) = with_means_kept(frame, [(codes / 20).astype(np.float32)])
    assert yuv.changed(plane, kept, layout).sum() == plane.sum()


@pytest.mark.parametrize("kind", ["floats", "codes", "RGB", "mosaic"])
def test_what_is_set_aside_counts_for_no_mean(kind: str) -> None:
    """It is written as it was stored: a registered frame's empty border, hot pixels."""
    rng = np.random.default_rng(5)
    count = 3 if kind == "RGB" else 1
    planes = [rng.poisson(np.full((96, 128), 30.0)).astype(np.uint16) for _ in range(count)]
    border = np.arange(planes[0].size).reshape(planes[0].shape) % 128 < 40
    if kind == "floats":
        planes = [plane.astype(np.float32) for plane in planes]
    levels = PlaneLayout(
        family=Family.RGB if kind == "RGB" else Family.GRAY, bits=16, levels=(0.0, 80.0)
    )
    mosaic = Mosaic(pattern="GBRG", black=(0.0,) * 4, white=(80.0,) * 4)
    layout = bayer_layout(mosaic, 12) if kind == "mosaic" else levels
    kept = NOTHING._replace(places=np.flatnonzero(border), samples=planes[0][border])
    frame = Frame(planes=tuple(planes), layout=layout, aside=(kept,) * count)
    if kind == "floats":  # not finite, masked, saturated: readers see to them
        frame = replace(frame, aside=(), stored=(border,))
    # what is denoised in the border differs from the rest
    changes = [0.3 * (30 / 80 - plane) for plane in planes_of(frame)]
    changes = [change + 0.01 * (np.arange(change.shape[1]) < 30) for change in changes]
    changes = [change.astype(np.float32) for change in changes]
    changes = corrected(changes, frame, None, Beside())
    if layout.levels is not None:
        changes = with_means_kept(frame, changes)
    for before, after in zip(frame.planes, with_changes(frame, changes).planes, strict=True):
        own = before[~border].mean(dtype=np.float64)
        assert abs(after[~border].mean(dtype=np.float64) / own - 1) < 1e-3


def test_every_plane_is_written_whole_where_nothing_is_kept_as_it_was() -> None:
    """One of gray, three of colour, four of a mosaic."""
    codes = np.zeros((8, 8), np.uint16)
    mosaic = bayer_layout(Mosaic(pattern="RGGB", black=(0.0,) * 4, white=(4095.0,) * 4), 12)
    for layout, planes, count in (
        (PlaneLayout(family=Family.GRAY, bits=16), 1, 1),
        (PlaneLayout(family=Family.RGB, bits=16), 3, 3),
        (mosaic, 1, 4),
    ):
        assert written_of(Frame(planes=(codes,) * planes, layout=layout)) == [None] * count
