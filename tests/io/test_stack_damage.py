"""Damaged stacks: what is there is read, what is not is told, and nobody else's damage is."""

import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from f2rcli.errors import InputError
from f2rcli.io import ReadOptions, is_clip, open_reader, plan_output
from f2rcli.io.files import quiet
from tests.io.stacks import GRAY, movie, passed, write_kind
from tests.io.through import copied


def test_damage_of_one_stack_is_not_counted_in_one_that_is_read_beside_it(tmp_path: Path) -> None:
    sound, cut = tmp_path / "sound.tif", tmp_path / "cut.tif"
    for path in (sound, cut):
        with tifffile.TiffWriter(path) as file:
            for page in movie((8, 16, 16)):
                file.write(page, photometric="minisblack", metadata=None)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 55 // 100])
    done = threading.Event()

    def read_cut() -> None:
        while not done.is_set():
            open_reader(cut).close()

    beside = threading.Thread(target=read_cut)
    beside.start()
    try:
        for _ in range(50):
            with open_reader(sound) as reader:
                assert not reader.ledger.damaged, reader.ledger.damage()
                assert reader.info.frames == 8
    finally:
        done.set()
        beside.join()


def _header(width: int, height: int, length: int) -> bytes:
    """One page of uint16 samples that may not be there."""
    entries = [
        (256, 4, width), (257, 4, height), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8),
        (277, 3, 1), (278, 4, height), (279, 4, length),
    ]  # fmt: skip
    tags = b"".join(struct.pack("<HHII", code, kind, 1, value) for code, kind, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + tags + bytes(4 + 100)


@pytest.mark.parametrize(
    ("claimed", "told"), [((200_000, 200_000, 100), r"200000 x 200000.*reads up to"),
                          ((1000, 1000, 2_000_000), "no pictures are left")],
)  # fmt: skip
def test_a_header_that_claims_too_much_is_refused(claimed: Any, told: str, tmp_path: Path) -> None:
    (tmp_path / "bomb.tif").write_bytes(_header(*claimed))
    with pytest.raises(InputError, match=told):
        open_reader(tmp_path / "bomb.tif")


@pytest.mark.parametrize("kind", ["plain u16", "bigtiff"])
def test_a_truncated_stack_is_told_and_its_whole_frames_survive(kind: str, tmp_path: Path) -> None:
    whole, source, target = tmp_path / "w.tif", tmp_path / "s.tif", tmp_path / "o.tif"
    array = write_kind(kind, whole).reshape(-1, 20, 30)
    with tifffile.TiffFile(whole) as file:
        start = file.series[0].dataoffset or 0
    data = whole.read_bytes()
    source.write_bytes(data[: start + int(2.5 * array[0].nbytes)])
    with open_reader(source) as reader:
        frames = sorted((f.source.place[1], f.planes[0].tobytes()) for f in reader)
        told = " ".join(reader.ledger.lines())
        assert f"promises {len(array)} pictures, 2 were read" in told
        assert reader.ledger.missing_frames == len(array) - len(frames)
        kept = " ".join(plan_output(reader, target).kept)
        assert f"(2 of its {len(array)} pictures)" in kept
    assert all(samples == array[place].tobytes() for place, samples in frames)
    passed(source, target, change=False)
    found = tifffile.imread(target).reshape(-1, 20, 30)
    for place, samples in frames:
        assert found[place].tobytes() == samples


@pytest.mark.parametrize("kind", ["imagej tzcyx", "one page holds all"])
def test_a_truncated_hyperstack_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    write_kind(kind, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="truncated or damaged: its description does not fit"):
        open_reader(path)


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
        (movie((3, 16, 20, 4), "u1"), {"photometric": "separated"}, "samples are CMYK, not RGB"),
        (movie((3, 16, 20, 3), "u1"), {"photometric": "cielab"}, "samples are CIELab, not RGB"),
        (movie((3, 16, 20, 3), "u1"), {"photometric": "ycbcr"}, "samples are YCbCr, not RGB"),
    ],
    ids=["mask", "complex", "palette", "uint64", "CMYK", "Lab", "YCbCr"],
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


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"II*\0", b"MM\0*\0\0\0\x08\0\0"])
def test_what_is_no_tiff_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"s\.tif"):
        open_reader(path)
    with pytest.raises(InputError, match=r"none\.tif"):
        open_reader(tmp_path / "none.tif")


def _with_a_damaged_page(path: Path, page: int, count: int = 12) -> NDArray[Any]:
    array = movie((count, 64, 64))
    tifffile.imwrite(
        path, array, photometric="minisblack", compression="zlib", metadata={"axes": "TYX"}
    )
    with tifffile.TiffFile(path) as file:
        offset, length = file.pages[page].dataoffsets[0], file.pages[page].databytecounts[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + length] = bytes(length)
    path.write_bytes(data)
    return array


@pytest.mark.parametrize("page", [0, 3, 11])
def test_a_page_that_cannot_be_decoded_costs_itself_and_is_named(page: int, tmp_path: Path) -> None:
    path, target = tmp_path / "s.tif", tmp_path / "o.tif"
    array = _with_a_damaged_page(path, page)
    with open_reader(path) as reader:
        copied(reader, target, change=lambda plane: plane + 1)
        assert [f"picture {page + 1}: cannot be decoded" in line for line in reader.ledger.lines()]
        assert reader.ledger.damaged
    with tifffile.TiffFile(target) as file:
        for number, one in enumerate(file.pages):
            if number != page:
                np.testing.assert_array_equal(one.asarray(), array[number] + 1)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.95])
@pytest.mark.parametrize("kind", ["shaped", "no description"])
def test_whole_pages_of_a_broken_list_are_restored(kind: str, share: float, tmp_path: Path) -> None:
    """Compressed pages, each with its own header, as scikit-image and suite2p write them."""
    whole, source, target = tmp_path / "w.tif", tmp_path / "s.tif", tmp_path / "o.tif"
    array = movie((8, 64, 64))
    options: dict[str, Any] = {} if kind == "shaped" else {"metadata": None}
    tifffile.imwrite(whole, array, photometric="minisblack", compression="zlib", **options)
    with tifffile.TiffFile(whole) as file:
        ends = [p.dataoffsets[0] + p.databytecounts[0] for p in file.pages]
    size = int(whole.stat().st_size * share)
    source.write_bytes(whole.read_bytes()[:size])
    there = sum(end <= size for end in ends)
    if kind == "shaped" and share < 0.9:
        with pytest.raises(InputError, match="does not fit its"):
            open_reader(source)
    with open_reader(source, ReadOptions(axes="TYX")) as reader:
        assert copied(reader, target, change=lambda plane: 255 - plane).frames == there
        assert reader.ledger.damaged
    with quiet(), tifffile.TiffFile(target) as file:
        for number in range(there):
            np.testing.assert_array_equal(file.pages[number].asarray(), 255 - array[number])


@pytest.mark.parametrize("imagej", [False, True])
@pytest.mark.parametrize(
    "entry", [(4, 1, 2_473_205_760), (4, 1, 10), (4, 1, 0), (11, 1, 8192), (4, 0, 8192)]
)
def test_a_page_that_miscounts_its_samples_is_restored_where_they_are(
    entry: tuple[int, int, int], imagej: bool, tmp_path: Path
) -> None:
    """StripByteCounts too large, too small, none, no integer, no number at all."""
    path, target, array = tmp_path / "s.tif", tmp_path / "o.tif", movie((6, 64, 64))
    tifffile.imwrite(path, array, imagej=imagej, **({} if imagej else GRAY))
    with tifffile.TiffFile(path) as file:
        place = file.pages[4].aspage().tags[279].offset
    data = bytearray(path.read_bytes())
    struct.pack_into("<HII", data, place + 2, *entry)
    path.write_bytes(data)
    with open_reader(path) as reader:
        assert copied(reader, target, change=lambda plane: 255 - plane).frames == 6
    with quiet(), tifffile.TiffFile(target) as file:
        restored = np.stack([page.asarray() for page in file.pages])
    np.testing.assert_array_equal(restored, 255 - array)


@pytest.mark.parametrize(("images", "there"), [(8, 8), (12, 8)])
def test_imagejs_promises_are_held_to_the_pages(images: int, there: int, tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    tifffile.imwrite(
        path, movie((8, 16, 20)), photometric="minisblack", metadata=None, compression="zlib",
        description=f"ImageJ=1.53\nimages={images}\nframes={images}\nloop=false\n",
    )  # fmt: skip
    with open_reader(path) as reader:
        assert len(list(reader)) == there
        assert reader.ledger.missing_frames == images - there


def test_a_description_that_does_not_fit_leaves_the_axes_to_the_user(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    write_kind("imagej tzcyx", path)
    path.write_bytes(path.read_bytes().replace(b"frames=4", b"frames=2", 1))
    with pytest.raises(InputError, match="does not fit"):
        open_reader(path)
    tifffile.imwrite(path, movie((8, 16, 20)), photometric="minisblack", compression="zlib")
    path.write_bytes(path.read_bytes().replace(b'"shape": [8,', b'"shape": [7,'))
    with pytest.raises(InputError, match="does not fit its 8 pages") as refused:
        open_reader(path)
    assert "axes='TYX'" in str(refused.value.hint)
    with open_reader(path, ReadOptions(axes="TYX")) as reader:
        assert len(list(reader)) == 8
        assert reader.ledger.damaged


def test_a_damaged_page_does_not_make_a_folder_of_pages_a_batch(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for number in range(5):
        tifffile.imwrite(folder / f"{number:03}.tif", movie((16, 20)), compression="zlib")
    for name in ("000.tif", "004.tif"):
        (folder / name).write_bytes(b"II*\0 damaged")
    assert is_clip(folder)
    target = tmp_path / "out"
    with open_reader(folder) as reader:
        assert copied(reader, target).frames == 3
        lines = reader.ledger.lines()
    assert [line.split(":")[0] for line in lines] == ["000.tif", "004.tif"]
    assert sorted(path.name for path in target.iterdir()) == [f"{n:03}.tif" for n in range(5)]
    assert (target / "000.tif").read_bytes() == b"II*\0 damaged"


@pytest.mark.parametrize("count", [2**64 - 1, 2**60])
def test_a_page_of_more_tags_than_any_file_holds_ends_the_list(tmp_path: Path, count: int) -> None:
    path = tmp_path / "big.btf"
    tifffile.imwrite(path, movie((2, 16, 16)), bigtiff=True, **GRAY)
    data = bytearray(path.read_bytes())
    (first,) = struct.unpack("<Q", data[8:16])
    data[first : first + 8] = struct.pack("<Q", count)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"big\.btf"):
        open_reader(path)
