"""Rendered noise: the same for the same seed, in the background, and never too much of it."""

import os
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from f2rcli.errors import F2RError
from f2rcli.frames import Space
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.renditions import Order, Renderer, render


def clip_of(folder: Path, channels: int = 3, size: tuple[int, int] = (133, 141)) -> Footage:
    rng = np.random.default_rng(0)
    blocks = (-(-size[0] // 8), -(-(size[1] + 12) // 8), channels)
    wide = np.kron(rng.uniform(60, 190, blocks), np.ones((8, 8, 1)))
    frames = np.stack([wide[: size[0], 2 * t : 2 * t + size[1]] for t in range(6)]).astype("u1")
    path = folder / f"scene{channels}.npy"
    np.save(path, frames)
    return Footage.of_codes(f"scene{channels}", np.load(path, mmap_mode="r"))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_rendition_is_determined_by_its_seed_and_number(tmp_path: Path, channels: int) -> None:
    clip = clip_of(tmp_path, channels)
    orders = [
        Order(clip, number, seed=1, frames=4, cache=tmp_path / folder)
        for folder in ("one", "two")
        for number in (0, 1, 2)
    ]
    for order in orders:
        render(order)
    one, two = orders[:3], orders[3:]
    for a, b in zip(one, two, strict=True):
        assert (a.entry / "noisy.u8").read_bytes() == (b.entry / "noisy.u8").read_bytes()
        made = a.load()
        assert made.noisy.shape == made.clean.shape == (4, 128, 128, channels)
        error = made.noisy.astype(float) - made.clean
        assert made.sigma == pytest.approx(error.std() / 255, rel=0.05)
    assert len({(a.entry / "noisy.u8").read_bytes() for a in one}) == 3


def test_coded_and_uncoded_renditions_show_the_frames_of_their_target(tmp_path: Path) -> None:
    clip = clip_of(tmp_path)
    for number, kind in product(range(4), ("realistic", "coded")):
        order = Order(clip, number, seed=2, frames=6, cache=tmp_path / "cache", kind=kind)
        render(order)
        made = order.load()
        apart = [np.abs(made.noisy[3].astype(float) - made.clean[t]).mean() for t in range(6)]
        assert int(np.argmin(apart)) == 3


def test_training_takes_what_is_ready_and_a_second_run_finds_all_of_it(tmp_path: Path) -> None:
    clips, cache = [clip_of(tmp_path), clip_of(tmp_path, 1)], tmp_path / "cache"
    with Renderer(clips, cache, seed=1, per_clip=2, frames=3) as renderer:
        first = renderer.take(np.random.default_rng(0))
        assert first.noisy.shape[0] == 3
        renderer.wait()
        assert renderer.count == len(renderer.orders) == 4
    began = time.monotonic()
    with Renderer(clips, cache, seed=1, per_clip=2, frames=3) as again:
        assert again.count == 4
        draws = [again.take(np.random.default_rng(n)).sigma for n in range(8)]
        assert draws == [again.take(np.random.default_rng(n)).sigma for n in range(8)]
        assert np.array_equal(again.get(0).noisy, renderer.get(0).noisy)
    assert time.monotonic() - began < 1


def test_leaving_early_stops_the_workers_and_leaves_no_half(tmp_path: Path) -> None:
    clip, cache = clip_of(tmp_path), tmp_path / "cache"
    with Renderer([clip], cache, per_clip=200, frames=6) as renderer:
        renderer.wait(1)
    assert renderer.count < 200
    assert not list(cache.glob("*.part"))
    with pytest.raises(F2RError, match="closed"):
        renderer.get(199)


RENDERING = """
import sys, time
from pathlib import Path
import numpy as np
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.renditions import Renderer

if __name__ == "__main__":
    clip = Footage.of_codes("scene", np.load(sys.argv[1], mmap_mode="r"))
    with Renderer([clip], Path(sys.argv[2]), per_clip=500, frames=6) as renderer:
        renderer.wait(1)
        print("ready", flush=True)
        time.sleep(600)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_killed_training_leaves_no_worker_and_no_half(tmp_path: Path) -> None:
    clip_of(tmp_path)
    script, cache = tmp_path / "train.py", tmp_path / "cache"
    script.write_text(RENDERING)
    command = [sys.executable, script, tmp_path / "scene3.npy", cache]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while list(cache.glob("*.part")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)
    made = len(list(cache.iterdir()))
    time.sleep(0.7)
    assert len(list(cache.iterdir())) == made


def test_there_are_as_many_renditions_as_the_disk_may_hold(tmp_path: Path) -> None:
    clips = [clip_of(tmp_path), clip_of(tmp_path, 1)]
    size = Order(clips[0], 0, 0, 6, tmp_path).most_bytes()
    limited = Renderer(clips, tmp_path, per_clip=10, frames=6, disk=2 * size)
    assert [order.clip.space for order in limited.orders] == [Space.RGB, Space.GRAY]
    mixed = Renderer(clips[:1], tmp_path, per_clip=4, kinds=("realistic", "coded"))
    assert [order.kind for order in mixed.orders] == ["realistic", "coded"] * 2


def test_a_renderer_that_fails_says_so_to_who_waits(tmp_path: Path) -> None:
    clip = clip_of(tmp_path)
    (tmp_path / "scene3.npy").unlink()
    with (
        Renderer([clip], tmp_path / "cache", per_clip=1) as renderer,
        pytest.raises(F2RError, match="scene3: its pictures are gone"),
    ):
        renderer.take(np.random.default_rng(0))
