"""Stacks of several files: numbered pages, names that count axes, sets, and odd places."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from f2rcli.errors import InputError, UsageError
from f2rcli.io import ReadOptions, WriteOptions, default_target, open_reader, plan_output
from tests.io.makers import write_ndtiff
from tests.io.stacks import each_smoothed, movie, passed, smoothed, written
from tests.io.through import copied

links = pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")


def write(path: Path, shape: tuple[int, ...] = (3, 16, 20)) -> Path:
    axes = {"axes": "TYX"} if len(shape) == 3 else None
    tifffile.imwrite(path, movie(shape), photometric="minisblack", metadata=axes)
    return path


@pytest.mark.parametrize(
    "name", ["a b.tif", "Zellen µm – 日本 1.tif", "a\nb.tif", "-x.tif", "%d.tif"]
)
def test_any_name_is_a_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.name != "posix" and "\n" in name:
        pytest.skip("no such names here")
    monkeypatch.chdir(tmp_path)
    source = write(Path(name))
    passed(source, Path("out.tif"), change=False)
    np.testing.assert_array_equal(tifffile.imread("out.tif"), tifffile.imread(source))


@links
def test_links_in_a_circle_are_said_to_be_one(tmp_path: Path) -> None:
    one, other = tmp_path / "one.tif", tmp_path / "other.tif"
    one.symlink_to(other)
    other.symlink_to(one)
    with pytest.raises(InputError, match=r"one\.tif: .*symbolic links"):
        open_reader(one)


def test_pages_called_tif_and_tiff_are_one_stack(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    names = ["p1.tif", "p2.tiff", "p3.TIF"]
    pages = movie((3, 16, 20))
    for name, page in zip(names, pages, strict=True):
        tifffile.imwrite(tmp_path / "in" / name, page, photometric="minisblack")
    passed(tmp_path / "in", tmp_path / "out", change=True)
    found = [tifffile.imread(tmp_path / "out" / name) for name in names]
    np.testing.assert_array_equal(found, each_smoothed(pages))


def test_pages_may_go_below_their_own_folder_and_never_onto_it(tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    pages = [write(folder / f"{number}.tif", (16, 20)) for number in range(3)]
    write(folder / "1_f2r.tif", (16, 20))
    before = [page.read_bytes() for page in pages]
    passed(folder, folder / "clean", change=True)
    assert [page.read_bytes() for page in pages] == before
    assert sorted(p.name for p in (folder / "clean").iterdir()) == [p.name for p in pages]
    with open_reader(folder) as reader:  # what lies below is no page of it
        assert reader.info.frames == 3
        assert "1 earlier result left out (1_f2r.tif)" in reader.info.notes
        with pytest.raises(UsageError, match="the output is the input itself"):
            plan_output(reader, folder, WriteOptions(overwrite=True))


def test_a_stack_of_one_page_is_denoised_by_itself_and_says_so(tmp_path: Path) -> None:
    source = write(tmp_path / "one.tif", (16, 20))
    with open_reader(source) as reader:
        assert reader.info.frames == 1
        assert reader.info.notes == ("no time axis: each picture is denoised separately",)
    passed(source, tmp_path / "out.tif", change=False)
    assert np.array_equal(tifffile.imread(tmp_path / "out.tif"), tifffile.imread(source))


def test_files_that_are_no_pages_of_the_others_are_named_before_the_run(tmp_path: Path) -> None:
    for shape, told in (((3, 16, 20), "TYX 3x16x20"), ((18, 20), "YX 18x20")):
        for number in range(80):  # more than tell what the stack is like
            write(tmp_path / f"{number}.tif", shape if number == 41 else (16, 20))
        with pytest.raises(InputError, match=rf"41\.tif: is {told}"):
            open_reader(tmp_path)


@pytest.mark.parametrize("source", ["run", "run/%03d.tif"])
def test_a_missing_page_file_is_told(source: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for number in (0, 1, 3, 4):
        tifffile.imwrite(tmp_path / "run" / f"{number:03}.tif", movie((16, 20)))
    with open_reader(tmp_path / source) as reader:
        assert len(list(reader)) == 4
        told = "the numbering promises 5 files, 4 were read: 002.tif is missing"
        assert reader.ledger.lines() == [told]


@pytest.mark.parametrize("colours", [(), (3,)], ids=["gray", "planes of colours"])
def test_numbered_pages_are_a_stack_and_keep_their_names(colours: Any, tmp_path: Path) -> None:
    folder, array = tmp_path / "in é", movie((12, *colours, 16, 20))
    folder.mkdir()
    how: Any = {"photometric": "rgb", "planarconfig": "separate"} if colours else {}
    for number, page in enumerate(array):
        tifffile.imwrite(folder / f"im {number}.tif", page, metadata=None, **how)
    with open_reader(folder) as reader:
        read = np.stack([np.squeeze(f.planes) for f in reader])
        np.testing.assert_array_equal(read, array)
    passed(folder, default_target(folder), change=True)
    for number, page in enumerate(array):
        written = tifffile.imread(tmp_path / "in é_f2r" / f"im {number}.tif")
        written = np.moveaxis(written, -1, 0) if colours else written
        np.testing.assert_array_equal(written, each_smoothed(page))


def test_a_page_that_nothing_was_done_to_keeps_its_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        write(folder / f"{number}.tif", (16, 20))
    (folder / "1.tif").write_bytes(b"II*\0 damaged")
    receipt = written(folder, tmp_path / "out", change=False)
    assert receipt.frames == 2
    for number in range(3):
        name = f"{number}.tif"
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()


NAMES = {
    "tifffile": ("exp_T{t:04}_C{c:02}_Z{z:02}.tif", 0),
    "Micro-Manager": ("img_channel{c:03}_position000_time{t:09}_z{z:03}.tif", 0),
    "Micro-Manager 1": ("img_{t:09}_Cy{c}_{z:03}.tif", 0),
    "Opera": ("r01c02f03p{z:02}-ch{c}sk{t}fk1fl1.tiff", 1),
    "ImageXpress": ("A01_s1_w{c}_z{z}_t{t:02}.tif", 1),
}


@pytest.mark.parametrize("kind", NAMES)
def test_names_that_count_time_channel_and_depth_make_lanes(kind: str, tmp_path: Path) -> None:
    folder, array = tmp_path / "in", movie((7, 2, 3, 12, 16))  # TCZYX
    folder.mkdir()
    pattern, first = NAMES[kind]
    for (t, c, z), page in zip(np.ndindex(7, 2, 3), array.reshape(-1, 12, 16), strict=True):
        name = pattern.format(t=t + first, c=c + first, z=z + first)
        tifffile.imwrite(folder / name, page, metadata=None)
    with open_reader(folder) as reader:
        assert reader.info.frames == 42
        assert reader.info.lanes[0] == "channel 1, z 1"
        first_lane = [frame.planes[0] for frame in reader if frame.lane == 0]
        assert "names of files count T 7, C 2, Z 3" in " ".join(reader.info.notes)
    np.testing.assert_array_equal(first_lane, array[:, 0, 0])
    passed(folder, tmp_path / "out", change=True)
    name = pattern.format(t=4 + first, c=1 + first, z=2 + first)
    written = tifffile.imread(tmp_path / "out" / name)
    np.testing.assert_array_equal(written, smoothed(array[4, 1, 2]))
    (folder / name).unlink()
    with open_reader(folder) as reader:
        assert len(list(reader)) == 41
        assert "promises 42 pictures, 41 were read" in " ".join(reader.ledger.damage())


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


def test_the_files_of_an_ome_set_become_one(tmp_path: Path) -> None:
    array, target = movie((4, 16, 20)), tmp_path / "out.ome.tif"
    _write_ome_set(tmp_path / "in", array)
    first = tmp_path / "in" / "a.ome.tif"
    with open_reader(first) as reader:
        assert reader.info.frames == 4
        assert len(reader.paths()) == 2
        assert "2 files become one" in plan_output(reader, target).notes
    passed(first, target, change=True)
    np.testing.assert_array_equal(tifffile.imread(target), each_smoothed(array))
    folder = default_target(tmp_path / "in")  # their folder is the same stack
    assert folder.name == "in_f2r.ome.tif"
    passed(tmp_path / "in", folder, change=True)
    np.testing.assert_array_equal(tifffile.imread(folder), each_smoothed(array))
    tifffile.imwrite(tmp_path / "in" / "z.tif", array, photometric="minisblack")
    with pytest.raises(InputError):  # a folder of clips
        open_reader(tmp_path / "in")


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
    passed(folder, tmp_path / "out.ome.tif", change=True)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.ome.tif"), each_smoothed(array))


@pytest.mark.parametrize("place", [".", "Full resolution", "Full resolution/NDTiffStack.tif"])
def test_ndtiff_of_micro_manager_keeps_its_axes_and_sizes(place: str, tmp_path: Path) -> None:
    array = movie((7, 2, 12, 16))
    write_ndtiff(tmp_path / "in" / "Full resolution", array)
    target, source = tmp_path / "b.ome.tif", tmp_path / "in" / place
    assert default_target(source) == tmp_path / "in_f2r.ome.tif"  # in it, it would be of the set
    with open_reader(source) as reader:
        assert reader.info.lanes == ("channel 1", "channel 2")
        assert float(reader.info.time_base) == 0.5
    assert "pixel size X Y" in passed(source, target, change=True).kept
    with tifffile.TiffFile(target) as file:
        assert file.series[0].axes == "TCYX"
        assert 'Name="GFP"' in str(file.ome_metadata)
        np.testing.assert_array_equal(file.asarray(), each_smoothed(array))


def test_a_grid_of_micro_manager_has_room_for_the_tiles_it_lacks(tmp_path: Path) -> None:
    array, target = movie((2, 2, 12, 16)), tmp_path / "b.ome.tif"
    array[1, 0] = 0
    write_ndtiff(tmp_path / "in", array, ("row", "column"))
    with open_reader(tmp_path / "in", ReadOptions(axes="RPYX")) as reader:
        assert not reader.ledger.damaged
        assert copied(reader, target, WriteOptions(), smoothed).frames == 3
    np.testing.assert_array_equal(tifffile.imread(target), each_smoothed(array))
