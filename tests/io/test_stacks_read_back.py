"""What a stack's plan lists as kept is looked for in what was written, else it is lost."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import tifffile

from f2rcli.io import WriteOptions, open_reader, plan_output
from f2rcli.io.microscopy import ome, writer, zarr_writer
from f2rcli.io.microscopy.passport import Passport
from f2rcli.io.tiff.patch import PatchedFile
from tests.io.stacks import movie, written

ARRAY = movie((3, 2, 12, 14))  # TCYX
FACTS: dict[str, Any] = {
    "PhysicalSizeX": 150, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.2, "TimeIncrement": 40,
    "TimeIncrementUnit": "ms", "Channel": {"Name": ["GFP", "RFP"], "Color": [255 << 16, -1]},
}  # fmt: skip


def stack(path: Path, **more: Any) -> Path:
    """An OME-TIFF that says much."""
    form: dict[str, Any] = {"ome": True, "photometric": "minisblack"}
    tifffile.imwrite(path, ARRAY, metadata=FACTS | {"axes": "TCYX"} | more, **form)
    return path


def zarr_of(tmp_path: Path) -> Path:
    pytest.importorskip("zarr")
    target = tmp_path / "a.zarr"
    assert written(stack(tmp_path / "a.ome.tif"), target).lost == ()
    return target


def test_facts_that_an_ome_tiff_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = zarr_of(tmp_path)
    whole = written(source, tmp_path / "b.ome.tif")
    assert whole.lost == ()
    written(source, tmp_path / "twice.ome.tif")
    assert (tmp_path / "b.ome.tif").read_bytes() == (tmp_path / "twice.ome.tif").read_bytes()
    assert {"pixel size X Y", "time between frames", "names of channels"} <= set(whole.kept)

    def without(passport: Passport, **counts: int) -> dict[str, Any]:
        facts = ome.ome_facts(passport, **counts)
        return {"Channel": facts["Channel"], "PhysicalSizeX": 1.5, "PhysicalSizeY": 0.2}

    monkeypatch.setattr(writer, "ome_facts", without)
    receipt = written(source, tmp_path / "c.ome.tif")
    assert receipt.lost == ("pixel size X Y", "time between frames")
    assert "names of channels" in receipt.kept
    assert not set(receipt.lost) & set(receipt.kept)


def test_facts_that_an_ome_zarr_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("zarr")
    whole = zarr_writer._metadata

    def without(series: Any, passport: Passport, name: str) -> dict[str, Any]:
        facts = whole(series, passport, name)
        facts["multiscales"][0]["axes"][-1].pop("unit")
        facts["omero"]["channels"][1]["label"] = "GFP"
        return facts

    monkeypatch.setattr(zarr_writer, "_metadata", without)
    receipt = written(stack(tmp_path / "a.ome.tif"), tmp_path / "b.zarr")
    assert receipt.lost == ("pixel size X Y", "names of channels")
    assert {"time between frames", "colours of channels"} <= set(receipt.kept)


def test_what_ome_zarr_has_no_words_for_is_dropped_before_the_run(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    more = {"PhysicalSizeX": 2, "PhysicalSizeXUnit": "thou", "PhysicalSizeZ": 0.5}
    with open_reader(stack(tmp_path / "a.ome.tif", **more)) as reader:
        plan = plan_output(reader, tmp_path / "b.zarr", WriteOptions())
    assert "pixel size Y" in plan.kept
    assert plan.dropped == ("pixel size X Z", "Software")


@pytest.mark.parametrize(("place", "lost"), [("PhysicalSizeX", True), ("samples", False)])
def test_bytes_of_a_copy_that_are_not_the_sources(
    place: str, lost: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copied(source: Path, target: Path) -> None:
        data = bytearray(Path(source).read_bytes())
        at = data.index(place.encode()) if lost else data.index(ARRAY[0, 0].tobytes())
        data[at] ^= 1
        Path(target).write_bytes(data)

    monkeypatch.setattr(shutil, "copyfile", copied)
    receipt = written(stack(tmp_path / "a.ome.tif"), tmp_path / "b.ome.tif")
    assert receipt.lost == (("every tag and description",) if lost else ())


def test_a_folder_by_a_relative_path_lacks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pages").mkdir()
    for number, page in enumerate(ARRAY[:, 0]):
        tifffile.imwrite(tmp_path / "pages" / f"{number}.tif", page, photometric="minisblack")
    monkeypatch.chdir(tmp_path)
    receipt = written(Path("pages"), Path("out"))
    assert receipt.lost == ()
    again = written(Path("pages"), Path("out"), write=WriteOptions(overwrite=True))
    assert "every tag and description" in again.kept


def pyramid(path: Path, **how: Any) -> Path:
    """Three pictures with a smaller copy of each."""
    with tifffile.TiffWriter(path, ome=True) as file:
        array = movie((3, 32, 48))
        file.write(array, subifds=1, tile=(16, 16), metadata={"axes": "TYX"}, **how)
        file.write(array[:, ::2, ::2], subfiletype=1, tile=(16, 16), **how)
    return path


def test_a_damaged_level_of_a_pyramid_stays_and_is_told(tmp_path: Path) -> None:
    source = pyramid(tmp_path / "a.tif", compression="deflate")
    with tifffile.TiffFile(source) as file:
        at = file.series[0].levels[1].pages[1].dataoffsets[0]
    data = bytearray(source.read_bytes())
    data[at : at + 20] = bytes(20)
    source.write_bytes(data)
    receipt = written(source, tmp_path / "b.tif")
    assert receipt.lost == ("pyramid, each level changed alike",)
    assert receipt.frames == 3


def test_levels_of_a_pyramid_that_were_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyramid(tmp_path / "a.tif")
    assert written(tmp_path / "a.tif", tmp_path / "b.tif").lost == ()
    write = PatchedFile.write_picture

    def largest(self: PatchedFile, spot: Any, picture: Any) -> None:
        if picture.shape[0] == 32:
            write(self, spot, picture)

    monkeypatch.setattr(PatchedFile, "write_picture", largest)
    receipt = written(tmp_path / "a.tif", tmp_path / "c.tif")
    assert receipt.lost == ("pyramid, each level changed alike",)


def test_units_rounding_alpha_and_ends_of_lines_are_no_loss() -> None:
    ours = Passport(
        pixels={"PhysicalSizeX": 150, "PhysicalSizeXUnit": "nm", "Description": "a\r\nb"},
        channels=[{"Color": (0xFF0000 << 8) | 255, "Name": "a"}, {"Name": "b"}],
        instrument=(("Objective", {"LensNA": 1.2}),), notes={"n": 3},
    )  # fmt: skip
    theirs = Passport(
        pixels={"PhysicalSizeX": "0.15000000001", "PhysicalSizeXUnit": "µm", "Description": "a\nb"},
        channels=[{"Color": str(0xFF0000 << 8), "Name": "a"}, {"Name": "b", "Color": "1"}],
        instrument=(("Objective", {"LensNA": "1.2"}),), notes={"n": "3"},
    )  # fmt: skip
    assert ours.without(theirs) == []
    assert Passport(notes={"n": 3}).without(Passport(notes={"n": 4})) == ["n"]
    assert ours.without(Passport())[0] == "pixel size X"


def test_names_that_xml_has_no_place_for(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    source = zarr_of(tmp_path)
    group = zarr.open_group(str(source), mode="r+")
    scales = {**group.attrs["multiscales"][0], "name": "ce\x01ll\ud800"}
    channels = [
        {"label": "G\x01FP & \x1b[31m", "color": "00FF00"},
        {"label": "b", "color": "red!!!"},
    ]
    group.attrs.update({"multiscales": [scales], "omero": {"channels": channels}})
    receipt = written(source, tmp_path / "b.ome.tif")
    assert receipt.lost == ()
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        assert 'Name="GFP &amp; [31m"' in str(file.ome_metadata)
