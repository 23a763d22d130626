"""TIFF stacks that become OME-Zarr: the facts of each kind of file, and names of what is lost."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from f2rcli.io import WriteOptions, WritePlan, open_reader, plan_output
from f2rcli.io.microscopy.stacks import open_stack, passport_of
from tests.io.packed import packed_bits
from tests.io.stacks import movie, passed
from tests.io.test_tiff_makers import write_lsm

ARRAY = movie((3, 2, 12, 14))  # TCYX
RAMP = np.arange(256, dtype=np.uint8)
RICH = """<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Project ID="Project:0"
 Name="p"/><Instrument ID="Instrument:0"><Microscope Model="M"/><Laser ID="LightSource:0"/>
</Instrument><Image ID="Image:0"><ExperimenterRef ID="Experimenter:0"/><InstrumentRef
 ID="Instrument:0"/><ObjectiveSettings ID="Objective:0" RefractiveIndex="1.3"/><StageLabel
 Name="s"/><Pixels ID="Pixels:0" DimensionOrder="XYCTZ"
 Type="uint16" SizeX="14" SizeY="12" SizeC="2" SizeZ="1" SizeT="3" PhysicalSizeX="2"><Channel
 ID="Channel:0:0" SamplesPerPixel="1" IlluminationType="Oblique"><LightPath/></Channel><Channel
 ID="Channel:0:1" SamplesPerPixel="1"><DetectorSettings ID="Detector:0" Gain="6"/></Channel>
<TiffData IFD="0" PlaneCount="6"/><Plane TheT="0" TheZ="0" TheC="0" DeltaT="1"/></Pixels></Image>
<ROI ID="ROI:0"/>
<StructuredAnnotations><CommentAnnotation ID="Annotation:0"><Value>hi</Value></CommentAnnotation>
<CommentAnnotation ID="Annotation:1" Namespace="f2r"><Value/></CommentAnnotation>
</StructuredAnnotations></OME>"""


def plan_to_zarr(source: Path) -> WritePlan:
    pytest.importorskip("zarr")
    with open_reader(source) as reader:
        return plan_output(reader, source.with_suffix(".zarr"), WriteOptions())


def imagej(path: Path, array: Any = ARRAY, **facts: Any) -> Path:
    axes = {"axes": "TCYX" if array.ndim == 4 else "TYX"}
    tifffile.imwrite(path, array, imagej=True, resolution=(4, 0.002), metadata=axes | facts)
    return path


@pytest.mark.parametrize(
    ("unit", "interval"), [("ms", 0.05), ("min", 3000), ("sec", 50), ("fortnight", None)]
)
def test_the_interval_of_imagej_has_a_unit(unit: str, interval: Any, tmp_path: Path) -> None:
    with open_reader(imagej(tmp_path / "a.tif", finterval=50.0, tunit=unit)) as reader:
        assert reader.info.rate == (None if interval is None else pytest.approx(1 / interval))


def test_imagej_s_sizes_in_units_of_their_own_and_colours(tmp_path: Path) -> None:
    tables = [np.stack([0 * RAMP, RAMP, 0 * RAMP]), np.stack([RAMP, 0 * RAMP, RAMP // 2])]
    source = imagej(tmp_path / "a.tif", unit="micron", yunit="nm", finterval=2.0, tunit="ms",
                    LUTs=tables, Info="words", fps=7.0)  # fmt: skip
    stack = open_stack(str(source))
    found = passport_of(stack, 0)
    stack.close()
    pixels = found.pixels
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeY"]) == pytest.approx((0.25, 0.5))
    assert (pixels["TimeIncrement"], pixels["TimeIncrementUnit"]) == (0.002, "s")
    assert [one["Color"] & 0xFFFFFFFF for one in found.channels] == [0x00FF00FF, 0xFF007FFF]
    plan = plan_to_zarr(source)
    assert {"pixel size X Y", "time between frames", "colours of channels"} <= set(plan.kept)
    assert {"ImageJ's Info", "ImageJ's fps"} <= set(plan.dropped)
    assert "ImageJ's LUTs" not in plan.dropped
    assert "XResolution" not in plan.dropped
    tifffile.imwrite(source, ARRAY, imagej=True, resolution=(72, 72),
                     extratags=[(269, 2, 0, "mine", True)])  # fmt: skip
    with tifffile.TiffFile(source, mode="r+") as file:
        file.pages.first.tags["ResolutionUnit"].overwrite(2)  # inch, as other programs write it
    assert {"XResolution", "ResolutionUnit", "DocumentName"} <= set(plan_to_zarr(source).dropped)
    fire = np.stack([RAMP, RAMP // 2, 255 - RAMP])
    assert "ImageJ's LUTs" in plan_to_zarr(imagej(tmp_path / "b.tif", LUTs=[fire] * 2)).dropped


def test_imagej_s_steps_down_count_as_steps(tmp_path: Path) -> None:
    form = {"axes": "ZYX", "unit": "um", "spacing": -0.5}
    tifffile.imwrite(tmp_path / "a.tif", movie((4, 12, 14)), imagej=True, resolution=(2, 2),
                     metadata=form)  # fmt: skip
    assert "pixel size X Y Z" in plan_to_zarr(tmp_path / "a.tif").kept


def test_an_lsm_keeps_its_sizes_and_time(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    source, target = tmp_path / "a.lsm", tmp_path / "a.zarr"
    write_lsm(source, movie((3, 2, 3, 16, 20)))
    receipt = passed(source, target, change=False)
    assert {"pixel size X Y Z", "time between frames"} <= set(receipt.kept)
    assert any(line.startswith("LSM metadata but for") for line in receipt.dropped)
    (scales,) = zarr.open_group(str(target), mode="r").attrs["multiscales"]
    (transform,) = scales["datasets"][0]["coordinateTransformations"]
    assert transform["scale"] == pytest.approx([0.25, 1, 0.5, 0.1, 0.1])


def test_elements_of_ome_xml_that_get_lost_are_named(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", ARRAY.reshape(6, 12, 14), description=RICH,
                     photometric="minisblack", metadata=None)  # fmt: skip
    plan = plan_to_zarr(tmp_path / "a.ome.tif")
    assert "pixel size X" in plan.kept
    assert plan.dropped == (
        "modes of channels", "time of each picture", "microscope", "objective settings", "Project",
        "Laser", "StageLabel", "DetectorSettings", "ROI", "CommentAnnotation", "Software",
    )  # fmt: skip


def test_colours_that_become_channels_are_noted(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", movie((3, 12, 14, 3), "u1"), photometric="rgb",
                     metadata={"axes": "TYXS"})  # fmt: skip
    assert plan_to_zarr(tmp_path / "a.tif").notes == ("colours become channels",)


def test_bits_that_a_packed_stack_says_its_samples_have_are_named(tmp_path: Path) -> None:
    source, codes = tmp_path / "a.tif", ARRAY[:, 0] % 1024
    tifffile.imwrite(source, codes, photometric="minisblack", rowsperstrip=12, metadata=None,
                     software=False)  # fmt: skip
    assert not plan_to_zarr(source).dropped
    with tifffile.TiffFile(source, mode="r+b") as file:
        for page, picture in zip(list(file.pages), codes, strict=True):
            file.filehandle.seek(page.dataoffsets[0])
            file.filehandle.write(data := packed_bits(picture, 10))
            page.tags[258].overwrite(10)
            page.tags[279].overwrite(len(data))
    np.testing.assert_array_equal(tifffile.imread(source), codes)
    assert plan_to_zarr(source).dropped == ("significant bits",)


def test_tags_of_a_plain_stack_that_get_lost_are_named(tmp_path: Path) -> None:
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, ARRAY[:, 0], photometric="minisblack", resolution=(5, 5),
                     resolutionunit="INCH", metadata={"axes": "TYX"}, software="mine",
                     extratags=[(315, 2, 0, "Ada", True)])  # fmt: skip
    assert set(plan_to_zarr(source).dropped) == {
        "Artist", "Software", "XResolution", "YResolution", "ResolutionUnit"
    }  # fmt: skip
