"""An excerpt and a preview show the pixels of the whole run; the shipped weights do the work."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from f2rcli import weights
from f2rcli.cli.app import run
from f2rcli.engine import windowed
from f2rcli.engine.noise import tracking
from f2rcli.engine.stream import EngineSettings, denoise_stream, load_engine
from f2rcli.errors import EXIT_OK
from f2rcli.io import ReadOptions, open_reader
from f2rcli.window import LEAD_IN, LEAD_OUT
from tests.cli.conftest import rgb

HEIGHT, WIDTH, FRAMES, CUT = 48, 64, 35, 30

pytestmark = [
    pytest.mark.skipif(not weights.available(), reason="no weights are bundled"),
    pytest.mark.usefixtures("noise_measured_once"),
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Squares that drift, another scene from `CUT` on, and noise that grows by half on the way."""
    rng = np.random.default_rng(0)
    scene = np.kron(rng.random((3, 24, 24)), np.ones((1, 8, 8))) * 150 + 50
    path = tmp_path_factory.mktemp("excerpt") / "noisy.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=Fraction(25))
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "bgr0"
        for t in range(FRAMES):
            top = 0 if t < CUT else 100
            clean = scene[:, top : top + HEIGHT, 2 * t : 2 * t + WIDTH]
            codes = np.rint(clean + rng.normal(0, 8 + t / 10, clean.shape)).clip(0, 255)
            picture = codes.transpose(1, 2, 0).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


@pytest.fixture(scope="module")
def denoised(clip: Path, tmp_path_factory) -> Callable[..., np.ndarray]:
    """The clip, or a part of it, by the command: (T, H, W, 3) codes."""
    folder = tmp_path_factory.mktemp("out")

    def denoise(*options: object) -> np.ndarray:
        name = "_".join(str(option).strip("-") for option in options)
        out = folder / f"{name or 'whole'}.mkv"
        words = ["denoise", clip, "-o", out, "--lossless", "--threads", "1", *options]
        if not out.exists():
            assert run([str(word) for word in words]) == EXIT_OK
        return rgb(out)

    return denoise


def assert_alike(part: np.ndarray, whole: np.ndarray) -> None:
    """Within 0.3 codes: what was remembered before the lead-in may move a rounding."""
    apart = part.astype(float) - whole
    assert np.abs(apart).max() <= 2
    assert float(np.sqrt(np.mean(apart**2))) < 0.3


SPANS = [
    (("--frames", 2), range(2)),
    (("--start", 0.4, "--end", 0.52), range(10, 13)),
    (("--start", 1.12), range(28, 35)),  # over the cut and to the end
]


@pytest.mark.parametrize(("options", "places"), SPANS)
def test_an_excerpt_shows_the_pixels_of_the_whole_run(
    denoised, options, places: range, capfd
) -> None:
    """The noise is that of the clip's opening: by the end the excerpt itself has a third more. And
    nothing is said of short windows."""
    whole = denoised()
    capfd.readouterr()
    part = denoised(*options)
    assert_alike(part, whole[places.start : places.stop])
    said = capfd.readouterr().err
    assert "serve best" not in said
    assert f"{len(places)} frames" in said


def test_a_preview_shows_a_frame_of_the_whole_run(clip, denoised, tmp_path) -> None:
    look = tmp_path / "look.png"
    words = ("--start", 0.4, "--preview", 1, "--threads", 1, "-o", look)
    assert run(["denoise", str(clip), *map(str, words)]) == EXIT_OK
    (shown,) = rgb(look)
    np.testing.assert_array_equal(shown[:, :WIDTH], rgb(clip)[10])
    assert_alike(shown[:, WIDTH:], denoised()[10])


def test_fields_are_excerpts_too(clip) -> None:
    """Interlaced: each field has neighbours and noise of its own."""
    whole = restored(clip, fields="on", end=0.24)
    part = restored(clip, fields="on", start=0.16, frames=2)
    for mine, theirs in zip(part, whole[4:], strict=True):
        for a, b in zip(mine.planes, theirs.planes, strict=True):
            np.testing.assert_array_equal(a, b)


def restored(clip: Path, **options: object) -> list:
    read = ReadOptions(lead=LEAD_IN, trail=LEAD_OUT, **options)
    with open_reader(clip, read) as reader:
        engine = load_engine(EngineSettings(threads=1), reader.info)
        return list(denoise_stream(reader, reader.info, engine, reader.opening))


def test_a_pipe_cannot_be_read_twice_and_says_so(clip) -> None:
    with open_reader(clip, ReadOptions(start=0.8, frames=1)) as reader:
        reader.source = "-"  # as if it were
        assert not list(reader.opening())
        assert any("cannot be read twice" in line for line in reader.ledger.lines())
        assert not reader.ledger.damaged


def test_an_excerpt_far_into_a_film_knows_the_noise_there(tmp_path, monkeypatch) -> None:
    """A title without noise opens the film: measured on that alone, nothing would be taken out."""
    for module in (tracking, windowed):
        monkeypatch.setattr(module, "REFRESH_EVERY", 12)
    rng = np.random.default_rng(4)
    scene = np.kron(rng.random((8, 40)), np.ones((8, 8))) * 150 + 50
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=Fraction(25))
        video.width, video.height, video.pix_fmt = 64, 48, "gray"
        for t in range(22):
            title = t < 6
            clean = np.full((48, 64), 20.0) if title else scene[:48, 2 * t : 2 * t + 64]
            codes = np.rint(clean + rng.normal(0, 0.4 if title else 10, clean.shape))
            picture = codes.clip(0, 255).astype(np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(video.encode(None))
    whole = noise_of(path, end=0.72)  # measured at 12
    part = noise_of(path, lead=8, start=0.64, frames=2)
    assert whole > 2
    assert part == pytest.approx(whole, rel=0.25)


def noise_of(clip: Path, lead: int = LEAD_IN, **options: float) -> float:
    """The standard deviation, in codes, that the last frame was restored with."""
    with open_reader(clip, ReadOptions(lead=lead, trail=LEAD_OUT, **options)) as reader:
        engine = load_engine(EngineSettings(threads=1, ensemble="off"), reader.info)
        assert list(denoise_stream(reader, reader.info, engine, reader.opening))
    return engine.noise.sigma8[0]
