"""The main job with the real engine and the shipped weights: nothing here is faked."""

import json
import pickle
import signal
import subprocess
import sys
import time
from fractions import Fraction
from inspect import signature
from pathlib import Path

import av
import numpy as np
import pytest

from f2rcli import methods, weights
from f2rcli.cli.app import run
from f2rcli.engine import stream
from f2rcli.errors import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK
from tests.cli import fake_engine
from tests.cli.conftest import rgb

SIGMA = 20.0
HEIGHT, WIDTH, FRAMES = 48, 64, 7

pytestmark = [
    pytest.mark.skipif(not weights.available(), reason="no weights are bundled"),
    pytest.mark.usefixtures("noise_measured_once"),
]


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    """(T, H, W, 3) uint8: soft shapes that drift to the left."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    moving = columns + 2 * np.arange(FRAMES)[:, None, None]
    waves = [np.sin(moving / a) * np.cos(rows / b) for a, b in ((9, 13), (17, 7), (11, 23))]
    return np.clip(128 + 70 * np.stack(waves, -1), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory, clean: np.ndarray) -> Path:
    return written(tmp_path_factory.mktemp("noisy") / "noisy.mkv", clean, SIGMA)


def written(path: Path, clean: np.ndarray, sigma: float) -> Path:
    noise = np.random.default_rng(5).normal(0, sigma, clean.shape)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr0"
        for picture in np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        container.mux(stream.encode(None))
    return path


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def f2r(*arguments: object) -> int:
    return run([*map(str, arguments), "--threads", "1"])


@pytest.mark.parametrize("name", ["load_engine", "looked_ahead", "denoise_stream"])
def test_the_engine_of_other_tests_takes_what_the_real_one_takes(name: str) -> None:
    real, fake = (signature(getattr(module, name)) for module in (stream, fake_engine))
    assert list(fake.parameters) == list(real.parameters)


def test_a_noisy_clip_gets_clearly_better_and_the_noise_is_measured(
    noisy, clean, tmp_path, capfd
) -> None:
    out = tmp_path / "clean.mkv"
    assert f2r("denoise", noisy, "-o", out, "--json") == EXIT_OK
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert psnr(rgb(out), clean) > psnr(rgb(noisy), clean) + 5
    (sigma,) = [event["sigma"] for event in events if event["event"] == "progress"][-1:]
    assert sigma == pytest.approx(SIGMA, rel=0.25)
    assert events[-1]["frames"] == FRAMES


def test_strength_zero_gives_back_every_sample(noisy, tmp_path) -> None:
    out = tmp_path / "same.mkv"
    assert f2r("denoise", noisy, "-o", out, "--strength", 0) == EXIT_OK
    np.testing.assert_array_equal(rgb(out), rgb(noisy))


def test_preview_info_and_dry_run_agree_with_the_engine(noisy, tmp_path, capfd) -> None:
    assert f2r("denoise", noisy, "--preview", 1, "-o", tmp_path / "look.png") == EXIT_OK
    assert rgb(tmp_path / "look.png").shape == (1, HEIGHT, 2 * WIDTH, 3)
    assert f2r("info", noisy) == EXIT_OK
    assert f2r("denoise", noisy, "--dry-run") == EXIT_OK
    out = capfd.readouterr().out
    for word in ("f2r-rgb-small", "B of memory", "s per frame", "sigma R"):
        assert word in out


def test_info_and_dry_run_name_the_weights_that_the_run_chooses(clean, tmp_path, capfd) -> None:
    light = written(tmp_path / "light.mkv", clean, 2)
    assert f2r("denoise", light, "--frames", 1, "-o", tmp_path / "out.mkv") == EXIT_OK
    with av.open(str(tmp_path / "out.mkv")) as made:
        chosen = json.loads(made.metadata["F2R"])["weights"]
    assert chosen == "f2r-rgb-light"
    capfd.readouterr()
    for words in (("info", light), ("denoise", light, "--dry-run")):
        assert f2r(*words) == EXIT_OK
        assert f"weights {chosen}, " in capfd.readouterr().out


@pytest.mark.parametrize("method", sorted({*methods.available()} - {methods.DEFAULT}))
def test_other_methods_run_with_the_same_command(noisy, clean, tmp_path, method: str) -> None:
    out = tmp_path / "out.mkv"
    words = ("--method", method, "--frames", "1", "--sigma", SIGMA, "--pix-fmt", "bgr0")
    assert f2r("denoise", noisy, "-o", out, *words) == EXIT_OK
    assert psnr(rgb(out), clean[:1]) > psnr(rgb(noisy)[:1], clean[:1]) + 3


def test_doctor_finds_nothing_wrong(capfd) -> None:
    assert f2r("doctor") == EXIT_OK, capfd.readouterr().out
    assert "strength 0 gives back every sample" in capfd.readouterr().out


@pytest.mark.parametrize("kind", ["missing", "pickle", "text", "foreign", "truncated"])
def test_weights_of_the_wrong_kind_are_one_clear_line(noisy, tmp_path, capfd, kind) -> None:
    path = tmp_path / "mine.safetensors"
    if kind == "pickle":
        path = tmp_path / "mine.pt"
        path.write_bytes(pickle.dumps({"weight": [1.0]}))
    elif kind == "text":
        path.write_text("weights")
    elif kind == "foreign":
        from safetensors.numpy import save_file

        save_file({"weight": np.zeros(3, np.float32)}, path)
    elif kind == "truncated":
        whole = weights.folder() / next(iter(weights.manifest().values()))["file"]
        path.write_bytes(whole.read_bytes()[:50_000])
    out = tmp_path / "out.mkv"
    assert f2r("denoise", noisy, "-o", out, "--weights", path) == EXIT_FAILURE
    err = capfd.readouterr().err
    assert err.count("error: ") == 1
    assert "Traceback" not in err
    assert not out.exists()


def test_a_device_that_is_not_there_is_one_clear_line(noisy, tmp_path, capfd) -> None:
    assert f2r("denoise", noisy, "-o", tmp_path / "o.mkv", "--device", "cuda:99") == EXIT_FAILURE
    assert capfd.readouterr().err.startswith("error: ")


def test_ctrl_c_in_mid_run_leaves_nothing(noisy, tmp_path) -> None:
    long = tmp_path / "long.mkv"
    with av.open(str(noisy)) as source, av.open(str(long), "w") as target:
        picture = next(source.decode(video=0))
        stream = target.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr0"
        rng = np.random.default_rng(1)
        for index in range(60):
            noise = rng.integers(-20, 20, (HEIGHT, WIDTH, 3))
            shown = (picture.to_ndarray(format="rgb24") + noise).clip(0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(shown, format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    process = subprocess.Popen(
        [sys.executable, "-m", "f2rcli", "denoise", str(long), "--threads", "1", "--sigma", "12"],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    part = tmp_path / ".long_f2r.part.mkv"
    while process.poll() is None and not (part.exists() and part.stat().st_size):
        time.sleep(0.02)  # until the first frame is written
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=240)
    assert process.returncode == EXIT_INTERRUPTED, err.decode()
    assert err.decode().splitlines()[-1].startswith("error: interrupted")
    assert [path.name for path in tmp_path.iterdir()] == ["long.mkv"]
