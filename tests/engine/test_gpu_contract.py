"""What the contract goes by on a device: the same laws, shares and places as on the processor."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from f2rcli import yuv
from f2rcli.engine.contract import limits, residual
from f2rcli.engine.contract.residual import COMPRESSED, STRICT, Beside, Slack
from f2rcli.engine.contract.returned import Returned
from f2rcli.engine.contract.shrinkage import Shrinkage
from f2rcli.engine.contract.steady import Steady
from f2rcli.engine.gpu import limits as device_limits
from f2rcli.engine.gpu.copies import Transfers
from f2rcli.engine.gpu.resident import Resident
from f2rcli.engine.gpu.steady import DeviceSteady
from f2rcli.engine.gpu.terms import MOST, Laws, Terms
from f2rcli.engine.stream import denoise_stream
from f2rcli.engine.worker import network_worker
from f2rcli.frames import Family, Frame, Matrix, PlaneLayout
from f2rcli.models.recorded.graphs import Graphs
from f2rcli.noise.measurement.blocks import side_of
from f2rcli.noise.measurement.bound import Places
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise
from tests.engine.conftest import RGB8, engine_for, info_of, noisy_clip, to_frames
from tests.models.test_recorded import Tape

CPU = torch.device("cpu")
SIZE = 64, 80
YUV420 = PlaneLayout(
    family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False, matrix=Matrix.BT709
)
LINE = NoiseModel((0.006, 0.008, 0.01), (0.06, 0.05, 0.04), (0.08,) * 3)
CURVE = replace(
    LINE, gain=(0.0,) * 3, curve=tuple(tuple(np.linspace(0, s, 17)) for s in (0.1, 0.08, 0.06))
)


@pytest.fixture(autouse=True)
def _one_thread(_two_threads: None) -> None:
    torch.set_num_threads(1)


def shapes_of(layout: PlaneLayout) -> tuple[tuple[int, int], ...]:
    return (SIZE, (32, 40)) if layout.family is Family.YUV else (SIZE,)


def blocks(layout: PlaneLayout, *, seed: int = 3) -> tuple[Places, ...]:
    """Factors of every plane; of the second there are none."""
    rng, found = np.random.default_rng(seed), []
    for plane in range(3):
        shape = shapes_of(layout)[min(plane, len(shapes_of(layout)) - 1)]
        grid = rng.random([-(-length // side_of(shape)) for length in shape]).round(4)
        found.append(() if plane == 1 else tuple(map(tuple, grid.tolist())))
    return tuple(found)


@pytest.mark.parametrize("model", [LINE, CURVE], ids=["line", "curve"])
@pytest.mark.parametrize("layout", [RGB8, YUV420], ids=["RGB", "YUV"])
@pytest.mark.parametrize("uneven", [False, True])
def test_a_law_on_a_device_is_that_of_the_processor(
    layout: PlaneLayout, model: NoiseModel, uneven: bool
) -> None:
    noise = PlaneNoise.of(model, layout, clipped=False)
    noise = replace(noise, places=blocks(layout)) if uneven else noise
    terms = Terms.of(layout, noise)
    law = Laws(Transfers(CPU)).of(noise, terms, shapes_of(layout))
    rng = np.random.default_rng(0)
    for kind, shape in enumerate(shapes_of(layout)):
        count = 1 if layout is YUV420 else 3
        bright = rng.uniform(-0.2, 1.2, (count, *shape)).astype(np.float32)
        found = law.level(kind, torch.from_numpy(bright)).numpy()
        for place, plane in enumerate(terms.planes(kind)):
            wanted = noise.level(plane, bright[min(place, count - 1)])
            np.testing.assert_allclose(found[place], wanted, atol=3e-5)


def test_a_law_goes_up_once_as_long_as_it_is_among_the_last_few() -> None:
    copies, went = Transfers(CPU), []
    up = copies.up
    copies.up = lambda planes: went.append(len(planes)) or up(planes)  # type: ignore[method-assign,func-returns-value]
    laws = Laws(copies)
    noise = PlaneNoise.of(LINE, YUV420, clipped=False)
    terms = Terms.of(YUV420, noise)
    for _ in range(2):
        for factor in range(1, MOST + 1):
            laws.of(noise.scaled(factor / MOST), terms, shapes_of(YUV420))
    assert len(went) == MOST
    laws.of(noise.scaled(2), terms, shapes_of(YUV420))
    laws.of(noise.scaled(1 / MOST), terms, shapes_of(YUV420))  # the first made room
    assert len(went) == MOST + 2


def frames_at_rest(layout: PlaneLayout, sigma: float, count: int = 6) -> Iterator[Frame]:
    rng = np.random.default_rng(0)
    still = rng.random((8, 10)).astype(np.float32).repeat(8, 0).repeat(8, 1)
    for _ in range(count):
        scene = np.clip(still + rng.normal(0, sigma, (3, *SIZE)), 0, 1).astype(np.float32)
        scene[:, 20:30, 40] = 1.0  # a line that stays the very same
        yield coded(scene, layout)


def coded(picture: np.ndarray, layout: PlaneLayout) -> Frame:
    planes = list(picture) if layout.family is Family.RGB else yuv.split(picture, layout)
    spans = [yuv.code_span(layout, chroma=layout.family is Family.YUV and i > 0) for i in range(3)]
    codes = (p * span + zero for p, (zero, span) in zip(planes, spans, strict=True))
    planes = tuple(np.clip(np.rint(c), 0, 255).astype(np.uint8) for c in codes)
    return Frame(planes=planes, layout=layout)


def learnt(layout: PlaneLayout) -> Shrinkage:
    """Shares of two planes, by one look."""
    rng, known = np.random.default_rng(5), Shrinkage(texture=2e-4)
    shapes = [SIZE, shapes_of(layout)[-1]]
    removed, added = ([rng.normal(0, 0.05, s).astype(np.float32) for s in shapes] for _ in range(2))
    again = [r + np.float32(0.7) * a for r, a in zip(removed, added, strict=True)]
    known.learn(removed, again, added, [np.full(s, 0.05**2, np.float32) for s in shapes])
    return known


@pytest.mark.parametrize("layout", [RGB8, YUV420], ids=["RGB", "YUV"])
@pytest.mark.parametrize(
    ("slack", "shares", "uneven"),
    [
        (COMPRESSED, False, False), (STRICT, False, False), (STRICT, True, False),
        (STRICT, False, True),
    ],
    ids=["errors that last", "samples that are the same", "shares of noise", "places"],
)  # fmt: skip
def test_the_contract_goes_by_the_same_on_a_device(
    layout: PlaneLayout, slack: Slack, shares: bool, uneven: bool
) -> None:
    model = NoiseModel.gaussian(0.05, 3)
    noise = PlaneNoise.of(model, layout, clipped=False)
    noise = replace(noise, places=blocks(layout)) if uneven else noise
    known = learnt(layout) if shares else None
    there, steady, other = Resident(CPU), Steady(still=None), DeviceSteady()
    frames = list(frames_at_rest(layout, 0.0 if slack is COMPRESSED else 0.05))
    rng = np.random.default_rng(1)
    error = rng.normal(0, 0.05, (1, 3, *SIZE)).astype(np.float32)
    for place, frame in enumerate(frames):
        picture = torch.from_numpy(yuv.to_rgb(frame))[None]
        change = torch.from_numpy(error) + 0.02 * torch.from_numpy(
            rng.standard_normal(error.shape, np.float32)
        )
        residual.watched(steady, frame, noise)
        there.watch(other, frame, noise)
        near = tuple(frames[max(place - 1, 0) : place] + frames[place + 1 : place + 2])
        beside = Beside(near, (None,) * len(near), steady, model, noise, shrinkage=known)
        wanted = residual.under_contract(
            frame, picture, change, noise, model, beside, Returned(), (1.0,) * 3, slack
        )
        found = there.changes(
            frame, picture, change, model, replace(beside, steady=other), (1.0,) * 3, slack
        )
        planes = [plane for group in found for plane in group.numpy()]
        for plane, one in zip(planes, wanted, strict=True):
            np.testing.assert_allclose(plane, one, atol=1e-4)


@pytest.mark.parametrize("size", [(40, 56), (21, 9)])
def test_samples_that_are_the_same_are_those_of_the_processor(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(4)
    planes = rng.integers(0, 3, (3, 2, *size)).astype(np.float32)
    planes[:, :, 5:15, 4] = 9
    moves = rng.integers(0, size[0] * size[1], size[0] * size[1]).astype(np.int32)
    for ways in ([None, None], [None, moves]):
        given = [None if way is None else torch.from_numpy(way) for way in ways]
        found = device_limits.unchanged(
            torch.from_numpy(planes[0]), [torch.from_numpy(one) for one in planes[1:]], given
        )
        for index in range(2):
            near = [one[index] for one in planes[1:]]
            shaped = [None if way is None else way.reshape(size) for way in ways]
            wanted = limits.unchanged(planes[0][index], near, shaped)
            np.testing.assert_array_equal(found[index], wanted)
    one = torch.from_numpy(planes[0])
    assert not device_limits.unchanged(one, [one], [None]).any()


def compressed_still(count: int) -> tuple[list[Frame], np.ndarray]:
    """A still scene, and what a transform of 8x8 samples, rounded by steps of 20, makes of it."""
    rng = np.random.default_rng(2)
    scene = cv2.GaussianBlur(rng.normal(0, 1, (48, 64)), (0, 0), 4)
    scene = (128 + 50 * scene / np.abs(scene).max()).astype(np.float32)
    scene[15:30, 20:24] = 200
    left = scene.copy()
    for row in range(0, 48, 8):
        for column in range(0, 64, 8):
            block = left[row : row + 8, column : column + 8]
            block[:] = cv2.idct(20 * np.rint(cv2.dct(block - 128) / 20)) + 128
    picture = np.repeat(left[None] / 255, 3, axis=0)
    frames = to_frames(np.repeat(picture[None], count, axis=0))
    for place, frame in enumerate(frames):  # no frame is a copy of the one before
        frame.planes[0][0, place] += 1
    return [replace(frame, quantiser8=20.0) for frame in frames], scene


def test_a_coded_still_clip_gains_as_much_on_a_device() -> None:
    frames, scene = compressed_still(7)
    info, gains = replace(info_of(frames), coded=True), []
    for there in (False, True):
        engine = engine_for(frames, precision="fp32")
        engine.slack = residual.CODED
        if there:
            engine.stay_on_device()
        done = list(denoise_stream(iter(frames), info, engine))
        assert engine.compression is not None
        before, after = (
            np.mean([np.square(f.planes[1] - scene).mean() for f in some])
            for some in (frames, done)
        )
        gains.append(10 * np.log10(before / after))
    assert gains[0] > 0.3
    assert gains[1] == pytest.approx(gains[0], abs=0.05)


def test_what_is_recorded_serves_all_laws() -> None:
    """An encoder gives every frame another step, and so another law."""
    there, steady = Resident(CPU, Graphs(Tape())), DeviceSteady()
    model = NoiseModel.gaussian(0.05, 3)
    for place, frame in enumerate(frames_at_rest(YUV420, 0.05, 8)):
        noise = PlaneNoise.of(model, YUV420, clipped=False).scaled(1 - place / 20)
        picture = there.picture(frame)
        there.watch(steady, frame, noise)
        beside = Beside(steady=steady, model=model, noise=noise)
        there.changes(frame, picture, 0.01 * picture, model, beside, (1.0,) * 3, COMPRESSED)
    assert {key[0][0] for key in there.graphs._recordings} == {
        "picture", "watched", "removed", "bounded", "kept"
    }  # fmt: skip


def test_the_host_looks_beside_a_device_and_a_stream_without_a_thread_alone() -> None:
    engine = engine_for(noisy_clip(1, height=24, width=32))
    engine.stay_on_device()
    for engine.prompt in (False, True):
        with network_worker(engine) as worker:
            begun: list[int] = []
            result = worker.beside(lambda begun=begun: begun.append(1) or 7)
            assert result() == 7
            assert begun == [1]
