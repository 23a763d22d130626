"""Files that are not what their names say: one short line, in the words of the user's own files."""

from pathlib import Path

import pytest
import tifffile

from f2rcli.errors import InputError
from f2rcli.io import open_reader

HEAD = b"hello, this is a text that somebody gave another name"


def refusal(path: Path) -> InputError:
    """What f2r says of a file that it cannot read."""
    with pytest.raises(InputError) as raised, open_reader(path) as reader:
        list(reader)
    return raised.value


def test_a_stack_that_is_called_a_video_is_refused_in_a_short_line(tmp_path: Path) -> None:
    path = tmp_path / "stack.mp4"
    tifffile.imwrite(path, [[1, 2], [3, 4]], dtype="uint16")
    error = refusal(path)
    assert str(error) == "stack.mp4: is not a video."
    assert ".tif" in str(error.hint)


def test_a_microscope_file_called_as_dv_video_is_told_its_way(tmp_path: Path) -> None:
    (tmp_path / "cells.dv").write_bytes(bytes(96) + b"\xa0\xc0" + bytes(4000))
    assert "OME-TIFF" in str(refusal(tmp_path / "cells.dv").hint)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".exr"])
def test_a_text_called_a_picture_is_refused_with_a_hint(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"words{suffix}"
    path.write_bytes(HEAD)
    error = refusal(path)
    assert str(error).startswith(f"words{suffix}: is not a picture that FFmpeg can read (")
    assert error.hint is not None


@pytest.mark.parametrize(
    ("suffix", "package"),
    [(".nd2", "nd2"), (".lif", "liffile"), (".czi", "czifile"), (".h5", "h5py")],
)
def test_an_empty_microscopy_file_is_called_so(tmp_path: Path, suffix: str, package: str) -> None:
    pytest.importorskip(package)
    path = tmp_path / f"a{suffix}"
    path.touch()
    assert str(refusal(path)) == f"a{suffix}: is empty (0 bytes)."


def test_what_a_library_says_does_not_repeat_the_path(tmp_path: Path) -> None:
    pytest.importorskip("nd2")
    path = tmp_path / "a.nd2"
    path.write_bytes(HEAD)
    error = refusal(path)
    assert str(tmp_path) not in str(error)
