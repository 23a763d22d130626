"""Which footage can be learnt from, and as what networks see it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
import torch

from f2rcli import weights
from f2rcli.engine.noise.measurement import FRAMES, UNSEEN
from f2rcli.errors import WeightsError
from f2rcli.frames import Space
from f2rcli.noise.measurement.bound import Bound
from f2rcli.noise.measurement.independence import Temporal
from f2rcli.noise.measurement.spectrum import Spectrum
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.report import Confidence, NoiseReport
from f2rcli.training.footage import noise as footage_noise
from f2rcli.training.footage import objections as objecting
from f2rcli.training.footage.footage import Footage, open_footage
from f2rcli.training.footage.noise import measure_footage
from f2rcli.training.footage.objections import cut_off, objection, objections, without_unfit

pytestmark = pytest.mark.skipif(not weights.available(), reason="no weights are bundled")
GAIN, READ, OFFSET = 6.0, 4.0, 100.0


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> list[Footage]:
    """A still scene under photon noise, dark on the left and bright on the right."""
    folder = tmp_path_factory.mktemp("stack")
    rng = np.random.default_rng(1)
    light = np.tile(np.linspace(5, 400, 96), (64, 1))
    moving = [
        OFFSET + GAIN * rng.poisson(light / GAIN) + rng.normal(0, READ, light.shape)
        for _ in range(8)
    ]
    array = np.rint(moving).astype(np.uint16)
    tifffile.imwrite(folder / "a.tif", array, imagej=True, metadata={"axes": "TYX"})
    return open_footage([folder / "a.tif"], folder / "cache")


def test_sensor_values_are_learnt_from_in_the_space_they_are_denoised_in(
    counted: list[Footage],
) -> None:
    (shown, *_), (report, *_) = measure_footage(counted, None, torch.device("cpu"), "fp32")
    assert report is not None
    assert shown.sensor
    seen = np.std(shown.read(slice(None)), axis=0, ddof=1).mean()
    assert report.model.sigma == pytest.approx((seen,), rel=0.15)
    for clip, low, high in ((counted[0], 1.6, 9), (shown, 0.8, 1.25)):
        noise = np.std(clip.read(slice(None)), axis=0)
        ratio = noise[:, 64:88].mean() / noise[:, 8:32].mean()  # of bright and dark
        assert low < ratio < high
    assert np.array_equal(shown.read(2), shown.array[2].astype(np.float32))  # for whoever maps it
    assert counted[0].path != shown.path
    assert not list(shown.path.parent.glob("*.part"))


def test_noise_is_measured_where_it_shows_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fast motion in the middle of a clip had made white noise coloured."""
    frames = np.tile(np.arange(40, dtype=np.float16)[:, None, None, None], (1, 32, 32, 3))
    (tmp_path / "frames").write_bytes(frames.tobytes())
    clip = Footage("a", Space.RGB, tmp_path / "frames", frames.shape, (range(5), range(6, 40)))
    errors = {18: 12.0, 6: 7.0, 30: 8.0}  # in percent, by the first frame that is measured
    asked = []

    def measured(pictures: list[torch.Tensor], *rest: object, **dark: object) -> NoiseReport | None:
        asked.append(int(pictures[0].mean()))
        assert len(pictures) == FRAMES
        seen = report_of(0.1, Temporal(asked[-1] / 100, None))
        return replace(seen, confidence=Confidence(errors[asked[-1]], ()))

    monkeypatch.setattr(footage_noise, "measure_pictures", measured)
    monkeypatch.setattr(footage_noise, "_bounds", lambda *given: [])
    _, (report,) = measure_footage([clip], None, torch.device("cpu"), "fp32")
    assert report is not None
    assert (asked, report.confidence.percent) == ([18, 6, 30], 7.0)
    assert report.temporal == Temporal(0.3, None)  # what frames share anywhere
    errors[18] = 5.0
    asked.clear()
    measure_footage([clip], None, torch.device("cpu"), "fp32")
    assert asked == [18]  # sure enough


def test_what_cannot_be_measured_is_left_out_beside_what_can(counted: list[Footage]) -> None:
    one = counted[0]
    clips, noise = measure_footage([one], None, torch.device("cpu"), "fp32")
    clips, noise = [*clips, replace(one, name="b.tif")], [*noise, None]
    assert objections(clips, noise) == ["b.tif: its noise could not be measured reliably"]
    notes: list[str] = []
    kept, reports = without_unfit(clips, noise, notes, adapting=True)
    assert ([clip.name for clip in kept], len(reports)) == (["a.tif"], 1)
    assert notes == ["left out: b.tif: its noise could not be measured reliably"]
    alone = without_unfit(clips[1:], noise[1:], notes, adapting=True)
    assert alone == (clips[1:], [None])  # nothing else is there: the caller refuses


def test_white_noise_beside_texture_is_learnt_from_as_white(tmp_path: Path) -> None:
    """Leaves that anchors lose would make it stronger and coarse, and channels would share it."""
    rng = np.random.default_rng(2)
    big = cv2.GaussianBlur(rng.normal(0, 1, (160, 400)), (0, 0), 1.0)
    big *= 30 / big.std() * (np.arange(160) % 64 < 40)[:, None]
    for t in range(9):
        scene = 120 + np.repeat(big[:, 5 * t :: 2][:, :160, None], 3, 2)  # two and a half pixels
        noisy = np.rint(scene + rng.normal(0, 7, scene.shape)).clip(0, 255).astype(np.uint8)
        tifffile.imwrite(tmp_path / f"{t}.tif", noisy)
    clips = open_footage([tmp_path], tmp_path / "cache")
    _, (report, *_) = measure_footage(clips, None, torch.device("cpu"), "fp32")
    assert report is not None
    assert report.white
    assert report.model.sigma8 == pytest.approx((7.0,) * 3, rel=0.08)


@pytest.mark.parametrize(
    ("space", "can", "begun", "told"),
    [(Space.BAYER, True, True, True), (Space.BAYER, True, False, False),
     (Space.BAYER, False, True, False), (Space.RGB, True, True, False)],
)  # fmt: skip
def test_without_bundled_weights_those_that_training_begins_from_measure(
    space: Space, can: bool, begun: bool, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they are of the footage's space and of a method that can."""
    monkeypatch.setattr(weights, "measuring", lambda space: None)
    monkeypatch.setattr(
        footage_noise.methods, "load", lambda name: SimpleNamespace(can_measure_noise=can)
    )
    start: Any = SimpleNamespace(header=SimpleNamespace(space=space, method="f2r"))
    if told:
        assert footage_noise._measuring_weights(Space.BAYER, start) is start
        return
    with pytest.raises(WeightsError, match="no bundled weights to measure noise in"):
        footage_noise._measuring_weights(Space.BAYER, start if begun else None)


def report_of(
    share: float, temporal: Temporal, *, sigma: float = 0.1, soft: float = 0
) -> NoiseReport:
    """A report of noise shared by channels and adjacent frames to some extent, blurred in rows."""
    mixed = np.full((3, 3), share) + (1 - share) * np.eye(3)
    lags = np.zeros((3, 32, 32))
    apart = np.minimum(np.arange(32), 32 - np.arange(32))
    believed = np.where(apart < 12, 0.5 + 0.5 * np.cos(np.pi * apart / 12), 0)
    lags[:, 0] = np.exp(-((apart / (2 * soft)) ** 2)) * believed if soft else apart == 0
    along = (float(lags[0, 0, 1]),) * 3
    spectrum = Spectrum(np.fft.fft2(lags).real, along, (0.0,) * 3, mixed)
    model, sure = NoiseModel.gaussian(sigma, 3), Confidence(5, ())
    return NoiseReport(model, ((),) * 3, spectrum, temporal, 0, 0, (sigma,), 9, sure)


@pytest.mark.parametrize(("frames", "word"), [(1, "too few"), (9, "too small")])
def test_a_report_without_a_spectrum_says_what_there_is_too_little_of(frames, word) -> None:
    report = replace(report_of(0, Temporal(None, None)), spectrum=None, frames=frames)
    assert report.meaning()[0] == f"frames are {word} to tell white noise from coloured."


def test_the_more_anchors_and_frames_disagree_the_less_sure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a fast moment whose noise was held to its bound looks sure, and the search ends."""
    frames = np.random.default_rng(1).normal(0.5, 0.05, (10, 64, 64, 3)).astype(np.float16)
    (tmp_path / "frames").write_bytes(frames.tobytes())
    clip = Footage("a", Space.RGB, tmp_path / "frames", frames.shape, (range(10),))
    told = report_of(0.1, UNSEEN, sigma=0.1)  # twice what frames differ by
    monkeypatch.setattr(footage_noise, "measure_pictures", lambda *given, **dark: told)
    _, (report,) = measure_footage([clip], None, torch.device("cpu"), "fp32")
    assert report is not None
    assert report.model.sigma == pytest.approx((0.05,) * 3, rel=0.05)
    assert report.confidence.percent == pytest.approx(told.confidence.percent + 50, abs=3)


@pytest.mark.parametrize(
    ("top", "white", "doubt"), [(1.0, True, 20), (1.0, False, 20), (1.5, True, 0)]
)
def test_what_black_and_white_cut_off_makes_it_less_sure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, top: float, white: bool, doubt: float
) -> None:
    """Else fresh noise that is drawn too weak, and lets weights pass that keep more noise."""
    frames = np.random.default_rng(1).normal(0.95, 0.1, (10, 64, 64, 3)).clip(0, top)
    (tmp_path / "frames").write_bytes(frames.astype(np.float16).tobytes())
    clip = Footage("a", Space.RGB, tmp_path / "frames", frames.shape, (range(10),))
    told = replace(report_of(0.1, UNSEEN, sigma=1e-4), black=0.1, white_rail=0.3)
    monkeypatch.setattr(footage_noise, "measure_pictures", lambda *given, **dark: told)
    bound = Bound((0.5,), (0.1,), (99,), white=white)
    monkeypatch.setattr(footage_noise, "_bounds", lambda *given: [bound] * 3)
    _, (report,) = measure_footage([clip], None, torch.device("cpu"), "fp32")
    assert report is not None
    wanted = np.hypot(told.confidence.percent, doubt)
    assert report.confidence.percent == pytest.approx(wanted)


@pytest.mark.parametrize(("rails", "sigma"), [(0.0, 0.09), (0.1, 0.0927), (0.4, 0.1)])
def test_bounds_are_raised_where_black_and_white_cut_noise_off(rails: float, sigma: float) -> None:
    """They come out too low there, and noise drawn as weak rewards weights that keep noise."""
    told = report_of(0.1, UNSEEN, sigma=0.1)
    report = footage_noise._held(told, [Bound((0.5,), (0.09,), (99,))] * 3, rails)
    assert report.model.sigma == pytest.approx((sigma,) * 3)
    assert report.confidence.percent == pytest.approx(5 + 100 * (1 - sigma / 0.1))


@pytest.mark.parametrize(
    ("share", "coded", "temporal", "fit"),
    [
        (0.1, False, UNSEEN, True),
        (0.55, False, UNSEEN, True),  # film
        (0.87, False, Temporal(0.02, None), False),  # a phone's own processing, a codec's traces
        (1.0, False, UNSEEN, True),  # a gray picture
        (1.0, True, Temporal(0.02, None), False),
        (0.1, False, Temporal(0.3, None), False),
        (0.1, False, Temporal(0.05, -0.3), False),
        (0.1, False, Temporal(0.1, 0.1), True),
        (1.0, False, Temporal(0.15, None), False),  # a thermal camera's pattern, which drifts
    ],
)
def test_noise_that_would_teach_itself_is_refused(
    counted: list[Footage],
    share: float,
    coded: bool,
    temporal: Temporal,
    fit: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(objecting, "_coloured", lambda clip: False)
    clip = replace(counted[0], coded=coded, shape=(*counted[0].shape[:3], 3))
    report = report_of(share, temporal)
    assert (objection(clip, report) is None) is fit
    called_sound = any("alone is sound" in sentence for sentence in report.meaning())
    assert fit or not called_sound


@pytest.mark.parametrize(("soft", "fit"), [(1.3, True), (9.0, False)])
def test_streaks_longer_than_fresh_noise_can_have_are_not_learnt_from(
    counted: list[Footage], soft: float, fit: bool
) -> None:
    """Coarse grain, and the chroma of analogue tape: fitted to that, weights lost 2.5 dB."""
    clip = replace(counted[0], shape=(*counted[0].shape[:3], 3))
    assert (objection(clip, report_of(0.5, UNSEEN, soft=soft)) is None) is fit


@pytest.mark.parametrize(("tint", "fit"), [(0.0, True), (0.1, False)])
def test_noise_of_luma_alone_in_colours_is_what_a_codec_left(
    tmp_path: Path, tint: float, fit: bool
) -> None:
    """Motion JPEG, whose frames do not depend on each other: weights lost 0.26 dB."""
    pictures = np.full((3, 24, 24, 3), (0.5 - tint, 0.5, 0.5 + tint), np.float16)
    (tmp_path / "a").write_bytes(pictures.tobytes())
    clip = Footage("a", Space.RGB, tmp_path / "a", pictures.shape, (range(3),))
    assert (objection(clip, report_of(1.0, UNSEEN)) is None) is fit


@pytest.mark.parametrize(
    ("soft", "tint", "fit"),
    [(0.0, 0.1, True), (0.6, 0.1, False), (1.3, 0.1, False), (1.3, 0.0, True)],
)
def test_what_a_filter_left_of_the_noise_of_colours_is_refused(
    tmp_path: Path, soft: float, tint: float, fit: bool
) -> None:
    """A bilateral filter or a median before: fitted to that, weights lost 0.15 to 0.34 dB."""
    pictures = np.full((3, 24, 24, 3), (0.5 - tint, 0.5, 0.5 + tint), np.float16)
    (tmp_path / "a").write_bytes(pictures.tobytes())
    clip = Footage("a", Space.RGB, tmp_path / "a", pictures.shape, (range(3),))
    report = report_of(0.0, UNSEEN, soft=soft)
    assert (objection(clip, report) is None) is fit
    assert objection(replace(clip, sensor=True), report) is None


def test_colours_of_whose_noise_too_little_is_seen_are_refused(tmp_path: Path) -> None:
    pictures = np.full((3, 24, 24, 3), (0.4, 0.5, 0.6), np.float16)
    (tmp_path / "a").write_bytes(pictures.tobytes())
    clip = Footage("a", Space.RGB, tmp_path / "a", pictures.shape, (range(3),))
    said = objection(clip, replace(report_of(0.0, UNSEEN), spectrum=None))
    assert said is not None
    assert "too small to tell" in said


@pytest.mark.parametrize(
    ("light", "saturated", "share"), [(0.5, 0, 0.0), (0.95, 0, 0.31), (0.5, 20, 0.02)]
)
def test_footage_much_of_whose_noise_is_cut_off_is_refused(
    tmp_path: Path, light: float, saturated: int, share: float
) -> None:
    """Its held-out errors prefer weights that lose; an all-white sky has none of its noise."""
    noise = np.random.default_rng(4).normal(0, 0.1, (10, 48, 48, 3))
    frames = (light + noise).clip(0, 1)
    frames[:, :saturated] = 1
    (tmp_path / "a").write_bytes(frames.astype(np.float16).tobytes())
    clip = Footage("a", Space.RGB, tmp_path / "a", frames.shape, (range(10),))
    assert cut_off(clip) == pytest.approx(share, abs=0.01)
    said = objection(clip, report_of(0.0, UNSEEN))
    assert ("cut off the noise of 31 %" in (said or "")) is (share > 0.1)
    assert cut_off(replace(clip, sensor=True)) == 0
