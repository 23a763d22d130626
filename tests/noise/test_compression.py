"""What compression left is told from a codec's quantiser, or from block edges, and taken out."""

import os
import threading
from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np
import pytest

from f2rcli.engine.level import NoiseTracker, mean_sigma8
from f2rcli.engine.stream import EngineSettings, denoise_stream, load_engine
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.io import open_reader
from f2rcli.io.video.decoder import stated
from f2rcli.noise.coding import LEAST8, MOST8, MOST_EDGE8, compression_of, find_edges
from tests.fidelity.footage import psnr
from tests.video import write_video

LAYOUT = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False)


def scene(index: int, size: tuple[int, int] = (96, 160)) -> np.ndarray:
    """Codes of a soft picture with edges and texture that moves by one pixel and two."""
    rng = np.random.default_rng(3)
    coarse, fine = (
        cv2.GaussianBlur(rng.normal(0, 1, (140, 220)).astype(np.float32), (0, 0), s) for s in (4, 1)
    )
    field = 120 + 35 * np.tanh(3 * coarse / coarse.std()) + 6 * fine / fine.std()
    return np.clip(field, 20, 230)[index : index + size[0], 2 * index : 2 * index + size[1]]


def write(
    path: Path, codec: str, options: dict[str, str], frames: int = 7, sigma: float = 0, *,
    still: bool = False,
) -> list[np.ndarray]:  # fmt: skip
    """Write the scene, gray as Y'CbCr, and return its luma as it was before, and before noise."""
    rng = np.random.default_rng(1)
    truth = [np.rint(scene(0 if still else index)).astype(np.uint8) for index in range(frames)]
    form = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    even = np.full((truth[0].shape[0] // 2, truth[0].shape[1]), 128, np.uint8)
    noisy = (np.uint8(np.clip(luma + rng.normal(0, sigma, luma.shape), 1, 254)) for luma in truth)
    pictures = (np.vstack([luma, even]) for luma in noisy)
    write_video(path, pictures, form, codec, given=form, **options)
    return truth


def frame(quantiser8: float) -> Frame:
    planes = (np.arange(64, dtype=np.uint8).reshape(8, 8), *(np.full((4, 4), 128, np.uint8),) * 2)
    return Frame(planes=planes, layout=LAYOUT, quantiser8=quantiser8)


@pytest.mark.parametrize(
    ("codec", "options", "step"),
    [
        ("mpeg4", {"qmin": "7", "qmax": "7"}, 14.0),  # H.263's step is twice its quantiser
        ("mpeg2video", {"qmin": "8", "qmax": "8"}, 16.0),
        ("libx264", {"qp": "28", "x264-params": "ipratio=1:pbratio=1"}, 16.0),  # 2 ** (24 / 6)
    ],
)
def test_steps_are_codecs(tmp_path: Path, codec: str, options: dict[str, str], step: float) -> None:
    write(tmp_path / "clip.mkv", codec, options)
    with open_reader(str(tmp_path / "clip.mkv")) as reader:
        steps = [one.quantiser8 for one in reader if one.quantiser8]
    assert len(steps) >= 6  # some decoders say nothing of the last picture
    assert steps == pytest.approx([step] * len(steps), rel=0.02)


def test_a_codec_that_does_not_say_leaves_it_open(tmp_path: Path) -> None:
    write(tmp_path / "clip.mkv", "ffv1", {})
    with open_reader(str(tmp_path / "clip.mkv")) as reader:
        assert {one.quantiser8 for one in reader} == {0.0}


def test_errors_are_a_share_of_the_step_or_of_what_stands_out() -> None:
    blocks = 2.0
    stated = compression_of([frame(10), frame(20), frame(12)], None)
    assert stated is not None
    assert stated.sigma8 == pytest.approx(0.3 * 12)
    shown = compression_of([frame(0)] * 3, blocks)
    assert shown is not None
    assert shown.sigma8 == pytest.approx(1.7 * 2)
    both = compression_of([frame(20)] * 3, blocks)
    assert both is not None
    assert both.sigma8 == pytest.approx(6)
    assert compression_of([frame(0.9 * LEAST8 / 0.3)], None) is None
    assert compression_of([frame(LEAST8 / 0.3)], None) is not None
    most = compression_of([frame(200)], None)
    assert (LEAST8, MOST8) == (1, 12)
    assert most.sigma8 == pytest.approx(MOST8)


@pytest.mark.parametrize(
    ("bad", "good", "sigma", "most"),
    [(31, range(5, 10), 0, 1.05), (12, range(5, 10), 8, 0.7), (12, [7], 8, 0.7)],
)
def test_good_frames_beside_bad_ones_are_restored_as_what_they_are(
    bad: int, good: Collection[int], sigma: float, most: float, tmp_path: Path
) -> None:
    truth, codes = [], []
    for step in (bad, 2):
        options = {"qmin": str(step), "qmax": str(step), "g": "1"}
        truth = write(tmp_path / f"{step}.mkv", "mpeg4", options, 10, sigma)
        with open_reader(str(tmp_path / f"{step}.mkv")) as reader:
            codes.append(list(reader))
            engine = load_engine(EngineSettings(threads=1), reader.info)
    frames = [both[n in good] for n, both in enumerate(zip(*codes, strict=True))]
    restored = list(denoise_stream(frames, reader.info, engine))
    for n in good:
        before, left = (np.std(f[n].planes[0] - truth[n].astype(float)) for f in (frames, restored))
        assert left < most * before


def test_steps_of_headers_are_those_of_the_tables() -> None:
    """Ac_Qlookup of AV1, 8 bits: times eight."""
    for index, eightfold in ((1, 8), (25, 32), (95, 102), (120, 152), (244, 1479), (255, 1828)):
        found = stated([f"base_q_idx 00000000 = {index}"])
        assert found == pytest.approx(eightfold / 8, rel=1e-6)


def test_edges_tell_only_of_more_than_the_quantiser_does() -> None:
    edges = 3.0
    assert 1.7 * edges == 0.3 * 17  # in floats, too
    for step, told in ((16, 1.7 * edges), (17, 0.3 * 17), (20, 0.3 * 20)):
        found = compression_of([frame(step)], edges)
        assert found is not None
        assert found.sigma8 == pytest.approx(told)


@pytest.mark.parametrize("step", [2, 8, 30])
def test_drawn_squares_of_eight_pixels_are_no_blocks_of_a_codec(step: int) -> None:
    drawn = 0.3 + np.random.default_rng(0).integers(0, 2, (20, 30)) * step / 255
    assert find_edges([np.kron(drawn, np.ones((8, 8))).astype(np.float32)] * 2) is None


def test_edges_that_no_codec_leaves_are_a_drawing() -> None:
    assert compression_of([frame(0)], 13.0) is None
    strongest = 6.0
    assert strongest == MOST_EDGE8  # in floats, too
    assert compression_of([frame(0)], strongest) is not None


@pytest.mark.parametrize(
    ("codec", "options", "gain"),
    [
        ("mpeg4", {"qmin": "10", "qmax": "10"}, 0.25),
        ("mjpeg", {"qmin": "10", "qmax": "10"}, 0.5),
        ("libx264", {"crf": "26"}, 0.15),
    ],
)
def test_errors_of_compression_are_taken_out_and_gray_stays_gray(
    tmp_path: Path, codec: str, options: dict[str, str], gain: float
) -> None:
    truth = write(tmp_path / "clip.mkv", codec, options)
    with open_reader(str(tmp_path / "clip.mkv")) as reader:
        frames = list(reader)
        engine = load_engine(EngineSettings(threads=1), reader.info)
        restored = list(denoise_stream(frames, reader.info, engine))
    assert engine.found.noise is not None
    assert engine.found.compression is not None
    assert mean_sigma8(engine.found.noise) == pytest.approx(engine.found.compression.sigma8)
    assert engine.found.compression.words() in engine.found.notes
    assert "--lossless" in engine.found.compression.words()  # keeps what that gains
    assert luma_psnr(restored, truth) - luma_psnr(frames, truth) > gain
    alone = list(denoise_stream(frames[:1], reader.info, engine))  # nothing tells what changes
    for one, other in zip(restored + alone, frames + frames[:1], strict=True):
        for plane in (1, 2):
            np.testing.assert_array_equal(one.planes[plane], other.planes[plane])


def luma_psnr(frames: list[Frame], truth: list[np.ndarray]) -> float:
    return psnr([frame.planes[0] for frame in frames], truth)


@pytest.mark.parametrize(("codec", "gain"), [("mpeg4", 0.2), ("libx264", 0.1)])
def test_errors_that_stay_where_nothing_moves_go(tmp_path: Path, codec: str, gain: float) -> None:
    """A codec writes the first frame, and that the others are the same."""
    options = {"mpeg4": {"qmin": "6", "qmax": "6"}, "libx264": {"crf": "26"}}[codec]
    truth = write(tmp_path / "clip.mkv", codec, options, still=True)
    with open_reader(str(tmp_path / "clip.mkv")) as reader:
        frames = list(reader)
        engine = load_engine(EngineSettings(threads=1), reader.info)
        restored = list(denoise_stream(frames, reader.info, engine))
    assert luma_psnr(restored, truth) - luma_psnr(frames, truth) > gain


def test_noise_that_is_stronger_is_left_to_its_own_law(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    noisy = [scene(index) + rng.normal(0, 9, (96, 160)) for index in range(7)]
    even = (np.full((48, 80), 128, np.uint8),) * 2
    frames = [
        Frame(planes=(np.rint(one).astype(np.uint8), *even), layout=LAYOUT, pts=i, quantiser8=10)
        for i, one in enumerate(noisy)
    ]
    write(tmp_path / "clip.mkv", "ffv1", {})
    with open_reader(str(tmp_path / "clip.mkv")) as reader:
        engine = load_engine(EngineSettings(threads=1), reader.info)
        next(denoise_stream(frames, reader.info, engine))
    assert engine.found.compression is None
    assert engine.found.noise is not None
    assert mean_sigma8(engine.found.noise) > 5


def test_errors_of_compression_are_faint(tmp_path: Path) -> None:
    write(tmp_path / "clip.mkv", "mpeg4", {"qmin": "5", "qmax": "5"})
    with open_reader(str(tmp_path / "clip.mkv")) as reader:
        engine = load_engine(EngineSettings(threads=1), reader.info)
        noise = NoiseTracker.of(engine, reader.info.layout, list(reader)[:6])
    assert mean_sigma8(noise.measured) == pytest.approx(3)
    # as methods on pictures of R, G and B are told
    seen = noise.told.picture(reader.info.layout, 3)
    assert mean_sigma8(seen) == pytest.approx(3, rel=0.01)
    assert noise.weak


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx265", {"crf": "34", "x265-params": "log-level=none"}),
        ("libvpx-vp9", {"crf": "44", "b": "0", "cpu-used": "5"}),
    ],
)
def test_headers_tell_what_decoders_do(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    steps = []
    for number, crf in enumerate((int(options["crf"]) - 12, int(options["crf"]))):
        path = tmp_path / f"{number}.mkv"
        write(path, codec, options | {"crf": str(crf)})
        with open_reader(str(path)) as reader:
            key, *others = [frame.quantiser8 for frame in reader]
        (step,) = set(others)
        assert 0.1 < key / step < 0.95  # the frame that all others are made from has more bits
        steps.append(step)
    assert 2 < steps[1] / steps[0] < 8  # 12 steps of H.265 are a factor of 4
    assert 2 < steps[0] < 12


def test_the_lines_of_a_header_are_read_as_the_standards_say() -> None:
    lines = [
        "96          init_qp_minus26                                             00110 = 3",
        "31          slice_qp_delta                                              00111 = -3",
        "35          slice_qp_delta                                              00110 = 3",
        "35          slice_qp_delta                                              00110 = 9",
    ]
    assert stated(lines) == pytest.approx(2 ** (28 / 6))
    assert stated(["12  base_q_idx   01111000 = 120"]) == pytest.approx(152 / 8)
    assert stated(["12  other_syntax_element   0 = 0"]) == 0


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "clip.mkv", "libx265", {"x265-params": "log-level=none"})
    content, pipe = (tmp_path / "clip.mkv").read_bytes(), tmp_path / "pipe.mkv"
    os.mkfifo(pipe)
    threading.Thread(target=lambda: pipe.write_bytes(content), daemon=True).start()
    with open_reader(str(pipe)) as reader:
        assert [frame.quantiser8 > 0 for frame in reader] == [True] * 7
