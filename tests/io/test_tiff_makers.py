"""TIFF under other names: Zeiss LSM, MetaMorph STK, PerkinElmer QPTIFF, BigTIFF."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from f2rcli.errors import InputError, UsageError
from f2rcli.io import default_target, microscopy, open_reader, video
from tests.io.stacks import each_smoothed, movie, passed

LSM_INFO = 34412


def lsm_info(t: int, z: int, c: int, y: int, x: int) -> bytes:
    """Zeiss' structure of an LSM 1.3, as tifffile reads it."""
    facts = (67127628, 500, x, y, z, c, t, 2, 8, 8, 1e-7, 1e-7, 5e-7, 0.0, 0.0, 0.0, 6)
    return struct.pack("<IiiiiiiiiiddddddH", *facts).ljust(112, b"\0") + struct.pack("<d", 0.25)


def write_lsm(path: Path, array: np.ndarray) -> None:  # type: ignore[type-arg]
    """(T, Z, C, Y, X): a page of planes per depth, each followed by its thumbnail."""
    t, z, c, y, x = array.shape
    info = [(LSM_INFO, 1, 500, lsm_info(t, z, c, y, x).ljust(500, b"\0"), True)]
    with tifffile.TiffWriter(path) as writer:
        for number, planes in enumerate(array.reshape(-1, c, y, x)):
            form = {"photometric": "minisblack", "planarconfig": "separate", "metadata": None}
            writer.write(planes, extratags=info if not number else [], contiguous=False, **form)
            small = planes[:, ::2, ::2]
            writer.write(small, subfiletype=1, contiguous=False, **form)


def test_lsm_is_a_stack_with_its_axes_and_thumbnails_as_they_are(tmp_path: Path) -> None:
    source, array = tmp_path / "a.lsm", movie((3, 2, 3, 16, 20))
    write_lsm(source, array)
    target = default_target(source)
    assert target.name == "a_f2r.lsm"
    with open_reader(source) as reader:
        assert (len(reader.info.lanes), reader.info.frames) == (6, 18)
        assert float(reader.info.time_base) == 0.25
    passed(source, target, change=True)
    with tifffile.TiffFile(target) as file:
        assert file.is_lsm
        np.testing.assert_array_equal(file.series[0].asarray(), each_smoothed(array))
        np.testing.assert_array_equal(file.pages[1].asarray(), array[0, 0, :, ::2, ::2])


def test_a_perkinelmer_slide_keeps_its_overview_and_its_levels_follow(tmp_path: Path) -> None:
    source, target, array = tmp_path / "a.qptiff", tmp_path / "b.qptiff", movie((3, 64, 96), "u1")
    form = {"photometric": "minisblack", "metadata": None, "contiguous": False,
            "software": "PerkinElmer-QPI"}  # fmt: skip
    with tifffile.TiffWriter(source) as writer:
        for plane in array:
            writer.write(plane, tile=(32, 32), **form)
        writer.write(movie((16, 24, 3), "u1"), **(form | {"photometric": "rgb"}))
        for plane in array:
            writer.write(np.ascontiguousarray(plane[::2, ::2]), tile=(32, 32), **form)
    with open_reader(source) as reader:
        assert reader.info.frames == 3
        (row,) = reader.describe()
        assert (row["axes"], row["pyramid"]) == ("CYX", 1)
    passed(source, target, change=True)
    with tifffile.TiffFile(target) as file:
        np.testing.assert_array_equal(file.series[0].asarray(), each_smoothed(array))
        assert not np.array_equal(file.series[0].levels[1].asarray(), array[:, ::2, ::2])


@pytest.mark.parametrize("count", [5, 8])
def test_every_page_of_a_scanimage_file_is_read(count: int, tmp_path: Path) -> None:
    """tifffile computes where pages of a classic TIFF would be, without the last one."""
    source, target, array = tmp_path / "a.tif", tmp_path / "b.tif", movie((count, 12, 14))
    with tifffile.TiffWriter(source) as writer:
        for number, picture in enumerate(array):
            said = f"frameNumbers = {number}\nframeTimestamps_sec = 0\n"
            writer.write(picture, metadata=None, contiguous=False, description=said,
                         software="SI.VERSION_MAJOR = 5", photometric="minisblack")  # fmt: skip
    passed(source, target, change=True)
    with tifffile.TiffFile(target, is_scanimage=False) as file:
        np.testing.assert_array_equal(file.asarray(), each_smoothed(array))


def test_pages_behind_whole_volumes_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {"SI.hChannels.channelSave": [1, 2], "SI.hStackManager.framesPerSlice": 3}
    monkeypatch.setattr(tifffile.tifffile, "read_scanimage_metadata", lambda _: (facts, {}, 4))
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=True) as writer:
        for picture in movie((7, 12, 14)):
            writer.write(picture, metadata=None, contiguous=False, photometric="minisblack",
                         software="SI.VERSION_MAJOR = 5")  # fmt: skip
    with open_reader(tmp_path / "a.tif") as reader:
        assert "1 page of an unfinished volume" in " ".join(reader.ledger.lines())


OLD = "state.configName='a'\rstate.acq.numberOfChannelsSave=2\rstate.acq.numberOfZSlices={}\r"
FOUR = "scanimage.SI4.channelsSave = [1;2]\nscanimage.SI4.stackNumSlices = {}\n"
FIVE = "scanimage.SI.hChannels.channelSave = [1;2]\nscanimage.SI.hStackManager.numSlices = {}\n"
NEW = "SI.hChannels.channelSave = [1;2]\nSI.hStackManager.actualNumSlices = {}\n"


def write_scanimage(path: Path, array: np.ndarray, said: str) -> None:  # type: ignore[type-arg]
    """(pages, Y, X) of a classic TIFF; from 2016 on the header is the Software tag."""
    form = {"metadata": None, "contiguous": False, "photometric": "minisblack"}
    form |= {"software": said} if said.startswith("SI.") else {"description": said}
    with tifffile.TiffWriter(path) as writer:
        for picture in array:
            writer.write(picture, **form)


@pytest.mark.parametrize("said", [OLD, FOUR, FIVE, NEW])
def test_interleaved_channels_of_scanimage_are_lanes(said: str, tmp_path: Path) -> None:
    source, target, array = tmp_path / "a.tif", tmp_path / "b.tif", movie((9, 12, 14))
    write_scanimage(source, array, said.format(1))
    with open_reader(source) as reader:
        (row,) = reader.describe()
        assert (row["axes"], row["shape"]) == ("TCYX", (4, 2, 12, 14))
        assert "1 page of an unfinished volume" in " ".join(reader.ledger.lines())
    passed(source, target, change=True)
    with tifffile.TiffFile(target, is_scanimage=False) as file:
        found = np.stack([page.asarray() for page in file.pages])
    np.testing.assert_array_equal(found[:8], each_smoothed(array[:8]))
    np.testing.assert_array_equal(found[8], array[8])


@pytest.mark.parametrize(
    ("said", "axes", "outer"),
    [
        (OLD, "ZCYX", (3, 2)),
        (FOUR, "ZCYX", (3, 2)),
        (FOUR + "scanimage.SI4.acqNumFrames = 2\n", "ZTCYX", (3, 2, 2)),
        (FOUR + "scanimage.SI4.fastZEnable = 1\nscanimage.SI4.acqNumFrames = 9\n", "TZCYX",
         (4, 3, 2)),
        (NEW + "SI.hStackManager.enable = true\nSI.hStackManager.framesPerSlice = 1\n", "TZCYX",
         (4, 3, 2)),
        (NEW + "SI.hStackManager.enable = false\n", "TCYX", (12, 2)),
        (FIVE + "scanimage.SI.hFastZ.enable = true\nscanimage.SI.hFastZ.numFramesPerVolume = 4\n",
         "TZCYX", (3, 4, 2)),
    ],
)  # fmt: skip
def test_volumes_of_scanimage_have_time_and_depth(
    said: str, axes: str, outer: tuple[int, ...], tmp_path: Path
) -> None:
    pages = movie((int(np.prod(outer)), 12, 14))
    write_scanimage(tmp_path / "a.tif", pages, said.format(3))
    with open_reader(tmp_path / "a.tif") as reader:
        (row,) = reader.describe()
    assert (row["axes"], row["shape"]) == (axes, (*outer, 12, 14))


def test_volumes_of_new_scanimage_files_follow_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tifffile takes all slices of all volumes for one depth."""
    facts = {"SI.hChannels.channelSave": [1, 2], "SI.hStackManager.framesPerSlice": 1,
             "SI.hStackManager.enable": True, "SI.hStackManager.actualNumSlices": 3}  # fmt: skip
    monkeypatch.setattr(tifffile.tifffile, "read_scanimage_metadata", lambda _: (facts, {}, 4))
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=True) as writer:
        for picture in movie((24, 12, 14)):
            writer.write(picture, metadata=None, contiguous=False, photometric="minisblack",
                         software="SI.VERSION_MAJOR = 5")  # fmt: skip
    with open_reader(tmp_path / "a.tif") as reader:
        (row,) = reader.describe()
    assert (row["axes"], row["shape"]) == ("TZCYX", (4, 3, 2, 12, 14))


def test_frames_of_slices_of_volumes_have_no_name(tmp_path: Path) -> None:
    said = NEW + "SI.hStackManager.enable = true\nSI.hStackManager.framesPerSlice = 2\n"
    write_scanimage(tmp_path / "a.tif", movie((24, 12, 14)), said.format(3))
    with pytest.raises(UsageError, match="axes TZQCYX, shape 2 x 3 x 2 x 2 x 12 x 14"):
        open_reader(tmp_path / "a.tif")


def write_stk(path: Path, array: np.ndarray, depth: int, milliseconds: list[int]) -> None:  # type: ignore[type-arg]
    """(planes, Y, X) as MetaMorph writes it: one page, the other planes behind its samples.

    depth: of a step along Z, in thousandths of a micrometre.
    """
    (count, height, width), samples = array.shape, array.astype("<u2").tobytes()
    day = 2_455_000  # Julian
    planes = [struct.pack("<6I", depth, 1000, day, ms, day, ms) for ms in milliseconds]
    facts = [b"".join(planes), struct.pack("<2I", 520, 1) * count, struct.pack("<2I", 1, 2),
             struct.pack("<I", 3) + b"um\0\0"]  # fmt: skip
    places = [8 + len(samples) + sum(map(len, facts[:number])) for number in range(5)]
    uic1 = struct.pack("<8I", 3, 1, 4, places[2], 5, places[2], 6, places[3])
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 16), (259, 3, 1, 1),
            (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height),
            (279, 4, 1, len(samples) // count), (33628, 4, 4, places[4]),
            (33629, 5, count, places[0]), (33630, 5, count, places[1])]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *t) for t in tags)
    head = b"II*\0" + struct.pack("<I", places[4] + len(uic1))
    path.write_bytes(head + samples + b"".join(facts) + uic1 + directory + bytes(4))


def test_a_metamorph_stack_keeps_its_size_and_time(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    source, array = tmp_path / "a.stk", movie((5, 12, 14))
    for depth, times, expected, kept in (
        (0, [0, 101, 199, 300, 400], "TYX", ["pixel size X Y", "time between frames"]),
        (0, [0, 1, 199, 300, 900], "TYX", ["pixel size X Y"]),
        (500, [0, 100, 200, 300, 400], "ZYX", ["pixel size X Y Z"]),
    ):
        write_stk(source, array, depth, times)
        assert passed(source, tmp_path / "b.stk", change=False, overwrite=True)
        assert (tmp_path / "b.stk").read_bytes() == source.read_bytes()
        receipt = passed(source, tmp_path / "b.zarr", change=False, overwrite=True)
        assert list(receipt.kept) == [f"axes {expected} 5x12x14", *kept]


@pytest.mark.parametrize("suffix", [".btf", ".tf8", ".tf2", ".stk"])
def test_tiff_of_another_name_is_copied_under_it(suffix: str, tmp_path: Path) -> None:
    source, target, array = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}", movie((3, 12, 16))
    tifffile.imwrite(
        source, array, photometric="minisblack", bigtiff=suffix != ".stk",
        metadata={"axes": "TYX"},
    )  # fmt: skip
    passed(source, target, change=True)
    np.testing.assert_array_equal(tifffile.imread(target), each_smoothed(array))


@pytest.mark.parametrize("suffix", [".oir", ".mrc", ".ims", ".vsi"])
def test_other_microscopes_files_are_not_supported_rather_than_no_video(
    suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"x" * 99)
    with pytest.raises(InputError, match=r"not supported") as raised:
        open_reader(path)
    assert "OME-TIFF" in str(raised.value.hint)


def test_no_video_is_taken_for_a_microscopes_file() -> None:
    """DeltaVision's .dv is the video format DV too."""
    assert not set(microscopy.UNSUPPORTED) & video.SUFFIXES
