"""Samples go into a copied TIFF in place or at its end, and every other byte stays."""

from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from f2rcli.errors import OutputError
from f2rcli.io.tiff import compression
from f2rcli.io.tiff import patch as patch_module
from f2rcli.io.tiff.compression import SegmentCoding, can_rewrite
from f2rcli.io.tiff.patch import PatchedFile, same_elsewhere
from f2rcli.io.tiff.stack import Spot

Array = NDArray[Any]


def flat(pages: int = 3, shape: tuple[int, ...] = (32, 48), dtype: str = "u2") -> Array:
    ramp = np.arange(np.prod(shape)).reshape(shape) % 200
    return np.stack([ramp + page for page in range(pages)]).astype(dtype)


def write(path: Path, array: Array, **options: Any) -> Path:
    tifffile.imwrite(path, array, photometric="minisblack", **options)
    return path


def patch(path: Path, pictures: dict[int, Array]) -> None:
    """New pictures for some pages of a file, in place."""
    with tifffile.TiffFile(path) as file, closing(PatchedFile(path)) as patched:
        for index, picture in pictures.items():
            patched.write_picture(Spot(path, file.pages[index]), picture)


def offsets(path: Path, page: int = 0) -> tuple[tuple[int, ...], tuple[int, ...]]:
    with tifffile.TiffFile(path) as file:
        return tuple(file.pages[page].dataoffsets), tuple(file.pages[page].databytecounts)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_plain_samples_are_written_where_the_old_ones_were(
    tmp_path: Path, byteorder: Any, bigtiff: bool
) -> None:
    array = flat()
    path = write(tmp_path / "a.tif", array, byteorder=byteorder, bigtiff=bigtiff, rowsperstrip=8)
    before, places = path.read_bytes(), offsets(path, 1)
    changed = array[1].copy()
    changed[9, 3] += 500  # in the second of four strips
    patch(path, {1: changed})
    assert offsets(path, 1) == places
    assert len(path.read_bytes()) == len(before)
    different = [
        i for i, (a, b) in enumerate(zip(before, path.read_bytes(), strict=True)) if a != b
    ]
    start = places[0][1] + (48 + 3) * 2
    assert set(different) <= {start, start + 1}
    np.testing.assert_array_equal(tifffile.imread(path), [array[0], changed, array[2]])


@pytest.mark.parametrize("compression", ["zlib", "lzma"])
@pytest.mark.parametrize(
    "options", [{"rowsperstrip": 8}, {"tile": (16, 16)}], ids=["strips", "tiles"]
)
@pytest.mark.parametrize("predictor", [False, True])
def test_compressed_samples_that_need_more_room_go_to_the_end(
    tmp_path: Path, compression: str, options: dict[str, Any], predictor: bool
) -> None:
    array = flat()
    path = write(tmp_path / "a.tif", array, compression=compression, predictor=predictor, **options)
    before, places, length = path.read_bytes(), offsets(path), path.stat().st_size
    noise = array[0].copy()
    noise[8:16, :16] = np.random.default_rng(0).integers(0, 60000, (8, 16))
    patch(path, {0: noise})
    np.testing.assert_array_equal(tifffile.imread(path), [noise, *array[1:]])
    moved = [a != b for a, b in zip(offsets(path)[0], places[0], strict=True)]
    assert sum(moved) == 1
    new = offsets(path)[0][moved.index(True)]
    assert new >= length
    assert new % 8 == 0
    assert new < length + 8
    for index, still in enumerate(moved):
        if not still:
            segment = slice(places[0][index], places[0][index] + places[1][index])
            assert path.read_bytes()[segment] == before[segment]


def test_a_segment_that_fits_stays_and_its_length_is_entered(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 60000, (2, 32, 48)).astype("u2")
    path = write(tmp_path / "a.tif", noise, compression="zlib", rowsperstrip=32)
    (place,), (count,) = offsets(path)
    patch(path, {0: np.zeros((32, 48), "u2")})
    (after,), (less,) = offsets(path)
    assert after == place
    assert less < count / 10
    np.testing.assert_array_equal(tifffile.imread(path), [0 * noise[0], noise[1]])


def test_a_page_that_was_read_in_short_is_read_whole(tmp_path: Path) -> None:
    """tifffile calls pages frames of which it has read no more than where their samples are."""
    array = flat(dtype="u1")
    path = write(tmp_path / "a.tif", array, compression="zlib")
    with tifffile.TiffFile(path) as file, closing(PatchedFile(path)) as patched:
        page = file.series[0].pages[1]
        assert isinstance(page, tifffile.TiffFrame)
        patched.write_picture(Spot(path, page), array[1] + np.uint8(7))
    np.testing.assert_array_equal(tifffile.imread(path), array + np.uint8([[[0]], [[7]], [[0]]]))


def test_the_same_samples_change_nothing_nan_included(tmp_path: Path) -> None:
    array = flat(dtype="f4")
    array[0, 3, 4] = np.nan
    path = write(tmp_path / "a.tif", array, compression="zlib")
    before = path.read_bytes()
    patch(path, {0: array[0], 2: array[2]})
    assert path.read_bytes() == before


def test_edge_tiles_keep_what_lies_beyond_the_picture(tmp_path: Path) -> None:
    array = flat(1, (20, 24))
    path = write(tmp_path / "a.tif", array, tile=(16, 16))
    changed = array[0] + 7
    patch(path, {0: changed})
    np.testing.assert_array_equal(tifffile.imread(path, key=0), changed)


def test_colours_by_pixel_and_by_plane_go_back_to_their_places(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    for planar, shape in (("contig", (18, 20, 3)), ("separate", (3, 18, 20))):
        old, new = rng.integers(0, 255, (2, *shape)).astype("u1")
        path = tmp_path / f"{planar}.tif"
        tifffile.imwrite(path, old, photometric="rgb", planarconfig=planar, compression="zlib",
                         rowsperstrip=5)  # fmt: skip
        patch(path, {0: new})
        np.testing.assert_array_equal(tifffile.imread(path), new)


def test_one_picture_of_a_page_that_holds_several_is_changed_alone(tmp_path: Path) -> None:
    volume = flat(4, (16, 32))
    path = tmp_path / "volume.tif"
    tifffile.imwrite(path, volume, volumetric=True, tile=(1, 16, 16), photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        patched = PatchedFile(path)
        patched.write_picture(Spot(path, file.pages[0], plane=2), volume[2] + 9)
        patched.close()
    read = tifffile.imread(path)
    np.testing.assert_array_equal(read, volume + 9 * np.array([0, 0, 1, 0])[:, None, None])


@pytest.mark.parametrize("converted", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize(
    "options", [{"compression": "zlib", "predictor": True}, {}], ids=["deflate", "plain"]
)
def test_pictures_that_share_tiles_keep_each_other_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, byteorder: Any, options: Any, converted: bool
) -> None:
    """Tiles of three planes, of seven, so that the last goes beyond them."""
    if converted:
        for module in (compression, patch_module):
            monkeypatch.setattr(module, "can_rewrite", lambda page: False)
    old, new = np.random.default_rng(4).integers(0, 60000, (2, 7, 20, 40)).astype("u2")
    path = tmp_path / "volume.tif"
    tifffile.imwrite(
        path, old, volumetric=True, tile=(3, 16, 16), photometric="minisblack",
        byteorder=byteorder, **options,
    )  # fmt: skip
    with tifffile.TiffFile(path) as file, closing(PatchedFile(path)) as patched:
        for plane in (1, 0, 6, 5, 2):
            patched.write_picture(Spot(path, file.pages[0], plane=plane), new[plane])
    read = tifffile.imread(path)
    for plane in range(7):
        np.testing.assert_array_equal(read[plane], (old if plane in (3, 4) else new)[plane])


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_a_picture_at_an_offset_is_written_there_in_the_files_order(
    tmp_path: Path, byteorder: Any
) -> None:
    array = flat()
    path = write(tmp_path / "a.tif", array, byteorder=byteorder)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        patched = PatchedFile(path)
        patched.write_picture(
            Spot(path, page, offset=page.dataoffsets[0] + 2 * 2 * 32 * 48), array[2] + 1
        )
        patched.close()
    np.testing.assert_array_equal(tifffile.imread(path), [*array[:2], array[2] + 1])


def enlarged(path: Path, size: int) -> Path:
    """The same file with a hole at its end; it takes no disk."""
    with path.open("r+b") as file:
        file.truncate(size)
    return path


@pytest.mark.parametrize("bigtiff", [False, True])
def test_an_offset_beyond_four_gigabytes_never_wraps(tmp_path: Path, bigtiff: bool) -> None:
    """What no longer fits where it was would go behind 4 GB, which 32 bits cannot say."""
    array = flat()
    path = write(tmp_path / "a.tif", array, compression="zlib", bigtiff=bigtiff)
    start = path.read_bytes()
    enlarged(path, 2**32 + 12)
    noise = np.random.default_rng(3).integers(0, 60000, (32, 48)).astype("u2")
    if bigtiff:
        patch(path, {0: noise})
        assert offsets(path)[0] == (2**32 + 16,)
        np.testing.assert_array_equal(tifffile.imread(path, key=0), noise)
        np.testing.assert_array_equal(tifffile.imread(path, key=1), array[1])
    else:
        with pytest.raises(OutputError, match=r"does not fit .* holds no 4294967312") as error:
            patch(path, {0: noise})
        assert "BigTIFF" in str(error.value.hint)
        with path.open("rb") as file:
            assert file.read(len(start)) == start  # nothing was written over the beginning


def test_the_last_offset_that_32_bits_hold_is_used(tmp_path: Path) -> None:
    path = enlarged(write(tmp_path / "a.tif", flat(), compression="zlib"), 2**32 - 9)
    noise = np.random.default_rng(3).integers(0, 60000, (32, 48)).astype("u2")
    patch(path, {0: noise})
    assert offsets(path)[0] == (2**32 - 8,)
    np.testing.assert_array_equal(tifffile.imread(path, key=0), noise)


def test_pages_that_cannot_be_stored_as_they_were_become_plain_deflate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pictures of the page are stored anew once; those that are not written stay."""
    for module in (compression, patch_module):
        monkeypatch.setattr(module, "can_rewrite", lambda page: False)
    volume = flat(6, (16, 32))
    path = tmp_path / "volume.tif"
    tifffile.imwrite(
        path, volume, volumetric=True, tile=(1, 16, 16), photometric="minisblack",
        compression="lzma", predictor=True,
    )  # fmt: skip
    with tifffile.TiffFile(path) as file, closing(PatchedFile(path)) as patched:
        assert SegmentCoding.of(file.pages[0]) == SegmentCoding(8, 1, np.dtype("<u2"))
        for plane in (2, 3, 5):
            patched.write_picture(Spot(path, file.pages[0], plane=plane), volume[plane] + 9)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        assert (page.compression, page.predictor, page.fillorder) == (8, 1, 1)
        assert (page.bitspersample, page.photometric) == (16, 1)
        found = page.asarray()
    for plane, picture in enumerate(found):
        np.testing.assert_array_equal(picture, volume[plane] + 9 * (plane in (2, 3, 5)))


def test_a_page_in_luma_and_chroma_becomes_colours(tmp_path: Path) -> None:
    codes = np.random.default_rng(6).integers(0, 255, (16, 16, 3)).astype("u1")
    path = tmp_path / "jpeg.tif"
    tifffile.imwrite(path, codes, photometric="ycbcr", subsampling=(1, 1), rowsperstrip=8)
    with tifffile.TiffFile(path) as file, closing(PatchedFile(path)) as patched:
        page = file.pages[0]
        patched._convert(page, SegmentCoding(8, 1, np.dtype("u1")))
    with tifffile.TiffFile(path) as file:
        assert (file.pages[0].photometric, file.pages[0].compression) == (2, 8)


def test_tags_have_the_codes_of_the_standard() -> None:
    names = {
        "bits": "BitsPerSample", "compression": "Compression", "fill order": "FillOrder",
        "photometric": "PhotometricInterpretation", "predictor": "Predictor",
        "subsampling": "YCbCrSubSampling",
    }  # fmt: skip
    assert {key: tifffile.TIFF.TAGS[name] for key, name in names.items()} == patch_module._CODES
    places = ("TileOffsets", "StripOffsets"), ("TileByteCounts", "StripByteCounts")
    wanted = tuple(tuple(tifffile.TIFF.TAGS[name] for name in pair) for pair in places)
    assert wanted == (patch_module.OFFSETS, patch_module.COUNTS)
    for code, kind in patch_module._INTEGERS.items():
        form = tifffile.TIFF.DATA_FORMATS[code][-1]
        assert np.dtype(kind) == np.dtype("=" + form) if form != "B" else kind == "u1"


def page_like(**facts: Any) -> SimpleNamespace:
    plain = {
        "dtype": np.dtype("u2"), "bitspersample": 16, "fillorder": 1, "is_subsampled": False,
        "compression": 1, "predictor": 1, "parent": SimpleNamespace(byteorder=">"),
    }  # fmt: skip
    return SimpleNamespace(**plain | facts)


@pytest.mark.parametrize(
    ("facts", "can"),
    [({}, True), ({"bitspersample": 12}, False), ({"fillorder": 2}, False),
     ({"is_subsampled": True}, False), ({"compression": 7}, False), ({"compression": 8}, True),
     ({"compression": 32946}, True), ({"compression": 34925}, True),
     ({"compression": 8, "predictor": 2}, True), ({"predictor": 99}, False)],
)  # fmt: skip
def test_only_what_is_stored_without_loss_is_rewritten_as_it_was(
    facts: dict[str, Any], can: bool
) -> None:
    page = page_like(**facts)
    assert can_rewrite(page) is can
    coding = SegmentCoding.of(page)
    assert coding.dtype == np.dtype(">u2")
    if can:
        assert (coding.compression, coding.predictor) == (page.compression, page.predictor)
    else:
        assert (coding.compression, coding.predictor) == (1 if page.compression == 1 else 8, 1)


def test_a_page_that_does_not_say_where_its_samples_are_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", flat(1))
    patched = PatchedFile(path)
    with pytest.raises(OutputError, match="does not say where its samples are"):
        patched._write_segment(SimpleNamespace(tags={}), 0, b"x")
    patched.close()


@pytest.mark.parametrize("chunk", [4, 1 << 20])
def test_every_byte_that_nobody_wrote_must_be_the_sources(
    tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs come in any order, may overlap, and may lie beyond the source's end."""
    monkeypatch.setattr(patch_module, "_CHUNK", chunk)
    source, copy, data = tmp_path / "a", tmp_path / "b", bytes(range(40))
    source.write_bytes(data)
    runs = [(20, 25), (5, 9), (22, 30), (38, 44)]
    written = [place for run in runs for place in run]
    copy.write_bytes(data + b"more")
    assert same_elsewhere(source, copy, written)
    for place in range(40):
        copy.write_bytes(data[:place] + b"\xff" + data[place + 1 :])
        mine = any(start <= place < end for start, end in runs)
        assert same_elsewhere(source, copy, written) == mine, place
        assert not same_elsewhere(source, copy, [])


@pytest.mark.parametrize("code", sorted(compression.NAMES))
def test_compressions_have_the_names_of_their_codes(code: int) -> None:
    known = tifffile.COMPRESSION(code).name.lower().replace("_", "").replace("jp2000", "jpeg2000")
    name = compression.NAMES[code]
    assert compression.compression_name(code) == name
    assert name in {"none": "uncompressed", "ojpeg": "jpeg"}.get(known, known)
    longer = [other for other in compression.NAMES.values() if len(other) > len(name)]
    assert not any(other in known for other in longer)


@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("code", sorted(compression.REWRITTEN))
def test_what_is_encoded_is_decoded_as_it_was(code: int, predictor: int) -> None:
    page = page_like(compression=code, predictor=predictor)
    samples = np.random.default_rng(7).integers(0, 9, (2, 3, 8, 1)).astype("u2")
    data = SegmentCoding.of(page).encode(samples)
    found = np.frombuffer(tifffile.TIFF.DECOMPRESSORS[code](data), ">u2").reshape(samples.shape)
    if predictor == 2:
        found = np.cumsum(found, axis=-2, dtype="u2")
    np.testing.assert_array_equal(found, samples)


@pytest.mark.parametrize("predictor", [1, 2])
def test_pages_are_not_rewritten_in_what_has_no_encoder_here(
    monkeypatch: pytest.MonkeyPatch, predictor: int
) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise ImportError("no encoder")

    assert can_rewrite(page_like(compression=8, predictor=predictor))
    table = "PREDICTORS" if predictor == 2 else "COMPRESSORS"
    monkeypatch.setattr(tifffile.TIFF, table, {predictor: missing, 8: missing})
    assert not can_rewrite(page_like(compression=8, predictor=predictor))


def test_numbers_in_tags_are_of_their_types_size_and_sign(tmp_path: Path) -> None:
    with closing(PatchedFile(write(tmp_path / "a.tif", flat(1)))) as patched:
        for code in patch_module._INTEGERS:
            kind = np.dtype(tifffile.TIFF.DATA_FORMATS[code][-1])
            found = patched._tag_dtype(page_like(), SimpleNamespace(dtype=code))
            assert found == kind.newbyteorder(">")
    whole = {code for code, form in tifffile.TIFF.DATA_FORMATS.items() if form[-1] in "BHIbhiQq"}
    assert set(patch_module._INTEGERS) == whole - {5, 7, 10}  # rational, or of no known kind


def test_every_code_of_a_compression_has_its_name() -> None:
    words = [
        "deflate",
        "jpeg2000",
        "jpegxl",
        "jpegxr",
        "lerc",
        "lzma",
        "lzw",
        "packbits",
        "png",
        "webp",
        "zstd",
    ]
    for code in tifffile.COMPRESSION:
        known = code.name.lower().replace("_", "").replace("jp2000", "jpeg2000")
        assert code in compression.NAMES or not any(word in known for word in words), known
    assert set(compression.NAMES) >= compression.REWRITTEN | {6, 7}


def test_what_ends_with_the_file_stays_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", flat(1))
    (start,), (count,) = offsets(path)
    enlarged(path, start + count)
    patch(path, {0: flat(1)[0] + 1})
    assert offsets(path) == ((start,), (count,))
    assert path.stat().st_size == start + count
    np.testing.assert_array_equal(tifffile.imread(path, key=0), flat(1)[0] + 1)


def test_pages_keep_compressions_that_lose_nothing_and_are_written_here() -> None:
    kinds = "NONE", "LZW", "ADOBE_DEFLATE", "PACKBITS", "DEFLATE", "LZMA", "ZSTD"
    assert {tifffile.COMPRESSION[kind] for kind in kinds} == compression.REWRITTEN


@pytest.mark.parametrize("more", [95, 96, 97])
def test_nothing_new_is_put_before_where_pictures_that_are_cut_off_would_end(
    tmp_path: Path, more: int
) -> None:
    path = write(tmp_path / "a.tif", flat(), compression="zlib")
    beyond = path.stat().st_size + more
    noise = np.random.default_rng(8).integers(0, 60000, (32, 48)).astype("u2")
    with tifffile.TiffFile(path) as file, closing(PatchedFile(path, beyond)) as patched:
        patched.write_picture(Spot(path, file.pages[0]), noise)
    assert offsets(path)[0] == (-(-beyond // 8) * 8,)
    np.testing.assert_array_equal(tifffile.imread(path, key=0), noise)


def test_the_greatest_number_of_a_tag_is_written_and_none_above(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(8))
    tag = SimpleNamespace(dtype=3, valueoffset=2)
    with closing(PatchedFile(path)) as patched:
        patched._write_tag(page_like(), tag, 1, 65535)
        assert patched._read_tag(page_like(), tag, 1) == 65535
        with pytest.raises(OutputError, match=r"\(>u2 holds no 65536\)"):
            patched._write_tag(page_like(), tag, 1, 65536)
    assert path.read_bytes() == bytes(4) + b"\xff\xff" + bytes(2)
