"""Rendered noise: the same for the same seed, and never too much of it."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from f2rcli.errors import F2RError
from f2rcli.frames import Space
from f2rcli.noise.synthesis.spec import parse
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.renditions import RenditionJob, render, render_all, rendition_jobs
from tests.training.test_footage import stored_codes


def clip_of(folder: Path, channels: int = 3, size: tuple[int, int] = (133, 141)) -> Footage:
    rng = np.random.default_rng(0)
    blocks = (-(-size[0] // 8), -(-(size[1] + 12) // 8), channels)
    wide = np.kron(rng.uniform(60, 190, blocks), np.ones((8, 8, 1)))
    frames = np.stack([wide[: size[0], 2 * t : 2 * t + size[1]] for t in range(6)]).astype("u1")
    return stored_codes(folder / f"scene{channels}.f16", frames)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_rendition_is_determined_by_its_seed_and_number(tmp_path: Path, channels: int) -> None:
    clip = clip_of(tmp_path, channels)
    orders = [
        RenditionJob(clip, number, seed=1, frames=4, cache=tmp_path / folder)
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
    for number, kind in product(range(4), ("realistic", "compressed-mixture", "compressed:20-40")):
        order = RenditionJob(clip, number, seed=2, frames=6, cache=tmp_path / "cache", noise=kind)
        render(order)
        made = order.load()
        apart = [np.abs(made.noisy[3].astype(float) - made.clean[t]).mean() for t in range(6)]
        assert int(np.argmin(apart)) == 3


def test_recordings_of_a_sensor_are_stabilised_mosaics_of_half_the_size(tmp_path: Path) -> None:
    order = RenditionJob(
        clip_of(tmp_path), 0, seed=3, frames=4, cache=tmp_path / "cache", noise="sensor"
    )
    render(order)
    made = order.load()
    assert made.noisy.shape == made.clean.shape == (4, 64, 64, 4)
    inside = (made.clean > 30) & (made.clean < 225)
    error = (made.noisy.astype(float) - made.clean)[inside]
    assert error.std() / 255 == pytest.approx(made.sigma, rel=0.2)  # the same at every level
    assert abs(error.mean()) < 3


def test_a_second_run_finds_all_renditions(tmp_path: Path) -> None:
    clips, cache = [clip_of(tmp_path), clip_of(tmp_path, 1)], tmp_path / "cache"
    noise, lines = parse("realistic", training=True), []
    orders = render_all(clips, cache, noise, seed=1, per_clip=2, report=lines.append)
    assert len(orders) == len(lines) == 4
    again = render_all(clips, cache, noise, seed=1, per_clip=2, report=lines.append)
    assert len(lines) == 4
    assert np.array_equal(again[0].load().noisy, orders[0].load().noisy)
    assert not list(cache.glob("*.part"))


def test_there_are_as_many_renditions_as_the_disk_may_hold(tmp_path: Path) -> None:
    clips = [clip_of(tmp_path), clip_of(tmp_path, 1)]
    noise = parse("gaussian:5+realistic+compressed-mixture", training=True)
    size = RenditionJob(clips[0], 0, 0, tmp_path).most_bytes()
    some = rendition_jobs(clips, tmp_path, noise, seed=0, per_clip=10, disk=2 * size)
    assert [order.clip.space for order in some] == [Space.RGB, Space.GRAY]
    mixed = rendition_jobs(clips[:1], tmp_path, noise, seed=0, per_clip=4, disk=1 << 40)
    assert [order.noise for order in mixed] == ["realistic", "compressed-mixture"] * 2


def test_a_rendition_that_fails_stops_the_run(tmp_path: Path) -> None:
    clip = clip_of(tmp_path)
    (tmp_path / "scene3.f16").unlink()
    with pytest.raises(F2RError, match="scene3: its pictures are gone"):
        render_all([clip], tmp_path / "cache", parse("realistic", training=True), per_clip=1)
