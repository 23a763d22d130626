"""TIFF stacks: nothing is lost, lanes follow time, and what is not clear is asked."""

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from f2rcli.errors import InputError, OutputError, UsageError
from f2rcli.frames import Family
from f2rcli.io import default_target, open_reader, open_writer, plan_output
from f2rcli.io.base import ReadOptions, WriteOptions
from tests.io.stacks import KINDS, Array, each_smoothed, movie, passed, smoothed, write_kind

EXAMPLE = Path(__file__).parents[2] / "examples" / "calcium_noisy.tif"


@pytest.mark.parametrize("kind", KINDS)
def test_frames_that_do_not_change_give_back_the_very_file(kind: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    write_kind(kind, source)
    passed(source, target, change=False)
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_goes_back_to_its_own_place(kind: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    array = write_kind(kind, source)
    passed(source, target, change=True)
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(target) as after:
        assert after.series[0].axes == before.series[0].axes
        assert after.is_bigtiff == before.is_bigtiff
        assert after.byteorder == before.byteorder
        assert [_tags(page) for page in after.pages] == [_tags(page) for page in before.pages]
        written, planar = after.asarray(), before.series[0].axes.endswith("SYX")
    assert written.dtype == array.dtype
    if array.shape[-1] < 5 and not planar:  # samples last
        array, written = np.moveaxis(array, -1, 0), np.moveaxis(written, -1, 0)
    np.testing.assert_array_equal(written, each_smoothed(array))


PLACES = {"StripOffsets", "StripByteCounts", "TileOffsets", "TileByteCounts"}


def _tags(page: tifffile.TiffPage) -> dict[str, str]:
    tags = page.aspage().tags
    return {tag.name: str(tag.value) for tag in tags if tag.name not in PLACES}


@pytest.mark.parametrize("axes", ["".join(p) + "YX" for p in itertools.permutations("TZC")])
def test_lanes_follow_time_whatever_the_order_of_axes(axes: str, tmp_path: Path) -> None:
    sizes = {"T": 4, "Z": 3, "C": 2}
    array = movie((*(sizes[a] for a in axes[:3]), 12, 16))
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, array, photometric="minisblack", metadata={"axes": axes})
    by_lane = array.transpose(*(axes.index(a) for a in "CZT" if a in axes), 3, 4)
    expected = {
        f"z {z + 1}, channel {c + 1}" if axes.index("Z") < axes.index("C")
        else f"channel {c + 1}, z {z + 1}": by_lane[c, z]
        for c in range(2) for z in range(3)
    }  # fmt: skip
    with open_reader(path) as reader:
        assert set(reader.info.lanes) == set(expected)
        assert reader.info.frames == 24
        found: dict[str, list[object]] = {}
        for frame in reader:
            found.setdefault(reader.info.lanes[frame.lane], []).append(frame.planes[0])
    for label, frames in found.items():
        np.testing.assert_array_equal(np.stack(frames), expected[label])


def test_lanes_come_one_after_another_each_with_its_own_levels(tmp_path: Path) -> None:
    dim, bright = movie((5, 16, 20)), 10 * movie((5, 16, 20), seed=1)
    path = tmp_path / "s.tif"
    stack = np.stack([dim, bright], axis=1)
    tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "TCYX"})
    with open_reader(path) as reader:
        frames = list(reader)
    assert [frame.lane for frame in frames] == [0] * 5 + [1] * 5
    spans = [f.layout.levels[1] - f.layout.levels[0] for f in frames if f.layout.levels]
    assert spans[-1] > 5 * spans[0]
    assert len(set(spans)) == 2


def test_two_series_are_lanes_and_colours_beside_gray_are_taken_apart(tmp_path: Path) -> None:
    gray, colour = movie((4, 12, 16)), movie((4, 14, 18, 3), "u1")
    source, target = tmp_path / "s.ome.tif", tmp_path / "o.ome.tif"
    with tifffile.TiffWriter(source, ome=True) as writer:
        writer.write(gray, photometric="minisblack", metadata={"axes": "TYX", "Name": "a"})
        writer.write(colour, photometric="rgb", metadata={"axes": "TYXS", "Name": "b"})
    with open_reader(source) as reader:
        assert reader.info.lanes == ("a", "b, sample 1", "b, sample 2", "b, sample 3")
    passed(source, target, change=True)
    with tifffile.TiffFile(target) as file:
        np.testing.assert_array_equal(file.series[0].asarray(), each_smoothed(gray))
        samples = np.moveaxis(file.series[1].asarray(), -1, 0)
    np.testing.assert_array_equal(samples, each_smoothed(np.moveaxis(colour, -1, 0)))


def test_several_files_of_one_ome_set_go_into_a_folder(tmp_path: Path) -> None:
    array = movie((4, 16, 20))
    _write_ome_set(tmp_path / "in", array)
    first = tmp_path / "in" / "a.ome.tif"
    with open_reader(first) as reader:
        assert reader.info.frames == 4
        assert len(reader.paths()) == 2
        with pytest.raises(UsageError, match="the stack has 2"):
            plan_output(reader, tmp_path / "out.ome.tif", WriteOptions())
    passed(first, tmp_path / "out", change=True)
    written = tifffile.imread(tmp_path / "out" / "a.ome.tif")
    np.testing.assert_array_equal(written, each_smoothed(array))
    with open_reader(tmp_path / "in") as reader:  # their folder is the same stack
        assert reader.info.frames == 4
    passed(tmp_path / "in", default_target(tmp_path / "in"), change=True)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "in_f2r" / "b.ome.tif"), written)
    tifffile.imwrite(tmp_path / "in" / "z.tif", array, photometric="minisblack")
    with pytest.raises(InputError):  # a folder of clips
        open_reader(tmp_path / "in")


def _write_ome_set(folder: Path, array: np.ndarray) -> None:  # type: ignore[type-arg]
    """Two files that share one OME-XML, as the standard describes it."""
    folder.mkdir()
    names = ("a.ome.tif", "b.ome.tif")
    height, width = array.shape[1:]
    data = "".join(
        f'<TiffData FirstT="{2 * i}" IFD="0" PlaneCount="2"><UUID FileName="{name}">'
        f"urn:uuid:00000000-0000-0000-0000-00000000000{i}</UUID></TiffData>"
        for i, name in enumerate(names)
    )
    for i, name in enumerate(names):
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:00000000-0000-0000-0000-00000000000{i}"><Image ID="Image:0">'
            f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="{width}" '
            f'SizeY="{height}" SizeC="1" SizeZ="1" SizeT="4">{data}</Pixels></Image></OME>'
        )
        part = array[2 * i : 2 * i + 2]
        tifffile.imwrite(
            folder / name, part, photometric="minisblack", description=xml.encode(), metadata=None
        )


def test_a_set_may_keep_its_metadata_in_a_companion(tmp_path: Path) -> None:
    array, folder = movie((4, 16, 20)), tmp_path / "in"
    _write_ome_set(folder, array)
    with tifffile.TiffFile(folder / "a.ome.tif") as file:
        (folder / "set.companion.ome").write_text(file.ome_metadata or "")
    for number, name in enumerate(("a.ome.tif", "b.ome.tif")):
        xml = (
            '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
            '<BinaryOnly MetadataFile="set.companion.ome" UUID="urn:uuid:0"/></OME>'
        )
        tifffile.imwrite(folder / name, array[2 * number : 2 * number + 2], description=xml,
                         photometric="minisblack", metadata=None)  # fmt: skip
    passed(folder, tmp_path / "out", change=True)
    assert (tmp_path / "out" / "set.companion.ome").read_bytes() == (
        folder / "set.companion.ome"
    ).read_bytes()
    with open_reader(tmp_path / "out") as reader:
        assert reader.info.frames == 4
        found = np.stack([frame.planes[0] for frame in reader])
    np.testing.assert_array_equal(found, each_smoothed(array))


def test_numbered_pages_are_a_stack_and_keep_their_names(tmp_path: Path) -> None:
    folder, array = tmp_path / "in é", movie((12, 16, 20))
    folder.mkdir()
    for number, page in enumerate(array):
        tifffile.imwrite(folder / f"im {number}.tif", page, metadata=None)
    with open_reader(folder) as reader:
        np.testing.assert_array_equal(np.stack([f.planes[0] for f in reader]), array)
    passed(folder, default_target(folder), change=True)
    for number, page in enumerate(array):
        written = tifffile.imread(tmp_path / "in é_f2r" / f"im {number}.tif")
        np.testing.assert_array_equal(written, smoothed(page))


def means_of_four(array: Array) -> Array:
    """(N, 2 H, 2 W) as (N, H, W)."""
    count, height, width = array.shape
    return array.reshape(count, height // 2, 2, width // 2, 2).mean((2, 4))


@pytest.mark.parametrize("shrunk", [means_of_four, lambda array: array[:, ::2, ::2]])
def test_smaller_copies_of_a_pyramid_take_the_change(shrunk: Any, tmp_path: Path) -> None:
    """Means of samples that of their means, every second sample that of its own."""
    array = movie((3, 64, 96)) + np.uint16(200)  # far from the rail
    source, target = tmp_path / "p.ome.tif", tmp_path / "o.ome.tif"
    with tifffile.TiffWriter(source, ome=True) as writer:
        writer.write(array, subifds=1, photometric="minisblack", tile=(32, 32))
        small = np.rint(shrunk(array)).astype("u2")
        writer.write(small, subfiletype=1, photometric="minisblack", tile=(32, 32))
    passed(source, target, change=True)
    with tifffile.TiffFile(target) as file:
        written, level = (level.asarray().astype(float) for level in file.series[0].levels)
    np.testing.assert_allclose(level, shrunk(written), atol=1)


def test_a_plain_stack_is_time_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    write_kind("pages without metadata", path)
    with open_reader(path) as reader:
        assert "taken as time" in " ".join(reader.info.notes)
        assert reader.info.lanes == ("",)


@pytest.mark.parametrize(
    ("axes", "shape", "lanes", "first"),
    [
        ("ZYX", (5, 16, 20), [""], ...),
        ("ZCYX", (5, 2, 16, 20), ["channel 1", "channel 2"], (slice(None), 0)),
        ("TZYX", (3, 5, 16, 20), ["frame 1", "frame 2", "frame 3"], (0,)),
        ("TZYX", (7, 9, 16, 20), [f"z {z}" for z in range(1, 10)], (slice(None), 0)),
        ("TZYX", (4, 4, 16, 20), [f"z {z}" for z in range(1, 5)], (slice(None), 0)),
    ],
)
def test_stacks_without_much_time_run_along_depth(
    axes: str, shape: tuple[int, ...], lanes: list[str], first: Any, tmp_path: Path
) -> None:
    path = tmp_path / "s.tif"
    array = movie(shape)
    tifffile.imwrite(path, array, photometric="minisblack", metadata={"axes": axes})
    with open_reader(path) as reader:
        assert list(reader.info.lanes) == lanes
        deep = not any(lane.startswith("z") for lane in lanes)
        assert any("above and below" in note for note in reader.info.notes) is deep
        shown = [frame.planes[0] for frame in reader if not frame.lane]
    np.testing.assert_array_equal(shown, array[first])


@pytest.mark.parametrize("axes", ["PYX", "QCYX"])
def test_axes_that_do_not_name_time_are_asked_about(axes: str, tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    array = movie((5, 2, 16, 20) if len(axes) == 4 else (5, 16, 20))
    tifffile.imwrite(path, array, photometric="minisblack", metadata={"axes": axes})
    with pytest.raises(UsageError, match="which one is time") as raised:
        open_reader(path)
    named = axes.replace(axes[0], "T")
    assert f"axes={named!r}" in str(raised.value.hint)
    assert "5 x " in str(raised.value)
    with open_reader(path, ReadOptions(axes=named.lower())) as reader:
        assert {frame.lane for frame in reader} == set(range(len(axes) - 2))
    with open_reader(path, ReadOptions(axes=axes.replace("Q", "P"))) as reader:
        assert len(reader.info.lanes) == reader.info.frames  # pictures by themselves, if asked to


@pytest.mark.parametrize("wish", ["TYXZ", "TY", "TTYX", "T-YX", "ZTYX", "YTX"])
def test_axes_that_do_not_fit_are_refused(wish: str, tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, movie((5, 16, 20)), metadata={"axes": "ZYX"})
    with pytest.raises(UsageError, match=f"axes='{wish}"):
        open_reader(path, ReadOptions(axes=wish))


def test_axes_mean_nothing_for_other_clips(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a stack"):
        open_reader(tmp_path / "clip.mp4", ReadOptions(axes="TYX"))


def test_seconds_between_frames_are_read(tmp_path: Path) -> None:
    for kind, interval in (("imagej tzcyx", 0.2), ("ome tczyx", 0.05)):
        path = tmp_path / "s.tif"
        write_kind(kind, path)
        with open_reader(path) as reader:
            assert float(reader.info.time_base) == pytest.approx(interval)
            assert reader.info.duration == pytest.approx(4 * interval)


def test_rgb_is_one_picture_with_its_alpha_apart(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    array = movie((3, 16, 20, 4), "u1")
    tifffile.imwrite(path, array, photometric="rgb", extrasamples=["unassalpha"])
    with open_reader(path) as reader:
        layout = reader.info.layout
        assert (layout.family, layout.alpha, layout.colour_planes) == (Family.RGB, True, 3)
        np.testing.assert_array_equal(next(iter(reader)).planes[3], array[0, ..., 3])


def test_what_video_encoders_are_told_means_nothing_here(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    write_kind("plain u16", path)
    with open_reader(path, ReadOptions(frames=3)) as reader:
        with pytest.raises(UsageError, match="crf="):
            plan_output(reader, tmp_path / "o.tif", WriteOptions(crf=10))
        with pytest.raises(UsageError, match="written whole"):
            plan_output(reader, tmp_path / "o.tif", WriteOptions())
    with open_reader(path) as reader, pytest.raises(UsageError, match="written as TIFF"):
        plan_output(reader, tmp_path / "o.mkv", WriteOptions())


def test_nothing_is_left_of_a_run_that_stops(tmp_path: Path) -> None:
    path, target = tmp_path / "s.tif", tmp_path / "o.tif"
    write_kind("two samples", path)
    with open_reader(path) as reader:
        with open_writer(reader, plan_output(reader, target, WriteOptions())) as writer:
            writer.write(next(iter(reader)))
            with pytest.raises(OutputError, match="1 were written"):
                writer.finish()
        assert [entry.name for entry in tmp_path.iterdir()] == ["s.tif"]
        target.write_bytes(b"mine")
        with pytest.raises(OutputError, match="already exists"):
            plan_output(reader, target, WriteOptions())
        with pytest.raises(UsageError, match="the input itself"):
            plan_output(reader, path, WriteOptions(overwrite=True))


def test_a_file_of_a_microscope_comes_back_as_it_was(tmp_path: Path) -> None:
    passed(EXAMPLE, tmp_path / "out.tif", change=False)
    assert (tmp_path / "out.tif").read_bytes() == EXAMPLE.read_bytes()


SCRIPT = """
import resource, sys
from tests.io.stacks import passed
from pathlib import Path
for source in sys.argv[1:]:
    passed(Path(source), Path(source + "_out.tif"), change=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("imagej", [True, False], ids=["uncompressed", "deflate"])
def test_memory_is_flat_in_the_length_of_the_stack(imagej: bool, tmp_path: Path) -> None:
    sources = []
    for count in (20, 260):
        source = tmp_path / f"in{count}.tif"
        pages = itertools.cycle(movie((4, 192, 320)))
        options = {"imagej": True} if imagej else {"compression": "zlib"}
        tifffile.imwrite(
            source, itertools.islice(pages, count), shape=(count, 192, 320), dtype="u2",
            photometric="minisblack", metadata={"axes": "TYX"}, **options,
        )  # fmt: skip
        sources.append(str(source))
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, *sources],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    short, long = map(int, run.stdout.split())
    assert long < short * 1.1 + 8000, (short, long)  # kB; 260 frames are 32 MB of samples


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "webp", "jpegxl"])
def test_lossy_pages_open_and_change_to_deflate(compression: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    tifffile.imwrite(
        source, movie((3, 32, 48, 3), "u1"), photometric="rgb", compression=compression,
        metadata={"axes": "TYXS"},
    )  # fmt: skip
    passed(source, target, change=True)
    read = np.moveaxis(tifffile.imread(source), -1, 0)
    with tifffile.TiffFile(target) as after:
        assert int(after.pages.first.compression) == 8
        written = np.moveaxis(after.asarray(), -1, 0)
    np.testing.assert_array_equal(written, each_smoothed(read))


def test_pages_that_do_not_change_are_stored_like_those_that_do(tmp_path: Path) -> None:
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    tifffile.imwrite(
        source, movie((3, 32, 48, 3), "u1"), photometric="rgb", compression="jpeg",
        metadata={"axes": "TYXS"},
    )  # fmt: skip
    with (
        open_reader(source) as reader,
        open_writer(reader, plan_output(reader, target)) as writer,
    ):
        for frame in reader:
            planes = frame.planes if frame.pts else tuple(map(smoothed, frame.planes))
            writer.write(replace(frame, planes=planes))
        assert writer.finish().lost == ()
    with tifffile.TiffFile(target) as after:
        assert [int(page.compression) for page in after.pages] == [8, 8, 8]
    np.testing.assert_array_equal(tifffile.imread(target)[1:], tifffile.imread(source)[1:])


def test_a_name_as_long_as_a_disk_allows_is_read_and_written(tmp_path: Path) -> None:
    """The name of a sidecar beside it would be longer."""
    source = tmp_path / f"{'x' * 251}.tif"
    write_kind("plain u16", source)
    (tmp_path / "out").mkdir()
    passed(source, tmp_path / "out" / source.name, change=True)
