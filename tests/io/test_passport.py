"""Sizes, times, channels and instruments travel from makers' files into OME-TIFF.

The stand-ins hold what the libraries gave for real files: cluster.nd2 (soft-matter/pims_nd2),
CD_s_1_t_3_c_2_z_5.czi (aicspylibczi), and two projects of readlif's tests.
"""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from f2rcli.errors import InputError
from f2rcli.io import open_reader, plan_output
from f2rcli.io.base import WriteOptions
from tests.io.stacks import movie, passed

ARRAY = movie((3, 2, 2, 12, 14))  # TZCYX


class Closing:
    """A library's file: it must be closed."""

    closed = False

    def close(self) -> None:
        type(self).closed = True


class Nd2(Closing):
    """nd2.ND2File, with OME-XML as nd2 0.12 makes it."""

    sizes = {"T": 3, "Z": 2, "C": 2, "Y": 12, "X": 14}  # noqa: RUF012
    dtype = ARRAY.dtype
    loop_indices = tuple({"T": t, "Z": z} for t in range(3) for z in range(2))
    text_info = {"description": "Metadata:\r\n Plan Apo", "date": "today"}  # noqa: RUF012
    rois: Any = {}  # noqa: RUF012
    binary_data: Any = ("a mask",)
    custom_data: Any = {"LUTDataV1_0": {}}  # noqa: RUF012

    def __init__(self, path: Path) -> None:
        pass

    def read_frame(self, index: int) -> Any:
        return ARRAY.reshape(6, 2, 12, 14)[index]

    def frame_metadata(self, index: int) -> Any:
        time = SimpleNamespace(relativeTimeMs=445 + 10000 * self.loop_indices[index]["T"])
        return SimpleNamespace(channels=[SimpleNamespace(time=time)])

    def events(self) -> Any:
        return [{"Time [s]": 0.4, "Laser Power; 1.channel [%]": 0.5}]

    def ome_metadata(self) -> Any:
        planes = "".join(
            f'<Plane TheZ="{z}" TheT="{t}" TheC="{c}" DeltaT="{445 + 10000 * t + 1000 * z}" '
            f'DeltaTUnit="ms" ExposureTime="99.5" ExposureTimeUnit="ms" PositionX="-26056.95" '
            'PositionXUnit="µm"/>'
            for t in range(3) for z in range(2) for c in range(2)
        )  # fmt: skip
        xml = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Instrument '
            'ID="Instrument:0"><Detector Model="A1" ID="Detector:0"/><Objective '
            'Model="Plan Apo λ 60x" ID="Objective:0" LensNA="0.95" NominalMagnification="60.0"/>'
            '</Instrument><Image ID="Image:0" Name="cluster"><AcquisitionDate>2014-06-18T13:55:23Z'
            '</AcquisitionDate><InstrumentRef ID="Instrument:0"/><ObjectiveSettings '
            'ID="Objective:0" RefractiveIndex="1.0"/><Pixels ID="Pixels:0" DimensionOrder="XYCZT" '
            'Type="uint16" SignificantBits="12" SizeX="14" SizeY="12" SizeZ="2" SizeC="2" '
            'SizeT="3" PhysicalSizeX="0.1678" PhysicalSizeY="0.1678" PhysicalSizeZ="0.5">'
            '<Channel ID="Channel:0" Name="5-FAM/pH 9.0" SamplesPerPixel="1" '
            'EmissionWavelength="525.0" EmissionWavelengthUnit="nm" Color="2028539903"/>'
            '<Channel ID="Channel:1" Name="FM 4-64" SamplesPerPixel="1" '
            f'ExcitationWavelength="561.0" ExcitationWavelengthUnit="nm"/><MetadataOnly/>{planes}'
            "</Pixels></Image></OME>"
        )
        return SimpleNamespace(to_xml=lambda: xml)


CZI_XML = """<ImageDocument><Metadata><Experiment><RunMode/></Experiment><Information><Image>
<AcquisitionDateAndTime>2016-02-12T09:41:02Z</AcquisitionDateAndTime>
<ComponentBitCount>14</ComponentBitCount><Dimensions><Channels><Channel Id="Channel:0"
Name="LED555"><ExcitationWavelength>553</ExcitationWavelength><EmissionWavelength>568
</EmissionWavelength><Color>#FFFF7E00</Color><Fluor>Alexa Fluor 555</Fluor><ExposureTime>100000000
</ExposureTime><AcquisitionMode>WideField</AcquisitionMode><ContrastMethod>Homemade
</ContrastMethod><Reflector>none
</Reflector></Channel><Channel Id="Channel:1" Name="LED470"><ExposureTime>200000000
</ExposureTime></Channel></Channels><T><Positions><List><Offsets>0 60 120</Offsets></List>
</Positions></T><S><Scenes><Scene Name="A1"/></Scenes></S></Dimensions><PinholeGeometry>round
</PinholeGeometry><MicroscopeRef Id="Microscope:1"/>
<ObjectiveSettings><RefractiveIndex>1.33</RefractiveIndex>
<ObjectiveRef Id="Objective:1"/></ObjectiveSettings></Image><Instrument>
<LightSources><LightSource Id="L"/></LightSources><Microscopes><Microscope
Id="Microscope:1" Name="Castor.Stand"/></Microscopes><Detectors><Detector Id="D:A"><Manufacturer>
<Model>Axiocam506m</Model></Manufacturer></Detector></Detectors><Objectives><Objective
Id="Objective:1" Name="Plan-Apochromat 50x/1.2"><LensNA>1.2</LensNA><NominalMagnification>50
</NominalMagnification><Immersion>Water</Immersion></Objective></Objectives></Instrument>
</Information><Scaling><Items><Distance Id="X"><Value>9.0576674152210312E-08</Value></Distance>
<Distance Id="Y"><Value>9.06E-08</Value></Distance><Distance Id="Z"><Value>3.2E-07</Value>
</Distance></Items></Scaling></Metadata></ImageDocument>"""


class Czi(Closing):
    """czifile.CziFile."""

    axes, shape, start = "BTCZYX0", (1, 3, 2, 2, 12, 14, 1), (0, 0, 0, 0, 0, 0, 0)
    dtype = ARRAY.dtype

    def __init__(self, path: Path) -> None:
        self.filtered_subblock_directory = [
            self._entry(t, c, z) for t in range(3) for c in range(2) for z in range(2)
        ]

    def _entry(self, t: int, c: int, z: int) -> Any:
        part = SimpleNamespace(
            data=lambda resize: ARRAY[t, z, c][None, None, None, None, ..., None]
        )
        return SimpleNamespace(
            start=(0, t, c, z, 0, 0, 0), shape=(1, 1, 1, 1, 12, 14, 1),
            stored_shape=(1, 1, 1, 1, 12, 14, 1), data_segment=lambda: part, compression=0,
        )  # fmt: skip

    def metadata(self) -> str:
        return CZI_XML

    def attachments(self) -> Any:
        stamps = SimpleNamespace(
            attachment_entry=SimpleNamespace(name="TimeStamps"),
            data=lambda: np.array([360.4, 420.4, 480.5]),
        )
        return iter([stamps, SimpleNamespace(attachment_entry=SimpleNamespace(name="Thumbnail"))])


def lif_image(name: str, sizes: dict[str, int], coords: dict[str, Any]) -> Any:
    """One of liffile's images."""
    array = movie(tuple(sizes.values()), "u1")
    channel = (
        '<ChannelDescription LUTName="Green" Resolution="7"><ChannelProperty><Key>BeamRoute</Key>'
        "<Value>10;0</Value></ChannelProperty></ChannelDescription>"
    )
    pictures = int(np.prod(list(sizes.values())[:-2]))
    stamp = np.datetime64("2021-03-04T16:39:17.951")

    def frame(**where: int) -> Any:
        return array[tuple(where[axis] for axis in list(sizes)[:-2])]

    return SimpleNamespace(
        name=name, sizes=sizes, dtype=array.dtype, frame=frame, array=array, coords=coords,
        asarray=lambda: array, timestamps=stamp + np.arange(pictures) * np.timedelta64(530, "ms"),
        xml_element=ElementTree.fromstring(
            "<E><Data><Image><ImageDescription><Channels>"
            f"{channel * sizes.get('C', 1)}</Channels></ImageDescription></Image></Data></E>"
        ),
        attrs={"name": name, "ViewerScaling": {}, "HardwareSetting": {
            "ATLConfocalSettingDefinition": {
                "ObjectiveName": "HC PL APO CS2    63x/1.30 GLYC ", "Magnification": 63,
                "NumericalAperture": 1.3, "Immersion": "GLYC", "RefractionIndex": 1.46,
                "MicroscopeModel": "DMI6000B-CS"}}},
    )  # fmt: skip


SECONDS, MICRONS = np.arange(3) * 0.53, np.arange(4) * 1e-6


class Lif(Closing):
    """liffile.LifFile."""

    images = (
        lif_image("movie", {"T": 3, "C": 2, "Y": 12, "X": 14},
                  {"T": SECONDS, "Y": MICRONS * 0.2, "X": MICRONS * 0.1}),
        lif_image("xzt", {"T": 3, "C": 2, "Z": 12, "X": 14},
                  {"T": SECONDS, "Z": MICRONS * 0.3, "X": MICRONS * 0.1}),
        lif_image("xzyt", {"T": 3, "Y": 4, "Z": 12, "X": 14},
                  {"T": SECONDS, "Z": MICRONS * 0.3, "X": MICRONS * 0.1, "Y": MICRONS * 0.7}),
        lif_image("sweep", {"T": 2, "λ": 4, "Y": 12, "X": 14},
                  {"T": SECONDS[:2], "λ": 5.5e-7 + np.arange(4) * 1e-8}),
    )  # fmt: skip

    def __init__(self, path: Path) -> None:
        pass


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, fake: Any) -> Path:
    """A file that a stand-in for its library opens."""
    suffix, name = {"nd2": (".nd2", "ND2File"), "czifile": (".czi", "CziFile"),
                    "liffile": (".lif", "LifFile")}[package]  # fmt: skip
    library = ModuleType(package)
    setattr(library, name, fake)
    monkeypatch.setitem(sys.modules, package, library)
    source = tmp_path / f"a{suffix}"
    source.write_bytes(b"x")
    return source


def through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, fake: Any) -> Any:
    """A stand-in's file denoised by nothing: OME-XML as ome-types understands it, and the plan."""
    ome_types = pytest.importorskip("ome_types")
    source, target = install(tmp_path, monkeypatch, package, fake), tmp_path / "a.ome.tif"
    with open_reader(source) as reader:
        plan = plan_output(reader, target, WriteOptions())
    passed(source, target, change=False)
    assert fake.closed
    with tifffile.TiffFile(target) as file:
        return ome_types.from_xml(file.ome_metadata or ""), plan, reader


def test_nd2_keeps_its_ome_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ome, plan, reader = through(tmp_path, monkeypatch, "nd2", Nd2)
    pixels, image = ome.images[0].pixels, ome.images[0]
    assert (pixels.physical_size_x, pixels.physical_size_y, pixels.physical_size_z) == (
        0.1678, 0.1678, 0.5)  # fmt: skip
    assert pixels.time_increment == pytest.approx(10)
    assert pixels.significant_bits == 12
    assert [c.name for c in pixels.channels] == ["5-FAM/pH 9.0", "FM 4-64"]
    assert pixels.channels[0].emission_wavelength == 525
    assert pixels.channels[1].excitation_wavelength == 561
    assert len(pixels.planes) == 12
    late = next(p for p in pixels.planes if (p.the_t, p.the_z, p.the_c) == (2, 1, 0))
    assert (late.delta_t, late.delta_t_unit.value, late.exposure_time) == (21445, "ms", 99.5)
    assert ome.instruments[0].objectives[0].model == "Plan Apo λ 60x"
    assert image.objective_settings.id == ome.instruments[0].objectives[0].id
    assert image.acquisition_date.year == 2014
    assert "ND2 description" in ome.to_xml()
    assert plan.dropped == (
        "Laser Power; 1.channel [%]", "binary layers", "custom data LUTDataV1_0",
    )  # fmt: skip
    assert float(reader.info.time_base) == pytest.approx(10)


def test_a_damaged_nd2_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Damaged(Nd2):
        closed = False

        @property
        def sizes(self) -> Any:
            raise ValueError("no map of chunks")

    source = install(tmp_path, monkeypatch, "nd2", Damaged)
    with pytest.raises(InputError, match="no map of chunks"):
        open_reader(source)
    assert Damaged.closed


def test_czi_keeps_scaling_channels_and_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ome, plan, _ = through(tmp_path, monkeypatch, "czifile", Czi)
    pixels = ome.images[0].pixels
    assert pixels.physical_size_x == pytest.approx(0.09057667415)
    assert (pixels.physical_size_y, pixels.physical_size_z) == pytest.approx((0.0906, 0.32))
    assert pixels.time_increment == pytest.approx(60.05)
    assert pixels.significant_bits == 14
    first, second = pixels.channels
    assert (first.name, second.name) == ("LED555", "LED470")
    assert (first.excitation_wavelength, first.emission_wavelength) == (553, 568)
    assert first.fluor == "Alexa Fluor 555"
    assert first.color.as_hex() == "#ff7e00"
    assert first.contrast_method is None  # "Homemade" is not one of OME's
    last = pixels.planes[-1]
    assert (last.the_t, last.the_z, last.the_c, last.exposure_time) == (2, 1, 1, 0.2)
    assert last.delta_t == pytest.approx(120.1)
    objective = ome.instruments[0].objectives[0]
    assert (objective.lens_na, objective.immersion.value) == (1.2, "Water")
    assert ome.instruments[0].detectors[0].model == "Axiocam506m"
    assert plan.dropped == (
        "Experiment", "PinholeGeometry of the image", "S of the dimensions",
        "ContrastMethod of channels", "Reflector of channels", "LightSources of the instrument",
        "attachment Thumbnail",
    )  # fmt: skip
    assert "wavelengths" in plan.kept
    assert "pixel size X Y Z" in plan.kept


def test_lif_keeps_coordinates_stamps_and_channels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ome, plan, _ = through(tmp_path, monkeypatch, "liffile", Lif)
    movie_, xzt, xzyt, sweep = ome.images
    assert [i.name for i in ome.images] == ["movie", "xzt", "xzyt", "sweep"]
    assert (movie_.pixels.physical_size_y, movie_.pixels.physical_size_x) == (
        pytest.approx(0.2), pytest.approx(0.1))  # fmt: skip
    assert movie_.pixels.time_increment == pytest.approx(0.53)
    assert [c.name for c in movie_.pixels.channels] == ["Green", "Green"]
    assert [p.delta_t for p in movie_.pixels.planes[:3]] == pytest.approx([0, 0.53, 1.06])
    assert movie_.acquisition_date.year == 2021
    assert xzt.pixels.physical_size_y == pytest.approx(0.3)
    assert xzt.pixels.size_y == 12
    assert xzyt.pixels.physical_size_z == pytest.approx(0.7)
    assert xzyt.pixels.size_z == 4
    assert "550 560 570 580" in ome.to_xml()
    assert sweep.pixels.size_t * sweep.pixels.size_c * sweep.pixels.size_z == 8
    assert len(ome.instruments) == 4
    assert ome.instruments[0].objectives[0].model == ("HC PL APO CS2 63x/1.30 GLYC")
    assert any("along X and Z" in note for note in plan.notes)
    assert {"ViewerScaling", "BeamRoute of channels"} <= set(plan.dropped)
    assert "time of each picture" not in plan.dropped
    assert movie_.pixels.significant_bits == 7


def test_pictures_of_unusual_scans_are_in_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    through(tmp_path, monkeypatch, "liffile", Lif)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        assert [s.axes for s in file.series] == ["TCYX", "TCYX", "TZYX", "TEYX"]
        for one, series in zip(Lif.images, file.series, strict=True):
            np.testing.assert_array_equal(series.asarray(), one.array)


def test_tiles_of_a_mosaic_are_joined_where_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three tiles that overlap, one of them lower; what none covers is 0, copies are left out."""

    class Tiles(Czi):
        axes, shape, start = "TYX0", (2, 14, 34, 1), (0, 100, -7, 0)

        def __init__(self, path: Path) -> None:
            self.tiles = [movie((2, 12, 14), seed=n) for n in range(3)]
            self.filtered_subblock_directory = [
                self._part(t, tile, 100 + 2 * (n == 1), -7 + 10 * n)
                for t in range(2) for n, tile in enumerate(self.tiles)
            ]  # fmt: skip
            small = self._part(0, self.tiles[0], 100, -7)
            small.shape = (1, 24, 28, 1)
            self.filtered_subblock_directory.append(small)

        def _part(self, t: int, tile: Any, row: int, column: int) -> Any:
            part = SimpleNamespace(data=lambda resize: tile[t][None, ..., None])
            return SimpleNamespace(start=(t, row, column, 0), data_segment=lambda: part,
                                   compression=0, shape=(1, 12, 14, 1),
                                   stored_shape=(1, 12, 14, 1))  # fmt: skip

    source = install(tmp_path, monkeypatch, "czifile", Tiles)
    with open_reader(source) as reader:
        assert reader.ledger.lines() == ["a: a mosaic of 3 tiles, joined as the file places them"]
    passed(source, tmp_path / "b.ome.tif", change=False)
    first, second, third = Tiles(source).tiles
    whole = np.zeros((2, 14, 34), first.dtype)
    whole[:, :12, :14], whole[:, 2:, 10:24], whole[:, :12, 20:] = first, second, third
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.ome.tif"), whole)


def test_scenes_are_series_of_their_own_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Scenes(Czi):
        """Two scenes of unlike sizes, somewhere on the slide."""

        axes, shape, start = "STYX0", (2, 3, 40, 60, 1), (0, 0, -5, 7, 0)

        def __init__(self, path: Path) -> None:
            self.scenes = movie((3, 12, 14)), movie((3, 8, 10), seed=1)
            self.filtered_subblock_directory = [
                self._part(s, t, array) for s, array in enumerate(self.scenes) for t in range(3)
            ]

        def _part(self, s: int, t: int, array: Any) -> Any:
            part = SimpleNamespace(data=lambda resize: array[t][None, None, ..., None])
            shape = (1, 1, *array.shape[1:], 1)
            return SimpleNamespace(start=(s, t, 9 * s, 20 * s, 0), data_segment=lambda: part,
                                   compression=0, shape=shape, stored_shape=shape)  # fmt: skip

    source = install(tmp_path, monkeypatch, "czifile", Scenes)
    passed(source, tmp_path / "b.ome.tif", change=False)
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        assert [series.name for series in file.series] == ["scene 1", "scene 2"]
        for series, array in zip(file.series, Scenes(source).scenes, strict=True):
            np.testing.assert_array_equal(series.asarray(), array)


def test_an_image_of_single_points_keeps_no_other_from_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [lif_image("point", {"T": 12, "C": 2}, {}), lif_image("line", {"C": 2, "X": 14}, {})]

    class Mixed(Lif):
        images = (*points, Lif.images[0])

    _, _, reader = through(tmp_path, monkeypatch, "liffile", Mixed)
    assert "'point' and 'line' hold no pictures" in " ".join(reader.ledger.lines())
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        assert [series.axes for series in file.series] == ["TCYX"]

    class Points(Lif):
        images = tuple(points)

    source = install(tmp_path, monkeypatch, "liffile", Points)
    with pytest.raises(InputError, match=r"a\.lif: holds no pictures"):
        open_reader(source)


def test_line_scans_have_time_down_their_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = lif_image("xt", {"T": 12, "C": 2, "X": 14}, {"T": np.arange(12) * 0.01})

    class Lines(Lif):
        images = (one,)

    ome, *_ = through(tmp_path, monkeypatch, "liffile", Lines)
    assert "Seconds between rows" in ome.to_xml()
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        assert file.series[0].axes == "CYX"
        np.testing.assert_array_equal(file.asarray(), one.array.transpose(1, 0, 2))
