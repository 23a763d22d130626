"""Published benchmarks: what is found in a folder, what is refused, and the protocol that runs."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from f2rcli.errors import InputError, UsageError
from f2rcli.evaluation import base, benchmarks, result
from f2rcli.evaluation import run as runs
from f2rcli.frames import Family, Frame

NAMES = ("crvd", "davis", "set8")


def picture(path: Path, size: tuple[int, int] = (32, 48)) -> None:
    """A picture file of codes that grow from left to right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.broadcast_to(np.linspace(40, 200, size[1]), size)
    codes = np.rint(ramp + 5 * (len(path.name) % 7)).astype(np.uint8)
    assert cv2.imwrite(str(path), np.stack([codes] * 3, -1))


def mosaic(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    codes = np.random.default_rng(seed).integers(240, 1500, (32, 48)).astype(np.uint16)
    assert cv2.imwrite(str(path), codes)


def make_davis(root: Path) -> None:
    for name in (*benchmarks.load("davis").clips, "blackswan"):  # one is of the training clips
        for i in range(2):
            picture(root / "JPEGImages" / "480p" / name / f"{i:05d}.jpg")


def make_set8(root: Path) -> None:
    for name in benchmarks.load("set8").clips:
        home = "GoPro" if name in ("hypersmooth", "motorbike", "rafting", "snowboard") else "Derfs"
        for i in range(2):
            picture(root / home / name / f"{i:04d}.png")


def make_crvd(root: Path) -> None:
    layout = benchmarks.load("crvd").layout
    for scene in layout["scenes"]:
        for iso in layout["isos"]:
            for i in range(1, 8):
                inner = f"scene{scene}/ISO{iso}/frame{i}"
                mosaic(root / f"indoor_raw_noisy/{inner}_noisy0.tiff", i)
                mosaic(root / f"indoor_raw_gt/{inner}_clean_and_slightly_denoised.tiff")


MAKERS: dict[str, Callable[[Path], None]] = {
    "crvd": make_crvd, "davis": make_davis, "set8": make_set8,
}  # fmt: skip


def frames_of(case: base.Case, side: str = "reference") -> list[Frame]:
    with getattr(case, side)() as clip:
        return list(clip)


def run(cases: list[base.Case], name: str) -> result.Evaluation:
    chosen = benchmarks.load(name)
    kind = "synthetic" if cases[0].noise is not None else "reference"
    choices = base.Plan(metrics=("psnr",), methods=("none",), clipped=chosen.clipped)
    run = runs.Evaluator(choices, kind=kind)
    return run.evaluation([run.clip(case) for case in cases])


@pytest.mark.parametrize(("name", "count"), [("crvd", 25), ("davis", 150), ("set8", 40)])
def test_a_published_folder_gives_clips_once_a_level(name: str, count: int, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    chosen = benchmarks.load(name)
    cases = chosen.cases(tmp_path)
    assert len({(case.name, case.group) for case in cases}) == len(cases) == count
    facts = chosen.facts(cases)
    assert facts.complete
    assert facts.title == chosen.title
    groups = {case.group for case in cases}
    for row in facts.published:
        assert row.source
        assert set(row.values) <= groups
    value = run(cases[-1:], name).mean("none", "psnr")
    if name != "crvd":
        assert value == pytest.approx(20 * np.log10(255 / 50), abs=0.2)  # never clipped


@pytest.mark.parametrize("name", NAMES)
def test_other_folders_are_refused_with_what_is_expected(name: str, tmp_path: Path) -> None:
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
            chosen.cases(root)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "f2r downloads nothing" in str(caught.value.hint)


def test_an_unknown_benchmark_is_refused_with_the_nearest() -> None:
    assert benchmarks.available() == list(NAMES)
    with pytest.raises(UsageError, match="benchmark='devis': no such choice") as caught:
        benchmarks.load("devis")
    assert "davis" in str(caught.value.hint)


def test_half_a_benchmark_is_refused_by_the_names_that_are_missing(tmp_path: Path) -> None:
    for name in ("tractor", "rafting", "mine"):
        picture(tmp_path / name / "0.png")
    with pytest.raises(InputError) as caught:
        benchmarks.load("set8").cases(tmp_path)
    said = str(caught.value)
    assert "6 of the 8 clips of Set8 are missing: hypersmooth, motorbike, snowboard" in said
    assert "; 1 other clip beside" in said
    assert "--any-clips" in str(caught.value.hint)


def test_any_clips_are_measured_where_asked_and_the_title_says_so(tmp_path: Path) -> None:
    for name in ("tractor", "mine"):
        picture(tmp_path / name / "0.png")
    chosen = benchmarks.load("set8")
    cases = chosen.cases(tmp_path, ("gaussian:30",), any_clips=True)
    assert [case.name for case in cases] == ["mine", "tractor"]
    facts = chosen.facts(cases)
    assert not facts.complete
    assert "not its own clips" in facts.title


def test_fewer_frames_than_the_protocol_wants_are_not_called_complete(tmp_path: Path) -> None:
    make_set8(tmp_path)
    chosen = benchmarks.load("set8")
    cases = chosen.cases(tmp_path, (), 1)
    assert not chosen.facts(cases, 1).complete
    assert len(frames_of(cases[0])) == 1


def test_training_clips_of_davis_are_left_out_where_test_clips_are(tmp_path: Path) -> None:
    make_davis(tmp_path)
    names = {case.name for case in benchmarks.load("davis").cases(tmp_path, ("gaussian:30",))}
    assert names == {*benchmarks.load("davis").clips}


def test_crvd_is_a_mosaic_in_the_sensors_range_with_noise_of_its_own(tmp_path: Path) -> None:
    make_crvd(tmp_path)
    with pytest.raises(UsageError, match="has noise of its own"):
        benchmarks.load("crvd").cases(tmp_path, ("gaussian:30",))
    case = benchmarks.load("crvd").cases(tmp_path)[0]
    assert (case.name, case.group) == ("scene7", "ISO 1600")
    frames = frames_of(case, "noisy")
    assert len(frames) == 7
    layout = frames[0].layout
    assert layout.space is Family.BAYER
    assert layout.mosaic is not None
    found = layout.mosaic.pattern, layout.mosaic.black[0], layout.mosaic.white[0]
    assert found == ("GBRG", 240, 4095)
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
    assert len(chosen.cases(nested)) == 25
    lost = nested / "indoor_raw_gt/indoor_raw_gt_scene9/scene9/ISO3200"
    (lost / "frame4_clean_and_slightly_denoised.tiff").unlink()
    with pytest.raises(InputError, match=r"scene9/ISO3200/frame4_clean.* is missing; expected"):
        chosen.cases(nested)


def test_lasting_hot_pixels_of_crvd_are_repaired_as_those_of_any_raw_burst(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clean = np.broadcast_to(np.linspace(400, 2500, 96), (7, 64, 96))
    noisy = clean + rng.normal(0, 30, clean.shape)
    noisy[:, 20, 31] = 4000
    codes = np.rint(noisy).astype(np.uint16)
    tifffile.imwrite(tmp_path / "swan.tif", codes, photometric="minisblack")
    for frame in benchmarks.CrvdClip(tmp_path / "swan.tif", noisy=True):
        assert abs(int(frame.planes[0][20, 31]) - clean[0, 20, 31]) < 200


@pytest.mark.parametrize("name", NAMES)
def test_published_numbers_are_of_the_range_of_their_metric(name: str) -> None:
    """A digit that was left out, or two columns that were swapped, are seen here."""
    for row in benchmarks.load(name).published:
        for values in row.values.values():
            for metric, value in values.items():
                low, high = {"psnr": (15, 60), "ssim": (0.3, 1)}[metric]
                assert low < value < high, (row.title, metric, value)
