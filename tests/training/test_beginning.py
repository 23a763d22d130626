"""A run begins from the weights that its clips are denoised with, and is compared with them."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from f2rcli import weights
from f2rcli.engine.stream import EngineSettings, denoise_stream, load_engine
from f2rcli.io import open_reader
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.start import suited

pytestmark = pytest.mark.usefixtures("weights_read_once")

LOSSLESS: dict[str, str] = {}
H264 = {"crf": "26"}


def write_clip(path: Path, sigma: float, options: dict[str, str], frames: int = 7) -> Path:
    """A textured picture that pans, with noise: lossless in RGB, or H.264."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((64, 96)) / 3.0
    fine = rng.normal(0, 12, (64, 96))
    scene = 120 + 50 * np.sin(rows) * np.cos(columns / 2) + fine
    codec, layout = ("libx264", "yuv420p") if options else ("ffv1", "bgr0")
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 64, layout
        for index in range(frames):
            picture = scene[:, index : index + 64, None] + rng.normal(0, sigma, (64, 64, 3))
            codes = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(codes, format="rgb24")
            container.mux(stream.encode(frame.reformat(format=layout)))
        container.mux(stream.encode())
    return path


def begun(*clips: Path, **given: Any) -> str:
    config = TrainConfig(
        inputs=tuple(map(str, clips)), output="out.safetensors", threads=1, **given
    )
    name = given.get("init", "f2r-rgb-small")
    return suited(weights.load("f2r-rgb-small" if name == "rgb" else name), config).name


@pytest.mark.parametrize(
    ("sigma", "options", "chosen"),
    [
        (20, LOSSLESS, "f2r-rgb-small"),
        (5, LOSSLESS, "f2r-rgb-light"),
        (0, H264, "f2r-rgb-compressed"),
        (35, {"crf": "14"}, "f2r-rgb-coded-noise"),
    ],
)
def test_the_footages_kind_chooses_as_it_does_for_denoising(
    tmp_path: Path, sigma: float, options: dict[str, str], chosen: str
) -> None:
    """Else a gain would be one over weights for heavy noise, which no run would have used."""
    clip = write_clip(tmp_path / "a.mkv", sigma, options)
    with open_reader(str(clip)) as reader:
        engine = load_engine(EngineSettings(threads=1), reader.info)
        for _ in denoise_stream(reader, reader.info, engine):
            break
    assert engine.weights_name == chosen
    assert begun(clip) == chosen


def test_weights_by_name_are_begun_from_unless_they_are_one_of_a_pair(tmp_path: Path) -> None:
    light = write_clip(tmp_path / "a.mkv", 5, LOSSLESS)
    assert begun(light, init="f2r-rgb-base") == "f2r-rgb-base-light"
    assert begun(light, init="f2r-rgb-small") == "f2r-rgb-small"
    assert begun(light, init="rgb") == "f2r-rgb-light"
    assert begun(light, init="udvd-rgb-small", method="udvd") == "udvd-rgb-small"


def test_of_many_clips_most_decide(tmp_path: Path) -> None:
    light = write_clip(tmp_path / "a.mkv", 5, LOSSLESS)
    heavy = write_clip(tmp_path / "b.mkv", 20, LOSSLESS)
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"no clip")
    assert begun(light, heavy) == "f2r-rgb-small"
    assert begun(light, broken) == begun(broken, light) == "f2r-rgb-light"
    assert begun(broken) == "f2r-rgb-small"
