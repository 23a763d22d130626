"""Raw files and bursts: what is read of them, what is written back, and what is refused."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rawpy
import tifffile

from f2rcli.errors import InputError, OutputError, UsageError
from f2rcli.frames import Space
from f2rcli.io import ReadOptions, WriteOptions, open_reader, open_writer, plan_output
from f2rcli.io.raw_dng import new_dng, packed_bits
from f2rcli.io.raw_shot import Shot, read_raw

REAL = Path(__file__).parents[3] / "shared" / "data" / "raw"
SIZE = (48, 64)
PROFILE = (1e-3, 1e-6, 2e-3, 2e-6, 3e-3, 3e-6)
LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 10},
    "big endian": {"byteorder": ">"},
    "tiles": {"tile": (16, 32)},
    "margins": {"extra": [(50829, 4, 4, (4, 2, 44, 60), True)]},
    "odd margins": {"extra": [(50829, 4, 4, (5, 3, 45, 60), True)]},
    "10 bits": {"bits": 10},
    "12 bits": {"bits": 12},
    "14 bits": {"bits": 14},
}


def tags(iso: int = 800, model: str = "Bar", pattern: bytes = b"\1\2\0\1") -> list[Any]:
    """A DNG's own tags: GBRG unless told, four black levels, turned by a quarter."""
    side = round(len(pattern) ** 0.5)
    matrix = [part for v in (3.2, -1.5, -0.5, -1, 1.9, 0.04, 0.05, -0.2, 1.05) for part in
              (round(v * 10000), 10000)]  # fmt: skip
    return [
        (50706, 1, 4, b"\1\4\0\0", True), (50707, 1, 4, b"\1\1\0\0", True),
        (50708, 2, 0, f"Foo {model}", True), (271, 2, 0, "Foo", True), (272, 2, 0, model, True),
        (33421, 3, 2, (side, side), True), (33422, 1, len(pattern), pattern, True),
        (50710, 1, 3, b"\0\1\2", True), (50711, 3, 1, 1, True), (50713, 3, 2, (2, 2), True),
        (50714, 3, 4, (240, 241, 242, 243), True), (50717, 3, 1, 4095, True),
        (50721, 10, 9, matrix, True), (50728, 5, 3, (5263, 10000, 1, 1, 6250, 10000), True),
        (50778, 3, 1, 21, True), (34855, 3, 1, iso, True), (274, 3, 1, 6, True),
        (51041, 12, 6, PROFILE, True), (50972, 1, 16, bytes(range(16)), True),
    ]  # fmt: skip


def codes(seed: int, size: tuple[int, int] = SIZE, top: int = 1000) -> np.ndarray:
    return np.random.default_rng(seed).integers(200, top, size).astype(np.uint16)


def write_dng(
    path: Path,
    seed: int = 0,
    *,
    size: tuple[int, int] = SIZE,
    bits: int = 16,
    extra: list[Any] | None = None,
    facts: dict[str, Any] | None = None,
    **how: Any,
) -> Path:
    """A DNG as a camera may lay it out."""
    mosaic = codes(seed, size)
    own = {"photometric": "cfa", "metadata": None, **how}
    every = tags(**(facts or {})) + (extra or [])
    if bits == 16:
        tifffile.imwrite(path, mosaic, extratags=every, **own)
        return path
    stored = np.frombuffer(packed_bits(mosaic, bits), np.uint8).reshape(size[0], -1)
    tifffile.imwrite(path, stored, extratags=every, rowsperstrip=size[0], **own)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        for code, value in ((256, size[1]), (258, bits)):
            tag = file.pages.first.tags[code]
            length = 2 if int(tag.dtype) == 3 else 4
            data[tag.valueoffset : tag.valueoffset + length] = value.to_bytes(length, "little")
    path.write_bytes(data)
    return path


def write_burst(folder: Path, count: int = 4, **how: Any) -> Path:
    folder.mkdir()
    for index in range(count):
        write_dng(folder / f"IMG {index + 8}.dng", index, **how)  # 10 comes after 9
    return folder


def louder(source: Path, target: Path, by: int, **options: Any) -> None:
    """Write a clip with every code of its active area `by` higher."""
    with open_reader(source) as reader:
        plan = plan_output(reader, target, WriteOptions(**options))
        with open_writer(reader, plan) as writer:
            for frame in reader:
                writer.write(replace(frame, planes=(frame.planes[0] + np.uint16(by),)))
            writer.finish()


@pytest.mark.parametrize("name", LAYOUTS)
def test_other_samples_come_back_with_the_same_levels_pattern_matrices_and_size(
    name: str, tmp_path: Path
) -> None:
    source = write_dng(tmp_path / "a.dng", **LAYOUTS[name])
    louder(source, tmp_path / "b.dng", 5)
    with rawpy.imread(str(source)) as old, rawpy.imread(str(tmp_path / "b.dng")) as new:
        assert np.array_equal(new.raw_image_visible, old.raw_image_visible + 5)
        assert new.sizes == old.sizes
        assert new.raw_pattern.tolist() == old.raw_pattern.tolist()
        assert new.black_level_per_channel == old.black_level_per_channel
        assert new.white_level == old.white_level
        assert np.allclose(new.color_matrix, old.color_matrix)
        assert np.allclose(new.camera_whitebalance, old.camera_whitebalance)


@pytest.mark.parametrize("name", LAYOUTS)
def test_untouched_samples_give_back_the_file(name: str, tmp_path: Path, tools: Any) -> None:
    source = write_dng(tmp_path / "a.dng", **LAYOUTS[name], facts={})
    _, receipt = tools.passthrough(source, tmp_path / "b.dng")
    assert np.array_equal(read_raw(tmp_path / "b.dng")[1], read_raw(source)[1])
    copied = "copies" in receipt.codec
    assert copied is (name != "tiles")  # LibRaw reads tiles; they are written as one strip
    if copied:
        changed = [a != b for a, b in zip(source.read_bytes(), (tmp_path / "b.dng").read_bytes(),
                                          strict=True)]  # fmt: skip
        assert sum(changed) == 15  # the samples' digest, which has one zero itself


def test_masked_margins_stay_as_they_are(tmp_path: Path) -> None:
    source = write_dng(tmp_path / "a.dng", **LAYOUTS["margins"])
    louder(source, tmp_path / "b.dng", 7)
    change = read_raw(tmp_path / "b.dng")[1].astype(int) - read_raw(source)[1]
    assert np.all(change[4:44, 2:60] == 7)
    assert np.all(change[:4] == 0)
    assert np.all(change[:, :2] == 0)


def test_facts_of_the_file_reach_the_clip(tmp_path: Path) -> None:
    with open_reader(write_burst(tmp_path / "burst")) as reader:
        info, (row,) = reader.info, reader.describe()
    mosaic = info.layout.mosaic
    assert info.space is Space.BAYER
    assert (info.width, info.height, info.frames) == (SIZE[1], SIZE[0], 4)
    assert mosaic is not None
    assert (mosaic.pattern, mosaic.black) == ("GBRG", (242, 243, 241, 240))  # R, G, B, G
    assert row["camera"] == "Foo Bar"
    assert row["iso"] == 800
    assert info.noise_profile is not None
    assert np.allclose(info.noise_profile[3], PROFILE[2:4])  # both greens alike


def test_bursts_are_read_in_natural_order_and_keep_their_names(tmp_path: Path, tools: Any) -> None:
    burst = write_burst(tmp_path / "burst é")
    frames, receipt = tools.passthrough(burst, tmp_path / "out")
    assert [frame.source.shot.name for frame in frames] == ["IMG 8", "IMG 9", "IMG 10", "IMG 11"]
    assert sorted(os.listdir(tmp_path / "out")) == sorted(os.listdir(burst))
    assert receipt.frames == 4


def test_a_pattern_names_part_of_a_folder(tmp_path: Path) -> None:
    burst = write_burst(tmp_path / "burst")
    write_dng(burst / "other.dng")
    with open_reader(f"{burst}/IMG %d.dng", ReadOptions(frames=3)) as reader:
        assert len(list(reader)) == 3


def test_a_damaged_exposure_is_held_and_told(tmp_path: Path, tools: Any) -> None:
    burst = write_burst(tmp_path / "burst")
    whole = (burst / "IMG 9.dng").read_bytes()
    (burst / "IMG 9.dng").write_bytes(whole[:2000])
    with open_reader(burst) as reader:
        frames = list(reader)
        assert [frame.held for frame in frames] == [False, True, False, False]
        assert "cut off" in reader.ledger.faults[0]
    tools.passthrough(burst, tmp_path / "out")
    first, second = (read_raw(tmp_path / "out" / f"IMG {n}.dng")[1] for n in (8, 9))
    assert np.array_equal(first, second)
    with pytest.raises(InputError, match=r"IMG 9\.dng: is cut off"):
        tools.read_all(burst, strict=True)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"size": (64, 48)}, "size"),
        ({"facts": {"model": "Baz"}}, "camera Foo Baz"),
        ({"facts": {"iso": 1600}}, "ISO 1600"),
        ({"facts": {"pattern": b"\0\1\1\2"}}, "colour filters RGGB"),
    ],
)
def test_mixed_bursts_are_refused(odd: dict[str, Any], reason: str, tmp_path: Path) -> None:
    burst = write_burst(tmp_path / "burst")
    write_dng(burst / "IMG 12.dng", **odd)
    with pytest.raises(InputError, match=f"IMG 12.dng: {reason}"), open_reader(burst) as reader:
        list(reader) if reason.startswith("colour") else reader.close()


def test_several_kinds_of_raw_files_are_refused_and_previews_left_aside(tmp_path: Path) -> None:
    burst = write_burst(tmp_path / "burst")
    (burst / "IMG 8.JPG").write_bytes(b"a preview")
    with open_reader(burst) as reader:
        assert any("1 .jpg" in note for note in reader.info.notes)
    (burst / "IMG 9.nef").write_bytes(b"")
    with pytest.raises(InputError, match="several kinds"):
        open_reader(burst)


XTRANS = bytes([1, 1, 0, 1, 1, 2, 1, 1, 2, 1, 1, 0, 2, 0, 1, 0, 2, 1,
                1, 1, 2, 1, 1, 0, 1, 1, 0, 1, 1, 2, 0, 2, 1, 2, 0, 1])  # fmt: skip


def test_other_sensors_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="X-Trans"):
        open_reader(write_dng(tmp_path / "x.dng", facts={"pattern": XTRANS}))
    colours = np.zeros((32, 48, 3), np.uint16)
    own = [tag for tag in tags() if tag[0] not in (33421, 33422, 50710, 50711, 50713, 50714)]
    tifffile.imwrite(tmp_path / "l.dng", colours, photometric="linear_raw", metadata=None,
                     extratags=own)  # fmt: skip
    with pytest.raises(InputError, match="full colours"):
        open_reader(tmp_path / "l.dng")


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "empty"), (b"not raw at all" * 40, "not a camera raw file"), (None, "No such file")],
)
def test_what_is_no_raw_file_is_refused(data: bytes | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.nef"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=reason):
        open_reader(path)


def test_a_header_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    path = write_dng(tmp_path / "bomb.dng")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        for code in (256, 257):
            tag = file.pages.first.tags[code]
            length = 2 if int(tag.dtype) == 3 else 4
            data[tag.valueoffset : tag.valueoffset + length] = (60000).to_bytes(length, "little")
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"bomb\.dng"):
        open_reader(path)


@pytest.mark.parametrize(
    ("target", "options", "reason"),
    [
        ("out.mp4", {}, "written as .dng"),
        ("-", {}, "standard output"),
        ("out.dng", {}, "holds one frame"),
        ("out.dng", {"format": "tiff"}, "by its name"),
        ("out", {"format": "png"}, "no such choice"),
        ("out", {"format": "dng", "demosaic": True}, "keeps its mosaic"),
        ("out", {"codec": "ffv1"}, "no meaning"),
        ("burst", {"overwrite": True}, "the input itself"),
    ],
)
def test_impossible_wishes_are_refused_before_anything_is_written(
    target: str, options: dict[str, Any], reason: str, tmp_path: Path,
    in_folder: Callable[[], list[str]],
) -> None:  # fmt: skip
    burst = write_burst(tmp_path / "burst")
    where = target if target == "-" else tmp_path / target
    with open_reader(burst) as reader, pytest.raises(UsageError, match=reason):
        plan_output(reader, where, WriteOptions(**options))
    assert in_folder() == ["burst"]


def test_what_is_there_is_not_replaced_unasked(tmp_path: Path, tools: Any) -> None:
    burst = write_burst(tmp_path / "burst")
    tools.passthrough(burst, tmp_path / "out")
    with pytest.raises(OutputError, match="exists already"):
        tools.passthrough(burst, tmp_path / "out")
    louder(burst, tmp_path / "out", 3, overwrite=True)
    change = read_raw(tmp_path / "out" / "IMG 8.dng")[1] - codes(0)
    assert np.all(change == 3)


def test_names_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    burst = write_burst(tmp_path / "burst")
    write_dng(burst / "img 8.DNG")
    with open_reader(burst) as reader, pytest.raises(InputError, match="the same output"):
        plan_output(reader, tmp_path / "out")


def test_an_abandoned_run_leaves_nothing(
    tmp_path: Path, in_folder: Callable[[], list[str]]
) -> None:
    burst = write_burst(tmp_path / "burst")
    with open_reader(burst) as reader:
        with open_writer(reader, plan_output(reader, tmp_path / "out")) as writer:
            writer.write(next(iter(reader)))
        assert in_folder() == ["burst"]


def test_raw_becomes_tiff_and_dng_again(tmp_path: Path, tools: Any) -> None:
    burst = write_burst(tmp_path / "burst")
    tools.passthrough(burst, tmp_path / "tiff", WriteOptions(format="tiff"))
    tools.passthrough(tmp_path / "tiff", tmp_path / "dng", WriteOptions(format="dng"))
    old, new = (read_raw(folder / "IMG 9.dng") for folder in (burst, tmp_path / "dng"))
    assert np.array_equal(old[1], new[1])
    assert (old[0].mosaic, old[0].camera, old[0].iso) == (
        new[0].mosaic, new[0].camera, new[0].iso,
    )  # fmt: skip


def test_developed_pictures_are_upright_colour_of_16_bits(tmp_path: Path, tools: Any) -> None:
    burst = write_burst(tmp_path / "burst", count=1)
    tools.passthrough(burst, tmp_path / "out", WriteOptions(demosaic=True))
    picture = tifffile.imread(tmp_path / "out" / "IMG 8.tif")
    assert picture.dtype == np.uint16
    assert picture.shape == (SIZE[1], SIZE[0], 3)  # turned by a quarter, as the file says


@pytest.mark.parametrize("pattern", ["RGGB", "BGGR", "GRBG", "GBRG"])
def test_a_dng_of_our_own_says_what_it_was_told(pattern: str, tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng")
    shot, samples = read_raw(path)
    told: Shot = replace(
        shot, mosaic=replace(shot.mosaic, pattern=pattern, black=(240.5, 241, 242, 243.25),
                                     balance=(2.0, 1.0, 1.5)),
        tags=replace(shot.tags, carried=()), noise=((1e-3, 1e-6),) * 4,
    )  # fmt: skip
    (tmp_path / "b.dng").write_bytes(new_dng(told, samples))
    found, read = read_raw(tmp_path / "b.dng")
    assert np.array_equal(read, samples)
    assert found.mosaic.pattern == pattern
    assert np.allclose(found.mosaic.black, told.mosaic.black, atol=1)  # LibRaw has whole levels
    assert np.allclose(found.mosaic.balance, told.mosaic.balance, rtol=1e-5)
    assert found.noise == told.noise
    assert (found.orientation, found.camera, found.iso) == (6, "Foo Bar", 800)


@pytest.mark.parametrize(
    "name",
    ["cine_chart_gbrg_12bit.dng", "nikon_dsc1339_gbrg.dng", "nikon_dsc1339_grbg.dng",
     "nikon_dsc1339_rggb.dng", "openisp_rggb_10bit.dng", "kodak_dc50.kdc"],
)  # fmt: skip
def test_real_files_come_back(name: str, tmp_path: Path, tools: Any) -> None:
    source = REAL / name
    if not source.exists():
        pytest.skip("the collection of raw files is not beside the checkout")
    target = tmp_path / "out.dng"
    tools.passthrough(source, target)
    with rawpy.imread(str(source)) as old, rawpy.imread(str(target)) as new:
        assert np.array_equal(old.raw_image, new.raw_image)
        assert old.sizes == new.sizes
        assert old.raw_pattern.tolist() == new.raw_pattern.tolist()
        assert old.black_level_per_channel == new.black_level_per_channel
        assert old.white_level == new.white_level
    if source.suffix == ".dng":
        assert target.read_bytes() == source.read_bytes()


def test_a_compressed_dng_is_written_anew_with_the_sources_tags(tmp_path: Path) -> None:
    codec = pytest.importorskip("imagecodecs")
    coded = codec.ljpeg_encode(codes(0), bitspersample=14)
    source = tmp_path / "a.dng"
    tifffile.imwrite(
        source, iter([coded]), shape=SIZE, dtype=np.uint16, rowsperstrip=SIZE[0],
        photometric="cfa", metadata=None, compression="jpeg", extratags=tags(),
    )  # fmt: skip
    louder(source, tmp_path / "b.dng", 5)
    (old, before), (new, after) = (read_raw(tmp_path / name) for name in ("a.dng", "b.dng"))
    assert np.array_equal(before, codes(0))
    assert np.array_equal(after, before + 5)
    assert (new.mosaic, new.noise, new.iso, new.camera) == (
        old.mosaic, old.noise, old.iso, old.camera,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_files_with_wrong_bytes_are_read_or_refused(seed: int, tmp_path: Path) -> None:
    whole = write_dng(tmp_path / "a.dng", rowsperstrip=10).read_bytes()
    rng = np.random.default_rng(seed)
    for _ in range(25):
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(0, 900, 4)] = rng.integers(0, 256, 4)
        path = tmp_path / "b.dng"
        path.write_bytes(data[: rng.integers(len(data) // 2, 2 * len(data))].tobytes())
        try:
            with open_reader(path) as reader:
                assert len(list(reader)) == 1
        except InputError as error:
            assert str(error).startswith("b.dng: ")
