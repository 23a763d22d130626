"""Develop settings in files beside raw files go with them, and nobody's file is written over."""

from pathlib import Path

from f2rcli.io import WriteOptions, open_reader, plan_output
from tests.io.raw_files import louder, raised, write_burst, write_dng

HERE = "develop settings beside the source"


def test_settings_are_copied_under_the_outputs_name(tmp_path: Path) -> None:
    source = write_dng(tmp_path / "IMG.dng")
    (tmp_path / "IMG.xmp").write_bytes(b"Adobe's")
    (tmp_path / "IMG.dng.xmp").write_bytes(b"darktable's")
    (tmp_path / "IMG.dng.PP3").write_bytes(b"RawTherapee's")
    (tmp_path / "IMG_2.xmp").write_bytes(b"another picture's")
    receipt = raised(source, tmp_path / "clean.dng", 1)
    assert receipt.kept[-1] == f"{HERE} (IMG.dng.PP3, IMG.dng.xmp, IMG.xmp)"
    assert (tmp_path / "clean.xmp").read_bytes() == b"Adobe's"
    assert (tmp_path / "clean.dng.xmp").read_bytes() == b"darktable's"
    assert (tmp_path / "clean.dng.PP3").read_bytes() == b"RawTherapee's"


def test_those_of_a_burst_lie_in_its_folder(tmp_path: Path) -> None:
    burst = write_burst(tmp_path / "burst", 4)
    for name in ("IMG 8", "IMG 9", "IMG 10", "IMG 11"):
        (burst / f"{name}.xmp").write_text(name)
    (burst / "notes.xmp").write_text("of something else")
    with open_reader(burst) as reader:
        assert "other files in the folder are ignored (1 .xmp)" in reader.info.notes
    kept = raised(burst, tmp_path / "out", 1).kept
    assert kept[-1] == f"{HERE} (IMG 8.xmp, IMG 9.xmp and 2 more)"
    assert (tmp_path / "out" / "IMG 10.xmp").read_text() == "IMG 10"
    assert len(list((tmp_path / "out").iterdir())) == 8


def test_what_is_there_stays(tmp_path: Path) -> None:
    source, target = write_dng(tmp_path / "IMG.dng"), tmp_path / "clean.dng"
    (tmp_path / "IMG.xmp").write_text("of the source")
    (tmp_path / "clean.xmp").write_text("the owner's later work")
    with open_reader(source) as reader:
        plan = plan_output(reader, target, WriteOptions())
    assert plan.notes == ("clean.xmp already exists and is left as it is",)
    assert not any(HERE in line for line in plan.kept)
    for overwrite in (False, True):
        louder(source, target, 1, overwrite=overwrite)
        assert (tmp_path / "clean.xmp").read_text() == "the owner's later work"


def test_what_appears_during_the_run_stays_and_is_told(tmp_path: Path, monkeypatch) -> None:
    source = write_dng(tmp_path / "IMG.dng")
    (tmp_path / "IMG.xmp").write_text("of the source")
    from f2rcli.io.raw import writer

    publish = writer.PartFile.publish

    def late(self) -> int:
        (tmp_path / "clean.xmp").write_text("somebody else's")
        return publish(self)

    monkeypatch.setattr(writer.PartFile, "publish", late)
    receipt = raised(source, tmp_path / "clean.dng", 1)
    assert receipt.lost == (f"{HERE} (IMG.xmp)",)
    assert (tmp_path / "clean.xmp").read_text() == "somebody else's"


def test_a_tiff_has_no_use_for_them(tmp_path: Path) -> None:
    source = write_dng(tmp_path / "IMG.dng")
    (tmp_path / "IMG.xmp").write_text("of the source")
    for demosaic in (False, True):
        target = tmp_path / f"{demosaic}.tif"
        assert raised(source, target, 1, demosaic=demosaic).dropped[-1] == f"{HERE} (IMG.xmp)"
        assert not target.with_suffix(".xmp").exists()
