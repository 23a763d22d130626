"""Exposure, lens, date, place, XMP and maker notes reach DNGs that are written anew."""

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import rawpy
import tifffile

from f2rcli.io import WriteOptions, open_reader, plan_output
from f2rcli.io.raw import dng, writer
from f2rcli.io.raw.camera import camera_of
from f2rcli.io.raw.ifd import Entry, directory, first_directory, read_directory
from f2rcli.io.raw.metadata import (
    EXIF,
    GPS,
    MAKER_NOTE,
    PRIVATE,
    XMP,
    Metadata,
    read_metadata,
    unheld,
)
from f2rcli.io.raw.tags import RawTags
from tests.io.raw_files import codes, louder, raised, tags, write_dng

WIDE = (64, 96)
XMP_TEXT = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><!-- \xc3\xa9 --></x:xmpmeta>'
NOTE = b"Foo\0 notes of the maker" * 3


def text(code: int, value: str) -> Entry:
    return Entry(code, 2, len(value) + 1, value.encode() + b"\0")


def ratios(code: int, *values: int, signed: bool = False) -> Entry:
    return Entry(
        code, 10 if signed else 5, len(values) // 2, struct.pack(f"<{len(values)}I", *values)
    )


EXIF_TAGS = [
    ratios(33434, 1, 250), ratios(33437, 28, 10), ratios(37386, 85, 1),
    Entry(34855, 3, 1, struct.pack("<H", 1600)), text(36867, "2024:05:06 07:08:09"),
    text(36881, "+02:00"), text(42036, "Foo 85mm F1.8"),
    ratios(42034, 85, 1, 85, 1, 18, 10, 18, 10),
    Entry(MAKER_NOTE, 7, len(NOTE), NOTE), ratios(37380, 2**32 - 1, 3, signed=True),
]  # fmt: skip
GPS_TAGS = [
    text(1, "N"),
    ratios(2, 48, 1, 51, 1, 30, 1),
    text(3, "E"),
    ratios(4, 2, 1, 17, 1, 0, 1),
]


def swapped(entry: Entry) -> Entry:
    """A tag as a big-endian file stores it."""
    size = {3: 2, 5: 4, 10: 4, 4: 4}.get(entry.type, 1)
    return entry._replace(data=np.frombuffer(entry.data, f"u{size}").byteswap().tobytes())


def big_endian(found: bytes, place: int) -> bytes:
    """A little-endian directory without values elsewhere than in `found`, turned."""
    (count,) = struct.unpack("<H", found[:2])
    head = struct.pack(">H", count)
    for at in range(2, 2 + 12 * count, 12):
        code, kind, number, value = struct.unpack("<HHI4s", found[at : at + 12])
        long = {1: 1, 2: 1, 7: 1, 3: 2, 4: 4, 5: 8, 10: 8}[kind] * number > 4
        turned = struct.pack(">I", *struct.unpack("<I", value)) if long or kind == 4 else value
        head += struct.pack(">HHI", code, kind, number) + turned
    return head + found[2 + 12 * count :]


def tiff(order: str, first: list[Entry]) -> bytes:
    """A TIFF of directories alone: the first one, EXIF and GPS."""
    pointers = [Entry(code, 4, 1, bytes(4)) for code in (EXIF, GPS)]
    store = swapped if order == ">" else lambda entry: entry
    form: Callable[[bytes, int], bytes] = big_endian if order == ">" else lambda found, _: found
    size = len(directory([store(entry) for entry in [*first, *pointers]], 8))
    exif = directory([store(entry) for entry in EXIF_TAGS], 8 + size)
    gps = directory([store(entry) for entry in GPS_TAGS], 8 + size + len(exif))
    places = [struct.pack("<I", place) for place in (8 + size, 8 + size + len(exif))]
    pointed = [entry._replace(data=place) for entry, place in zip(pointers, places, strict=True)]
    main = directory([*map(store, first), *pointed], 8)
    whole = [(main, 8), (exif, 8 + size), (gps, 8 + size + len(exif))]
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", 8) + b"".join(form(*part) for part in whole)


FIRST = [text(315, "A. Photographer"), Entry(XMP, 1, len(XMP_TEXT), XMP_TEXT)]


def raf(block: bytes) -> bytes:
    jpeg = (
        b"\xff\xd8\xff\xe0\0\x04ab\xff\xe1"
        + struct.pack(">H", len(block) + 8)
        + b"Exif\0\0"
        + block
    )
    return b"FUJIFILMCCD-RAW ".ljust(84) + struct.pack(">II", 92, len(jpeg)) + jpeg


def cr3(_: bytes) -> bytes:
    def alone(entries: list[Entry]) -> bytes:
        return b"II*\0\x08\0\0\0" + directory(entries, 8)

    def box(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I4s", len(data) + 8, name) + data

    exif = [entry for entry in EXIF_TAGS if entry.code != MAKER_NOTE]
    parts = [(b"CMT1", alone(FIRST)), (b"CMT2", alone(exif)),
             (b"CMT3", alone([text(6, "Canon")])), (b"CMT4", alone(GPS_TAGS))]  # fmt: skip
    canon = box(b"uuid", bytes(16) + b"".join(box(name, data) for name, data in parts))
    return box(b"ftyp", b"crx ") + box(b"moov", canon) + struct.pack(">I4s", 1, b"mdat")


def rw2(block: bytes) -> bytes:
    """Panasonic's: exposure in tags, all the rest in the JPEG that one of them holds."""
    jpeg = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block
    own = [text(271, "Panasonic"), Entry(46, 7, len(jpeg), jpeg)]
    return b"IIU\0\x18\0\0\0".ljust(24, b"\0") + directory(own, 24)


@pytest.mark.parametrize(
    ("order", "wrap"),
    [("<", bytes), (">", bytes), ("<", raf), (">", raf), ("<", cr3), ("<", rw2), (">", rw2)],
    ids=["tiff", "big-endian", "raf", "raf big-endian", "cr3", "rw2", "rw2 big-endian"],
)
def test_the_metadata_of_raw_files_is_found(order: str, wrap: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(wrap(tiff(order, FIRST)))
    found = read_metadata(path)
    assert found.main[XMP].data == XMP_TEXT
    assert found.main[315].data == b"A. Photographer\0"
    expected = {entry.code: entry.data for entry in EXIF_TAGS if entry.code != MAKER_NOTE}
    assert {code: entry.data for code, entry in found.exif.items()} == expected
    assert {code: entry.data for code, entry in found.gps.items()} == {
        entry.code: entry.data for entry in GPS_TAGS
    }
    private = found.main[PRIVATE].data
    assert private.startswith(b"Adobe\0MakN")
    place = struct.unpack(">I", private[16:20])[0]
    notes = private[20 : 14 + struct.unpack(">I", private[10:14])[0]]
    data, header = path.read_bytes(), b"II*\0" if order == "<" else b"MM\0*"
    data = data[data.index(b"CMT3") + 4 if wrap is cr3 else data.index(header) :]
    assert data[place : place + len(notes)] == notes  # where its own offsets count from
    assert b"Canon" in notes if wrap is cr3 else notes.startswith(NOTE)


def ciff(_: bytes) -> bytes:
    """Canon's CRW: heaps with their directories at the end."""

    def heap(items: list[tuple[int, bytes]], start: int = 0) -> bytes:
        data, entries = b"", b""
        for code, value in items:
            entries += struct.pack("<HII", code, len(value), start + len(data))
            data += value
        directory = struct.pack("<H", len(items)) + entries
        return data + directory + struct.pack("<I", start + len(data))

    camera = heap([(0x080A, b"Foo\0Foo Bar\0")])
    header = b"II" + struct.pack("<I", 26) + b"HEAPCCDR".ljust(20, b"\0")
    return header + heap([(0x2005, bytes(9)), (0x300A, heap([(0x2807, camera)]))])


@pytest.mark.parametrize(
    ("wrap", "lost"),
    [
        (bytes, []), (rw2, []),
        (ciff, ["the camera's own data but for exposure, focal length, lens and date"]),
        (cr3, ["the camera's own data outside EXIF, GPS, XMP and maker notes"]),
    ],
)  # fmt: skip
def test_what_a_raw_file_holds_outside_tags_is_named(
    wrap: Any, lost: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(wrap(tiff("<", FIRST)))
    found = read_metadata(path)
    assert unheld(path, found) == lost
    assert (found == Metadata()) is (wrap is ciff)


CAMERA = [text(271, "Foo"), text(272, "Foo Bar")]


@pytest.mark.parametrize("wrap", [bytes, raf, cr3, ciff])
def test_the_camera_is_named_whatever_the_structure(
    wrap: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.raw"
    monkeypatch.setattr(sys.modules[__name__], "FIRST", CAMERA)
    path.write_bytes(wrap(tiff("<", CAMERA)))
    assert camera_of(path) == ("Foo", "Foo Bar")
    path.write_bytes(path.read_bytes()[:40])
    assert camera_of(path) == ("", "")


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Foo", "Bar 1", "Foo Bar 1"), ("Canon", "Canon EOS 6D", "Canon EOS 6D"),
        ("NIKON CORPORATION", "NIKON D1", "NIKON D1"), ("", "Bar", "Bar"), ("Foo", "", "Foo"),
    ],
)  # fmt: skip
def test_a_make_is_not_said_twice(make: str, model: str, camera: str) -> None:
    assert RawTags(make=make, model=model).camera == camera


@pytest.mark.parametrize(
    "data", [b"", b"II*\0", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"]
)
def test_broken_directories_give_nothing(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(data)
    assert read_metadata(tmp_path / "a.raw") == Metadata()


def test_a_directory_comes_back() -> None:
    data = b"II*\0\x08\0\0\0" + directory(EXIF_TAGS, 8)
    order, place = first_directory(data)
    found = read_directory(data, order, place)
    assert [found[entry.code][:4] for entry in EXIF_TAGS] == [entry[:4] for entry in EXIF_TAGS]


@pytest.fixture
def compressed(tmp_path: Path) -> Path:
    """A DNG of lossless JPEG with EXIF, GPS, XMP and maker notes."""
    path = tmp_path / "a.dng"
    coded = imagecodecs.ljpeg_encode(codes(0, WIDE, 210), bitspersample=14)
    stand_ins = [(code, 4, 1, 0, True) for code in (EXIF - 1, GPS + 1)]
    main = [(one.code, one.type, one.number, one.data, True) for one in FIRST]
    tifffile.imwrite(
        path, iter([coded]), shape=WIDE, dtype=np.uint16, rowsperstrip=WIDE[0],
        photometric="cfa", metadata=None, compression="jpeg", extratags=tags() + stand_ins + main,
    )  # fmt: skip
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        for code, place, entries in ((EXIF, EXIF - 1, EXIF_TAGS), (GPS, GPS + 1, GPS_TAGS)):
            at = file.pages.first.tags[place].offset
            data[at : at + 12] = struct.pack("<HHII", code, 4, 1, len(data))
            data += directory(entries, len(data))
    path.write_bytes(data)
    return path


def test_a_dng_written_anew_keeps_what_sorts_and_corrects_it(compressed: Path) -> None:
    target = compressed.with_name("b.dng")
    with open_reader(compressed) as reader:
        plan = plan_output(reader, target, WriteOptions())
    assert plan.kept[-4:] == ("EXIF (exposure, lens, date)", "GPS", "XMP", "maker notes")
    assert plan.dropped == ("Software",)
    louder(compressed, target, 5)
    with tifffile.TiffFile(target) as file:
        page = file.pages.first
        exif, gps = page.tags["ExifTag"].value, page.tags["GPSTag"].value
        assert bytes(page.tags[XMP].value) == XMP_TEXT
        assert page.tags["Artist"].value == "A. Photographer"
        assert (int(page.compression), page.tags["BitsPerSample"].value) == (7, 16)
    assert (exif["ExposureTime"], exif["FNumber"]) == ((1, 250), (28, 10))
    assert exif["DateTimeOriginal"] == "2024:05:06 07:08:09"
    assert exif["LensModel"] == "Foo 85mm F1.8"
    assert (gps["GPSLatitude"], gps["GPSLongitudeRef"]) == ((48, 1, 51, 1, 30, 1), "E")
    with rawpy.imread(str(target)) as new:
        assert np.array_equal(new.raw_image, codes(0, WIDE, 210) + 5)
    assert target.stat().st_size < 2 * 64 * 96


SHOWN: list[Any] = [  # how profiles, cinema cameras and catalogues want a picture shown
    (18246, 3, 1, 4, True), (40094, 1, 8, "bird".encode("utf-16-le"), True),
    (50934, 2, 0, "Portrait", True), (51058, 5, 1, (28, 10), True), (51081, 2, 0, "A001", True),
    (51105, 2, 0, "B cam", True), (51108, 4, 1, 1, True), (52533, 7, 4, b"lamp", True),
]  # fmt: skip
UNKNOWN: list[Any] = [(50830, 4, 4, (0, 0, 8, 8), True), (65001, 2, 0, "own", True),
                      (37397, 2, 0, "200", True)]  # fmt: skip


def test_profiles_reels_and_stars_are_kept_and_all_others_named(tmp_path: Path) -> None:
    source = write_dng(tmp_path / "a.dng", extra=SHOWN + UNKNOWN, tile=(16, 32))
    with open_reader(source) as reader:
        plan = plan_output(reader, tmp_path / "b.dng", WriteOptions())
        mosaic = plan_output(reader, tmp_path / "b.tif", WriteOptions())
    assert plan.dropped == ("Software", "ExposureIndex", "tag 65001")
    assert {"ReelName", "ColorMatrix1", "tag 65001", "Orientation"} <= set(mosaic.dropped)
    assert not {"AsShotNeutral", "Rating", "Make"} & set(mosaic.dropped)
    louder(source, tmp_path / "b.dng", 5)
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(tmp_path / "b.dng") as after:
        old, new = before.pages.first.tags, after.pages.first.tags
        for code, *_ in SHOWN:
            assert new[code].value == old[code].value


def test_what_a_tiff_lacks_of_a_raw_file_is_named(tmp_path: Path) -> None:
    """A description where a mosaic has its facts, how it is turned, masked margins, previews."""
    plain = write_dng(tmp_path / "a.dng", extra=[(270, 2, 0, "a bird", True)])
    margins = [(50829, 4, 4, (4, 2, 44, 60), True)]
    masked = write_dng(tmp_path / "m.dng", extra=margins)
    with tifffile.TiffWriter(masked, append=True) as file:
        file.write(np.zeros((8, 8, 3), np.uint8), photometric="rgb", metadata=None)
    for source, own in ((plain, {"ImageDescription"}), (masked, {"ActiveArea", "previews"})):
        with open_reader(source) as reader:
            mosaic, developed = (
                plan_output(reader, tmp_path / "b.tif", WriteOptions(demosaic=demosaic)).dropped
                for demosaic in (False, True)
            )
        every = {"ImageDescription", "Orientation", "ActiveArea", "previews"}
        assert every & set(mosaic) == {"Orientation", *own}
        assert every & set(developed) == own & {"previews"}
        assert "Software" in set(mosaic) & set(developed)
    louder(plain, tmp_path / "b.tif", 5, demosaic=True)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.pages.first.description == "a bird"


@pytest.mark.parametrize("target", ["b.tif", "folder"])
@pytest.mark.parametrize("demosaic", [True, False], ids=["developed", "mosaic"])
def test_tiff_pictures_keep_them_too(target: str, demosaic: bool, compressed: Path) -> None:
    place = compressed.with_name(target)
    louder(compressed, place, 5, demosaic=demosaic, format="tiff")
    with tifffile.TiffFile(place / "a.tif" if place.is_dir() else place) as file:
        page = file.pages.first
        assert page.tags["ExifTag"].value["LensModel"] == "Foo 85mm F1.8"
        assert page.tags["GPSTag"].value["GPSLatitudeRef"] == "N"
        assert bytes(page.tags[XMP].value) == XMP_TEXT
        assert (page.tags["Make"].value, page.asarray().ndim) == ("Foo", 3 if demosaic else 2)
        assert ("cfa" in page.description) is not demosaic


def test_what_a_written_file_lacks_is_lost(
    compressed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels, completed = dng._levels, dng.complete

    def without_gps(file: Any, metadata: Metadata) -> None:
        completed(file, Metadata(metadata.main, metadata.exif))

    def without_black(exposure: Any) -> Any:
        return [tag if tag[0] != 50714 else (50714, 4, 4, [0] * 4, True)
                for tag in levels(exposure)]  # fmt: skip

    monkeypatch.setattr(dng, "complete", without_gps)
    monkeypatch.setattr(writer, "complete", without_gps)
    monkeypatch.setattr(writer, "facts_text", lambda _: "{}")
    lost = raised(compressed, compressed.with_name("b.dng"), 5).lost
    assert lost == ("GPS",)
    lost = raised(compressed, compressed.with_name("b.tif"), 5).lost
    assert lost == ("levels, colour filters and ISO as JSON in the description", "GPS")
    monkeypatch.setattr(dng, "_levels", without_black)
    lost = raised(compressed, compressed.with_name("c.dng"), 5).lost
    assert lost[0] == "levels, colour filters, white balance, size"


def test_settings_of_a_raw_developer_do_not_reach_pictures() -> None:
    steered = Entry(XMP, 1, 40, b"xmlns:crs=.../camera-raw-settings/1.0/".ljust(40))
    assert Metadata({XMP: steered}).for_pictures == Metadata()


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_reads_the_same_from_the_new_dng(compressed: Path) -> None:
    target = compressed.with_name("b.dng")
    louder(compressed, target, 5)
    names = ["ExposureTime", "FNumber", "ISO", "FocalLength", "LensModel", "LensInfo", "Artist",
             "DateTimeOriginal", "OffsetTimeOriginal", "GPSLatitude", "GPSLongitude",
             "ExposureBiasValue", "ExposureCompensation"]  # fmt: skip
    before, after = (
        json.loads(subprocess.run(["exiftool", "-j", *[f"-{name}" for name in names], path],
                                  check=True, capture_output=True).stdout)[0]
        for path in (compressed, target)
    )  # fmt: skip
    del before["SourceFile"], after["SourceFile"]
    assert after == before
    assert len(after) >= 11
    checked = subprocess.run(
        ["exiftool", "-validate", "-warning", "-a", target], check=True, capture_output=True
    )
    assert b"Error" not in checked.stdout


def test_libraw_stands_in_for_what_the_tags_lack(tmp_path: Path) -> None:
    class Other:
        shutter_speed, aperture, focal_length, iso_speed = 1 / 250, 2.8, 85.0, 1600.0
        timestamp = None

    class Lens:
        model = "Foo 85mm"

    (tmp_path / "a.x3f").write_bytes(b"FOVb")
    exif = read_metadata(tmp_path / "a.x3f", Other(), Lens()).exif
    assert exif[33434].data == struct.pack("<II", 1, 250)
    assert exif[33437].data == struct.pack("<II", 14, 5)
    assert exif[42036].data == b"Foo 85mm\0"


@pytest.mark.parametrize("size", [(37, 50), (600, 530), (40, 23)])
def test_mosaics_of_any_size_are_coded_without_loss(size: tuple[int, int], tmp_path: Path) -> None:
    from f2rcli.io.raw.dng import coded_tiles

    mosaic, side = codes(1, size), min(512, size[1] // 16 * 16)
    tifffile.imwrite(
        tmp_path / "a.dng", coded_tiles(mosaic, side), shape=size, dtype=np.uint16,
        tile=(side, side), compression="jpeg", photometric="cfa", metadata=None, extratags=tags(),
    )  # fmt: skip
    with rawpy.imread(str(tmp_path / "a.dng")) as raw:
        assert np.array_equal(raw.raw_image, mosaic)
