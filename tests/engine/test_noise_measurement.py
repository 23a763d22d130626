"""A clip's noise measured in full, with the shipped weights on small frames."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from f2rcli.engine import stream
from f2rcli.engine.level import NoiseTracker
from f2rcli.evaluation.noise import measure_noise
from f2rcli.evaluation.plots import noise_plot
from f2rcli.frames import Frame
from f2rcli.noise import model as bands
from f2rcli.noise.report import NoiseReport
from tests.engine.conftest import (
    GRAY8,
    YUV420,
    clean_clip,
    engine_for,
    estimate_noise,
    info_of,
    to_frames,
)


def measured(frames: list[Frame], *, interlaced: bool = False) -> NoiseReport:
    engine = engine_for(frames, interlaced=interlaced)
    found = measure_noise(iter(frames), info_of(frames, interlaced=interlaced), engine)
    assert found is not None
    return found


def smooth_clip(count: int = 5, height: int = 80, width: int = 112) -> np.ndarray:
    """A soft scene that moves by two pixels per frame: (T, 3, H, W)."""
    rows, columns = np.indices((height, width + 2 * count))
    scene = 0.5 + 0.15 * np.sin(columns / 19) + 0.15 * np.cos(rows / 23)
    return np.stack([np.stack([scene[:, 2 * t : 2 * t + width]] * 3) for t in range(count)])


def noise_like(clip: np.ndarray, sigma: float = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma / 255, clip.shape)


@pytest.fixture(scope="module")
def report() -> NoiseReport:
    clip = smooth_clip(7)
    return measured(to_frames(clip + noise_like(clip)))


@pytest.fixture(scope="module")
def clean() -> NoiseReport:
    return measured(to_frames(smooth_clip()))


def test_texture_that_may_be_noise_counts_for_less() -> None:
    """Fine texture that moves by parts of a pixel, of which the network is far from sure."""
    field = cv2.GaussianBlur(np.random.default_rng(2).normal(0, 1, (176, 248)), (0, 0), 0.5)
    field = 90 + 30 * field / field.std()
    ways = (np.float32([[1, 0, -1.5 * t], [0, 1, -0.7 * t]]) for t in range(3))
    moved = [cv2.warpAffine(field, way, (128, 96), flags=cv2.INTER_LANCZOS4) for way in ways]
    frames = to_frames(np.stack(moved)[:, None] / 255, GRAY8)
    found = estimate_noise(frames, info_of(frames), engine_for(frames))
    assert found.sigma8[0] < 3.2  # 3.6 in whole


def test_white_noise_is_measured_and_called_safe(report: NoiseReport) -> None:
    assert report.model.sigma8 == pytest.approx((20,) * 3, rel=0.06)
    assert report.white
    assert report.separate
    assert report.independent
    assert report.noisy
    assert (report.law.kernels, report.law.mixing) == (None, None)
    assert any("sound" in sentence for sentence in report.meaning())


def test_the_report_is_json(report: NoiseReport) -> None:
    values = json.loads(json.dumps(report.values(), allow_nan=False))
    assert values["law"]["sigma"] == list(report.model.sigma)
    assert values["flags"]["white"] is True


def test_the_report_can_be_drawn(report: NoiseReport) -> None:
    drawn = ElementTree.fromstring(noise_plot(report.values(), "clip <1> é.mp4", "svg"))
    words = ["".join(text.itertext()) for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert any(word.startswith("clip <1> é.mp4: sigma ") for word in words)
    assert "dB over white noise" in words
    assert [word for word in words if word in ("R", "G", "B")] == ["R", "G", "B"]
    assert drawn.findall(".//{*}image")
    assert not ElementTree.fromstring(
        noise_plot(replace(report, spectrum=None).values(), "clip", "svg")
    ).findall(".//{*}image")


def test_correlated_noise_is_called_coloured() -> None:
    clip = smooth_clip(4)
    noise = noise_like(clip)
    blurred = (
        noise + np.roll(noise, 1, -1) + np.roll(noise, 1, -2) + np.roll(noise, 1, (-1, -2))
    ) / 2
    found = measured(to_frames(clip + blurred))
    assert not found.white
    assert found.spectrum is not None
    assert found.spectrum.rho_x == pytest.approx((0.5,) * 3, abs=0.06)
    assert found.model.sigma8 == pytest.approx((20,) * 3, rel=0.08)


def test_a_fixed_pattern_is_no_independent_noise() -> None:
    clip = smooth_clip(4)
    pattern = noise_like(clip[:1], 16, seed=5)
    found = measured(to_frames(clip + noise_like(clip, 12) + pattern))
    assert found.temporal.fixed is not None
    assert found.temporal.fixed > 0.3
    assert not found.independent


@pytest.mark.parametrize("rho", [0.3, 0.6])
def test_noise_that_frames_keep_is_told_by_its_correlation(rho: float) -> None:
    clip = smooth_clip(5)
    kept = noise_like(clip, 12)
    for frame, before in zip(kept[1:], kept, strict=False):
        frame[:] = rho * before + (1 - rho**2) ** 0.5 * frame
    found = measured(to_frames(clip + kept))
    assert found.temporal.fixed == pytest.approx(rho, abs=0.06)
    assert not found.independent
    assert found.values()["temporal"]["fixed_pattern8"] == pytest.approx(12 * rho**0.5, rel=0.06)


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("size", [(80, 112), (160, 224)])
def test_grain_new_in_every_frame_is_independent(width: float, size: tuple[int, int]) -> None:
    clip = smooth_clip(5, *size)
    grain = np.stack([
        [cv2.GaussianBlur(plane, (0, 0), width) for plane in frame] for frame in noise_like(clip)
    ])  # fmt: skip
    assert measured(to_frames(clip + 12 / 255 * grain / grain.std())).independent


def test_what_few_places_share_by_chance_is_not_told() -> None:
    clip = smooth_clip(5, 80, 112)[:, :1]
    assert measured(to_frames(clip + noise_like(clip, 40, seed=9), GRAY8)).independent


@pytest.mark.parametrize(("rho", "independent"), [(-0.15, True), (0.05, True), (0.15, False)])
def test_frames_that_differ_share_none(report: NoiseReport, rho: float, independent: bool) -> None:
    found = replace(report, temporal=report.temporal._replace(kept=rho))
    assert found.independent is independent
    assert any("share noise" in one for one in found.meaning()) is not independent


def test_a_clean_clip_has_hardly_any_noise(clean: NoiseReport) -> None:
    assert not clean.noisy


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_clip_of_one_colour_ends_well(level: float) -> None:
    frames = to_frames(np.full((4, 3, 64, 80), level))
    frames = [replace(f, planes=(f.planes[0] ^ t, *f.planes[1:])) for t, f in enumerate(frames)]
    found = measured(frames)
    assert max(found.model.sigma8) < 2  # the frames differ by up to five codes
    json.dumps(found.values(), allow_nan=False)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_frames_are_no_measurement(count: int) -> None:
    frames = to_frames(clean_clip(3) + noise_like(clean_clip(3)))
    engine, info = engine_for(frames), info_of(frames)
    assert measure_noise(iter(frames[:count]), info, engine) is None


def test_neither_copies_of_one_frame_nor_tiny_frames_are_a_measurement() -> None:
    one, tiny = clean_clip(1), clean_clip(6, height=8, width=8)
    for clip in (np.repeat(one + noise_like(one), 8, axis=0), tiny + noise_like(tiny)):
        frames = to_frames(clip)
        assert measure_noise(iter(frames), info_of(frames), engine_for(frames)) is None


def test_gray_and_interlaced_clips_are_measured() -> None:
    clip = smooth_clip()
    gray = measured(to_frames(clip + noise_like(clip), GRAY8))
    assert gray.model.sigma8 == pytest.approx((20,), rel=0.08)
    fields = measured(to_frames(clip + noise_like(clip)), interlaced=True)
    assert fields.model.sigma8 == pytest.approx((20,) * 3, rel=0.1)


def test_the_run_the_report_and_a_first_look_say_the_same_number(only_measured: None) -> None:
    clip = smooth_clip()
    frames = to_frames(clip + noise_like(clip, 12))
    info, engine = info_of(frames), engine_for(frames)
    report, model = measure_noise(frames, info, engine), estimate_noise(frames, info, engine)
    for _ in stream.denoise_stream(frames, info, run := engine_for(frames)):
        pass
    assert report is not None
    assert run.found.noise is not None
    assert report.model.sigma8 == model.sigma8 == run.found.noise.sigma8


@pytest.mark.parametrize("move", [0, 3])
def test_texture_is_no_noise(move: int) -> None:
    rng = np.random.default_rng(5)
    big = np.clip(rng.normal(0.5, 40 / 255, (124, 156)), 0.1, 0.9)
    clip = np.stack(
        [[big[move * t : move * t + 112, move * t : move * t + 144]] * 3 for t in range(5)]
    )
    found = measured(to_frames(clip + noise_like(clip, 10)))
    assert found.model.sigma8 == pytest.approx((10,) * 3, rel=0.1)


def test_hardly_any_noise_is_said_in_one_line(clean: NoiseReport) -> None:
    frames = to_frames(smooth_clip())
    engine = engine_for(frames)
    NoiseTracker.of(engine, frames[0].layout, frames[:6])
    assert "hardly any noise: the result will look like the input" in engine.found.notes
    assert next(clean.meaning()) == "hardly any noise: the result will look like the input."


@pytest.mark.parametrize(("told", "warned"), [(3.0, True), (50.0, True), (15.0, False)])
def test_a_sigma_that_contradicts_the_clip_is_used_and_said(told: float, warned: bool) -> None:
    clip = smooth_clip()
    frames = to_frames(clip + noise_like(clip, 20))
    engine = engine_for(frames, sigma=told)
    NoiseTracker.of(engine, frames[0].layout, frames[:6])
    assert engine.found.noise is not None
    assert engine.found.noise.sigma8 == pytest.approx((told,) * 3)
    said = [note for note in engine.found.notes if note.startswith(f"sigma={told:g} is used")]
    assert len(said) == warned
    assert all("of 255" in note for note in said)


@pytest.mark.parametrize(("told", "known"), [(15.0, True), (60.0, False)])
def test_a_sigma_that_is_told_has_the_scales_that_are_measured(told: float, known: bool) -> None:
    """Unless it has little to do with what was measured. Coarse grain called white loses all but
    the finest part of what is taken out: 2.3 dB of gopro_path under grain of 24 of 255."""
    clip = smooth_clip()
    coarse = np.stack(
        [[cv2.GaussianBlur(one, (0, 0), 1.3) for one in f] for f in noise_like(clip, 60)]
    )
    frames = to_frames(clip + coarse)
    engine = engine_for(frames, sigma=told)
    watch = NoiseTracker.of(engine, frames[0].layout, frames[:6])
    assert (watch.planes.shares[0] != bands.white_shares()) == known
    assert watch.planes.model.sigma8[0] == pytest.approx(told)


def test_drawings_with_a_little_noise_are_not_taken_for_noisy_ones() -> None:
    rng = np.random.default_rng(9)
    base = np.full((144, 176), 60.0)
    base[72:, 88:] = np.where(np.indices((72, 88)).sum(0) % 2, 200, 40)
    base[:72, 88:] = np.kron(rng.integers(0, 2, (9, 11)) * 180 + 30, np.ones((8, 8)))
    base[:, :44] = np.linspace(16, 235, 144)[:, None]
    chroma = np.full((72, 88), 90.0)
    chroma[30:, 40:] = 190
    frames = []
    for t in range(5):
        luma = base.copy()
        luma[20 + 3 * t : 50 + 3 * t, 60:90] = 235
        noisy = (plane + rng.normal(0, 2, plane.shape) for plane in (luma, chroma, chroma))
        codes = tuple(np.clip(np.rint(plane), 1, 254).astype(np.uint8) for plane in noisy)
        frames.append(Frame(planes=codes, layout=YUV420, pts=t))
    found = measured(frames)
    assert found.planes is not None
    assert 219 * found.planes.model.sigma[0] == pytest.approx(2, rel=0.1)
    assert max(found.model.sigma8) < 5


def test_leaves_are_no_noise_of_a_photograph() -> None:
    scene, leaves = smooth_clip(1, 256, 384), noise_like(np.empty((1, 3, 256, 384)), 30, 1)
    leaves[..., 300:] = 0
    frames = to_frames(scene + leaves + noise_like(scene, 3))
    found = estimate_noise(frames, info_of(frames), engine_for(frames))
    assert found.sigma8 == pytest.approx((3,) * 3, rel=0.05)  # it was 20
