"""Noisy footage: what is decoded, what is kept of it, what is refused, and what a kill leaves."""

import errno
import os
import pickle
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import tifffile

from f2rcli.errors import InputError, OutputError, UsageError
from f2rcli.frames import Space
from f2rcli.io import ReadOptions, open_reader
from f2rcli.training.footage import decoding, footage
from f2rcli.training.footage.footage import Budget, Footage, open_footage
from f2rcli.yuv import to_rgb
from tests.noise.line_scenes import row_offsets, white
from tests.noise.line_scenes import scene as panning


def scene(frames: int, seed: int = 0, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A noisy still scene, (T, H, W, 3) codes."""
    rng = np.random.default_rng(seed)
    picture = np.kron(rng.uniform(40, 200, (size[0] // 8, size[1] // 8, 3)), np.ones((8, 8, 1)))
    return np.rint(picture + rng.normal(0, 10, (frames, *picture.shape))).clip(0, 255).astype("u1")


def save(path: Path, clip: np.ndarray, codec: str = "ffv1", form: str = "bgr0") -> Path:
    """Write codes (T, H, W, 3), or (T, H, W) for gray, to a video file or numbered pictures."""
    kind = "rgb24" if clip.ndim == 4 else "gray"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = clip.shape[2], clip.shape[1], form
        for picture in clip:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=kind)
            container.mux(stream.encode(frame.reformat(format=form)))
        container.mux(stream.encode())
    return path


def opened(path: Path, cache: Path, **options: object) -> Footage:
    (clip,) = open_footage([path], cache, **options)
    return clip


@pytest.mark.parametrize(("codec", "form"), [("ffv1", "bgr0"), ("libx264", "yuv420p")])
def test_pictures_are_what_the_network_will_see(tmp_path: Path, codec: str, form: str) -> None:
    path = save(tmp_path / "a.mkv", scene(5), codec, form)
    clip = opened(path, tmp_path / "cache")
    with open_reader(path) as reader:
        seen = np.stack([to_rgb(frame).transpose(1, 2, 0) for frame in reader])
    assert clip.space is Space.RGB
    assert clip.shape == (5, 48, 64, 3)
    assert clip.shots == (range(5),)
    assert np.abs(clip.read(slice(None)) - seen).max() < 0.13 / 255
    assert (seen.max() > 1) == (clip.read(slice(None)).max() > 1)  # unclipped


def test_gray_clips_keep_one_channel(tmp_path: Path) -> None:
    clip = opened(save(tmp_path / "a.mkv", scene(3)[..., 0], form="gray"), tmp_path / "cache")
    assert (clip.space, clip.channels) == (Space.GRAY, 1)


def test_a_second_run_finds_the_same_bytes_and_decodes_nothing(tmp_path: Path) -> None:
    path, lines = save(tmp_path / "a.mkv", scene(4)), []
    first = opened(path, tmp_path / "cache", report=lines.append)
    before = first.path.read_bytes()
    assert len(lines) == 1
    moved = path.rename(tmp_path / "b.mkv")
    second = opened(moved, tmp_path / "cache", report=lines.append)
    assert (second.path, len(lines)) == (first.path, 1)
    assert second.path.read_bytes() == before
    save(path, scene(4, seed=1))
    assert opened(path, tmp_path / "cache").path != first.path


def test_an_entry_that_lost_bytes_is_made_again(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mkv", scene(4))
    first = opened(path, tmp_path / "cache").path
    whole = first.read_bytes()
    for damage in (whole[:1000], b""):
        first.write_bytes(damage)
        assert opened(path, tmp_path / "cache").path.read_bytes() == whole
    (first.parent / "facts.json").write_text("{")
    assert opened(path, tmp_path / "cache").path.read_bytes() == whole


def test_workers_decode_what_one_process_decodes(tmp_path: Path, monkeypatch) -> None:
    """In whatever order they end; test_worker_pool.py has real ones, which take seconds to load."""
    asked = []

    def spread(function, items, jobs):
        asked.append(jobs)
        pickle.dumps((function, items))  # as they go to a process
        yield from [(item, function(item)) for item in items][::-1]

    paths = [save(tmp_path / f"{n}.mkv", scene(4, seed=n)) for n in range(3)]
    alone = open_footage(paths, tmp_path / "one")
    monkeypatch.setattr(footage, "spread", spread)
    shared = open_footage(paths, tmp_path / "two", jobs=2)
    assert asked == [2, 2]  # to measure and to decode
    assert [clip.name for clip in shared] == ["0.mkv", "1.mkv", "2.mkv"]
    for one, two in zip(alone, shared, strict=True):
        assert one.path.read_bytes() == two.path.read_bytes()
        assert (one.shots, one.shape) == (two.shots, two.shape)


def test_shots_end_at_cuts_and_copies_are_left_out(tmp_path: Path) -> None:
    one, other = scene(4), scene(3, seed=5)
    clip = np.concatenate([one[:2], one[1:2], one[2:], other, scene(1, seed=9)])
    read = opened(save(tmp_path / "a.mkv", clip), tmp_path / "cache")
    assert read.shape[0] == 8
    assert read.shots == (range(4), range(4, 7))  # the last frame has no neighbour


def test_a_part_of_a_long_clip_is_taken_from_all_over_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(decoding, "RUN", 4)
    clip = scene(30)
    read = opened(save(tmp_path / "a.mkv", clip), tmp_path / "cache", frames=12)
    assert read.shots == (range(4), range(4, 8), range(8, 12))
    found = [np.abs(clip / 255.0 - read.read(t)).mean((1, 2, 3)).argmin() for t in range(12)]
    assert found[:4] == [0, 1, 2, 3]
    assert found[8:] == [26, 27, 28, 29]


def test_folders_are_searched_in_order_and_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    top, lines = tmp_path / "clips", []
    (top / "deep" / "seq").mkdir(parents=True)
    save(top / "b.mkv", scene(3))
    save(top / "a.mp4", scene(3, seed=1), "libx264", "yuv444p")
    (top / "broken.mp4").write_bytes(b"nothing of the kind")
    (top / "notes.txt").write_text("not a clip")
    for number, picture in enumerate(scene(3, seed=2)):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.save(str(top / "deep" / "seq" / f"{number:03}.png"))
    found = open_footage([top, top / "b.mkv"], tmp_path / "cache", report=lines.append)
    assert [clip.name for clip in found] == ["a.mp4", "b.mkv", "seq"]
    assert len([line for line in lines if line.startswith("left out: broken.mp4")]) == 1
    assert not [line for line in lines if "notes" in line]
    with pytest.raises(InputError, match=r"broken\.mp4"):
        open_footage([top / "broken.mp4"], tmp_path / "cache")


def flickering(frames: int) -> np.ndarray:
    return np.concatenate([scene(1, seed=20 + n) for n in range(frames)])


@pytest.mark.parametrize(
    ("clip", "words"),
    [
        (scene(1), "a.mkv: has only 1 distinct picture"),
        (scene(1).repeat(5, 0), r"1 distinct picture \(5 frames, all alike\)"),
        (flickering(4), "is cut after every frame"),
        (flickering(4)[:, :24, :24], "24x24 pixels are too few to tell scenes apart"),
        (np.arange(4, dtype="u1").reshape(4, 1, 1, 1) % 2 * np.ones((1, 48, 64, 3), "u1"), "black"),
    ],
)
def test_clips_that_teach_nothing_are_refused_by_name(
    tmp_path: Path, clip: np.ndarray, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        open_footage([save(tmp_path / "a.mkv", clip)], tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_other_bad_input_is_one_clear_error(tmp_path: Path) -> None:
    colour = save(tmp_path / "c.mkv", scene(3))
    gray = save(tmp_path / "g.mkv", scene(3)[..., 0], form="gray")
    cache = tmp_path / "cache"
    with pytest.raises(InputError, match=r"c\.mkv is rgb, g\.mkv is gray"):
        open_footage([colour, gray], cache)
    with pytest.raises(InputError, match=r"64x48 take .* memory budget"):
        open_footage([colour], cache, budget=100_000)
    with pytest.raises(OutputError, match="the limit is"):
        open_footage([colour], cache, disk=10_000)
    with pytest.raises(InputError, match="no such file"):
        open_footage([tmp_path / "none.mkv"], cache)
    with pytest.raises(InputError, match="contains no clips"):
        open_footage([cache], cache)
    assert not list(cache.iterdir())


def test_lines_are_taken_out_of_noisy_footage_as_at_run_time(tmp_path: Path) -> None:
    """Over more frames than are corrected together, one of them there twice."""
    count = 20
    light = panning(count)
    codes = np.rint(255 * (light + white(4, count) + row_offsets(6, count))).clip(0, 255)
    shown = np.insert(codes, 9, codes[8], axis=0).astype(np.uint8)
    path = save(tmp_path / "a.mkv", shown, form="gray")
    clip = opened(path, tmp_path / "cache")
    assert clip.shape[0] == count
    assert clip.shots == (range(count),)
    left = (clip.read(slice(None))[..., 0] - light).mean(2)  # of every row of every frame
    assert 255 * left.std() < 2.5
    clean = opened(path, tmp_path / "clean", noisy=False)
    assert np.abs(255 * clean.read(slice(None))[..., 0] - codes).max() < 0.2


def test_a_full_disk_is_one_line_and_leaves_no_half(tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(decoding.LaneWriter, "_write", full)
    with pytest.raises(OutputError, match="the disk is full"):
        open_footage([save(tmp_path / "a.mkv", scene(3))], tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


SLOWLY = """
import sys, time
from pathlib import Path
from f2rcli.training.footage import decoding, footage

write = decoding.LaneWriter._write
decoding.LaneWriter._write = lambda *given: (write(*given), time.sleep(0.2))
footage.open_footage([Path(sys.argv[1])], Path(sys.argv[2]))
"""


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_kill_in_mid_decode_leaves_nothing_that_is_used(tmp_path: Path) -> None:
    path, cache = save(tmp_path / "a.mkv", scene(50)), tmp_path / "cache"
    child = subprocess.Popen([sys.executable, "-c", SLOWLY, path, cache])
    deadline = time.monotonic() + 200
    while not list(cache.glob("*.part/0.f16")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert list(cache.glob("*.part"))
    clip = opened(path, cache)
    assert clip.shape[0] == 50
    assert not list(cache.glob("*.part"))


READING = """
import sys
from pathlib import Path
from f2rcli.frames import Space
from f2rcli.training.footage.footage import Budget, Footage

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile"))
for budget in map(int, sys.argv[2:]):
    shape = (100, 512, 1024, 1)
    clip = Footage("a", Space.GRAY, Path(sys.argv[1]), shape, (), budget=Budget(budget))
    start, most = resident(), 0
    for frame in range(100):
        clip.read(frame)
        most = max(most, resident() - start)
    print(most)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def stored_codes(path: Path, codes: np.ndarray) -> Footage:
    """Footage of one shot, of 8-bit codes."""
    (codes / np.float32(255)).astype(np.float16).tofile(path)
    space = Space.RGB if codes.shape[-1] == 3 else Space.GRAY
    return Footage(path.stem, space, path, codes.shape, (range(len(codes)),))  # type: ignore[arg-type]  # of four


def test_reading_footage_keeps_to_the_memory_budget(tmp_path: Path) -> None:
    with (tmp_path / "pictures").open("wb") as file:
        file.truncate(100 * 512 * 1024 * 2)
    command = [
        sys.executable,
        "-c",
        READING,
        str(tmp_path / "pictures"),
        str(16 << 20),
        str(1 << 30),
    ]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    kept, all_of_it = map(int, done.stdout.split())
    assert kept < 20 << 20
    assert all_of_it > 80 << 20


def test_footage_travels_to_other_processes(tmp_path: Path) -> None:
    clip = stored_codes(tmp_path / "0.f16", scene(3))
    again = pickle.loads(pickle.dumps(clip))  # noqa: S301  # our own bytes
    assert again == clip
    rows, columns = slice(8, 20), slice(4, 9)
    assert np.array_equal(again.read(2, rows, columns), clip.read(2)[rows, columns])
    assert isinstance(again.budget, Budget)


def test_fields_of_interlaced_clips_are_clips_of_their_own(tmp_path: Path) -> None:
    clip = scene(4)
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        options = {"qp": "0", "x264-params": "tff=1"}
        stream = container.add_stream("libx264", rate=Fraction(25), options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        for picture in clip:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv444p")))
        container.mux(stream.encode())
    top, bottom = open_footage([path], tmp_path / "cache")
    assert (top.name, bottom.name) == ("a.mkv (top field)", "a.mkv (bottom field)")
    assert top.shape == bottom.shape == (4, 24, 64, 3)
    assert np.abs(top.read(0) - clip[0, ::2] / 255).max() < 3 / 255
    assert np.abs(bottom.read(0) - clip[0, 1::2] / 255).max() < 3 / 255


def write_stack(path: Path, array: np.ndarray, axes: str) -> Path:
    """An ImageJ hyperstack, or a stack of axes that ImageJ does not know."""
    known = set(axes) <= set("TZCYX")
    tifffile.imwrite(path, array, imagej=known, photometric="minisblack", metadata={"axes": axes})
    return path


def test_lanes_of_a_stack_are_clips_of_their_own(tmp_path: Path) -> None:
    array = scene(8)[..., 0].reshape(4, 2, 48, 64)
    array[:, 1] //= 3  # dimmer
    clips = open_footage([write_stack(tmp_path / "z.tif", array, "TZYX")], tmp_path / "cache")
    assert [clip.name for clip in clips] == ["z.tif (z 1)", "z.tif (z 2)"]
    assert {clip.space for clip in clips} == {Space.GRAY}
    assert [clip.shots for clip in clips] == [(range(4),)] * 2
    bright, dim = (float(clip.read(0).std()) for clip in clips)
    assert dim == pytest.approx(bright, rel=0.1)  # each lane by its own levels, as at run time


def test_what_time_is_can_be_said_and_is_asked(tmp_path: Path) -> None:
    path = write_stack(tmp_path / "z.tif", scene(5)[..., 0], "AYX")
    with pytest.raises(UsageError, match="which one is time"):
        opened(path, tmp_path / "cache")
    seen = opened(path, tmp_path / "cache", read=ReadOptions(axes="TYX"))
    assert seen.shots == (range(5),)
    part = opened(path, tmp_path / "cache", read=ReadOptions(axes="TYX", frames=3))
    assert part.shots == (range(3),)


def test_series_of_different_sizes_decode_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for size in ((48, 64), (32, 40)):
            writer.write(scene(4, size=size)[..., 0], metadata={"axes": "TYX"})
    clips = open_footage([path], tmp_path / "cache")
    assert [clip.shape for clip in clips] == [(4, 48, 64, 1), (4, 32, 40, 1)]


def test_a_lane_that_teaches_nothing_is_left_out_beside_others(tmp_path: Path) -> None:
    array = np.stack([scene(4)[..., 0], np.zeros((4, 48, 64), "u1")], axis=1)
    path = write_stack(tmp_path / "c.tif", array, "TCYX")
    assert opened(path, tmp_path / "cache").name == "c.tif (channel 1)"
    write_stack(path, np.zeros_like(array), "TCYX")
    with pytest.raises(InputError, match="distinct picture"):
        open_footage([path], tmp_path / "cache")


def test_of_many_lanes_some_are_taken_of_every_channel(tmp_path: Path) -> None:
    array = np.concatenate([scene(3, seed=n)[..., 0] for n in range(40)])
    array = array.reshape(20, 2, 3, 48, 64).transpose(2, 0, 1, 3, 4)
    clips = open_footage([write_stack(tmp_path / "t.tif", array, "TACYX")], tmp_path / "cache")
    names = [clip.name for clip in clips]
    assert len(names) == decoding.LANES
    assert all(sum(f"channel {c}" in name for name in names) >= 3 for c in (1, 2))


def test_a_folder_of_one_page_files_is_a_stack(tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    for number, page in enumerate(scene(4)[..., 0]):
        tifffile.imwrite(folder / f"{number}.tif", page)
    clip = opened(folder, tmp_path / "cache")
    assert (clip.name, clip.shots) == ("pages", (range(4),))
