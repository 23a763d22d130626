"""OME-Zarr: every version is read, scales in any unit; images are written with their levels."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from f2rcli.errors import InputError, OutputError, UsageError
from f2rcli.io import ReadOptions, WriteOptions, open_reader, plan_output
from tests.io.stacks import each_smoothed, movie, passed, write_kind

zarr = pytest.importorskip("zarr")
ARRAY = movie((3, 2, 12, 14))  # TCYX


def write(path: Path, array: Any, three: bool = False, **metadata: Any) -> Path:
    group = zarr.open_group(str(path), mode="w", zarr_format=3 if three else 2)
    group.create_array("0", data=array)
    group.attrs.update({"ome": metadata} if three else metadata)
    return path


def scaled(scale: list[float], axes: list[Any], **more: Any) -> Any:
    transforms = [{"type": "scale", "scale": scale}]
    return [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": transforms}],
             **more}]  # fmt: skip


BARE = [{"datasets": [{"path": "0"}]}]
NAMED = [{"axes": ["t", "c", "y", "x"], "datasets": [{"path": "0"}]}]


@pytest.mark.parametrize(
    ("array", "multiscales"),
    [(ARRAY[:, :, None], BARE), (ARRAY, NAMED)],
    ids=["0.1 and 0.2: five axes without names", "0.3: names alone"],
)
def test_old_versions_open_from_any_folder(array: Any, multiscales: Any, tmp_path: Path) -> None:
    source, target = write(tmp_path / "cells", array, multiscales=multiscales), tmp_path / "a.tif"
    with open_reader(source) as reader:
        assert (len(reader.info.lanes), reader.info.frames) == (2, 6)
    passed(source, target, change=True)
    np.testing.assert_array_equal(tifffile.imread(target), each_smoothed(ARRAY))


def test_scales_in_any_unit_and_of_all_levels_count(tmp_path: Path) -> None:
    axes = [{"name": "t", "type": "time", "unit": "millisecond"},
            {"name": "y", "type": "space", "unit": "nanometer"},
            {"name": "x", "type": "space", "unit": "millimeter"}]  # fmt: skip
    whole = [{"type": "scale", "scale": [2.0, 1.0, 1.0]}]
    source = write(tmp_path / "a.zarr", ARRAY[:, 0], multiscales=scaled(
        [10.0, 250.0, 0.0005], axes, coordinateTransformations=whole))  # fmt: skip
    with open_reader(source) as reader:
        assert float(reader.info.time_base) == 0.02
    passed(source, tmp_path / "b.ome.tif", change=False)
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        text = file.ome_metadata or ""
    for fact in ('PhysicalSizeX="0.5"', 'PhysicalSizeY="0.25"', 'TimeIncrement="0.02"'):
        assert fact in text


def test_scales_without_a_unit_are_kept(tmp_path: Path) -> None:
    axes = [{"name": "t", "type": "time", "unit": "fortnight"}, {"name": "y", "type": "space"},
            {"name": "x", "type": "space", "unit": "foot"}]  # fmt: skip
    source = write(tmp_path / "a.zarr", ARRAY[:, 0], multiscales=scaled([2.0, 0.5, 3.0], axes))
    passed(source, tmp_path / "b.ome.tif", change=False)
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as tif:
        assert 'PhysicalSizeY="0.5" PhysicalSizeYUnit="reference frame"' in (tif.ome_metadata or "")
    passed(tmp_path / "b.ome.tif", tmp_path / "c.zarr", change=False)
    (scales,) = zarr.open_group(str(tmp_path / "c.zarr"), mode="r").attrs["multiscales"]
    (transform,) = scales["datasets"][0]["coordinateTransformations"]
    assert transform["scale"] == pytest.approx([1, 0.5, 914400])
    assert [axis.get("unit") for axis in scales["axes"]] == [None, None, "micrometer"]


def test_scales_that_are_no_sizes_and_axes_of_nothing(tmp_path: Path) -> None:
    scale = [-1.0, 8e99, 9e99]
    axes = [
        {"name": "t", "type": "time", "unit": "second"},
        *({"name": a, "type": "space"} for a in "yx"),
    ]
    source = write(tmp_path / "a.zarr", ARRAY[:, 0], multiscales=scaled(scale, axes))
    stored = next(one for one in source.iterdir() if one.is_file() and b"8e+99" in one.read_bytes())
    text = stored.read_text().replace("8e+99", "NaN").replace("9e+99", "Infinity")
    stored.write_text(text)  # zarr 3.1.0 writes neither
    with open_reader(source) as reader:
        plan = plan_output(reader, tmp_path / "b.zarr", WriteOptions())
        own = "its own metadata in whole, as an attribute"
        assert (plan.kept, reader.info.rate) == (("axes TYX 3x12x14", own), None)
    nothing = write(tmp_path / "c.zarr", ARRAY[:0, 0], multiscales=scaled([1.0, 1, 1], list("tyx")))
    with pytest.raises(InputError, match="axes TYX 0x12x14: there are no pictures"):
        open_reader(nothing)


def test_axes_with_long_names_have_letters(tmp_path: Path) -> None:
    axes = [{"name": "time", "type": "time", "unit": "second"}, {"name": "tilt"},
            {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]  # fmt: skip
    source = write(tmp_path / "a.zarr", ARRAY, multiscales=scaled([0.5, 1.0, 1.0, 1.0], axes))
    with open_reader(source) as reader:
        assert (len(reader.info.lanes), float(reader.info.time_base)) == (2, 0.5)


def test_a_small_header_that_claims_more_than_any_memory_is_refused(tmp_path: Path) -> None:
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2)
    group.create_array("0", shape=(3, 100_000, 100_000), dtype="u2", chunks=(1, 1000, 1000))
    group.attrs.update({"multiscales": BARE})
    with pytest.raises(InputError, match="claims pictures of 100000 x 100000"):
        open_reader(tmp_path / "a.zarr")


def test_a_plate_is_not_supported_rather_than_damaged(tmp_path: Path) -> None:
    source = write(tmp_path / "plate.zarr", ARRAY, plate={"wells": [{"path": "B/3"}]})
    with pytest.raises(InputError, match="an OME-Zarr plate is not supported") as raised:
        open_reader(source)
    assert "plate.zarr/B/3/0" in str(raised.value.hint)
    well = zarr.open_group(str(source / "B" / "3"), mode="w", zarr_format=2)
    well.attrs.update({"well": {"images": [{"path": "field7"}]}})
    write(source / "B" / "3" / "field7", ARRAY, multiscales=NAMED)
    with pytest.raises(InputError, match="plate") as raised:
        open_reader(source)
    assert str(raised.value.hint).endswith("e.g. plate.zarr/B/3/field7.")
    with open_reader(source / "B" / "3" / "field7") as reader:
        assert reader.info.frames == 6


@pytest.mark.parametrize("names", [["Time", "y", "x"], ["c", "y", "x"], None])
@pytest.mark.parametrize("xarray", [False, True])
def test_an_array_alone_is_a_stack(names: Any, xarray: bool, tmp_path: Path) -> None:
    how = {"zarr_format": 2, "attributes": {"_ARRAY_DIMENSIONS": names}} if xarray else {}
    how = how or {"dimension_names": names}
    zarr.create_array(str(tmp_path / "a"), data=ARRAY[:, 0], **how)
    passed(tmp_path / "a", tmp_path / "b.ome.tif", change=True)
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        assert file.series[0].axes == ("CYX" if names and "c" in names else "TYX")
        np.testing.assert_array_equal(file.asarray(), each_smoothed(ARRAY[:, 0]))


@pytest.mark.parametrize("three", [False, True], ids=["zarr 2", "zarr 3"])
def test_ome_zarr_of_any_version_becomes_one_of_0_4(three: bool, tmp_path: Path) -> None:
    axes = [{"name": a, "type": k} | u for a, k, u in (
        ("t", "time", {"unit": "second"}), ("c", "channel", {}),
        ("y", "space", {"unit": "nanometer"}), ("x", "space", {"unit": "nanometer"}))]  # fmt: skip
    omero = {"channels": [{"label": "GFP", "color": "00FF00"}, {"label": "RFP", "color": "FF0000"}]}
    source = write(tmp_path / "a.zarr", ARRAY, three, omero=omero,
                   multiscales=scaled([0.5, 1.0, 300.0, 200.0], axes, name="cells"))  # fmt: skip
    target = tmp_path / "b.zarr"
    passed(source, target, change=True)
    group = zarr.open_group(str(target), mode="r")
    metadata = dict(group.attrs)
    (scales,) = metadata["multiscales"]
    assert (group.metadata.zarr_format, scales["version"]) == (2, "0.4")
    assert "cells" in metadata["f2r/source-metadata"]
    assert [axis["name"] for axis in scales["axes"]] == list("tcyx")
    assert scales["axes"][2]["unit"] == "micrometer"
    (transform,) = scales["datasets"][0]["coordinateTransformations"]
    assert transform["scale"] == pytest.approx([0.5, 1, 0.3, 0.2])
    assert [(c["label"], c["color"]) for c in metadata["omero"]["channels"]] == [
        ("GFP", "00FF00"), ("RFP", "FF0000")]  # fmt: skip
    np.testing.assert_array_equal(group["0"][...], each_smoothed(ARRAY))
    with open_reader(target) as reader:  # once more: all that it holds is written again
        assert plan_output(reader, tmp_path / "c.zarr", WriteOptions()).dropped == ()
        assert "label images are left out" not in reader.info.notes
    zarr.open_group(str(target)).create_group("labels/cells")
    with open_reader(target) as reader:
        assert "label images are left out" in reader.info.notes


def test_a_tiff_stack_becomes_ome_zarr_with_levels_and_sizes(tmp_path: Path) -> None:
    array = movie((2, 2, 301, 400))  # CTYX
    source, target = tmp_path / "a.ome.tif", tmp_path / "b.ome.zarr"
    tifffile.imwrite(source, array, ome=True, photometric="minisblack", metadata={
        "axes": "CTYX", "PhysicalSizeX": 150, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.2,
        "TimeIncrement": 40, "TimeIncrementUnit": "ms", "Channel": {"Name": ["a", "b"]},
    })  # fmt: skip
    receipt = passed(source, target, change=True)
    assert {"axes TCYX 2x2x301x400", "pixel size X Y", "names of channels"} <= set(receipt.kept)
    group = zarr.open_group(str(target), mode="r")
    expected = each_smoothed(array).transpose(1, 0, 2, 3)
    np.testing.assert_array_equal(group["0"][...], expected)
    assert group["1"].shape == (2, 2, 150, 200)
    cell = expected[1, 0, :2, :2].mean()
    assert abs(int(group["1"][1, 0, 0, 0]) - cell) <= 0.5
    (scales,) = group.attrs["multiscales"]
    assert scales["axes"][3]["unit"] == "micrometer"
    steps = [one["coordinateTransformations"][0]["scale"] for one in scales["datasets"]]
    assert steps[0] == pytest.approx([0.04, 1.0, 0.2, 0.15])
    assert steps[1][2:] == pytest.approx([0.2 * 301 / 150, 0.3])
    with open_reader(target) as reader:
        assert float(reader.info.time_base) == pytest.approx(0.04)


def test_colours_become_channels(tmp_path: Path) -> None:
    source, target, array = tmp_path / "a.tif", tmp_path / "b.zarr", movie((3, 12, 16, 3), "u1")
    tifffile.imwrite(source, array, photometric="rgb", metadata={"axes": "TYXS"})
    passed(source, target, change=True)
    found = zarr.open_group(str(target), mode="r")["0"][...]
    np.testing.assert_array_equal(found, each_smoothed(array.transpose(0, 3, 1, 2)))


def test_only_a_zarr_folder_is_replaced_and_only_if_asked(tmp_path: Path) -> None:
    source, target = tmp_path / "a.tif", tmp_path / "b.zarr"
    tifffile.imwrite(source, ARRAY[:, 0], photometric="minisblack", metadata={"axes": "TYX"})
    passed(source, target, change=False)
    (target / "old").write_text("x")
    again = WriteOptions(overwrite=True)
    with open_reader(source) as reader:
        with pytest.raises(OutputError, match="already exists"):
            plan_output(reader, target, WriteOptions())
        plan_output(reader, target, again)
        (tmp_path / "c.zarr").mkdir()
        with pytest.raises(OutputError, match="not a Zarr folder"):
            plan_output(reader, tmp_path / "c.zarr", again)
    with pytest.raises(UsageError, match="the output is the input"), open_reader(target) as reader:
        plan_output(reader, target, again)
    passed(source, target, change=True, overwrite=True)
    assert not (target / "old").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.zarr", "c.zarr"]


def test_a_run_that_was_killed_while_it_published_is_finished_by_the_next(tmp_path: Path) -> None:
    source, target = tmp_path / "a.tif", tmp_path / "b.zarr"
    write_kind("plain u16", source)
    passed(source, target, change=False)
    before = tmp_path / ".b.zarr.part.old"
    shutil.copytree(target, before)  # killed before what it replaced was removed
    passed(source, target, change=True, overwrite=True)
    assert not before.exists()
    target.rename(before)  # killed between two renames: the target is what it was
    with pytest.raises(OutputError, match="already exists"):
        passed(source, target, change=False)
    assert target.exists()
    passed(source, target, change=False, overwrite=True)
    assert not before.exists()


@pytest.mark.parametrize("name", ["b.zarr", "b.ome.tif"])
def test_axes_that_the_target_has_no_place_for_are_refused(name: str, tmp_path: Path) -> None:
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, movie((2, 2, 2, 2, 2, 8, 9)), photometric="minisblack",
                     metadata={"axes": "PEACTYX"})  # fmt: skip
    with open_reader(source) as reader, pytest.raises(UsageError, match="no place for the axes"):
        plan_output(reader, tmp_path / name, WriteOptions())


def test_rows_and_columns_are_known_by_those_names(tmp_path: Path) -> None:
    axes = [{"name": "frame", "type": "time"}, {"name": "row"}, {"name": "col"}]
    source = write(tmp_path / "a.zarr", ARRAY[:, 0], multiscales=scaled([1.0, 2.0, 2.0], axes))
    with open_reader(source) as reader:
        plan = plan_output(reader, tmp_path / "b.ome.tif", WriteOptions())
    assert plan.kept[:2] == ("axes TYX 3x12x14", "proportions X Y")


@pytest.mark.parametrize("names", ["tpq", "tyy", "yx", "tcyx"])
def test_axes_that_are_no_pictures_are_refused_by_name(names: str, tmp_path: Path) -> None:
    scales = [{"axes": list(names), "datasets": [{"path": "0"}]}]
    source = write(tmp_path / "a.zarr", ARRAY[:, 0], multiscales=scales)
    message = f"3 axes named {', '.join(names)} is not supported"
    with pytest.raises(InputError, match=message):
        open_reader(source)


def test_versions_with_systems_of_coordinates_are_refused_by_name(tmp_path: Path) -> None:
    systems = [{"name": "physical", "axes": [{"name": name} for name in "tyx"]}]
    scales = [{"coordinateSystems": systems, "datasets": [{"path": "0"}]}]
    source = write(tmp_path / "a.zarr", ARRAY[:, 0], three=True, version="0.6", multiscales=scales)
    with pytest.raises(InputError, match=r"OME-Zarr of version 0\.6 is not supported"):
        open_reader(source)


def test_a_mask_is_called_one(tmp_path: Path) -> None:
    scales = scaled([1.0] * 3, ["t", *"yx"])
    source = write(tmp_path / "a.zarr", ARRAY[:, 0] > 90, multiscales=scales)
    with pytest.raises(InputError, match="samples are bool, a binary mask"):
        open_reader(source)


@pytest.mark.parametrize("scale", [["wide", 1, 1], [1.0, 1.0], {"path": "steps"}])
def test_a_scale_that_says_nothing_costs_no_pictures(scale: Any, tmp_path: Path) -> None:
    multiscales = scaled([1.0], list("tyx"))
    given = scale if isinstance(scale, dict) else {"scale": scale}
    multiscales[0]["datasets"][0]["coordinateTransformations"] = [{"type": "scale"} | given]
    source = write(tmp_path / "a.zarr", ARRAY[:, 0], multiscales=multiscales, omero=None)
    assert passed(source, tmp_path / "b.ome.tif", change=False).frames == 3


def test_colours_of_other_spellings_are_kept(tmp_path: Path) -> None:
    for colour, kept in (("#FF8000", True), ("ff8000ff", True), ("orange", False)):
        omero = {"channels": [{"label": "a", "color": colour}] * 2}
        source = write(tmp_path / "a.zarr", ARRAY, multiscales=NAMED, omero=omero)
        with open_reader(source) as reader:
            plan = plan_output(reader, tmp_path / "b.ome.tif", WriteOptions())
        assert ("colours of channels" in plan.kept) == kept


def test_series_that_are_not_chosen_are_named_as_lost(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        for name, axes, array in (("one", "TYX", ARRAY[:, 0]), ("two", "CYX", ARRAY[0])):
            form = {"axes": axes, "Name": name}
            writer.write(array, photometric="minisblack", metadata=form)
    with open_reader(tmp_path / "a.ome.tif", ReadOptions(series="1")) as reader:
        plan = plan_output(reader, tmp_path / "b.zarr", WriteOptions())
    assert plan.dropped == ("series 2 two",)


def test_chunks_that_are_not_stored_are_told(tmp_path: Path) -> None:
    source = tmp_path / "cells.zarr"
    group = zarr.open_group(str(source), mode="w", zarr_format=2)
    array = group.create_array(
        "0", shape=ARRAY.shape, dtype="u2", chunks=(1, 1, 12, 14), fill_value=7
    )
    array[0], array[2] = ARRAY[0], ARRAY[2]
    group.attrs.update({"multiscales": NAMED})
    with open_reader(source) as reader:
        assert len(list(reader)) == 6
        assert "2 chunks not stored; there samples are 7" in reader.info.notes


def test_names_that_xml_has_no_place_for(tmp_path: Path) -> None:
    channels = [{"label": "G\x01FP & \x1b[31m", "color": "00FF00"}, {"label": "b"}]
    source = write(tmp_path / "a.zarr", ARRAY, multiscales=NAMED, omero={"channels": channels})
    passed(source, tmp_path / "b.ome.tif", change=False)
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        assert 'Name="GFP &amp; [31m"' in str(file.ome_metadata)


@pytest.mark.parametrize("value", [5, "x", [5], [{}], [{"datasets": 1}], [{"datasets": [{}]}]])
def test_attributes_of_other_types_are_refused_in_one_line(value: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no OME-Zarr"):
        open_reader(write(tmp_path / "a.zarr", ARRAY, multiscales=value))
    with pytest.raises(InputError, match="no OME-Zarr"):
        open_reader(write(tmp_path / "a.zarr", ARRAY, multiscales=NAMED, omero={"channels": 7}))
