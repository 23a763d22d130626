"""A run that was killed goes on and ends with the frames of one that was not."""

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from weakref import ref
from zipfile import ZipFile

import numpy as np
import pytest

from f2rcli.engine import resuming
from f2rcli.engine.resuming import RunRecord, identity_of, packed, unpacked
from f2rcli.engine.stream import Engine, denoise_stream
from f2rcli.errors import StaleError
from f2rcli.frames import Family, Frame, Mosaic, PlaneLayout
from f2rcli.io.base import ReadOptions
from f2rcli.io.files import record_folder
from tests.engine.conftest import GRAY8, denoised, engine_for, frames_of, info_of, noisy_clip
from tests.engine.test_dim import LAYOUT, counted, scene
from tests.engine.test_lanes import lane
from tests.engine.test_stream import differences

MOVING = 6  # frames before the copy and the cut


@pytest.fixture(autouse=True)
def _from_the_first_second_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "FIRST", -1.0)
    monkeypatch.setattr(resuming, "SHARE", 1e9)


def clip() -> list[Frame]:
    """Two shots, the first with a copy of a frame, the second standing still."""
    moving, other = noisy_clip(MOVING), noisy_clip(5, seed=5)
    frames = [*moving, replace(moving[-1]), *other]
    return [replace(frame, pts=40 * t) for t, frame in enumerate(frames)]


def begun(
    folder: Path, frames: list[Frame], *, interlaced: bool = False, threads: int = 1,
    said: Callable[[str], None] = lambda line: None, **settings: object,
) -> tuple[RunRecord, Iterator[Frame]]:  # fmt: skip
    """A run's record, and its frames as they are to be written."""
    engine = engine_for(frames, interlaced=interlaced, **settings)
    engine.threads = threads
    info = info_of(frames, interlaced=interlaced)
    identity = identity_of(engine, ReadOptions(), info)
    record = RunRecord(folder / "out.mkv", engine, identity, said)
    record.open()
    source = record.reading(iter(frames))
    return record, record.keeping(denoise_stream(source, info, engine, marks=record.marks))


def run(folder: Path, frames: list[Frame], stop: int | None = None, **options: Any) -> list[Frame]:
    """The frames that a run writes before it is killed, after frame number `stop`."""
    record, restored = begun(folder, frames, **options)
    written = []
    for frame in restored:
        written.append(frame)
        if len(written) == stop:
            return written  # killed: nobody closes anything
    record.finished = True
    record.__exit__(None)
    return written


@cache
def undisturbed_clip() -> list[Frame]:
    return denoised(clip())[0]


@pytest.mark.parametrize(("threads", "finished"), [(1, 9), (2, 7)])
def test_a_run_killed_thrice_ends_as_one_that_was_not(tmp_path, threads, finished) -> None:
    frames = clip()
    whole = undisturbed_clip()
    for stop in (4, 7, 10):  # at the beginning, at the copy before a cut, near the end
        run(tmp_path, frames, stop, threads=threads)
        assert record_folder(tmp_path / "out.mkv").is_dir()
    said: list[str] = []
    done = run(tmp_path, frames, threads=threads, said=said.append)
    assert differences(done, whole) == 0
    assert [frame.pts for frame in done] == [frame.pts for frame in whole]
    assert said == [f"continues after the {finished} finished frames (.out.mkv.resume)"]
    assert not list(tmp_path.iterdir())


def test_a_run_killed_around_a_rise_of_noise_goes_on_with_frames_prepared_anew(tmp_path) -> None:
    quiet, loud = (noisy_clip(12, sigma=sigma) for sigma in (5, 20))
    frames = [*quiet[:8], *loud[8:]]
    whole, _ = denoised(frames)
    for stop in (7, 9):  # right before the rise, and right after it
        run(tmp_path, frames, stop)
    assert differences(run(tmp_path, frames), whole) == 0


@pytest.mark.parametrize("kind", ["interlaced", "gray stack", "mosaic", "told"])
def test_so_do_fields_lanes_mosaics_large_frames_told_noise(tmp_path, kind, monkeypatch) -> None:
    # Networks pad most of these pictures, and what they give back are views of larger ones.
    frames = noisy_clip(6, height=40, width=48)
    if kind == "gray stack":
        layout = replace(GRAY8, bits=16, levels=(0.0, 255.0))
        first = [
            replace(f, planes=(f.planes[0].astype(np.uint16),), layout=layout) for f in frames[:4]
        ]
        frames = [*first, *(replace(frame, lane=1) for frame in first)]
    if kind == "mosaic":
        mosaic = Mosaic(pattern="RGGB", black=(0,) * 4, white=(255,) * 4)
        layout = PlaneLayout(family=Family.BAYER, bits=8, mosaic=mosaic)
        frames = [replace(frame, planes=frame.planes[:1], layout=layout) for frame in frames]
    told = {"sigma": 5.0} if kind == "told" else {}  # so weak that shares are learnt too
    settings = {"interlaced": kind == "interlaced"} | told
    whole, _ = denoised(frames, **settings)
    run(tmp_path, frames, 4, threads=2, **settings)
    said: list[str] = []
    assert differences(run(tmp_path, frames, said=said.append, **settings), whole) == 0
    assert said[0].startswith("continues")


def test_what_was_kept_of_another_clip_or_settings_is_begun_anew(tmp_path, coarse_alone) -> None:
    frames, said = noisy_clip(6), []
    run(tmp_path, frames, 2, sigma=20.0)
    run(tmp_path, frames, 3, said=said.append, sigma=25.0)
    assert "other settings" in said[0]
    changed = [*frames[:4], replace(frames[4], planes=frames[3].planes), frames[5]]  # read ahead
    with pytest.raises(StaleError):
        run(tmp_path, changed, sigma=25.0)


@pytest.mark.parametrize("name", ["frames", "state"])
def test_a_damaged_record_is_begun_anew(tmp_path, name, coarse_alone) -> None:
    frames = noisy_clip(4)
    run(tmp_path, frames, 2, sigma=20.0)
    path = record_folder(tmp_path / "out.mkv") / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)
    said: list[str] = []
    if name == "frames":  # which are looked at as they are read
        with pytest.raises(StaleError):
            run(tmp_path, frames, sigma=20.0)
    else:
        run(tmp_path, frames, 1, said=said.append, sigma=20.0)
        assert "damaged" in said[0]


def test_a_record_of_types_f2r_does_not_know_is_begun(tmp_path, monkeypatch, coarse_alone) -> None:
    frames = noisy_clip(4)
    run(tmp_path, frames, 2, sigma=20.0)
    monkeypatch.setattr(resuming, "KNOWN", [])
    said: list[str] = []
    run(tmp_path, frames, 1, said=said.append, sigma=20.0)
    assert "starting over" in said[0]


def test_a_record_that_torch_cannot_make_out_is_begun_anew(tmp_path, coarse_alone) -> None:
    """As another release of it may write: its checksums are right."""
    frames = noisy_clip(4)
    run(tmp_path, frames, 2, sigma=20.0)
    path = record_folder(tmp_path / "out.mkv") / "state"
    with ZipFile(path) as kept:
        parts = {name: kept.read(name) for name in kept.namelist()}
    with ZipFile(path, "w") as other:
        for name, part in parts.items():
            other.writestr(name, b"\x95" + part if name.endswith("data.pkl") else part)
    said: list[str] = []
    run(tmp_path, frames, 1, said=said.append, sigma=20.0)
    assert "starting over" in said[0]


def dim_and_bright() -> list[Frame]:
    """A lane of a few photons a pixel, which is restored in sums, and one of many."""
    return [*frames_of(counted(0.3 * scene(16, 0.0, 32)), LAYOUT), *lane(1, gain=20, offset=100)]


def test_what_is_counted_of_frames_that_are_restored_again_counts_once(tmp_path) -> None:
    frames = dim_and_bright()
    _, whole = denoised(frames)
    run(tmp_path, frames, 18)
    record, restored = begun(tmp_path, frames)
    assert record.begun == 17
    assert len(list(restored)) == len(frames)
    shares = (engine.contract.given_back for engine in (record.engine, whole))
    assert next(shares) == pytest.approx(next(shares), rel=1e-4)


def test_a_run_that_nothing_can_go_on_from_stops_when_asked_to(tmp_path, coarse_alone) -> None:
    class StopError(Exception):
        pass

    def stop() -> None:
        raise StopError

    record, restored = begun(tmp_path, dim_and_bright())
    record.stopped, record.stop = lambda: True, stop
    assert next(restored)
    with pytest.raises(StopError):
        next(restored)


def test_the_method_of_a_lane_that_is_done_is_let_go(tmp_path, monkeypatch, coarse_alone) -> None:
    """With what it remembers and the maps of its noise: stacks have thousands of lanes."""
    made, new_method = [], Engine.new_method

    def noted(self: Engine, source: PlaneLayout) -> Any:
        method = new_method(self, source)
        made.append(ref(method))
        return method

    monkeypatch.setattr(Engine, "new_method", noted)
    lanes = [*lane(0, gain=4, offset=0), *lane(1, gain=20, offset=100)]
    _, restored = begun(tmp_path, lanes)
    for _ in range(6):
        next(restored)
    gc.collect()
    assert [method() is None for method in made] == [True, False]


def test_a_disk_without_room_ends_no_run(tmp_path, monkeypatch, coarse_alone) -> None:
    frames, said = noisy_clip(4), []
    monkeypatch.setattr(resuming, "LEAST_FREE", 1 << 62)
    assert len(run(tmp_path, frames, said=said.append, sigma=20.0)) == 4
    assert said[0].startswith("this run cannot be resumed: its record takes")
    assert not list(tmp_path.iterdir())


def test_a_run_shorter_than_a_minute_is_begun_anew(tmp_path, monkeypatch, coarse_alone) -> None:
    monkeypatch.setattr(resuming, "FIRST", 60.0)
    frames, said = noisy_clip(4), []
    run(tmp_path, frames, 3, said=said.append, sigma=20.0)
    assert not list(tmp_path.iterdir())  # a few frames wait in memory
    monkeypatch.setattr(resuming, "HELD", 0)
    run(tmp_path, frames, 3, said=said.append, sigma=20.0)
    assert (record_folder(tmp_path / "out.mkv") / "frames").is_file()
    assert len(run(tmp_path, frames, said=said.append, sigma=20.0)) == 4
    assert not said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["u1", "<u2", ">u2", "<i4", "<f4", "<f8"])
def test_planes_of_every_kind_come_back_from_the_log(kind) -> None:
    rng = np.random.default_rng(0)
    plane = np.cumsum(rng.integers(0, 9, (37, 41)), 0).astype(kind)[:, ::-1]
    back = unpacked(packed(plane), plane)
    assert back.dtype == plane.dtype
    assert back.tobytes() == plane.tobytes()
