"""How coarsely a codec rounded: read from clips that were encoded at a stated quantiser."""

from pathlib import Path

import pytest

from f2rcli.io import open_reader


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("qp", [16, 28, 34])
def test_h264_states_its_step_picture_by_picture(tools, tmp_path: Path, qp: int, bits: int) -> None:
    """ITU-T H.264, 8.5.9: the step is 1 at 4 and doubles every six; x264's qp counts from 0 at any
    depth, and a code of more bits is a smaller part of 255."""
    source = tools.write_clip(
        tmp_path / "in.mkv", codec="libx264", pts=6, size=(64, 64),
        pix_fmt="yuv420p" if bits == 8 else "yuv420p10le",
        options={"qp": str(qp), "x264-params": "ipratio=1:pbratio=1:aq-mode=0"},
    )  # fmt: skip
    with open_reader(source) as reader:
        steps = [frame.quantiser8 for frame in reader]
    wanted = 2 ** ((qp - 4) / 6) / 2 ** (bits - 8)
    assert steps == pytest.approx([wanted] * 6, rel=0.02)


@pytest.mark.parametrize(
    ("codec", "options"),
    [("libx265", {"x265-params": "qp={}:log-level=error:ipratio=1:pbratio=1"}),
     ("libvpx-vp9", {"crf": "{}", "qmin": "{}", "qmax": "{}", "b": "0"})],
)  # fmt: skip
def test_headers_of_other_codecs_tell_coarse_from_fine(tools, tmp_path: Path, codec, options):
    steps = []
    for qp in (20, 38):
        source = tools.write_clip(
            tmp_path / f"{qp}.mkv", codec=codec, pts=12, size=(64, 64),
            options={key: value.format(qp, qp) for key, value in options.items()},
        )  # fmt: skip
        with open_reader(source) as reader:
            steps.append(next(frame.quantiser8 for frame in reader))
    assert 0 < steps[0] < steps[1]
    if codec == "libx265":  # three doublings, and half of what the header says
        assert steps[1] / steps[0] == pytest.approx(8, rel=0.05)
        assert steps[0] == pytest.approx(2 ** ((20 - 4) / 6) / 2, rel=0.05)


def test_lossless_clips_have_no_step(tools, tmp_path: Path) -> None:
    with open_reader(tools.write_clip(tmp_path / "in.mkv", pts=2)) as reader:
        assert [frame.quantiser8 for frame in reader] == [0, 0]
