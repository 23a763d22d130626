"""Everything on one device: the same answers as NumPy and OpenCV, and next to nothing moves."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from f2rcli import yuv
from f2rcli.engine import settings, stream, window_loop
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.models import filters, flow, placing
from f2rcli.models.recorded import CudaRecorder, Graphs
from f2rcli.noise import model as model_room
from tests.engine.conftest import RGB8, YUV420, clean_clip, engine_for, info_of, noisy_clip, psnr
from tests.engine.pretend_gpu import Launches, PretendGpu, pretending
from tests.models.test_recorded import Tape

EngineSettings = settings.EngineSettings
denoise_stream = stream.denoise_stream
network_worker = window_loop.network_worker
KNOTS = model_room.KNOTS

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def read_once() -> None:
    """Not here: networks move to devices."""


GRAY16 = PlaneLayout(family=Family.GRAY, bits=16)
YUV422_10 = replace(YUV420, bits=10, log2_chroma=(1, 0), siting=(0.5, 0.5))
LAYOUTS = (RGB8, GRAY16, YUV420, YUV422_10, replace(YUV420, log2_chroma=(2, 2), siting=(0, 0)))


@pytest.fixture(autouse=True)
def _one_thread(_two_threads: None) -> None:
    torch.set_num_threads(1)  # small pictures: threads would only wait for each other


def _coded(picture: np.ndarray, layout: PlaneLayout) -> Frame:
    planes = yuv.parted(picture, layout, averaged=True)
    spans = [yuv.code_span(layout, i) for i in range(3)]
    kind = np.uint8 if layout.bits == 8 else np.uint16
    codes = [
        np.clip(np.rint(p * span + zero), 0, 2**layout.bits - 1).astype(kind)
        for p, (zero, span) in zip(planes, spans, strict=True)
    ]
    return Frame(planes=tuple(codes), layout=layout)


SIZES = [(40, 52), (41, 53), (5, 3)]


@pytest.mark.parametrize("size", SIZES)
def test_opencv_filters_as_torch(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    planes = torch.from_numpy(np.random.default_rng(0).random((2, *size), np.float32))
    shapes = [(size[0] // 2, size[1] // 2), (2 * size[0], 2 * size[1]), (size[0] - 1, size[1] - 2)]

    def results() -> list[torch.Tensor]:
        sides = (3, 7, 31)
        return [
            *(filters.box(planes, side, edge=edge) for side in sides for edge in (True, False)),
            *(filters.least_around(planes, side) for side in sides),
            filters.bell(planes),
            *(filters.resized(planes, shape) for shape in shapes),
            filters.halved(planes),
            filters.joint_bilateral(planes[:1], planes, torch.tensor(0.2)),
        ]

    here = results()
    monkeypatch.setattr(filters, "here", lambda planes: False)
    for one, other in zip(here, results(), strict=True):
        torch.testing.assert_close(one, other, atol=2e-3, rtol=2e-3)


def test_a_device_is_asked_before_a_frame_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it works while that is written and the next is read; the frames are the same."""
    frames, order, results = noisy_clip(7, height=24, width=32), [], []
    start = window_loop.Restorer.start

    def noted(self: window_loop.Restorer, window: Any) -> window_loop.Started:
        order.append(("start", window.centre.prepared.index))
        return start(self, window)

    monkeypatch.setattr(window_loop.Restorer, "start", noted)
    for prompt in (True, False):
        order.clear()
        engine = engine_for(frames, precision="fp32", sigma=25.0)
        engine.stay_on_device()
        engine.prompt = prompt
        results.append([])
        for place, frame in enumerate(denoise_stream(iter(frames), info_of(frames), engine)):
            results[-1].append(frame)
            order.append(("given", place))
        assert (order.index(("start", 5)) < order.index(("given", 4))) is not prompt
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one.planes[0], other.planes[0])


def test_a_device_works_in_one_thread() -> None:
    engine = engine_for(noisy_clip(1, height=24, width=32), threads=2)
    engine.stay_on_device()
    with network_worker(engine) as worker:
        assert worker.first_out


def by_torch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods take the ways of a device, here on the processor."""
    for room in (filters, flow, placing):
        monkeypatch.setattr(room, "here", lambda planes: False)


def test_whole_clips_come_out_as_good_as_with_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, clean = noisy_clip(5), clean_clip(5)
    reached = []
    for there in (False, True):
        engine = engine_for(frames, precision="fp32", sigma=25.0)
        if there:
            by_torch_alone(monkeypatch)
            engine.stay_on_device()
        reached.append(psnr(list(denoise_stream(iter(frames), info_of(frames), engine)), clean))
    assert reached[1] > reached[0] - 0.1


@pytest.fixture(params=["cuda"])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendGpu]:
    if request.param == "mps":
        monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
        with PretendGpu("mps") as mode:
            yield mode
        return
    with pretending() as mode:
        yield mode


@pytest.mark.parametrize("sigma", [6.0, None], ids=["told", "measured"])
def test_a_frame_goes_up_and_comes_down_once(gpu: PretendGpu, sigma: float | None) -> None:
    """Once the first result is proved. What is asked for are flags. Of noise that was measured, the
    host looks at frames beside each other, and nothing moves."""
    rng = np.random.default_rng(0)
    clean = clean_clip(12, height=32, width=48)
    frames = [_coded(picture, YUV420) for picture in clean + rng.normal(0, 0.02, clean.shape)]
    engine = engine_for(frames, device="cuda", precision="fp32", sigma=sigma)
    samples = sum(plane.size for plane in frames[0].planes)
    per_frame = []
    for _ in islice(denoise_stream(iter(frames), info_of(frames), engine), 7):
        per_frame.append(list(gpu.moves))
        gpu.moves.clear()
    for moves in per_frame[5:]:
        planes = [move for move in moves if move.dtype is torch.uint8]
        assert sorted(move.way for move in planes) == ["down", "up"]
        assert all(move.elements == samples for move in planes)
        looks = [one for one in moves if (one.way, one.elements) == ("down", 18 * 32)]
        assert len(looks) == 1  # a thumbnail, by which the host tells a cut
        others = [move for move in moves if move not in planes + looks]
        law = sum(move.elements for move in others if move.way == "up")
        assert law <= (0 if sigma else 3 * KNOTS)  # numbers, where a law is held to its ceiling
        assert sum(move.elements for move in others) - law <= 10
        assert sum(move.way == "asked" for move in moves) <= 4


def test_a_frame_tells_a_gpu_no_more_than_it_did(gpu: PretendGpu) -> None:
    frames = noisy_clip(8)
    stream = denoise_stream(
        iter(frames), info_of(frames), engine_for(frames, device="cuda", precision="fp32")
    )
    assert 1000 < Launches.of(stream).kernels < 1500


@pytest.mark.parametrize("gpu", ["cuda", "mps"], indirect=True)
@pytest.mark.parametrize("levels", [None, (0.0, 13000.0)])
def test_no_step_mixes_devices(gpu: PretendGpu, levels: tuple[float, float] | None) -> None:
    """Of a gray clip, and of a stack, whose means are counted on the processor."""
    layout = replace(GRAY16, levels=levels)
    codes = [(50 * frame.planes[0]).astype(np.uint16) for frame in noisy_clip(6, height=48)]
    frames = [Frame(planes=(plane,), layout=layout) for plane in codes]
    engine = engine_for(frames, device="auto" if gpu.kind == "mps" else "cuda", precision="fp32")
    assert engine.device == gpu.kind
    assert next(denoise_stream(iter(frames), info_of(frames), engine)).planes[0].any()
    assert engine.found.noise is not None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_cuda_comes_close_to_the_same_modules_on_the_processor(precision: str) -> None:
    frames, clean = noisy_clip(9), clean_clip(9)
    reached = []
    for device in ("cpu", "cuda"):
        engine = engine_for(frames, device=device, precision=precision, sigma=25.0)
        if device == "cpu":
            engine.stay_on_device()
        reached.append(psnr(list(denoise_stream(iter(frames), info_of(frames), engine)), clean))
    assert reached[1] == pytest.approx(reached[0], abs=0.05)


def test_clips_of_which_all_is_recorded_come_out_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a recorder that stands in for CUDA's."""
    frames, results, tape = noisy_clip(10, height=32, width=48), [], Tape()
    by_torch_alone(monkeypatch)
    for recorder in (None, tape):
        monkeypatch.setattr(Graphs, "on", lambda device, recorder=recorder: Graphs(recorder))
        engine = engine_for(frames, precision="fp32")
        engine.stay_on_device()
        results.append(list(denoise_stream(iter(frames), info_of(frames), engine)))
        assert not engine.graphs.failures
    for one, other in zip(*results, strict=True):
        for plane, same in zip(one.planes, other.planes, strict=True):
            np.testing.assert_array_equal(plane, same)
    names = {key[0][0] for key in engine.graphs._recordings}
    assert {"planes", "watched", "contract", "samples"} <= names
    assert tape.replays > 4 * len(names) / 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_records_all_and_gives_what_it_gives_without(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, results = noisy_clip(14), []
    monkeypatch.setattr(CudaRecorder, "has_room", lambda recorder: True)
    for there in (True, False):
        engine = engine_for(frames, device="cuda", precision="fp32", sigma=25.0)
        if not there:
            engine.graphs._recorder = None
        results.append(list(denoise_stream(iter(frames), info_of(frames), engine)))
        if there:
            assert not engine.graphs.failures
            assert len(engine.graphs._recordings) >= 11
    one, other = (np.stack([np.stack(frame.planes) for frame in clip]) for clip in results)
    assert np.abs(one.astype(float) - other).mean() < 0.1  # codes
