"""Stacks that are damaged, hostile or of no use: one clear error, or a ledger; never a crash."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from f2rcli.errors import F2RError, InputError
from f2rcli.io import open_reader
from f2rcli.io.base import ReadOptions
from tests.io.stacks import movie, passed, write_kind


def _header(width: int, height: int, length: int) -> bytes:
    """One page of uint16 samples that may not be there."""
    entries = [
        (256, 4, width), (257, 4, height), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8),
        (277, 3, 1), (278, 4, height), (279, 4, length),
    ]  # fmt: skip
    tags = b"".join(struct.pack("<HHII", code, kind, 1, value) for code, kind, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + tags + bytes(4 + 100)


def test_a_header_that_claims_what_no_picture_can_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tif"
    path.write_bytes(_header(200_000, 200_000, 100))
    assert path.stat().st_size == 222
    with pytest.raises(InputError, match=r"200000 x 200000.*reads up to"):
        open_reader(path)


def test_a_page_whose_samples_are_not_there_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "short.tif"
    path.write_bytes(_header(1000, 1000, 2_000_000))
    with pytest.raises(InputError, match="no pictures are left"):
        open_reader(path)


@pytest.mark.parametrize("kind", ["plain u16", "imagej tzcyx", "one page holds all", "bigtiff"])
def test_a_truncated_stack_is_detected_and_its_whole_frames_survive(
    kind: str, tmp_path: Path
) -> None:
    whole, source, target = tmp_path / "w.tif", tmp_path / "s.tif", tmp_path / "o.tif"
    array = write_kind(kind, whole).reshape(-1, 20, 30)
    with tifffile.TiffFile(whole) as file:
        start = file.series[0].dataoffset or 0
    data = whole.read_bytes()
    source.write_bytes(data[: start + int(2.5 * array[0].nbytes)])
    if "imagej" in kind or "one page" in kind:  # its axes mean nothing without all of its pages
        with pytest.raises(InputError, match="truncated"):
            open_reader(source)
        return
    with open_reader(source) as reader:
        frames = sorted((f.source.picture, f.planes[0].tobytes()) for f in reader)
        assert "truncated: 2 of" in " ".join(reader.ledger.lines())
        assert reader.ledger.missing_frames == len(array) - len(frames)
    assert all(samples == array[place].tobytes() for place, samples in frames)
    with pytest.raises(InputError, match="truncated"):
        open_reader(source, ReadOptions(strict=True))
    passed(source, target, change=False)
    assert target.read_bytes() == source.read_bytes()


def test_directories_that_run_in_a_circle_end(tmp_path: Path) -> None:
    path = tmp_path / "loop.tif"
    write_kind("pages without metadata", path)
    with tifffile.TiffFile(path) as file:
        first, last = file.pages[0].offset, file.pages[-1]
        place = last.offset + 2 + 12 * len(last.aspage().tags)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, place, first)
    path.write_bytes(data)
    with open_reader(path) as reader:
        assert len(list(reader)) <= 5
        assert reader.ledger.damaged


@pytest.mark.parametrize(
    ("array", "options", "words"),
    [
        (movie((3, 16, 20)) > 100, {}, "a binary mask"),
        (movie((3, 16, 20)).astype("c8"), {}, "complex"),
        (
            movie((3, 16, 20), "u1"),
            {"colormap": np.random.default_rng(0).integers(0, 65535, (3, 256), np.uint16)},
            "palette",
        ),
        (movie((3, 16, 20)).astype("u8"), {}, "uint64"),
    ],
    ids=["mask", "complex", "palette", "uint64"],
)
def test_what_is_no_light_is_refused(array, options, words: str, tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    gray = {} if options else {"photometric": "minisblack"}
    tifffile.imwrite(path, array, **gray, **options)
    with pytest.raises(InputError, match=words):
        open_reader(path)


def test_a_table_of_colours_that_only_shows_brightness_is_no_palette(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    ramp = np.stack([np.arange(256) * 257, np.zeros(256), np.zeros(256)]).astype(np.uint16)
    tifffile.imwrite(path, movie((3, 16, 20), "u1"), colormap=ramp)
    with open_reader(path) as reader:
        assert len(list(reader)) == 3


def test_pages_of_several_sizes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(movie((16, 20)), metadata=None)
        writer.write(movie((18, 20)), metadata=None)
    with pytest.raises(InputError, match="pages differ"):
        open_reader(path)


def test_numbered_pages_of_several_sizes_are_refused(tmp_path: Path) -> None:
    for number, height in ((1, 16), (2, 18), (3, 16)):
        tifffile.imwrite(tmp_path / f"{number}.tif", movie((height, 20)), metadata=None)
    with pytest.raises(InputError, match=r"2\.tif: is YX 18x20"), open_reader(tmp_path) as reader:
        list(reader)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"II*\0", b"MM\0*\0\0\0\x08\0\0"])
def test_what_is_no_tiff_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"s\.tif"):
        open_reader(path)
    with pytest.raises(InputError, match=r"none\.tif"):
        open_reader(tmp_path / "none.tif")


def test_a_page_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    tifffile.imwrite(
        path, movie((12, 64, 64)), photometric="minisblack", compression="zlib",
        metadata={"axes": "TYX"},
    )  # fmt: skip
    with tifffile.TiffFile(path) as file:
        offset, count = file.pages[3].dataoffsets[0], file.pages[3].databytecounts[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + count] = bytes(count)
    path.write_bytes(data)
    with pytest.raises(InputError, match="picture 4"), open_reader(path) as reader:
        list(reader)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["imagej tzcyx", "ome tczyx", "tiles deflate predictor", "rgb"])
def test_damaged_headers_end_in_errors_of_ours(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    write_kind(kind, path)
    whole = path.read_bytes()
    rng = np.random.default_rng(len(kind))
    for _ in range(60):
        data = bytearray(whole)
        for place in rng.integers(0, min(len(data), 1200), 4):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            with open_reader(path) as reader:
                for frame in reader:
                    assert frame.planes[0].size
        except F2RError:
            pass
