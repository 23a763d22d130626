"""Raw files and bursts: what is read of them, and what is written back."""

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rawpy
import tifffile

from f2rcli.errors import InputError
from f2rcli.frames import ClipInfo, Family
from f2rcli.io import ReadOptions, WriteOptions, open_reader, open_writer, plan_output
from f2rcli.io.raw.exposure import read_tags
from tests.io.raw_files import (
    LAYOUTS,
    PROFILE,
    SIZE,
    bytes_read,
    codes,
    directory,
    louder,
    overwritten,
    raised,
    tags,
    with_directories,
    write_burst,
    write_compressed,
    write_dng,
    write_mrw,
    write_rw2,
)
from tests.io.through import copied

EXAMPLE = Path(__file__).parents[2] / "examples" / "raw_burst"


def opened(path: Path) -> tuple[ClipInfo, np.ndarray]:
    """What is said of a raw file, and its samples."""
    with open_reader(path) as reader:
        (frame,) = reader
        return reader.info, frame.planes[0]


@pytest.mark.skipif(not Path("/proc/self/io").is_file(), reason="Linux only")
def test_files_of_a_burst_are_read_back_once(tmp_path: Path) -> None:
    """Each as it is written; all of them were read again at the end, hours of disk later."""
    burst = write_burst(tmp_path / "burst")
    with (
        open_reader(burst) as reader,
        open_writer(reader, plan_output(reader, tmp_path / "out", WriteOptions())) as writer,
    ):
        for frame in reader:
            writer.write(frame)
        before = bytes_read()
        written = writer.finish().bytes
        assert bytes_read() - before < written / 4


def check_alike(source: Path, target: Path, by: int = 0) -> None:
    """Codes of the active area are `by` higher, all else is the same to LibRaw."""
    with rawpy.imread(str(source)) as old, rawpy.imread(str(target)) as new:
        assert np.array_equal(new.raw_image_visible, old.raw_image_visible + by)
        if by and new.raw_image.shape == old.raw_image.shape:  # masked margins stay as they are
            assert np.count_nonzero(new.raw_image != old.raw_image) == new.raw_image_visible.size
        assert new.sizes == old.sizes
        assert new.raw_colors.tolist() == old.raw_colors.tolist()
        assert new.black_level_per_channel == old.black_level_per_channel
        assert new.white_level == old.white_level
        assert np.allclose(new.color_matrix, old.color_matrix)
        assert np.allclose(new.camera_whitebalance, old.camera_whitebalance, rtol=1e-5)


@pytest.mark.parametrize("name", LAYOUTS)
def test_samples_of_any_layout_come_back(name: str, tmp_path: Path, tools: Any) -> None:
    source = write_dng(tmp_path / "a.dng", **LAYOUTS[name])
    louder(source, tmp_path / "b.dng", 5)
    check_alike(source, tmp_path / "b.dng", 5)
    tools.passthrough(source, tmp_path / "c.dng")
    check_alike(source, tmp_path / "c.dng")
    with tifffile.TiffFile(tmp_path / "c.dng") as file:
        assert np.allclose(file.pages.first.tags[51041].value, PROFILE)


def test_facts_of_the_file_reach_the_clip(tmp_path: Path) -> None:
    with open_reader(write_burst(tmp_path / "burst")) as reader:
        info, (row,) = reader.info, reader.describe()
    mosaic = info.layout.mosaic
    assert info.space is Family.BAYER
    assert (info.width, info.height, info.frames) == (SIZE[1], SIZE[0], 4)
    assert mosaic is not None
    assert (mosaic.pattern, mosaic.black) == ("GBRG", (242, 243, 241, 240))  # R, G, B, G
    assert row["camera"] == "Foo Bar"
    assert row["iso"] == 800
    assert info.noise_profile is not None
    assert np.allclose(info.noise_profile[3], PROFILE[2:4])  # both greens alike


@pytest.mark.parametrize(("times", "fits"), [(1 / 25, False), (1, True), (25, False)])
def test_a_noise_profile_that_is_off_is_no_help(times: float, fits: bool, tmp_path: Path) -> None:
    """Off by five in standard deviation, either way; darktable #2313 has such profiles."""
    tags = [(51041, 12, 6, tuple(times * v for v in PROFILE), True)]
    with open_reader(write_dng(tmp_path / "a.dng", extra=tags, facts={"left": {51041}})) as reader:
        (frame,) = reader
        (note,) = [note for note in reader.info.notes if "NoiseProfile" in note]
        assert (reader.info.noise_profile is not None) == fits
        assert (frame.source.place[0].noise is not None) == fits
    assert note.endswith("it is measured instead") == (not fits)


def test_a_cinemadng_folder_has_the_rate_that_its_files_state(tmp_path: Path) -> None:
    folder = write_burst(tmp_path / "scene", extra=[(51044, 10, 1, (24000, 1001), True)])
    (folder / "scene.wav").write_bytes(b"sound")
    write_dng(folder / "IMG 8_f2r.dng")
    with open_reader(folder, ReadOptions(start=0.05)) as reader:
        assert reader.info.rate == Fraction(24000, 1001)
        assert reader.info.frames == 2  # of four; 0.05 s is beyond the second
        assert any("1 .wav" in note for note in reader.info.notes)
        assert "1 earlier result left out (IMG 8_f2r.dng)" in reader.info.notes


def test_bursts_are_read_in_order_and_keep_names_and_levels(tmp_path: Path, tools: Any) -> None:
    burst = write_burst(tmp_path / "burst é")
    frames, receipt = tools.passthrough(burst, tmp_path / "out")
    names = [frame.source.place[0].path.stem for frame in frames]
    assert names == ["IMG 8", "IMG 9", "IMG 10", "IMG 11"]
    assert sorted(os.listdir(tmp_path / "out")) == sorted(os.listdir(burst))
    assert receipt.frames == 4
    with open_reader(burst) as before, open_reader(tmp_path / "out") as after:
        (own,), (others,) = before.describe(), after.describe()
    for fact in ("camera", "iso", "cfa", "black", "white"):
        assert own[fact] == others[fact]


def test_a_pattern_names_part_of_a_folder_and_a_bracket_is_told_of(tmp_path: Path) -> None:
    burst = write_burst(tmp_path / "burst", extra=[(33434, 5, 1, (1, 100), True)])
    write_dng(burst / "other.dng", extra=[(33434, 5, 1, (1, 50), True)])
    for source, differ in ((burst, True), (burst / "IMG %d.dng", False)):
        with open_reader(source, ReadOptions(frames=3 + 2 * differ)) as reader:
            assert len(list(reader)) == 3 + 2 * differ
            told = any("exposure times differ" in note for note in reader.info.notes)
            assert told == differ


@pytest.mark.parametrize("pattern", [b"\0\1\1\2", b"\2\1\1\0", b"\1\0\2\1", b"\1\2\0\1"])
def test_levels_between_codes_crop_and_aspect_come_back(pattern: bytes, tmp_path: Path) -> None:
    extra = [
        (50718, 5, 2, (3, 2, 1, 1), True), (50719, 4, 2, (4, 8), True),
        (50720, 4, 2, (48, 32), True),
    ]  # fmt: skip
    source = write_dng(tmp_path / "a.dng", facts={"pattern": pattern}, extra=extra)
    louder(source, tmp_path / "b.dng", 3)
    check_alike(source, tmp_path / "b.dng", 3)
    with rawpy.imread(str(tmp_path / "b.dng")) as raw:
        assert raw.sizes.pixel_aspect == 1.5
    with tifffile.TiffFile(tmp_path / "b.dng") as file:
        own = file.pages.first.tags
        assert (own["DefaultCropOrigin"].value, own["DefaultCropSize"].value) == ((4, 8), (48, 32))
        assert own["Orientation"].value == 6


@pytest.mark.parametrize("crop", [(0, 0, 60, 40), (7, 5, 44, 32)])
def test_odd_active_areas_show_same_pixels(crop: tuple[int, int, int, int], tmp_path: Path) -> None:
    across, down, width, height = crop
    extra = [
        (50829, 4, 4, (5, 3, 45, 63), True), (50719, 4, 2, (across, down), True),
        (50720, 4, 2, (width, height), True),
    ]  # fmt: skip
    source = write_dng(tmp_path / "a.dng", extra=extra)
    louder(source, tmp_path / "b.dng", 0)
    with tifffile.TiffFile(tmp_path / "b.dng") as file:
        page = file.pages.first
        area = page.tags[50829].value if 50829 in page.tags else (0, 0, *page.shape)
        (left, top), size = page.tags[50719].value, page.tags[50720].value
        shown = page.asarray()[area[0] + top :, area[1] + left :][: size[1], : size[0]]
    assert left + size[0] <= area[3] - area[1]
    assert top + size[1] <= area[2] - area[0]
    whole = codes(0)[5 + down : 5 + down + height, 3 + across : 3 + across + width]
    lost = whole.shape[0] - shown.shape[0], whole.shape[1] - shown.shape[1]
    assert max(lost) <= 1  # LibRaw's areas begin at even rows and columns
    assert np.array_equal(shown, whole[lost[0] :, lost[1] :])


@pytest.mark.parametrize("compressed", [False, True])
def test_black_of_rows_and_columns_is_undone_once(compressed: bool, tmp_path: Path) -> None:
    """What f2r sees has one level, and so has what it writes."""
    rng = np.random.default_rng(3)
    down, across = rng.integers(200, 300, SIZE[0]), rng.integers(0, 9, SIZE[1])
    light = rng.normal(1000, 5, SIZE)
    stored = np.rint(light + down[:, None] + across).astype(np.uint16)
    pairs = [[int(part) for v in deltas for part in (v, 1)] for deltas in (across, down)]
    extra = [tag for tag in tags() if tag[0] not in (50713, 50714)] + [
        (50715, 10, SIZE[1], pairs[0], True), (50716, 10, SIZE[0], pairs[1], True),
    ]  # fmt: skip
    source = tmp_path / "a.dng"
    if compressed:
        write_compressed(source, stored, extra)
    else:
        tifffile.imwrite(source, stored, photometric="cfa", metadata=None, extratags=extra)
    with open_reader(source) as reader:
        (frame,) = reader
        seen = frame.planes[0].astype(float)
        assert reader.info.layout.mosaic is not None
        black = reader.info.layout.mosaic.black[0]
    assert np.std(seen.mean(1)) < 2
    assert np.mean(seen - black) == pytest.approx(1000, abs=2)
    louder(source, tmp_path / "b.dng", 20)
    with tifffile.TiffFile(tmp_path / "b.dng") as file:
        assert not {50715, 50716} & {tag.code for tag in file.pages.first.tags}
    with rawpy.imread(str(tmp_path / "b.dng")) as raw:
        assert np.allclose(raw.raw_image - np.mean(raw.black_level_per_channel), light + 20, atol=2)


def test_a_cut_preview_and_the_profile_are_of_the_result(tmp_path: Path) -> None:
    """The preview is no longer noisy, and a raw developer finds no noise to remove again."""
    rng = np.random.default_rng(0)
    noisy = np.rint(1500 + rng.normal(0, 120, (256, 320))).astype(np.uint16)
    profile = tuple(v for _ in range(3) for v in (1e-9, (120 / 3855) ** 2))
    every = [tag for tag in tags() if tag[0] != 51041] + [(51041, 12, 6, profile, True)]
    source = tmp_path / "a.dng"
    tifffile.imwrite(source, noisy, photometric="cfa", metadata=None, extratags=every)

    def smooth(plane: np.ndarray) -> np.ndarray:
        return np.rint(1500 + (plane - 1500.0) / 10).astype(np.uint16)

    with open_reader(source) as reader:
        copied(reader, tmp_path / "b.dng", change=smooth)
    with tifffile.TiffFile(tmp_path / "b.dng") as file:
        written = np.array(file.pages.first.tags[51041].value).reshape(3, 2)
        pages = file.pages.first.pages
        assert pages is not None
        preview = np.asarray(pages[0].asarray())
    light = 1260 / 3855
    noise = np.sqrt(written[:, 0] * light + written[:, 1]) * 3855
    assert np.all(np.abs(noise - 12) < 2)
    assert preview.shape == (128, 160, 3)
    assert preview.std(axis=(0, 1)).max() < 6
    with rawpy.imread(str(tmp_path / "b.dng")) as raw:
        thumb = raw.extract_thumb()
        shown = np.asarray(raw.postprocess(half_size=True, use_camera_wb=True, no_auto_bright=True,
                                           user_flip=0))  # fmt: skip
    assert thumb.format is rawpy.ThumbFormat.JPEG
    seen = cv2.cvtColor(cv2.imdecode(np.frombuffer(thumb.data, np.uint8), 1), cv2.COLOR_BGR2RGB)
    assert np.abs(seen.mean((0, 1)) - shown.mean((0, 1))).max() < 3


def test_a_monochrome_burst_is_gray_and_comes_back_as_one(tmp_path: Path) -> None:
    rng, folder, target = np.random.default_rng(0), tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    filters = (33421, 33422, 50710, 50711, 50713, 50714, 50721, 50728, 50778, 51041)
    own = [tag for tag in tags() if tag[0] not in filters] + [(50714, 3, 1, 240, True)]
    for number in range(3):
        light = np.rint(900 + rng.normal(0, 40, (96, 128))).astype(np.uint16)
        tifffile.imwrite(folder / f"{number}.dng", light, metadata=None, extratags=own)
        overwritten(folder / f"{number}.dng", {262: 34892})  # LinearRaw, of one sample
    with open_reader(folder) as reader:
        assert (reader.info.space, reader.info.frames) == (Family.GRAY, 3)
    louder(folder, target, 5)
    with rawpy.imread(str(folder / "2.dng")) as before, rawpy.imread(str(target / "2.dng")) as raw:
        assert np.array_equal(raw.raw_image, before.raw_image + 5)
        assert raw.num_colors == 1
        assert (raw.black_level_per_channel[0], raw.white_level) == (240, 4095)
        assert raw.extract_thumb().format is rawpy.ThumbFormat.JPEG
    with tifffile.TiffFile(target / "2.dng") as file:
        page = file.pages.first
        assert (page.photometric, page.tags[51041].count, page.tags[274].value) == (34892, 2, 6)
        gain, read = page.tags[51041].value
    assert np.sqrt(gain * 660 / 3855 + read) * 3855 == pytest.approx(40, rel=0.2)


def test_exposure_time_place_and_lens_come_back(tmp_path: Path) -> None:
    """Read by ExifTool where it is installed, and by tifffile."""
    words = [(33723, 4, 2, (0x0119021C, 0x66000161), True), (40091, 1, 6, b"T\0i\0\0\0", True)]
    source = write_dng(tmp_path / "a.dng", extra=words)
    exif: dict[int, tuple[int, Any]] = {
        33434: (5, (1, 250)), 33437: (5, (28, 10)), 36867: (2, "2026:05:04 03:02:01"),
        36881: (2, "+02:00"), 37386: (5, (50, 1)), 42036: (2, "Bar 50mm f/1.8"),
        42034: (5, (50, 1, 50, 1, 18, 10, 18, 10)), 37380: (10, (-1, 3)), 37500: (1, b"own"),
        41728: (1, b"\3"),
    }  # fmt: skip
    gps: dict[int, tuple[int, Any]] = {
        1: (2, "N"), 2: (5, (48, 1, 8, 1, 30, 1)), 3: (2, "E"), 4: (5, (11, 1, 34, 1, 0, 1)),
        5: (1, b"\0"), 6: (5, (519, 1)), 29: (2, "2026:05:04"),
    }  # fmt: skip
    with_directories(source, exif, gps)
    louder(source, tmp_path / "b.dng", 5)
    for path in (source, tmp_path / "b.dng"):
        with tifffile.TiffFile(path) as file:
            own = file.pages.first.tags
            read, place = own[34665].value, own[34853].value
        assert [(own[code].dtype, own[code].count) for code in (33723, 40091)] == [(4, 2), (1, 6)]
        assert read["ExposureTime"] == (1, 250)
        assert read["ExposureBiasValue"] == (-1, 3)
        assert read["FileSource"] == 3
        assert ("MakerNote" in read) == (path == source)
        assert read["LensModel"] == "Bar 50mm f/1.8"
        assert read["DateTimeOriginal"] == "2026:05:04 03:02:01"
        assert place["GPSLatitude"] == (48, 1, 8, 1, 30, 1)
        assert place["GPSLongitudeRef"] == "E"
    if shutil.which("exiftool"):
        told = [
            subprocess.run(
                ["exiftool", "-s", "-EXIF:ExposureTime", "-FNumber", "-LensModel", "-GPSPosition",
                 "-GPSAltitude", "-DateTimeOriginal", "-LensInfo", str(path)],
                capture_output=True, text=True, check=True,
            ).stdout
            for path in (source, tmp_path / "b.dng")
        ]  # fmt: skip
        assert told[0].count("\n") == 7
        assert told[0] == told[1]


def test_facts_of_a_shot_that_stand_in_the_first_directory_come_back(tmp_path: Path) -> None:
    """As TIFF/EP has them; a new DNG says them where EXIF does."""
    shot = [(33434, 5, 1, (1, 250), True), (37386, 5, 1, (50, 1), True)]
    louder(write_dng(tmp_path / "a.dng", extra=shot), tmp_path / "b.dng", 5)
    with tifffile.TiffFile(tmp_path / "b.dng") as file:
        read = file.pages.first.tags[34665].value
    assert (read["ExposureTime"], read["FocalLength"]) == ((1, 250), (50, 1))


@pytest.mark.parametrize("write", [write_rw2, write_mrw])
def test_makers_raw_files_keep_camera_and_shot(write: Any, tmp_path: Path) -> None:
    source, target = write(tmp_path / f"a.{write.__name__[6:]}"), tmp_path / "b.dng"
    assert "maker notes and the camera's private tags" in raised(source, target, 5).dropped
    with rawpy.imread(str(source)) as before, rawpy.imread(str(target)) as after:
        np.testing.assert_array_equal(after.raw_image, before.raw_image + 5)
        np.testing.assert_array_equal(after.raw_pattern, before.raw_pattern)
    with tifffile.TiffFile(target) as file:
        own = file.pages.first.tags
        camera = own["Make"].value, own["Model"].value
        if write is write_rw2:
            assert camera == ("Panasonic", "DMC-GF1")
        else:  # as CR3 and RAF do, it has directories of TIFF inside
            assert camera == ("Minolta", "DiMAGE 7")
            assert own["Copyright"].value == "me"
            assert own["ExifTag"].value["ExposureTime"] == (1, 250)


def test_directories_in_boxes_of_cr3_are_told_apart(tmp_path: Path) -> None:
    told = {b"CMT1": (271, 2, 0, "Canon", True), b"CMT2": (33434, 5, 1, (1, 8), True),
            b"CMT3": (315, 2, 0, "note", True), b"CMT4": (1, 2, 0, "N", True)}  # fmt: skip
    boxes = b"".join(name + directory([tag]) for name, tag in told.items())
    (tmp_path / "a.cr3").write_bytes(b"\0\0\0\x18ftypcrx " + boxes)
    found = read_tags(tmp_path / "a.cr3")
    assert (found.camera, found.text(315), found.number("ExposureTime")) == ("Canon", "", 1 / 8)
    assert found.gps[1][1] == "N"


@pytest.mark.parametrize(("code", "parts"), [(0, ()), (50729, (3127, 3290)), (50728, (10000,) * 3)])
def test_no_white_balance_is_made_up_or_lost(code: int, parts: Any, tmp_path: Path) -> None:
    """A file may have none, or state the light's colour; neutral grays are what developers took."""
    ratios = tuple(number for part in parts for number in (part, 10000))
    other = [(code, 5, len(parts), ratios, True)] if code else []
    left = {50728} if code != 50728 else {50706, 50707, 50728}  # gains of 1, in no DNG
    source = write_dng(tmp_path / "a.nef", extra=other, facts={"left": left})
    receipt = raised(source, tmp_path / "b.dng", 0)
    assert not receipt.lost
    with rawpy.imread(str(source)) as old, rawpy.imread(str(tmp_path / "b.dng")) as new:
        assert old.camera_whitebalance[:3] == new.camera_whitebalance[:3]
        pictures = [raw.postprocess(use_camera_wb=True) for raw in (old, new)]
    assert code == 50728 or np.array_equal(*pictures)  # LibRaw knows no colours of that camera
    assert ("white balance" in " ".join(receipt.kept)) == bool(code)
    with tifffile.TiffFile(tmp_path / "b.dng") as file:
        assert {50728, 50729}.intersection(file.pages.first.tags.keys()) == {code} - {0}


@pytest.mark.parametrize("width", [64, 63])
def test_a_compressed_mosaic_of_any_width_comes_back(width: int, tmp_path: Path) -> None:
    mosaic = codes(0, (48, width))
    louder(write_compressed(tmp_path / "a.dng", mosaic, tags()), tmp_path / "b.dng", 3)
    with rawpy.imread(str(tmp_path / "b.dng")) as raw:
        assert np.array_equal(raw.raw_image, mosaic + 3)
    with tifffile.TiffFile(tmp_path / "b.dng") as file:
        assert (file.pages.first.compression == 7) == (width % 2 == 0)


@pytest.mark.parametrize("code", [50740, 37500, 0])  # DNGPrivateData, MakerNote, none
def test_what_a_new_dng_does_not_take_over_is_named_before_the_run(code, tmp_path: Path) -> None:
    private = [(code, 7, 8, b"Foo\0note", True)] if code == 50740 else []
    source = write_dng(tmp_path / "a.dng", extra=private)
    with_directories(source, exif={37500: (1, b"Foo\0note")} if code == 37500 else {}, gps={})
    with open_reader(source) as reader:
        plan = plan_output(reader, tmp_path / "b.dng", WriteOptions())
    assert plan.dropped == (("maker notes and the camera's private tags",) if code else ())
    assert any("exiftool -TagsFromFile" in note for note in plan.notes) == bool(code)
    floats = codes(0).astype(np.float32)
    tifffile.imwrite(source, floats, photometric="cfa", metadata=None, extratags=tags())
    with open_reader(source) as reader:
        (note,) = plan_output(reader, tmp_path / "b.dng").notes
    assert note == f"floats become whole codes up to {reader.first.mosaic.white[0]:g}"


def deep_cr3(path: Path) -> None:
    """Boxes within boxes."""
    box = b""
    for _ in range(3000):
        box = struct.pack(">I4s", len(box) + 8, b"moov") + box
    path.write_bytes(struct.pack(">I4s", 16, b"ftyp") + b"crx \0\0\0\1" + box)


def endless_crw(path: Path) -> None:
    """Eight heaps, each of which is the whole file."""
    heap = b"".join(struct.pack("<HII", 0x2800, 86, 0) for _ in range(8))
    head = b"II" + struct.pack("<I", 26) + b"HEAPCCDR" + bytes(12)
    path.write_bytes(head + struct.pack("<H", 8) + heap + struct.pack("<I", 0))


@pytest.mark.parametrize(("name", "made"), [("a.cr3", deep_cr3), ("a.crw", endless_crw)])
def test_greedy_files_are_refused(name: str, made: Callable[[Path], None], tmp_path: Path) -> None:
    made(tmp_path / name)
    before = time.process_time()
    with pytest.raises(InputError):
        open_reader(tmp_path / name)
    assert time.process_time() - before < 2


@pytest.mark.parametrize("number", [1, 5])
def test_an_exposure_of_the_example_comes_back(number: int, tmp_path: Path, tools: Any) -> None:
    source, target = EXAMPLE / f"swan_{number}.dng", tmp_path / "out.dng"
    tools.passthrough(source, target)
    check_alike(source, target)


def test_codes_that_a_table_stretches_are_written_as_what_they_mean(tmp_path: Path) -> None:
    table = np.minimum(np.arange(256) ** 2 // 16 + 240, 4095)
    stored = np.random.default_rng(0).integers(0, 256, SIZE).astype(np.uint8)
    source = tmp_path / "a.dng"
    extra = [(50712, 3, 256, tuple(table.tolist()), True)]  # LinearizationTable
    tifffile.imwrite(source, stored, photometric="cfa", metadata=None, extratags=tags() + extra)
    check_louder(source, table[stored])


def check_louder(source: Path, samples: np.ndarray) -> None:
    """Read as these, written a code louder."""
    target = source.with_name("b.dng")
    louder(source, target, 1)
    (old, before), (new, after) = opened(source), opened(target)
    assert np.array_equal(before, samples)
    assert np.array_equal(after, before + 1)
    assert old.layout.mosaic == new.layout.mosaic


OPCODES = b"gain map", b"vignette"  # as telephones and Adobe list corrections of lenses


def test_a_compressed_dng_is_written_anew_with_the_sources_tags(tmp_path: Path) -> None:
    lists = [(51008 + n, 7, 8, one, True) for n, one in enumerate(OPCODES)]
    source = write_compressed(tmp_path / "a.dng", codes(0), tags() + lists)
    check_louder(source, codes(0))
    with tifffile.TiffFile(tmp_path / "b.dng") as file:
        assert [file.pages.first.tags[code].value for code in (51008, 51009)] == [*OPCODES]
