"""Published benchmarks: what is found in a folder, what is refused, and the protocol that runs."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
import tifffile

from f2rcli.errors import F2RError, InputError, UsageError
from f2rcli.evaluation import benchmarks
from f2rcli.evaluation.base import Case
from f2rcli.evaluation.benchmarks.loaders import clean
from f2rcli.evaluation.clips.matlab import read_array
from f2rcli.evaluation.plan import Plan
from f2rcli.evaluation.result import Evaluation
from f2rcli.evaluation.run import evaluate
from f2rcli.frames import Frame, Space
from f2rcli.io import WriteOptions, open_reader, open_writer, plan_output

NAMES = ("bsd68", "crvd", "davis", "fmd", "kodak", "set8", "sidd", "vimeo")


def picture(path: Path, colour: bool = True, size: tuple[int, int] = (32, 48)) -> None:
    """A picture file of codes that grow from left to right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.broadcast_to(np.linspace(40, 200, size[1]), size)
    codes = np.rint(ramp + 5 * (len(path.name) % 7)).astype(np.uint8)
    assert cv2.imwrite(str(path), np.stack([codes] * 3, -1) if colour else codes)


def mosaic(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    codes = np.random.default_rng(seed).integers(240, 1500, (32, 48)).astype(np.uint16)
    assert cv2.imwrite(str(path), codes)


def clips_of(name: str) -> tuple[str, ...]:
    clips = benchmarks.load(name).clips
    assert isinstance(clips, tuple)
    return clips


def make_davis(root: Path) -> None:
    for name in clips_of("davis"):
        for i in range(3):
            picture(root / "JPEGImages" / "480p" / name / f"{i:05d}.jpg")
    picture(root / "JPEGImages" / "480p" / "blackswan" / "00000.jpg")


def make_set8(root: Path) -> None:
    for name in clips_of("set8"):
        home = "GoPro" if name in ("hypersmooth", "motorbike", "rafting", "snowboard") else "Derfs"
        for i in range(2):
            picture(root / home / name / f"{i:04d}.png")


def make_vimeo(root: Path) -> None:
    names = [f"00001/{i:04d}" for i in range(1, 4)]
    for name in names:
        for i in range(1, 8):
            picture(root / "sequences" / name / f"im{i}.png")
    (root / "sep_testlist.txt").write_text("\n".join(names) + "\n")


def make_kodak(root: Path) -> None:
    for i in range(1, 25):
        picture(root / f"kodim{i:02d}.png")


def make_bsd68(root: Path) -> None:
    for i in range(1, 69):
        picture(root / "BSD68" / f"test{i:03d}.png", colour=False)


def make_crvd(root: Path) -> None:
    layout = benchmarks.load("crvd").layout
    for scene in layout["scenes"]:
        for iso in layout["isos"]:
            for i in range(1, 8):
                inner = f"scene{scene}/ISO{iso}/frame{i}"
                mosaic(root / f"indoor_raw_noisy/{inner}_noisy0.tiff", i)
                mosaic(root / f"indoor_raw_gt/{inner}_clean_and_slightly_denoised.tiff")


def make_sidd(root: Path, count: int = 40, blocks: int = 32, side: int = 8) -> None:
    root.mkdir(parents=True, exist_ok=True)
    layout = benchmarks.load("sidd").layout
    clean = np.random.default_rng(0).random((count, blocks, side, side)).astype(np.float32)
    for name, values in ((layout["clean"], clean), (layout["noisy"], 0.9 * clean)):
        scipy.io.savemat(root / f"{name}.mat", {name: values}, do_compression=True)


def make_fmd(root: Path) -> None:
    for kind in ("Confocal_FISH", "Confocal_MICE", "TwoPhoton_MICE"):
        picture(root / kind / "gt" / "19" / "avg50.png", colour=False)
        for i in range(50):
            picture(root / kind / "raw" / "19" / f"capture{i:03d}.png", colour=False)


MAKERS: dict[str, Callable[[Path], None]] = {
    "bsd68": make_bsd68, "crvd": make_crvd, "davis": make_davis, "fmd": make_fmd,
    "kodak": make_kodak, "set8": make_set8, "sidd": make_sidd, "vimeo": make_vimeo,
}  # fmt: skip
COUNTS = {
    "bsd68": 68, "crvd": 25, "davis": 150, "fmd": 3, "kodak": 48, "set8": 40, "sidd": 40,
    "vimeo": 18,
}  # fmt: skip
GROUPS = {
    "bsd68": 1, "crvd": 5, "davis": 5, "fmd": 3, "kodak": 2, "set8": 5, "sidd": 1, "vimeo": 6,
}  # fmt: skip


def frames_of(case: Case, side: str = "reference") -> list[Frame]:
    source = getattr(case, side)
    with source() as clip:
        return list(clip)


def run(cases: list[Case], name: str) -> Evaluation:
    chosen = benchmarks.load(name)
    kind = "synthetic" if cases[0].noise is not None else "reference"
    plan = Plan(metrics=("psnr",), methods=("none",), clipped=chosen.clipped)
    return evaluate(cases, plan, kind=kind)


def test_every_benchmark_of_the_documentation_is_there() -> None:
    published = [name for name in benchmarks.available() if benchmarks.needs_files(name)]
    assert published == sorted(NAMES)
    for name in NAMES:
        chosen = benchmarks.load(name)
        assert chosen.name == name
        assert chosen.metrics == ("psnr", "ssim")


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_laid_out_as_published_gives_every_clip_once_per_level(
    name: str, tmp_path: Path
) -> None:
    MAKERS[name](tmp_path)
    chosen = benchmarks.load(name)
    cases = chosen.cases(tmp_path, ())
    assert len(cases) == COUNTS[name]
    assert len({(case.name, case.group) for case in cases}) == len(cases)
    facts = chosen.facts(cases)
    assert facts.complete == (name != "vimeo")  # three septuplets are no 700
    assert facts.protocol
    groups = {case.group for case in cases}
    assert len(groups) == GROUPS[name]
    for row in facts.published:
        assert row.source
        assert set(row.values) <= groups
        assert all(25 < value["psnr"] < 55 for value in row.values.values())
    first = frames_of(cases[0])
    assert len(first) == len(frames_of(cases[0], "noisy") if cases[0].noisy else first)


@pytest.mark.parametrize("name", NAMES)
def test_the_protocol_runs_from_end_to_end(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    cases = benchmarks.load(name).cases(tmp_path, ())[-1:]
    found = run(cases, name)
    value = found.mean("none", "psnr")
    assert np.isfinite(value) or name == "fmd"  # its captures are made equal to their mean
    if cases[0].noise is not None and cases[0].noise.name == "gaussian:50":
        assert value == pytest.approx(20 * np.log10(255 / 50), abs=0.2)  # never clipped


@pytest.mark.parametrize("name", NAMES)
def test_other_folders_are_refused_with_what_is_expected_and_where_it_is_published(
    name: str, tmp_path: Path
) -> None:
    chosen = benchmarks.load(name)
    empty, wrong, file = tmp_path / "empty", tmp_path / "wrong", tmp_path / "file"
    empty.mkdir()
    wrong.mkdir()
    (wrong / "notes.txt").write_text("nothing to see")
    file.write_text("")
    for root, says in (
        (tmp_path / "nowhere", "there is no such folder"),
        (file, "is not a folder"),
        (empty, "is empty; expected"),
        (wrong, "; expected"),
    ):
        with pytest.raises(InputError) as caught:
            chosen.cases(root, ())
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.hint is not None
        assert "f2r downloads nothing" in caught.value.hint


def test_an_unknown_benchmark_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="benchmark='devis': no such choice") as caught:
        benchmarks.load("devis")
    assert caught.value.hint is not None
    assert "davis" in caught.value.hint


def test_parts_of_a_benchmark_are_measured_but_not_called_complete(tmp_path: Path) -> None:
    for name in ("tractor", "rafting"):
        picture(tmp_path / name / "0.png")
    chosen = benchmarks.load("set8")
    cases = chosen.cases(tmp_path, ("gaussian:30",))
    assert [case.name for case in cases] == ["rafting", "tractor"]
    assert not chosen.facts(cases).complete


def test_fewer_frames_than_the_protocol_wants_are_not_called_complete(tmp_path: Path) -> None:
    make_set8(tmp_path)
    chosen = benchmarks.load("set8")
    assert not chosen.facts(chosen.cases(tmp_path, (), 1)).complete


def test_training_clips_of_davis_are_left_out_where_test_clips_are(tmp_path: Path) -> None:
    make_davis(tmp_path)
    names = {case.name for case in benchmarks.load("davis").cases(tmp_path, ("gaussian:30",))}
    assert names == set(clips_of("davis"))


@pytest.mark.parametrize("name", ["crvd", "sidd", "fmd"])
def test_real_noise_takes_no_other(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    with pytest.raises(UsageError, match="has noise of its own"):
        benchmarks.load(name).cases(tmp_path, ("gaussian:30",))


def test_crvd_is_a_mosaic_in_the_sensors_range(tmp_path: Path) -> None:
    make_crvd(tmp_path)
    case = benchmarks.load("crvd").cases(tmp_path, ())[0]
    assert (case.name, case.group) == ("scene7", "ISO 1600")
    frames = frames_of(case, "noisy")
    assert len(frames) == 7
    layout = frames[0].layout
    assert layout.space is Space.BAYER
    assert layout.mosaic is not None
    assert (layout.mosaic.pattern, layout.mosaic.black[0], layout.mosaic.white[0]) == (
        "GBRG", 240, 4095,
    )  # fmt: skip
    assert all((a.planes[0] != b.planes[0]).any() for a, b in pairwise(frames))


def test_crvd_unpacked_scene_by_scene_is_found_and_a_missing_frame_named(tmp_path: Path) -> None:
    make_crvd(tmp_path / "flat")
    nested = tmp_path / "nested"
    for kind in ("indoor_raw_noisy", "indoor_raw_gt"):
        for scene in benchmarks.load("crvd").layout["scenes"]:
            (nested / kind / f"{kind}_scene{scene}").mkdir(parents=True)
            (tmp_path / "flat" / kind / f"scene{scene}").rename(
                nested / kind / f"{kind}_scene{scene}" / f"scene{scene}"
            )
    chosen = benchmarks.load("crvd")
    assert len(chosen.cases(nested, ())) == 25
    lost = nested / "indoor_raw_gt/indoor_raw_gt_scene9/scene9/ISO3200"
    (lost / "frame4_clean_and_slightly_denoised.tiff").unlink()
    with pytest.raises(InputError, match=r"scene9/ISO3200/frame4_clean.* is missing; expected"):
        chosen.cases(nested, ())


def test_captures_and_blocks_are_pictures_by_themselves(tmp_path: Path) -> None:
    make_fmd(tmp_path / "fmd")
    make_sidd(tmp_path / "sidd")
    for name, count in (("fmd", 50), ("sidd", 32)):
        case = benchmarks.load(name).cases(tmp_path / name, ())[0]
        assert [frame.lane for frame in frames_of(case, "noisy")] == list(range(count))


def test_sidds_blocks_have_their_telephones_pattern_and_values(tmp_path: Path) -> None:
    make_sidd(tmp_path)
    cases = benchmarks.load("sidd").cases(tmp_path, ())
    patterns = []
    for case in cases:
        (frame, *_) = frames_of(case)
        assert frame.layout.mosaic is not None
        patterns.append(frame.layout.mosaic.pattern)
    assert patterns[:5] == ["GRBG", "BGGR", "BGGR", "BGGR", "RGGB"]
    name = benchmarks.load("sidd").layout["noisy"]
    wanted = scipy.io.loadmat(tmp_path / f"{name}.mat")[name]
    block = frames_of(cases[3], "noisy")[7].planes[0] / 65535
    np.testing.assert_allclose(block, wanted[3, 7], atol=1e-5)


def test_a_septuplet_with_a_picture_missing_is_named(tmp_path: Path) -> None:
    make_vimeo(tmp_path)
    (tmp_path / "sequences/00001/0002/im5.png").unlink()
    with pytest.raises(InputError, match=r"sequences/00001/0002 has no im5.png; expected"):
        benchmarks.load("vimeo").cases(tmp_path, ())


def test_the_same_septuplets_are_drawn_each_time(tmp_path: Path) -> None:
    few = replace(benchmarks.load("vimeo"), clips=7)
    names = [f"00001/{i:04d}" for i in range(1, 21)]
    (tmp_path / "sep_testlist.txt").write_text("\n".join(names))
    for name in names:  # pictures are not opened before they are measured
        folder = tmp_path / "sequences" / name
        folder.mkdir(parents=True)
        for i in range(1, 8):
            (folder / f"im{i}.png").touch()
    once, again = clean.find(few, tmp_path), clean.find(few, tmp_path)
    assert list(once) == list(again)
    assert len(once) == 7
    assert set(once) != set(names[:7])


def test_bsd68_in_colour_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with pytest.raises(InputError, match="is in colour; BSD68 is gray"):
        benchmarks.load("bsd68").cases(tmp_path, ())


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", ["f4", "f8", "u1", "i2"])
def test_matlab_arrays_are_read_as_scipy_reads_them(
    compressed: bool, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.mat"
    values = np.random.default_rng(0).integers(0, 100, (3, 4, 5)).astype(kind)
    scipy.io.savemat(path, {"x": np.eye(2), "of_a_long_name": values}, do_compression=compressed)
    np.testing.assert_array_equal(read_array(path, "of_a_long_name"), values)
    np.testing.assert_array_equal(read_array(path, "x"), np.eye(2))
    with pytest.raises(InputError, match="has no array z, only x, of_a_long_name"):
        read_array(path, "z")


def test_files_that_are_not_matlabs_are_refused_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    for data, says in (
        (b"", "not a MATLAB file of version 5"),
        (b"MATLAB 7.3 MAT-file " + bytes(200), "only version 5"),
    ):
        path.write_bytes(data)
        with pytest.raises(InputError, match=says):
            read_array(path, "x")
    for compressed in (True, False):
        scipy.io.savemat(path, {"x": np.ones((64, 64))}, do_compression=compressed)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) * 2 // 3])
        with pytest.raises(F2RError, match="is damaged"):
            read_array(path, "x")


def test_davis_scenes_as_videos_are_measured_as_davis(tmp_path: Path) -> None:
    for name in ("davis_rollercoaster", "davis_tennis", "gopro_path"):
        frames = tmp_path / name
        for i in range(2):
            picture(frames / f"{i:03d}.png", size=(96, 128))
        film(frames, tmp_path / f"{name}.mkv")
    chosen = benchmarks.load("davis")
    cases = chosen.cases(tmp_path, ("gaussian:30",), 2)
    assert [case.name for case in cases] == ["rollercoaster", "tennis"]  # no other clip
    assert not chosen.facts(cases).complete
    found = run(cases, "davis")
    assert found.mean("none", "psnr") == pytest.approx(20 * np.log10(255 / 30), abs=0.1)


def film(folder: Path, path: Path) -> None:
    """The pictures of a folder as a lossless video; the folder goes."""
    with open_reader(folder) as reader:
        plan = plan_output(reader, path, WriteOptions(lossless=True))
        with open_writer(reader, plan) as writer:
            for frame in reader:
                writer.write(frame)
            writer.finish()
    shutil.rmtree(folder)


def test_pairs_of_stacks_are_measured_as_crvd(tmp_path: Path) -> None:
    """Poisson noise of CRVD's calibration: (gain, read variance) in codes at two sensitivities."""
    rng = np.random.default_rng(0)
    light = np.broadcast_to(np.linspace(50, 2500, 96), (2, 64, 96))
    for name, gain, read in (("swan_iso6400", 13.486, 130.82), ("car_iso25600", 52.033, 1819.8)):
        noisy = gain * rng.poisson(light / gain) + rng.normal(0, read**0.5, light.shape) + 240
        for kind, values in (("clean", light + 240), ("noisy", noisy)):
            path = tmp_path / f"{name}_{kind}.tif"
            codes = np.rint(np.clip(values, 0, 4095)).astype(np.uint16)
            tifffile.imwrite(path, codes, photometric="minisblack", metadata=None)
            facts = {"cfa": "GBRG", "black": 240, "white": 4095}
            path.with_suffix(".json").write_text(json.dumps(facts))
    chosen = benchmarks.load("crvd")
    cases = chosen.cases(tmp_path, (), 2)
    assert sorted((c.name, c.group) for c in cases) == [("car", "ISO 25600"), ("swan", "ISO 6400")]
    assert not chosen.facts(cases).complete
    found = run(cases, "crvd")
    for group, gain, read in (("ISO 6400", 13.486, 130.82), ("ISO 25600", 52.033, 1819.8)):
        variance = (gain * light.mean() + read) / 3855**2
        assert found.mean("none", "psnr", group) == pytest.approx(-10 * np.log10(variance), abs=0.3)


@pytest.mark.parametrize("name", NAMES)
def test_published_numbers_are_of_the_range_of_their_metric(name: str) -> None:
    """A digit that was left out, or two columns that were swapped, are seen here."""
    for row in benchmarks.load(name).published:
        for values in row.values.values():
            for metric, value in values.items():
                low, high = {"psnr": (15, 60), "ssim": (0.3, 1)}[metric]
                assert low < value < high, (row.title, metric, value)
