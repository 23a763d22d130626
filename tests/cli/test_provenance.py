"""A file tells how it was made, and a run can be made like it."""

import json
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import tifffile

from f2rcli import __version__
from f2rcli.errors import EXIT_INPUT, EXIT_OK, EXIT_USAGE
from f2rcli.io.tiff.provenance import provenance_of, put_provenance


def told(f2r: Callable[..., Any], path: Path) -> Any:
    done = f2r("info", path, "--json")
    assert done.code == EXIT_OK, done.err
    return json.loads(done.out.splitlines()[-1])["provenance"]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".nut", ".avi", ".apng"])
def test_a_video_tells_how_it_was_made(f2r: Callable[..., Any], clip: Path, suffix: str) -> None:
    out = clip.with_name(f"out{suffix}")
    assert f2r("denoise", clip, "-o", out, "--strength", "0.8", "--frames", 3).code == EXIT_OK
    facts = told(f2r, out)
    assert facts["f2r"] == __version__
    assert facts["settings"] == {"strength": 0.8}
    assert facts["noise"] == {"sigma8": [10, 12, 14]}  # the fake engine's
    assert (facts["weights"], facts["contract"]) == ("fake", True)
    made = next(line for line in f2r("info", out).out.splitlines() if line.startswith("made by"))
    assert made.startswith("made by   f2r")
    assert "sigma 10.0/12.0/14.0 of 255" in made
    assert str(clip.parent) not in json.dumps(facts)


def test_an_animation_tells_of_its_own_run_alone(f2r: Callable[..., Any], clip: Path) -> None:
    first, second, silent = (clip.with_name(name) for name in ("1.apng", "2.apng", "3.apng"))
    assert f2r("denoise", clip, "-o", first, "--strength", "0.8").code == EXIT_OK
    assert f2r("denoise", first, "-o", second, "--like", first, "--strength", "0.5").code == EXIT_OK
    assert told(f2r, second)["settings"] == {"strength": 0.5}
    assert second.read_bytes().count(b"tEXtf2r") == 1
    assert f2r("denoise", first, "-o", silent, "--no-provenance").code == EXIT_OK
    assert told(f2r, silent) is None
    assert second.read_bytes().endswith(silent.read_bytes()[-12:])  # the last chunk


def test_numbered_pictures_tell_it_too(f2r: Callable[..., Any], clip: Path) -> None:
    out, again, silent = (clip.with_name(name) for name in ("out", "again", "silent"))
    first = "%05d.png"
    assert f2r("denoise", clip, "-o", out / first, "--strength", "0.8").code == EXIT_OK
    assert told(f2r, out)["settings"] == {"strength": 0.8}
    assert f2r("denoise", out, "-o", again, "--like", out).code == EXIT_OK
    assert told(f2r, again)["settings"] == {"strength": 0.8}
    assert (again / "00001.png").read_bytes().count(b"tEXtf2r") == 1
    assert f2r("denoise", out, "-o", silent, "--no-provenance").code == EXIT_OK
    assert told(f2r, silent) is None


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """A movie of two channels, as an array of HDF5."""
    h5py = pytest.importorskip("h5py")
    pytest.importorskip("zarr")
    path = tmp_path / "cells.h5"
    with h5py.File(path, "w") as file:
        movie = np.random.default_rng(0).integers(50, 200, (4, 2, 40, 48), dtype=np.uint16)
        file.create_dataset("movie", data=movie)
    return path


def read(path: Path) -> Any:
    zarr = pytest.importorskip("zarr")
    return tifffile.imread(path) if path.is_file() else zarr.open_group(path, mode="r")["0"][...]


@pytest.mark.parametrize("name", ["out.ome.tif", "out.zarr"])
def test_new_stacks_tell_it_too(f2r: Callable[..., Any], cells: Path, name: str) -> None:
    out, twice, again, silent = (cells.with_name(f"{a}{name}") for a in ("", "2", "again", "no"))
    words = ("--axes", "TCYX", "--strength", "0.8")
    for target in (out, twice):
        assert f2r("denoise", cells, "-o", target, *words).code == EXIT_OK
    facts = told(f2r, out)
    assert facts["settings"] == {"axes": "TCYX", "strength": 0.8}
    assert facts["noise"] == {"sigma8": [10, 12, 14]}
    assert files(out) == files(twice)
    assert f2r("denoise", cells, "--like", out, "-o", again).code == EXIT_OK
    assert told(f2r, again) == facts
    assert f2r("denoise", cells, "-o", silent, *words, "--no-provenance").code == EXIT_OK
    assert told(f2r, silent) is None
    np.testing.assert_array_equal(read(silent), read(out))


def files(path: Path) -> dict[str, bytes]:
    """The bytes of a file, or of every file in a folder."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("first", "second"), [("a.zarr", "b.zarr"), ("a.zarr", "b.ome.tif"),
                                               ("a.ome.tif", "b.zarr")])  # fmt: skip
def test_a_stack_tells_of_its_own_run_alone(
    f2r: Callable[..., Any], cells: Path, first: str, second: str
) -> None:
    one, other, silent = (cells.with_name(name) for name in (first, second, f"no{second}"))
    f2r("denoise", cells, "-o", one, "--axes", "TCYX", "--strength", "0.8")
    done = f2r("denoise", one, "-o", other, "--strength", "0.5")
    assert done.code == EXIT_OK, done.err
    assert "hold: f2r" not in done.err
    assert told(f2r, other)["settings"] == {"strength": 0.5}
    assert f2r("denoise", one, "-o", silent, "--no-provenance").code == EXIT_OK
    assert told(f2r, silent) is None
    assert not any(b"0.8" in data for data in files(silent).values())


def test_a_copy_of_a_stack_tells_of_its_own_run_in_the_same_place(
    f2r: Callable[..., Any], cells: Path
) -> None:
    one, same, other, silent = (cells.with_name(f"{n}.ome.tif") for n in ("a", "b", "c", "d"))
    f2r("denoise", cells, "-o", one, "--axes", "TCYX", "--strength", "0.8")
    assert f2r("denoise", one, "-o", same, "--strength", "0").code == EXIT_OK
    assert same.read_bytes() == one.read_bytes()
    done = f2r("denoise", one, "-o", other, "--strength", "0.5")
    assert done.code == EXIT_OK, done.err
    assert "kept OME-TIFF" in done.err
    assert told(f2r, other)["settings"] == {"strength": 0.5}
    assert f2r("denoise", one, "-o", silent, "--no-provenance").code == EXIT_OK
    assert told(f2r, silent) is None
    assert b"0.8" not in other.read_bytes() + silent.read_bytes()
    np.testing.assert_array_equal(read(silent), read(other))
    assert len({path.stat().st_size for path in (one, other, silent)}) == 1


def test_a_note_without_room_is_blanked_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    note = '<{}CommentAnnotation ID="a" Namespace="{}"><{}Value>{}</{}Value></{}CommentAnnotation>'
    notes = [
        note.format(p, n, p, "x" * 30, p, p) for p, n in (("", "f2r"), ("SA:", "f2r"), ("", "b"))
    ]
    tifffile.imwrite(path, np.zeros((4, 4), np.uint8), description="".join(notes), metadata=None)
    before = path.read_bytes()
    for text, value in (("1 < 2", b"1 &lt; 2"), ("y" * 31, b"")):
        runs = put_provenance(path, text)
        after = path.read_bytes()
        assert after.count(value.ljust(30)) == 2
        assert (len(runs), len(after), after.count(b"x" * 30)) == (4, len(before), 1)
        assert provenance_of(after.decode("latin-1")) == unescape(value.decode())


def test_other_readers_take_the_note_of_an_ome_tiff(f2r: Callable[..., Any], cells: Path) -> None:
    ome_types = pytest.importorskip("ome_types")
    out = cells.with_name("out.ome.tif")
    f2r("denoise", cells, "-o", out, "--axes", "TCYX")
    with tifffile.TiffFile(out) as file:
        assert file.series[0].axes == "TCYX"
        ome = ome_types.from_xml(file.ome_metadata or "")
    (note,) = ome.structured_annotations.comment_annotations
    assert note.namespace == "f2r"
    assert json.loads(note.value) == told(f2r, out)


def test_silence_can_be_asked_for_and_an_old_tag_does_not_travel(
    f2r: Callable[..., Any], clip: Path
) -> None:
    out, again = clip.with_name("out.mkv"), clip.with_name("again.mp4")
    f2r("denoise", clip, "-o", out, "--strength", "0.8")
    f2r("denoise", out, "-o", again, "--no-provenance")
    assert told(f2r, clip) is None
    assert told(f2r, again) is None
    with av.open(str(again)) as container:
        assert "0.8" not in str(container.metadata)


def test_a_run_like_an_earlier_one(f2r: Callable[..., Any], clip: Path) -> None:
    first, second, third = (clip.with_name(f"{name}.mkv") for name in "abc")
    options = ("--strength", "0.8", "--encoder-opt", "tune=grain", "--codec", "h264", "--frames", 4)
    f2r("denoise", clip, "-o", first, *options)
    done = f2r("denoise", clip, "--like", first, "-o", second)
    assert done.code == EXIT_OK, done.err
    settings = {"strength": 0.8, "encoder_opt": ["tune=grain"], "codec": "h264"}
    assert told(f2r, second)["settings"] == settings  # not which part
    f2r("denoise", clip, "--like", first, "-o", third, "--strength", "0.5")
    assert told(f2r, third)["settings"] == settings | {"strength": 0.5}


def test_what_tells_nothing_or_nonsense_is_no_model(f2r: Callable[..., Any], clip: Path) -> None:
    done = f2r("denoise", clip, "--like", clip, "-o", clip.with_name("o.mkv"))
    assert done.code == EXIT_INPUT
    assert "does not say how f2r made it" in done.err
    for text, code in (
        ('{"f2r": ' + "[" * 9999, EXIT_INPUT),
        ('{"f2r": 1, "settings": 3}', EXIT_INPUT),
        ('{"f2r": 1, "settings": {"nonsense": {}}}', EXIT_USAGE),
        ('{"f2r": 1, "settings": {"log_file": "clip.mp4", "report": "x", "output": 3}}', EXIT_OK),
        ('{"f2r": [], "noise": [], "sha256": {}, "settings": {"strength": [1]}}', EXIT_USAGE),
    ):
        odd = clip.with_name("odd.mkv")
        with av.open(str(clip)) as source, av.open(str(odd), "w") as target:
            target.metadata["F2R"] = text
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                packet.stream = stream
                if packet.dts is not None:
                    target.mux(packet)
        assert f2r("info", odd).code == EXIT_OK
        assert f2r("denoise", clip, "--like", odd, "--dry-run").code == code
