"""Stacks under odd names and in odd places: one clear line, or all of it, and nothing lost."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from f2rcli.errors import InputError, UsageError
from f2rcli.io import open_reader, plan_output
from f2rcli.io.base import WriteOptions
from tests.io.stacks import movie, passed

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
    assert Path("out.tif").read_bytes() == source.read_bytes()


@links
def test_links_in_a_circle_are_said_to_be_one(tmp_path: Path) -> None:
    one, other = tmp_path / "one.tif", tmp_path / "other.tif"
    one.symlink_to(other)
    other.symlink_to(one)
    with pytest.raises(InputError, match=r"one\.tif: .*symbolic links"):
        open_reader(one)


@links
def test_an_output_that_links_to_the_input_is_refused(tmp_path: Path) -> None:
    source, link = write(tmp_path / "a.tif"), tmp_path / "b.tif"
    link.symlink_to(source)
    before = source.read_bytes()
    with (
        open_reader(source) as reader,
        pytest.raises(UsageError, match="the output is the input itself"),
    ):
        plan_output(reader, link, WriteOptions(overwrite=True))
    assert source.read_bytes() == before


def test_pages_may_go_below_their_own_folder_and_never_onto_it(tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    pages = [write(folder / f"{number}.tif", (16, 20)) for number in range(3)]
    before = [page.read_bytes() for page in pages]
    passed(folder, folder / "clean", change=True)
    assert [page.read_bytes() for page in pages] == before
    assert sorted(p.name for p in (folder / "clean").iterdir()) == [p.name for p in pages]
    with open_reader(folder) as reader:  # what lies below is no page of it
        assert reader.info.frames == 3
        with pytest.raises(UsageError, match="the output is the input itself"):
            plan_output(reader, folder, WriteOptions(overwrite=True))


def test_a_stack_of_one_page_is_denoised_by_itself_and_says_so(tmp_path: Path) -> None:
    source = write(tmp_path / "one.tif", (16, 20))
    with open_reader(source) as reader:
        assert reader.info.frames == 1
        assert reader.info.notes == ("no time axis: each picture is denoised separately",)
    passed(source, tmp_path / "out.tif", change=False)
    assert np.array_equal(tifffile.imread(tmp_path / "out.tif"), tifffile.imread(source))


def test_a_stack_among_pages_is_named(tmp_path: Path) -> None:
    write(tmp_path / "1.tif", (16, 20))
    write(tmp_path / "2.tif", (3, 16, 20))
    write(tmp_path / "3.tif", (16, 20))
    with (
        pytest.raises(InputError, match=r"2\.tif: is TYX 3x16x20"),
        open_reader(tmp_path) as reader,
    ):
        list(reader)
