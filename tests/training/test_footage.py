"""Footage as it is learnt from: shots, lanes, copies, what is left out, and the clean frames."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from f2rcli.engine.stream import EngineSettings, load_engine
from f2rcli.errors import InputError, OutputError
from f2rcli.evaluation.noise import measure_noise
from f2rcli.io import ReadOptions, open_reader
from f2rcli.planes import Layout, unpack
from f2rcli.training.checks import fit_clips
from f2rcli.training.footage import Footage, open_footage
from f2rcli.training.noise import PlaneLaw, as_seen, measure_footage
from f2rcli.yuv import planes_of, to_rgb
from tests.training.clips import asked, pictures, write_clip
from tests.video import write_video

EXAMPLES = Path(__file__).parents[2] / "examples"


def channels_first(clip: Any) -> Any:
    return np.moveaxis(clip, -1, 1)


def opened(*paths: Path, method: str = "udvd", **how: Any) -> list[Footage]:
    """Clips as a method sees them, f2r their own planes and others pictures."""
    return open_footage(asked(*paths, method=method, **how))


def test_a_clip_is_what_its_file_holds(tmp_path: Path) -> None:
    clip = pictures(6)
    (footage,) = opened(write_clip(tmp_path / "a.mkv", clip, sigma=0))
    assert (footage.name, footage.kind, footage.shape) == ("a.mkv", "rgb", (6, 3, 48, 48))
    assert footage.shots == (range(6),)
    assert (footage.sensor, footage.coded) == (False, False)
    held = channels_first(np.rint(255 * clip) / 255)
    np.testing.assert_allclose(footage.array, held, atol=1 / 2000)
    assert footage.reference is None


def test_cuts_end_shots_and_copies_are_left_out(tmp_path: Path) -> None:
    one, other = pictures(5), 1 - pictures(9)[4:].transpose(0, 2, 1, 3)
    clip = np.concatenate([one[:3], one[2:3], one[3:], other])
    (footage,) = opened(write_clip(tmp_path / "a.mkv", clip, sigma=0))
    assert footage.shape[0] == 10
    assert footage.shots == (range(5), range(5, 10))


def test_copies_that_a_codec_wrote_again_are_left_out(tmp_path: Path) -> None:
    rng, clip = np.random.default_rng(0), pictures(6)
    twice = np.repeat(clip + rng.normal(0, 0.04, clip.shape), 2, 0)
    twice[1::2] += (rng.random(clip.shape) < 0.05) / 255
    (footage,) = opened(write_clip(tmp_path / "a.mkv", twice, sigma=0))
    assert footage.shape[0] == 6


def test_fields_are_clips_of_their_own(tmp_path: Path) -> None:
    clip = pictures(5)
    path = write_clip(tmp_path / "a.mkv", clip, sigma=0)
    top, bottom = opened(path, fields="on")
    assert (top.name, bottom.name) == ("a.mkv (top field)", "a.mkv (bottom field)")
    whole = channels_first(np.rint(255 * clip) / 255)
    np.testing.assert_allclose(top.array, whole[:, :, ::2], atol=1 / 2000)
    np.testing.assert_allclose(bottom.array, whole[:, :, 1::2], atol=1 / 2000)


@pytest.mark.parametrize(("form", "shapes"), [
    ("yuv420p", [(48, 64), (24, 32), (24, 32)]), ("yuv444p", [(48, 64)] * 3), ("gray", [(48, 64)]),
    ("yuv422p", [(48, 64), (48, 32), (48, 32)]), ("yuv410p", [(48, 64), (24, 32), (24, 32)]),
])  # fmt: skip
def test_f2r_sees_a_files_planes(tmp_path: Path, form: str, shapes: list[tuple[int, int]]) -> None:
    path, rng = tmp_path / "a.mkv", np.random.default_rng(0)
    scene = np.kron(rng.uniform(20, 230, (12, 20, 3)), np.ones((6, 6, 1))).astype(np.uint8)
    shown = (np.ascontiguousarray(scene[:48, index : index + 64]) for index in range(5))
    write_video(path, shown, form)
    (footage,) = opened(path, method="f2r")
    with open_reader(path) as reader:
        frames = list(reader)
    held = planes_of(footage.frame(2))
    assert [plane.shape for plane in held] == shapes
    for found, wanted in zip(held, planes_of(frames[2]), strict=True):
        if found.shape == wanted.shape:
            np.testing.assert_allclose(found, wanted, atol=1 / 1500)
    if form != "yuv410p":  # whose chroma is brought to a finer grid
        np.testing.assert_allclose(to_rgb(footage.frame(2)), to_rgb(frames[2]), atol=0.02)


def test_channels_are_lanes_and_empty_ones_are_left_out_beside_others(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    stack = np.zeros((5, 2, 40, 48), np.uint16)
    stack[:, 1] = 900 + rng.normal(0, 60, (5, 40, 48)) + 400 * pictures(5)[:, :40, :, 0]
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, metadata={"axes": "TCYX"}, imagej=True)
    (footage,) = opened(path)
    assert footage.name.startswith("a.tif (")
    assert footage.sensor
    assert footage.shape == (5, 1, 40, 48)


def test_the_frames_that_a_long_clip_is_adapted_to_are_spread_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / "a.mkv", pictures(100, 32), sigma=20)
    (whole,) = opened(path)
    monkeypatch.setattr("f2rcli.training.footage.ADAPT_FRAMES", 64)
    (footage,) = opened(path, adapt=True)
    assert footage.shape[0] == 64
    assert footage.shots == (range(32), range(32, 64))
    np.testing.assert_array_equal(footage.array[:32], whole.array[:32])
    np.testing.assert_array_equal(footage.array[32:], whole.array[-32:])


def test_noise_that_is_added_leaves_the_clean_frames_beside(tmp_path: Path) -> None:
    clip = pictures(5)
    path = write_clip(tmp_path / "a.mkv", clip, sigma=0)
    (footage,) = opened(path, noise="gaussian:20")
    assert footage.reference is not None
    held = channels_first(np.rint(255 * clip) / 255)
    np.testing.assert_allclose(footage.reference, held, atol=1 / 2000)
    apart = np.asarray(footage.array, float) - footage.reference
    assert 255 * apart.std() == pytest.approx(20, rel=0.05)
    (again,) = opened(path, noise="gaussian:20")
    np.testing.assert_array_equal(again.array, footage.array)
    (other,) = opened(path, noise="gaussian:20", seed=1)
    assert not np.array_equal(other.array, footage.array)


def test_what_is_there_is_not_decoded_again_and_damage_is_told(tmp_path: Path) -> None:
    path, told = write_clip(tmp_path / "a.mkv", pictures(5)), []
    for _ in range(2):
        open_footage(asked(path), told.append)
    assert sum("read a.mkv" in event.text for event in told) == 1
    (entry,) = (asked(path).folder / "footage").iterdir()
    (entry / "0.f16").write_bytes(b"cut")
    with pytest.raises(InputError, match="what was decoded of it is damaged"):
        open_footage(asked(path))
    assert open_footage(asked(path))[0].shape[0] == 5  # it was removed


@pytest.mark.parametrize(
    ("clip", "says"),
    [
        (np.zeros((5, 48, 48, 3)), "only 1 distinct picture"),
        (np.random.default_rng(0).uniform(0, 1, (5, 48, 48, 3)), "is cut after every frame"),
    ],
)  # fmt: skip
def test_what_teaches_nothing_is_refused_in_one_line(tmp_path: Path, clip: Any, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        opened(write_clip(tmp_path / "a.mkv", clip, sigma=0))
    assert "\n" not in str(caught.value)


def test_of_a_folder_what_cannot_be_used_is_left_out(tmp_path: Path) -> None:
    folder, told = tmp_path / "clips", []
    folder.mkdir()
    write_clip(folder / "a.mkv", pictures(5))
    write_clip(folder / "b.mkv", np.zeros((5, 48, 48, 3)), sigma=0)
    found = open_footage(asked(folder), told.append)
    assert [clip.name for clip in found] == ["a.mkv"]
    assert any("left out: b.mkv" in event.text for event in told)
    (folder / "a.mkv").unlink()
    with pytest.raises(InputError, match=r"b\.mkv: has only"):
        opened(folder)


def test_gray_and_colour_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gray = write_clip(tmp_path / "gray.mkv", pictures(5, channels=1))
    rgb = write_clip(tmp_path / "rgb.mkv", pictures(5))
    with pytest.raises(InputError, match=r"is gray, rgb\.mkv is rgb"):
        opened(gray, rgb)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(OutputError, match="of disk"):
        opened(rgb, run=str(tmp_path / "other"))


def test_noise_that_grows_with_light_is_known_to(tmp_path: Path) -> None:
    """Once it was as strong everywhere as it is on average."""
    path = write_clip(tmp_path / "a.mkv", pictures(8, 96), sigma=0)
    noise = "poisson-gaussian:0.02,1"
    (report,) = measure_footage(opened(path, noise=noise))
    assert report is not None
    dark, light = (report.model.level(torch.full((1, 3, 1, 1), at)).mean() for at in (0.25, 0.75))
    assert float(light / dark) == pytest.approx(3**0.5, rel=0.15)


@pytest.mark.parametrize("name", ["noisy_path.mp4", "noisy_path_lossless.mkv", "calcium_noisy.tif"])
def test_the_level_is_that_of_other_commands(tmp_path: Path, name: str) -> None:
    """Once packed RGB, which rounding brings beyond white, counted as noise that nothing cuts."""
    first = ReadOptions(frames=8 if name.startswith("noisy_path") else None)
    config = asked(EXAMPLES / name, run=str(tmp_path), frames=first.frames)
    (report,) = measure_footage(open_footage(config))
    with open_reader(EXAMPLES / name, first) as reader:
        engine = load_engine(EngineSettings(), reader.info)
        known = measure_noise(reader, reader.info, engine)
    assert report is not None
    assert known is not None
    assert report.model.sigma8 == pytest.approx(known.model.sigma8, rel=0.03)


@pytest.mark.parametrize(("form", "noise"), [("yuv420p", "gaussian:30"), ("bgr0", "corr30")])
def test_noise_is_drawn_as_pixels_or_planes_share_it(tmp_path: Path, form: str, noise: str) -> None:
    """Once planes were independent: Cb of 4:2:0 shares half of a cell's noise with luma, and what
    learnt from such targets kept it, 0.9 dB of a single clip."""
    path = write_clip(tmp_path / "a.mkv", pictures(8, 160), sigma=0, form=form)
    (clip,) = opened(path, noise=noise, method="f2r")
    (report,) = measure_footage([clip])
    assert clip.packed is not None
    assert report is not None
    noisy, clean = (torch.from_numpy(x.astype(np.float32)) for x in (clip.array, clip.reference))
    drawn = PlaneLaw.of(clip.packed, report).fresh(noisy, torch.Generator().manual_seed(0))
    found = [correlations(clip.packed, one) for one in (noisy - clean, drawn)]
    np.testing.assert_allclose(*found, atol=0.08)


@pytest.mark.parametrize(("noise", "noted"), [("gaussian:30", False), ("compressed:30,23", True)])
def test_what_a_codec_left_of_noise_is_noted(tmp_path: Path, noise: str, noted: bool) -> None:
    """Chroma of 4:2:0 is enlarged for R, G and B, which then share most of their noise."""
    path = write_clip(tmp_path / "a.mkv", pictures(8, 160), sigma=0, form="yuv420p")
    clips = opened(path, noise=noise, method="f2r")
    reports = measure_footage(clips)
    notes = fit_clips(clips, reports, adapting=False)[2]
    assert any("share their noise" in one for one in notes) is noted


def correlations(layout: Layout, packed: torch.Tensor) -> list[float]:
    """Of the file's planes with each other, cell by cell, and of neighbours along both axes."""
    planes = [one.numpy() for one in unpack(layout, packed)]
    cells = [packed[:, part].mean(1).numpy() for part in layout.slices]
    beside = [
        np.corrcoef(one.ravel(), other.ravel())[0, 1]
        for plane in planes
        for one, other in ((plane[:, 1:], plane[:, :-1]), (plane[..., 1:], plane[..., :-1]))
    ]
    return [*np.corrcoef([one.ravel() for one in cells])[np.triu_indices(len(cells), 1)], *beside]


def test_noise_of_counts_is_as_even_as_said_where_they_are_learnt_in(tmp_path: Path) -> None:
    """Once their line was too flat: half as strong in the dark as in the light."""
    (clip,) = opened(EXAMPLES / "calcium_noisy.tif", method="f2r", run=str(tmp_path))
    shown, report = as_seen(clip, *measure_footage([clip]))
    assert report is not None
    light = np.asarray(shown.array, np.float32)
    apart, mean = np.diff(light, axis=0) / 2**0.5, light.mean(0)
    for part in (mean < np.quantile(mean, 0.25), mean > np.quantile(mean, 0.75)):
        found = 1.4826 * np.median(abs(apart[:, part]))
        assert report.model.sigma[0] == pytest.approx(found, rel=0.1)
