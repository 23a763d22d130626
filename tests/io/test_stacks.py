"""TIFF stacks: nothing is lost, lanes follow time, and what is not clear is asked."""

import itertools
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from f2rcli.errors import InputError, OutputError, UsageError
from f2rcli.frames import Family
from f2rcli.io import ReadOptions, WriteOptions, default_target, open_reader, plan_output
from f2rcli.io.stacks import open_writer
from tests.io.makers import write_lsm, write_scanimage, write_stk
from tests.io.stacks import KINDS, each_smoothed, movie, passed, smoothed, write_kind

EXAMPLE = Path(__file__).parents[2] / "examples" / "calcium_noisy.tif"


@pytest.mark.parametrize("change", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_goes_back_to_its_own_place(kind: str, change: bool, tmp_path: Path) -> None:
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    array = write_kind(kind, source)
    passed(source, target, change)
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(target) as after:
        named = before.series[0].axes.replace("I", "T").replace("Q", "T")
        assert after.series[0].axes == named.replace("SYX", "YXS")
        assert after.is_bigtiff == before.is_bigtiff
        forms = [[_form(page) for page in file.pages] for file in (after, before)]
        assert forms[0][: len(forms[1])] == forms[1]
        assert (after.imagej_metadata or {}).keys() == (before.imagej_metadata or {}).keys()
        found, planar = after.asarray(), before.series[0].axes.endswith("SYX")
    assert found.dtype == array.dtype
    found = np.moveaxis(found, -1, -3) if planar else found
    if array.shape[-1] < 5 and not planar:  # samples last
        array, found = np.moveaxis(array, -1, 0), np.moveaxis(found, -1, 0)
    np.testing.assert_array_equal(found, each_smoothed(array) if change else array)
    passed(source, tmp_path / "twice.tif", change)
    assert (tmp_path / "twice.tif").read_bytes() == target.read_bytes()
    if kind in ("plain u16", "ome tczyx", "imagej tzcyx", "bigtiff"):  # uncompressed
        mapped = tifffile.memmap(target, mode="r")
        np.testing.assert_array_equal(mapped, each_smoothed(array) if change else array)


def test_floats_may_be_stored_by_the_differences_of_whole_numbers(tmp_path: Path) -> None:
    """As GDAL and libvips can; tifffile has differences of their own for floats."""
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    tifffile.imwrite(source, movie((3, 12, 14), "f4"), photometric="minisblack",
                     compression="zlib", predictor=True)  # fmt: skip
    floats, whole = (struct.pack("<HHII", 317, 3, 1, kind) for kind in (3, 2))
    source.write_bytes(source.read_bytes().replace(floats, whole))
    passed(source, target, change=False)
    np.testing.assert_array_equal(tifffile.imread(target), tifffile.imread(source))


def _form(page: Any) -> dict[str, str]:
    """How a page is stored, and its size in units."""
    names = ("Compression", "Predictor", "BitsPerSample", "PhotometricInterpretation",
             "TileLength", "XResolution", "ResolutionUnit")  # fmt: skip
    tags = page.aspage().tags
    return {name: str(tags[name].value) for name in names if name in tags}


@pytest.mark.parametrize("channels", [(0, 1), (1,)])  # that planes are told of
def test_what_ome_xml_says_is_kept_in_whole_too(channels: tuple[int, ...], tmp_path: Path) -> None:
    ome_types = pytest.importorskip("ome_types")
    planes = "".join(
        f'<Plane TheT="{t}" TheZ="0" TheC="{c}" DeltaT="{t}" PositionX="7" ExposureTime="0.1"/>'
        for t in range(3) for c in channels
    )  # fmt: skip
    xml = f"""<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Instrument
 ID="Instrument:0"><Objective ID="Objective:0" LensNA="1.2"/></Instrument><Image ID="Image:0"
 Name="i"><InstrumentRef ID="Instrument:0"/><Pixels ID="Pixels:0" DimensionOrder="XYCTZ"
 Type="uint16" SizeX="14" SizeY="12" SizeC="2" SizeZ="1" SizeT="3" PhysicalSizeX="2"
 PhysicalSizeXUnit="nm"><Channel ID="Channel:0:0" SamplesPerPixel="1" Name="a" Color="16711935"
 ExcitationWavelength="488"/><Channel ID="Channel:0:1" SamplesPerPixel="1"/>
<TiffData IFD="0" PlaneCount="6"/>{planes}</Pixels></Image></OME>"""
    source, target = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
    tifffile.imwrite(source, movie((6, 12, 14)), description=xml, photometric="minisblack",
                     metadata=None)  # fmt: skip
    receipt = passed(source, target, change=True)
    assert {"pixel size X", "wavelengths", "exposure times", "stage positions",
            "its own metadata in whole, as a comment"} <= set(receipt.kept)  # fmt: skip
    passed(target, tmp_path / "c.ome.tif", change=True)  # once more: it stays what it was
    for path in (target, tmp_path / "c.ome.tif"):
        with tifffile.TiffFile(path) as file:
            assert (file.series[0].axes, file.series[0].shape) == ("TCYX", (3, 2, 12, 14))
            found = ome_types.from_xml(file.ome_metadata or "")
        pixels = found.images[0].pixels
        assert pixels.physical_size_x == pytest.approx(0.002)
        assert (pixels.channels[0].name, pixels.channels[0].excitation_wavelength) == ("a", 488)
        assert pixels.channels[0].color.as_rgb_tuple()[:3] == (0, 255, 0)
        told = [one for one in pixels.planes if one.delta_t is not None]
        assert {one.the_c for one in told} == set(channels)
        assert all(one.delta_t == one.the_t for one in told)
        assert len(told) == 3 * len(channels)
        assert {(one.position_x, one.exposure_time) for one in told} == {(7, 0.1)}
        (note,) = found.structured_annotations.comment_annotations
        assert note.value == xml


def test_what_a_program_says_besides_axes_stays(tmp_path: Path) -> None:
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    tifffile.imwrite(source, movie((3, 12, 14)), photometric="minisblack",
                     metadata={"axes": "TYX", "fps": 30000})  # fmt: skip
    passed(source, target, change=True)
    with tifffile.TiffFile(target) as file:
        assert file.shaped_metadata[0]["fps"] == 30000


def test_letters_of_imagej_that_are_no_ascii_are_written_as_it_writes_them(tmp_path: Path) -> None:
    source, target, array = tmp_path / "a.tif", tmp_path / "b.tif", movie((3, 12, 14))
    tifffile.imwrite(source, array, imagej=True, resolution=(5, 5),
                     metadata={"axes": "TYX", "unit": "um", "Info": "größer"})  # fmt: skip
    source.write_bytes(source.read_bytes().replace(b"unit=um", b"unit=\xb5m"))
    assert passed(source, target, change=True).frames == 3
    with tifffile.TiffFile(target) as file:
        assert file.imagej_metadata["Info"] == "größer"
        assert "unit=\\u00b5m" in file.pages.first.description
    passed(target, tmp_path / "c.ome.tif", change=False)
    with tifffile.TiffFile(tmp_path / "c.ome.tif") as file:
        assert 'PhysicalSizeX="0.2"' in file.ome_metadata


@pytest.mark.parametrize(("axes", "shape"), [("TYX", (5, 12, 14)), ("YXS", (12, 14, 3))])
def test_a_movie_of_imagej_without_axes_stays_one_48_bit_colours_become_ome(
    axes: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    source, target, array = tmp_path / "a.tif", tmp_path / "b.tif", movie(shape)
    gray = axes == "TYX"
    tifffile.imwrite(source, array, photometric="minisblack" if gray else "rgb", metadata=None,
                     description=f"ImageJ=1.11a\nimages={1 + 4 * gray}\n")  # fmt: skip
    passed(source, target, change=gray)
    with tifffile.TiffFile(target) as file:
        assert (file.is_imagej, file.is_ome, file.series[0].axes) == (gray, not gray, axes)
        np.testing.assert_array_equal(file.asarray(), each_smoothed(array) if gray else array)


def test_plain_pages_keep_their_first_description_and_the_rest_is_told(tmp_path: Path) -> None:
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    with tifffile.TiffWriter(source) as writer:
        for number, page in enumerate(movie((4, 12, 14))):
            writer.write(page, metadata=None, contiguous=False, description=f"frame {number}",
                         resolution=(5, 5), photometric="miniswhite",
                         extratags=[(65000, 4, 1, 7, True), (315, 2, 0, "Å".encode(), True),
                                    (274, 3, 1, 6, True)], iccprofile=b"profile")  # fmt: skip
    receipt = passed(source, target, change=True)
    assert receipt.dropped == ("tags 65000", "texts of single pages")
    with tifffile.TiffFile(target) as file:
        assert file.pages.first.tags["Artist"].value == "Å"
        assert file.shaped_metadata[0]["f2r/source-metadata"] == "frame 0"
        for page in file.pages:
            assert page.aspage().resolution == (5, 5)
            assert (page.aspage().photometric, page.aspage().iccprofile) == (0, b"profile")
            assert page.aspage().tags["Orientation"].value == 6


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


def test_series_of_gray_and_of_colour_are_no_one_clip(tmp_path: Path) -> None:
    gray, colour = movie((4, 12, 16)), movie((4, 14, 18, 3), "u1")
    source, target = tmp_path / "s.ome.tif", tmp_path / "o.ome.tif"
    with tifffile.TiffWriter(source, ome=True) as writer:
        writer.write(gray, photometric="minisblack", metadata={"axes": "TYX", "Name": "a"})
        writer.write(colour, photometric="rgb", metadata={"axes": "TYXS", "Name": "b"})
    with pytest.raises(UsageError, match="gray and colour are no one clip: 1 'a' TYX 4x12x16"):
        open_reader(source)
    passed(source, target, change=True, series="b")
    samples = np.moveaxis(tifffile.imread(target), -1, 0)
    np.testing.assert_array_equal(samples, each_smoothed(np.moveaxis(colour, -1, 0)))


def test_samples_that_are_no_colours_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, movie((4, 20, 30, 2)), photometric="minisblack", planarconfig="contig")
    with pytest.raises(InputError, match="2 samples a pixel, which are no colours"):
        open_reader(path)
    # colours of a pixel in different places of the file were mixed with those of others
    tifffile.imwrite(path, movie((3, 4, 20, 30)), metadata={"axes": "STYX"}, photometric=1)
    with pytest.raises(InputError, match="no pictures stored row by row"):
        open_reader(path)


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
    assert ("axes='PYX' if none is" in str(raised.value.hint)) == (axes == "PYX")
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
    write_kind("plain u16", path)
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


@pytest.mark.parametrize("ome", [True, False])
def test_a_pyramid_is_made_anew_from_what_is_written(ome: bool, tmp_path: Path) -> None:
    array = movie((3, 64, 96)) + np.uint16(200)
    source, target = tmp_path / "p.tif", tmp_path / "o.tif"
    form: dict[str, Any] = {"photometric": "minisblack", "tile": (32, 32), "compression": "zlib"}
    with tifffile.TiffWriter(source, ome=ome) as writer:
        writer.write(array, subifds=1, **form)
        writer.write(array[:, ::2, ::2], subfiletype=1, **form)
    receipt = passed(source, target, change=True)
    assert "pyramid, its levels made anew" in receipt.kept
    with tifffile.TiffFile(target) as file:
        largest, level = (level.asarray() for level in file.series[0].levels)
    with open_reader(target) as reader:
        assert reader.info.frames == 3
    np.testing.assert_array_equal(largest, each_smoothed(array))
    means = largest.astype(float).reshape(3, 32, 2, 48, 2).mean((2, 4))
    np.testing.assert_allclose(level, means, atol=0.5)


SCRIPT = """
import resource, sys
from tests.io.stacks import passed
from pathlib import Path
for source in sys.argv[1:]:
    passed(Path(source), Path(source + "_out.tif"), change=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("imagej", [True, False], ids=["uncompressed", "packbits"])
def test_memory_is_flat_in_the_length_of_the_stack(imagej: bool, tmp_path: Path) -> None:
    sources = []
    for count in (20, 260):
        source = tmp_path / f"in{count}.tif"
        pages = itertools.cycle(movie((4, 192, 320)))
        options = {"imagej": True} if imagej else {"compression": "packbits"}
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


def test_a_name_as_long_as_a_disk_allows_is_read_and_written(tmp_path: Path) -> None:
    """The name of a sidecar beside it would be longer."""
    source = tmp_path / f"{'x' * 251}.tif"
    write_kind("plain u16", source)
    (tmp_path / "out").mkdir()
    passed(source, tmp_path / "out" / source.name, change=True)


# --- Several series ------------------------------------------------------------------------------

CELLS, ANGLES, MAP = movie((4, 12, 14)), movie((3, 10, 16), seed=1), movie((20, 24), "u1")
THUMB, FLOATS = movie((8, 9), "u1"), movie((2, 12, 14), "f4")


@pytest.fixture
def unlike(tmp_path: Path) -> Path:
    """An OME-TIFF of a movie, a stack of angles and a picture of another type."""
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        form: dict[str, Any] = {"photometric": "minisblack"}
        step = {"TimeIncrement": 0.5, "TimeIncrementUnit": "s"}
        writer.write(CELLS, **form, metadata={"axes": "TYX", "Name": "cells", **step})
        writer.write(ANGLES, **form, metadata={"axes": "AYX", "Name": "angles"})
        writer.write(MAP, **form, metadata={"axes": "YX", "Name": "map"})
    return path


def stored(path: Path) -> list[Any]:
    with tifffile.TiffFile(path) as file:
        return [series.asarray() for series in file.series]


def test_unlike_series_are_listed_and_axes_are_those_of_the_chosen_one(unlike: Path) -> None:
    with pytest.raises(UsageError, match=r"1 'cells' TYX 4x12x14, 2 'angles' AYX") as raised:
        open_reader(unlike)
    assert "series='all'" in str(raised.value.hint)
    with pytest.raises(UsageError, match=r"series='4': a\.ome\.tif has 1 'cells'"):
        open_reader(unlike, ReadOptions(series="4"))
    with open_reader(unlike, ReadOptions(series="angles", axes="TYX")) as reader:
        assert (reader.info.frames, reader.info.width) == (3, 16)


@pytest.mark.parametrize("series", ["1", "cells", "CELLS"])
def test_one_series_is_written_and_the_others_are_named(series: str, unlike: Path) -> None:
    target = unlike.with_name("b.ome.tif")
    with open_reader(unlike, ReadOptions(series=series)) as reader:
        assert (reader.info.frames, reader.info.lanes) == (4, ("",))
        assert float(reader.info.time_base) == 0.5
    receipt = passed(unlike, target, change=True, series=series)
    assert receipt.dropped[:2] == ("series 2 angles", "series 3 map")
    (found,) = stored(target)
    np.testing.assert_array_equal(found, each_smoothed(CELLS))


def test_all_series_are_taken_whatever_their_axes(unlike: Path) -> None:
    target = unlike.with_name("b.ome.tif")
    with open_reader(unlike, ReadOptions(series="all")) as reader:
        assert reader.info.lanes == ("cells", *(f"angles, angle {n}" for n in (1, 2, 3)), "map")
        assert any("each picture is denoised separately" in note for note in reader.info.notes)
    passed(unlike, target, change=True, series="all")
    for found, before in zip(stored(target), (CELLS, ANGLES, MAP), strict=True):
        np.testing.assert_array_equal(found, each_smoothed(before))


def plain(path: Path, *written: tuple[Any, dict[str, Any]]) -> Path:
    """A TIFF file without a description, of pictures with their tags, in this order."""
    with tifffile.TiffWriter(path) as writer:
        for array, tags in written:
            pages = array if array.ndim == 3 and array.shape[-1] > 4 else [array]
            for page in pages:
                writer.write(page, metadata=None, contiguous=False, **tags)
    return path


def test_pages_of_several_sizes_and_types_are_series(tmp_path: Path) -> None:
    first, rest = (CELLS[:2], {}), (CELLS[2:], {})
    source, target = plain(tmp_path / "a.tif", first, (MAP, {}), rest, (FLOATS, {})), tmp_path / "b"
    before = stored(source)
    with open_reader(source) as reader:
        told = "pages of 3 kinds: 1 IYX 4x12x14, 2 YX 20x24, 3 IYX 2x12x14"
        assert told in reader.info.notes  # before the wait
    passed(source, target.with_suffix(".tif"), change=True)
    for found, array in zip(stored(target.with_suffix(".tif")), before, strict=True):
        np.testing.assert_array_equal(found, each_smoothed(array))
    with open_reader(source, ReadOptions(series="3")) as reader:
        plan = plan_output(reader, target.with_suffix(".tiff"))
    assert (plan.pix_fmt, "axes TYX 2x12x14" in plan.kept) == ("float32", True)


def test_a_thumbnail_is_left_out_unless_it_is_chosen(tmp_path: Path) -> None:
    source = plain(tmp_path / "a.tif", (THUMB, {"subfiletype": 1}), (CELLS, {}))
    assert passed(source, tmp_path / "b.tif", change=True).dropped == ("series 1",)
    (found,) = stored(tmp_path / "b.tif")
    np.testing.assert_array_equal(found, each_smoothed(CELLS))
    passed(source, tmp_path / "c.tif", change=True, series="1")
    np.testing.assert_array_equal(stored(tmp_path / "c.tif")[0], smoothed(THUMB))
    large, small = np.tile(MAP, (4, 4))[:64, :64], np.repeat(MAP[..., None], 3, 2)
    slide = {"tile": (16, 16), "description": "Aperio Image Library v1"}
    source = plain(tmp_path / "a.svs", (np.repeat(large[..., None], 3, 2), slide), (small, {}))
    said = passed(source, default_target(source), change=False)
    assert (said.dropped, said.kept[0]) == (("series 2 Thumbnail",), "axes YXS 64x64x3")


# --- TIFF of makers ------------------------------------------------------------------------------


def test_an_lsm_becomes_ome_tiff_with_its_sizes_and_time(tmp_path: Path) -> None:
    source, array = tmp_path / "a.lsm", movie((3, 2, 3, 16, 20))
    write_lsm(source, array)
    target = default_target(source)
    assert target.name == "a_f2r.ome.tif"
    with open_reader(source) as reader:
        assert (len(reader.info.lanes), reader.info.frames) == (6, 18)
        assert float(reader.info.time_base) == 0.25
    receipt = passed(source, target, change=True)
    assert {"pixel size X Y Z", "time between frames"} <= set(receipt.kept)
    with tifffile.TiffFile(target) as file:
        assert file.series[0].axes == "TZCYX"
        np.testing.assert_array_equal(file.series[0].asarray(), each_smoothed(array))
        assert 'PhysicalSizeZ="0.5"' in (file.ome_metadata or "")


@pytest.mark.parametrize(
    ("depth", "times", "axes", "kept"),
    [
        (0, [0, 101, 199, 300, 400], "TYX", ["pixel size X Y", "time between frames"]),
        (0, [0, 1, 199, 300, 900], "TYX", ["pixel size X Y"]),
        (500, [0, 100, 200, 300, 400], "ZYX", ["pixel size X Y Z"]),
    ],
)
def test_a_metamorph_stack_keeps_its_size_and_time(
    depth: int, times: list[int], axes: str, kept: list[str], tmp_path: Path
) -> None:
    source, target, array = tmp_path / "a.stk", tmp_path / "b.ome.tif", movie((5, 12, 14))
    write_stk(source, array, depth, times)
    assert passed(source, target, change=False).kept == (f"axes {axes} 5x12x14", *kept)
    np.testing.assert_array_equal(tifffile.imread(target), array)
    with open_reader(source) as reader, pytest.raises(UsageError, match="MetaMorph TIFF"):
        plan_output(reader, tmp_path / "b.stk")


OLD = "state.configName='a'\rstate.acq.numberOfChannelsSave=2\rstate.acq.numberOfZSlices={}\r"
FOUR = "scanimage.SI4.channelsSave = [1;2]\nscanimage.SI4.stackNumSlices = {}\n"
FIVE = "scanimage.SI.hChannels.channelSave = [1;2]\nscanimage.SI.hStackManager.numSlices = {}\n"
NEW = "SI.hChannels.channelSave = [1;2]\nSI.hStackManager.actualNumSlices = {}\n"


@pytest.mark.parametrize("said", [OLD, FOUR, FIVE, NEW])
def test_interleaved_channels_of_scanimage_are_lanes(said: str, tmp_path: Path) -> None:
    source, target, array = tmp_path / "a.tif", tmp_path / "b.tif", movie((9, 12, 14))
    write_scanimage(source, array, said.format(1))
    with open_reader(source) as reader:
        (row,) = reader.describe()
        assert (row["axes"], row["shape"]) == ("TCYX", (4, 2, 12, 14))
        assert "1 page of an unfinished volume" in " ".join(reader.info.notes)
    passed(source, target, change=True)
    with tifffile.TiffFile(target, is_scanimage=False) as file:
        found = np.stack([page.asarray() for page in file.pages])
    np.testing.assert_array_equal(found, each_smoothed(array[:8]))
    with open_reader(target) as reader:
        assert reader.describe()[0]["axes"] == "TCYX"  # its header is there as well


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
def test_scanimage_volumes(said: str, axes: str, outer: tuple[int, ...], tmp_path: Path) -> None:
    pages = movie((int(np.prod(outer)), 12, 14))
    write_scanimage(tmp_path / "a.tif", pages, said.format(3))
    with open_reader(tmp_path / "a.tif") as reader:
        (row,) = reader.describe()
    assert (row["axes"], row["shape"]) == (axes, (*outer, 12, 14))


def test_frames_of_slices_of_volumes_have_no_name(tmp_path: Path) -> None:
    said = NEW + "SI.hStackManager.enable = true\nSI.hStackManager.framesPerSlice = 2\n"
    write_scanimage(tmp_path / "a.tif", movie((24, 12, 14)), said.format(3))
    told = r"axes TZQCYX, shape 2 x 3 x 2 x 2 x 12 x 14: what is Q\?"
    with pytest.raises(UsageError, match=told) as raised:
        open_reader(tmp_path / "a.tif")
    assert "axes='TZPCYX' if Q" in str(raised.value.hint)  # not 'TZQCYX' if T is time


@pytest.mark.parametrize("suffix", [".btf", ".tf8", ".tf2"])
def test_big_tiff_of_another_name_is_written_under_it(suffix: str, tmp_path: Path) -> None:
    source, target, array = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}", movie((3, 12, 16))
    how: Any = {"photometric": "minisblack", "metadata": {"axes": "TYX"}}
    tifffile.imwrite(source, array, bigtiff=True, **how)
    passed(source, target, change=True)
    np.testing.assert_array_equal(tifffile.imread(target), each_smoothed(array))


def test_the_one_table_of_colours_of_imagej_is_the_colour_of_its_channel(tmp_path: Path) -> None:
    """tifffile gives a list of several: one alone ended as a bug in f2r."""
    table, array = np.zeros((3, 256), np.uint8), movie((3, 12, 16)).astype(np.uint16)
    table[1] = np.arange(256)
    source, target = tmp_path / "a.tif", tmp_path / "b.ome.tif"
    tifffile.imwrite(source, array, imagej=True, metadata={"axes": "TYX", "LUTs": [table]})
    assert "colours of channels" in passed(source, target, change=False).kept
    with tifffile.TiffFile(target) as file:
        green = 0x00FF00FF  # and alpha
        assert f'Color="{green}"' in str(file.ome_metadata)
