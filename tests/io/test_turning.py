"""Pictures are turned where the container cannot say so: the same samples, at their new place."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.io import WriteOptions, open_reader, plan_output
from f2rcli.io.ffmpeg.turning import Turn, turn_of

ONE = 1 << 16
MATRICES = {  # matrix -> what it does to a picture
    (0, ONE, 0, -ONE, 0, 0): lambda plane: np.rot90(plane, -1),
    (0, -ONE, 0, ONE, 0, 0): np.rot90,
    (-ONE, 0, 0, 0, -ONE, 0): lambda plane: np.rot90(plane, 2),
    (-ONE, 0, 0, 0, ONE, 0): np.fliplr,
    (ONE, 0, 0, 0, -ONE, 0): np.flipud,
    (0, ONE, 0, ONE, 0, 0): np.transpose,
}


def whole(matrix: tuple[int, ...]) -> tuple[int, ...]:
    return (*matrix, 0, 0, 1 << 30)


@pytest.mark.parametrize(("matrix", "turned"), MATRICES.items())
def test_a_matrix_turns_samples(matrix: tuple[int, ...], turned: Any) -> None:
    turn = turn_of(whole(matrix))
    assert turn is not None
    plane = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(turn.plane(plane), turned(plane))


@pytest.mark.parametrize("matrix", [(), (46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30),
                                    whole((2 * ONE, 0, 0, 0, ONE, 0))])  # fmt: skip
def test_other_matrices_are_no_turn(matrix: tuple[int, ...]) -> None:
    assert turn_of(matrix) is None


@pytest.mark.parametrize(
    ("turn", "site", "wanted"),
    [
        (Turn(True, False, True), (0.0, 0.5), (0.5, 0.0)),  # left becomes top
        (Turn(True, True, False), (0.0, 0.5), (0.5, 1.0)),  # left becomes bottom
        (Turn(False, True, True), (0.5, 0.5), (0.5, 0.5)),
        (Turn(False, True, True), (0.0, 0.5), (0.5, 0.5)),  # right, which has no name
    ],
)
def test_chroma_sites_turn_along(turn: Turn, site: Any, wanted: Any) -> None:
    layout = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 1), siting=site)
    assert turn.layout(layout).siting == wanted


@pytest.mark.parametrize(("matrix", "turned"), MATRICES.items())
@pytest.mark.parametrize("suffix", [".nut", ".avi"])
def test_every_sample_of_a_turned_clip_is_kept(
    tools, tmp_path: Path, matrix: tuple[int, ...], turned: Any, suffix: str
) -> None:
    def setup(stream: Any) -> None:
        stream.set_display_matrix(whole(matrix))
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    source = tools.write_clip(
        tmp_path / "in.mp4", codec="libx264", pix_fmt="yuv422p", pts=3, smooth=True, setup=setup
    )
    target = tmp_path / f"out{suffix}"
    options = WriteOptions(lossless=True)
    frames, receipt = tools.passthrough(source, target, options)
    assert "rotation, by rotated pictures" in receipt.kept
    assert all("rotation" not in what for what in receipt.dropped)
    again: list[Frame] = tools.read_all(target)
    for before, after in zip(frames, again, strict=True):
        for one, other in zip(before.planes, after.planes, strict=True):
            np.testing.assert_array_equal(turned(one), other)


def turned_clip(tools: Any, folder: Path) -> Path:
    matrix = whole((0, ONE, 0, -ONE, 0, 0))
    clip: Path = tools.write_clip(
        folder / "in.mp4", codec="libx264", pts=2, smooth=True,
        setup=lambda stream: stream.set_display_matrix(matrix),
    )  # fmt: skip
    return clip


def test_it_is_said_before_the_run_and_copy_only_drops_it(tools, tmp_path: Path) -> None:
    source = turned_clip(tools, tmp_path)
    with open_reader(source) as reader:
        plan = plan_output(reader, tmp_path / "out.ts")
        assert any("pictures themselves are rotated" in note for note in plan.notes)
        strict = plan_output(reader, tmp_path / "out.ts", WriteOptions(copy_only=True))
        assert strict.dropped == ("rotation (mpegts holds none)",)


@pytest.mark.parametrize("copy_only", [False, True])
def test_numbered_pictures_of_a_turned_clip(tools, tmp_path: Path, copy_only: bool) -> None:
    source = turned_clip(tools, tmp_path)
    options = WriteOptions(copy_only=copy_only)
    (tmp_path / "out").mkdir()
    _, receipt = tools.passthrough(source, tmp_path / "out" / "%03d.png", options)
    with open_reader(tmp_path / "out") as reader:
        assert (reader.info.width, reader.info.height) == ((64, 48) if copy_only else (48, 64))
    assert ("rotation (pictures hold none)" in receipt.dropped) == copy_only
