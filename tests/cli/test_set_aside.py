"""Files with hot samples, fill values and NaN, through the whole command."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from f2rcli import weights
from f2rcli.cli.app import run
from f2rcli.errors import EXIT_OK

FRAMES, HEIGHT, WIDTH = 4, 48, 64
PLACE = (20, 30)
BOX = np.s_[:, 18:28, 24:40]
ARRAYS = {"bgr0": "rgb24"}  # how arrays hold a pixel format
HOT = "1 outlier (hot or dead pixel) a picture, in 4 of 4 pictures: kept as stored"

pytestmark = [
    pytest.mark.skipif(not weights.available(), reason="no weights are bundled"),
    pytest.mark.usefixtures("noise_measured_once"),
]


def light(low: float, high: float) -> NDArray[np.float64]:
    """(T, H, W): waves that drift, and noise."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    drift = columns + 2 * np.arange(FRAMES)[:, None, None]
    clean = 0.5 + 0.3 * np.sin(drift / 9) * np.cos(rows / 7)
    noise = np.random.default_rng(0).normal(0, 0.03, clean.shape)
    return low + (high - low) * (clean + noise)


def denoise(source: Path, target: Path, capfd: pytest.CaptureFixture[str]) -> dict[str, object]:
    """The command's last event."""
    words = ["denoise", str(source), "-o", str(target), "--threads", "1", "--json"]
    assert run(words + (["--lossless"] if target.suffix == ".mkv" else [])) == EXIT_OK
    result: dict[str, object] = json.loads(capfd.readouterr().out.splitlines()[-1])
    return result


def video(path: Path, form: str, pictures: NDArray[np.generic]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, form
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format=ARRAYS.get(form, form))
            container.mux(stream.encode(frame.reformat(format=form)))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("form", "dtype", "top"), [("gray10le", "u2", 1023), ("bgr0", "u1", 255)])
def test_a_hot_sample_of_a_video_stays_and_is_told(
    form: str, dtype: str, top: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pictures = np.rint(light(0.1 * top, 0.5 * top)).astype(dtype)
    if form == "bgr0":
        pictures = np.repeat(pictures[..., None], 3, axis=-1)
    pictures[:, *PLACE] = top
    source, target = video(tmp_path / "in.mkv", form, pictures), tmp_path / "out.mkv"
    result = denoise(source, target, capfd)
    with av.open(str(target)) as container:
        done = np.stack(
            [f.to_ndarray(format=ARRAYS.get(form, form)) for f in container.decode(video=0)]
        )
    assert (done[:, *PLACE] == top).all()
    assert not np.array_equal(done, pictures)
    hot = (
        HOT.replace("1 outlier (hot or dead pixel)", "3 outliers (hot or dead pixels)")
        if form == "bgr0"
        else HOT
    )
    assert result["notes"] == [f"at most {hot}"]


@pytest.mark.parametrize(("dtype", "value", "told"), [
    ("u2", 0, "notes"), ("f4", np.nan, "ledger"),
])  # fmt: skip
def test_fill_values_of_a_stack_stay_and_are_told(
    dtype: str, value: float, told: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stack = light(100, 500).astype(dtype)
    sound, damaged = tmp_path / "sound.tif", tmp_path / "damaged.tif"
    form = {"photometric": "minisblack", "metadata": {"axes": "TYX"}}
    tifffile.imwrite(sound, stack, **form)
    stack[BOX] = value
    tifffile.imwrite(damaged, stack, **form)
    denoise(sound, tmp_path / "a.tif", capfd)
    result = denoise(damaged, tmp_path / "b.tif", capfd)
    wanted, done = (tifffile.imread(tmp_path / name) for name in ("a.tif", "b.tif"))
    np.testing.assert_array_equal(done[BOX], stack[BOX])
    away = np.ones(stack.shape, bool)
    away[:, 8:38, 14:50] = False
    error = np.sqrt(np.mean((done.astype(float) - wanted)[away] ** 2))
    assert error < 0.2 * 12  # of the noise
    assert "640 samples" in " ".join(result[told])
