"""Raw files that are damaged, mixed or of other kinds, and wishes that cannot be fulfilled."""

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rawpy
import tifffile

from f2rcli.errors import InputError, OutputError, UsageError
from f2rcli.io import ReadOptions, WriteOptions, open_reader, plan_output
from tests.io.raw_files import codes, louder, overwritten, tags, write_burst, write_dng
from tests.io.through import copied


def raw_image(path: Path) -> np.ndarray:
    """A raw file's samples."""
    with rawpy.imread(str(path)) as raw:
        return np.array(raw.raw_image)


def test_a_damaged_exposure_is_held_and_told(tmp_path: Path, tools: Any) -> None:
    burst = write_burst(tmp_path / "burst")
    whole = (burst / "IMG 9.dng").read_bytes()
    (burst / "IMG 9.dng").write_bytes(whole[:2000])
    with open_reader(burst) as reader:
        frames = list(reader)
        assert [frame.held for frame in frames] == [False, True, False, False]
        assert "cut off" in reader.ledger.faults[0]
    tools.passthrough(burst, tmp_path / "out")
    first, second = (raw_image(tmp_path / "out" / f"IMG {n}.dng") for n in (8, 9))
    assert np.array_equal(first, second)


def test_a_cut_off_file_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = write_dng(tmp_path / "a.dng", extra=[(65000, 2, 0, "x" * 99, True)]).read_bytes()
    (tmp_path / "a.dng").write_bytes(whole[:600])
    with pytest.raises(InputError, match=r"a\.dng: is "):
        open_reader(tmp_path / "a.dng")
    assert not caplog.records


def test_a_list_of_pages_that_runs_in_a_circle_is_left(tmp_path: Path) -> None:
    data = bytearray(write_dng(tmp_path / "a.dng").read_bytes())
    (place,) = struct.unpack_from("<I", data, 4)
    (tags,) = struct.unpack_from("<H", data, place)
    struct.pack_into("<I", data, place + 2 + 12 * tags, place)  # the page after it
    (tmp_path / "a.dng").write_bytes(data)
    with open_reader(tmp_path / "a.dng") as reader:
        assert len(list(reader)) == 1


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"size": (64, 48)}, "size"),
        ({"facts": {"model": "Baz"}}, "camera Foo Baz"),
        ({"facts": {"iso": 1600}}, "ISO 1600"),
        ({"facts": {"pattern": b"\0\1\1\2"}}, "colour filters RGGB"),
    ],
)
def test_mixed_bursts_are_refused(odd: dict[str, Any], reason: str, tmp_path: Path) -> None:
    burst = write_burst(tmp_path / "burst")
    write_dng(burst / "IMG 12.dng", **odd)
    late = "pattern" in odd.get("facts", {})  # all else is known before the wait
    with pytest.raises(InputError, match=f"IMG 12.dng: {reason}"):
        open_reader(burst) if not late else list(open_reader(burst))


def test_several_kinds_of_raw_files_are_refused_and_previews_left_aside(tmp_path: Path) -> None:
    burst = write_burst(tmp_path / "burst")
    (burst / "IMG 8.JPG").write_bytes(b"a preview")
    with open_reader(burst) as reader:
        assert any("1 .jpg" in note for note in reader.info.notes)
    (burst / "IMG 9.nef").write_bytes(b"")
    with pytest.raises(InputError, match="several kinds"):
        open_reader(burst)


XTRANS = bytes([1, 1, 0, 1, 1, 2, 1, 1, 2, 1, 1, 0, 2, 0, 1, 0, 2, 1,
                1, 1, 2, 1, 1, 0, 1, 1, 0, 1, 1, 2, 0, 2, 1, 2, 0, 1])  # fmt: skip


def test_other_sensors_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="X-Trans"):
        open_reader(write_dng(tmp_path / "x.dng", facts={"pattern": XTRANS}))
    colours = np.zeros((32, 48, 3), np.uint16)
    own = [tag for tag in tags() if tag[0] not in (33421, 33422, 50710, 50711, 50713, 50714)]
    tifffile.imwrite(tmp_path / "l.dng", colours, photometric="rgb", metadata=None, extratags=own)
    overwritten(tmp_path / "l.dng", {262: 34892})  # LinearRaw
    with pytest.raises(InputError, match="full colours"):
        open_reader(tmp_path / "l.dng")


def test_rows_of_two_exposures_are_refused_by_name(tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng", size=(48, 64))
    data, mosaic = bytearray(path.read_bytes()), codes(0, (48, 64))
    place = data.index(mosaic.tobytes())
    mosaic[np.arange(48) // 2 % 2 == 1] *= 4  # two stops more in every other pair of rows
    data[place : place + mosaic.nbytes] = mosaic.tobytes()
    path.write_bytes(data)
    with pytest.raises(InputError, match="alternate between two exposures"):
        open_reader(path)


def test_samples_that_libraw_cannot_unpack_are_not_called_damaged(tmp_path: Path) -> None:
    path = overwritten(write_dng(tmp_path / "a.dng"), {259: 9})  # GoPro's, VC-5
    with pytest.raises(InputError, match="packed in a way") as caught:
        open_reader(path)
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "empty"), (b"not raw at all" * 40, "not a camera raw file"), (None, "No such file")],
)
def test_what_is_no_raw_file_is_refused(data: bytes | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.nef"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=reason):
        open_reader(path)


def test_words_of_any_bytes_in_a_raw_files_tags_are_read(tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng")
    path.write_bytes(path.read_bytes().replace(b"Foo Bar\0", b"F\xe9\xff Bar\0"))
    with open_reader(path) as reader:
        assert len(list(reader)) == 1
        assert plan_output(reader, tmp_path / "b.dng").kept


def test_a_header_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    path = overwritten(write_dng(tmp_path / "bomb.dng"), {256: 60000, 257: 60000})
    with pytest.raises(InputError, match=r"bomb\.dng"):
        open_reader(path)


@pytest.mark.parametrize(
    ("target", "options", "reason"),
    [
        ("out.mp4", {}, "written as .dng"),
        ("-", {}, "standard output"),
        ("out.dng", {}, "holds one frame"),
        ("out.tif", {}, "written as .dng"),
        ("out", {"codec": "ffv1"}, "no meaning"),
        ("burst", {"overwrite": True}, "the input itself"),
    ],
)
def test_impossible_wishes_are_refused_before_anything_is_written(
    target: str, options: dict[str, Any], reason: str, tmp_path: Path,
    in_folder: Callable[[], list[str]],
) -> None:  # fmt: skip
    burst = write_burst(tmp_path / "burst")
    where = target if target == "-" else tmp_path / target
    with open_reader(burst) as reader, pytest.raises(UsageError, match=reason):
        plan_output(reader, where, WriteOptions(**options))
    assert in_folder() == ["burst"]


def test_a_burst_becomes_one_dng_as_the_hint_says(tmp_path: Path) -> None:
    burst, target = write_burst(tmp_path / "burst"), tmp_path / "one.dng"
    with open_reader(burst) as reader, pytest.raises(UsageError) as refused:
        plan_output(reader, target)
    start = re.search(r"start=([\d.]+) frames=1", str(refused.value.hint))
    assert start is not None
    part = ReadOptions(start=float(start[1]), frames=1, lead=9, trail=9)
    with open_reader(burst, part) as reader:
        assert copied(reader, target).frames == 1
    with open_reader(target) as one:
        assert one.info.frames == 1


def test_what_is_there_is_not_replaced_unasked(tmp_path: Path, tools: Any) -> None:
    burst = write_burst(tmp_path / "burst")
    tools.passthrough(burst, tmp_path / "out")
    with pytest.raises(OutputError, match="already exists"):
        tools.passthrough(burst, tmp_path / "out")
    louder(burst, tmp_path / "out", 3, overwrite=True)
    change = raw_image(tmp_path / "out" / "IMG 8.dng") - codes(0)
    assert np.all(change == 3)


def test_names_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    burst = write_burst(tmp_path / "burst")
    write_dng(burst / "img 8.DNG")
    with open_reader(burst) as reader, pytest.raises(InputError, match="the same output"):
        plan_output(reader, tmp_path / "out")


@pytest.mark.parametrize("seed", range(4))
def test_files_with_wrong_bytes_are_read_or_refused(seed: int, tmp_path: Path) -> None:
    whole = write_dng(tmp_path / "a.dng", rowsperstrip=10).read_bytes()
    rng = np.random.default_rng(seed)
    for _ in range(25):
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(0, 900, 4)] = rng.integers(0, 256, 4)
        path = tmp_path / "b.dng"
        path.write_bytes(data[: rng.integers(len(data) // 2, 2 * len(data))].tobytes())
        try:
            with open_reader(path) as reader:
                assert len(list(reader)) == 1
        except InputError as error:
            assert str(error).startswith("b.dng: ")  # noqa: PT017


def test_a_mosaic_in_a_plain_tiff_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    facts = '{"cfa": "GBRG", "black": 240, "white": 4095}'
    tifffile.imwrite(path, np.zeros((32, 40), np.uint16), description=facts, metadata=None)
    with pytest.raises(InputError, match="colour mosaic, not a stack"):
        open_reader(path)
