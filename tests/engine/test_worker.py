"""Two frames at a time: the same bytes in the same order, and a clean end whatever happens."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from f2rcli.engine import stream as stream_room
from f2rcli.engine import window_loop
from f2rcli.errors import DeviceError
from f2rcli.frames import Frame
from f2rcli.methods.f2r import F2R
from f2rcli.samples import defects
from f2rcli.samples import defects as defects_room
from tests.engine.conftest import engine_for, info_of, noisy_clip

Engine = stream_room.Engine
denoise_stream = stream_room.denoise_stream
network_worker = window_loop.network_worker
set_aside = defects_room.set_aside

SMALL = {"height": 24, "width": 32}


def denoised(frames: list[Frame], engine: Engine) -> list[Frame]:
    return list(denoise_stream(iter(frames), info_of(frames), engine))


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "networks" in thread.name]


@pytest.mark.parametrize("sigma", [None, 5.0])  # measured; so weak that shares are learnt
def test_bytes_are_one_threads(monkeypatch: pytest.MonkeyPatch, sigma: float | None) -> None:
    first = noisy_clip(6, seed=0, **SMALL)
    frames = [*first, first[-1], *noisy_clip(2, seed=9, **SMALL)]
    one, two = (engine_for(frames, threads=threads, sigma=sigma) for threads in (1, 2))
    for a, b in zip(denoised(frames, one), denoised(frames, two), strict=True):
        assert a.pts == b.pts
        for plane, other in zip(a.planes, b.planes, strict=True):
            np.testing.assert_array_equal(plane, other)
    assert one.found.noise == two.found.noise
    assert one.contract.given_back == two.contract.given_back


def test_an_error_of_networks_comes_after_earlier_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = noisy_clip(12, **SMALL)
    engine = engine_for(frames, threads=2, sigma=25.0)
    taken: list[Frame] = []
    given: list[Frame] = []
    finish = F2R.finish

    def failing(method: F2R, view: object, *rest: object) -> torch.Tensor:
        if view.centre.index == 3:  # type: ignore[attr-defined]  # a window
            raise DeviceError("the device is gone.")
        return finish(method, view, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(F2R, "finish", failing)
    source = (taken.append(frame) or frame for frame in frames)  # type: ignore[func-returns-value]
    with pytest.raises(DeviceError, match="gone"):
        given.extend(denoise_stream(source, info_of(frames), engine))
    assert len(given) == 3
    assert len(taken) < 12
    assert not workers()


def test_no_thread_outlives_a_stream_that_is_left() -> None:
    frames = noisy_clip(9, **SMALL)
    engine = engine_for(frames, threads=2, sigma=25.0)
    stream = denoise_stream(iter(frames), info_of(frames), engine)
    next(stream)
    assert len(workers()) == 1
    assert torch.get_num_threads() == 2  # the caller's own
    stream.close()  # type: ignore[attr-defined]  # a generator
    assert not workers()
    assert torch.get_num_threads() == 2


def test_one_thread_stays_alone() -> None:
    frames = noisy_clip(3, **SMALL)
    stream = denoise_stream(iter(frames), info_of(frames), engine_for(frames, threads=1, sigma=9.0))
    next(stream)
    assert not workers()


def test_a_host_searches_the_next_frame_as_one_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, each in the thread beside; live frames are not waited for. Bytes are the same."""
    frames, results = noisy_clip(4, **SMALL), []
    for prompt in (True, False):
        searched: list[tuple[int | None, bool]] = []

        def noted(frame: Frame, *rest: Any, searched: Any = searched) -> Frame:
            searched.append((frame.pts, threading.current_thread() is threading.main_thread()))
            return set_aside(frame, *rest)

        monkeypatch.setattr(defects, "set_aside", noted)
        engine = engine_for(frames, precision="fp32", sigma=5.0)
        engine.stay_on_device()
        engine.prompt = prompt
        results.append(denoised(frames, engine))
        assert searched == [(frame.pts, prompt) for frame in frames]
    for one, other in zip(*results, strict=True):
        assert one.pts == other.pts
        np.testing.assert_array_equal(one.planes[0], other.planes[0])


@pytest.mark.parametrize("fails", ["asked for", "done"])
def test_an_error_of_a_piece_comes_where_its_result_would(fails: str) -> None:
    """However far ahead the host is; one of asking for it ends a run, and comes a frame sooner."""

    def pieces() -> Iterator[Callable[[], int]]:
        for number in range(6):
            if fails == "asked for" and number == 3:
                raise DeviceError("no third.")
            yield lambda number=number: 6 // (3 - number)  # type: ignore[misc]  # bound

    engine, given = engine_for(noisy_clip(1, **SMALL)), []
    engine.stay_on_device()
    with (
        network_worker(engine) as worker,
        pytest.raises(DeviceError if fails == "asked for" else ZeroDivisionError),
    ):
        given.extend(worker.done(pieces()))
    assert given == ([2, 3] if fails == "asked for" else [2, 3, 6])
    assert not [one for one in threading.enumerate() if "f2r-frames" in one.name]
