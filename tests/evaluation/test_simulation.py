"""Simulated benchmarks: the scenes hold what they say, and their metrics measure it."""

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

import f2rcli
from f2rcli.evaluation import benchmarks, export, metrics
from f2rcli.evaluation.base import Case, ClipFacts
from f2rcli.evaluation.benchmarks.loaders.simulated import case_of
from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.plan import Plan
from f2rcli.evaluation.quantities.points import DISC, false_points, light_in, width_of
from f2rcli.evaluation.result import WHOLE, Evaluation
from f2rcli.evaluation.run import evaluate
from f2rcli.evaluation.simulation import filters, points, spikes
from f2rcli.evaluation.simulation.camera import electrons, recorded, span
from f2rcli.evaluation.simulation.scene import CellScene, Point, PointScene, Scene
from f2rcli.frames import Floats, Space

NAMES = ("molecules", "rows", "spikes", "stars")
HERE = Point(0, 20.3, 18.7, 500)


def measured(scene: Scene, estimate: Floats, name: str) -> dict[str, Mapping[str, float]]:
    """What a group of metrics finds in an estimate in electrons: by metric, by channel."""
    low, high = span(scene.light)
    setting = ClipFacts(space=Space.GRAY, scene=scene)
    found = {}
    for metric in metrics.load(name):
        meter = metric.meter(setting)
        assert meter is not None
        for index, picture in enumerate((estimate - low) / (high - low)):
            meter.add(FrameSet(index), picture[None].astype(np.float32))
        found[metric.facts.name] = meter.finish().clip
    return found


@pytest.fixture(scope="module")
def cells() -> Scene:
    return spikes.scene(120, np.random.default_rng(3), photons=5.0, side=64, count=8)


@pytest.fixture(scope="module")
def spots() -> Scene:
    return points.scene(
        4, np.random.default_rng(0), electrons=(200, 800), width=1.3, background=20, side=64,
        count=4, stay=True,
    )  # fmt: skip


def test_the_camera_stores_what_was_counted() -> None:
    codes = recorded(np.full((4, 64, 64), 10.0), np.random.default_rng(0))
    assert electrons(codes).mean() == pytest.approx(10, rel=0.02)
    assert codes.astype(float).var() == pytest.approx(64 * 10 + 16, rel=0.05)


def test_filters_are_those_of_scipy() -> None:
    stack = np.random.default_rng(0).normal(size=(9, 30, 40))
    assert np.array_equal(filters.median(stack), ndimage.median_filter(stack, 3))
    for time, width in ((0, 0.5), (1, 2), (4, 1.5)):
        wanted = ndimage.gaussian_filter(stack, (time, width, width))
        assert filters.blurred(stack, time, width) == pytest.approx(wanted, abs=1e-12)


def test_the_gaussian_is_the_one_nearest_to_the_truth() -> None:
    light = np.zeros((9, 32, 32))
    noisy = light + np.random.default_rng(0).normal(size=light.shape)
    assert np.array_equal(filters.best_gaussian(noisy, light), filters.blurred(noisy, 4, 2))
    assert np.array_equal(filters.best_gaussian(noisy, noisy), filters.blurred(noisy, 0, 0.5))


def test_light_and_width_of_a_point_are_found() -> None:
    picture = 500 * points.spot(40, HERE.row, HERE.column, 1.3)
    assert light_in(picture, HERE) == pytest.approx(500, rel=0.01)
    assert width_of(picture, HERE) == pytest.approx(np.hypot(1.3, 1 / np.sqrt(12)), rel=0.03)


def test_only_points_away_from_the_true_ones_are_false() -> None:
    both = points.spot(40, HERE.row, HERE.column, 1.3) + points.spot(40, 8, 30, 1.3)
    assert false_points(500 * both, [HERE], 100) == 1
    assert false_points(500 * both, [HERE, Point(0, 8, 30, 500)], 100) == 0


def test_points_are_compared_with_the_truth_by_their_light(spots: Scene) -> None:
    assert isinstance(spots.truth, PointScene)
    assert {point.electrons for point in spots.truth.points} == {200, 800}
    dimmed = 20 + 0.7 * (spots.light - 20)
    found = measured(spots, dimmed, "points")
    assert found["light"] == pytest.approx({"200 e-": 0.7, "800 e-": 0.7}, abs=1e-4)
    assert found["scatter"] == pytest.approx({"200 e-": 0, "800 e-": 0}, abs=1e-4)
    assert found["false_points"] == {WHOLE: 0}
    doubled = dimmed + 200 * points.spot(64, 2, 2, 1.3)
    assert measured(spots, doubled, "points")["false_points"] == {WHOLE: 1}
    blurred = ndimage.gaussian_filter(spots.light, (0, 1, 1))
    width = measured(spots, blurred, "points")["width"]["800 e-"]
    assert width == pytest.approx(in_a_disc(np.sqrt(1.3**2 + 1 + 1 / 12)), rel=0.01)


def in_a_disc(sigma: float) -> float:
    """What a Gaussian's width is found to be where the disc cuts it off."""
    edge = DISC**2 / (2 * sigma**2)
    return float(sigma * np.sqrt(1 - edge / np.expm1(edge)))


def test_spikes_that_are_kept_late_or_halved_are_told(cells: Scene) -> None:
    assert isinstance(cells.truth, CellScene)
    assert cells.truth.spikes
    assert cells.light.mean() == pytest.approx(5)
    whole = measured(cells, cells.light, "spikes")
    assert whole["trace"] == {WHOLE: pytest.approx(1)}
    assert whole["amplitude"] == {WHOLE: pytest.approx(1, abs=1e-3)}
    assert abs(whole["early"][WHOLE]) < 0.1
    assert whole["onset"] == {WHOLE: 0}
    assert measured(cells, 0.5 * cells.light, "spikes")["amplitude"][WHOLE] == pytest.approx(0.5)
    for shift in (-1, 1):
        late = measured(cells, np.roll(cells.light, shift, axis=0), "spikes")
        assert late["onset"] == {WHOLE: shift}
    assert late["trace"][WHOLE] < 0.999


def test_the_light_of_a_cell_rises_by_its_spike_and_decays_as_told() -> None:
    trace = spikes.calcium(np.arange(60) == 10)
    assert not trace[:10].any()
    assert trace[10] == 1
    assert trace[31] == pytest.approx(1 / np.e)


def test_bias_is_that_of_each_brightness(cells: Scene) -> None:
    (found,) = measured(cells, 1.1 * cells.light, "bias").values()
    assert found == pytest.approx(dict.fromkeys(found, 10.0), abs=0.01)
    capped = np.minimum(cells.light, np.quantile(cells.light, 0.999))
    (found,) = measured(cells, capped, "bias").values()
    assert found["brightest 0.1 %"] < -3
    assert [found["darkest 20 %"], found["middle"]] == pytest.approx([0, 0], abs=0.01)


def test_row_noise_left_is_a_share_of_that_of_the_input() -> None:
    rng = np.random.default_rng(0)
    clean = rng.random((3, 16, 40)).astype(np.float32)
    offsets = rng.normal(0, 0.1, (3, 16, 1)).astype(np.float32)
    (metric,) = metrics.load("rows")
    for left in (0.0, 0.25, 1.0):
        meter = metric.meter(ClipFacts(space=Space.RGB))
        assert meter is not None
        for index in range(2):
            frame_set = FrameSet(index, reference=clean, noisy=clean + offsets)
            meter.add(frame_set, clean + np.float32(left) * offsets)
        assert meter.finish().value == pytest.approx(100 * left, abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_every_simulated_benchmark_needs_no_files_and_runs(name: str) -> None:
    assert not benchmarks.needs_files(name)
    chosen = benchmarks.load(name)
    cases = chosen.cases(None, ())
    assert chosen.facts(cases).complete
    assert len({case.group for case in cases}) == len(cases)
    short = chosen.cases(None, (), 6)[-1:]
    assert not chosen.facts(short).complete
    found = evaluated(short[0], chosen.metrics)
    assert found.clips[0].methods[0].method == "none"
    assert found.mean("none", "psnr") < found.mean("Gaussian, by the truth", "psnr")
    for result in found.clips[0].methods:
        assert not result.notes
        assert all(np.isfinite(list(series.clip.values())).all() for series in result.series) or (
            name == "spikes"  # six frames are too few for one
        )


def evaluated(case: Case, names: tuple[str, ...], methods: tuple[str, ...] = ()) -> Evaluation:
    return evaluate([case], Plan(metrics=names, methods=("none", *methods)), kind="reference")


def test_the_same_seed_makes_the_same_scene() -> None:
    def codes(seed: int) -> Any:
        case = replace(benchmarks.load("stars"), seed=seed).cases(None, (), 2)[0]
        assert case.scene is not None
        return case.scene.codes

    assert np.array_equal(codes(1), codes(1))
    assert not np.array_equal(codes(1), codes(2))


def test_what_is_measured_of_f2r_is_what_it_stores(spots: Scene) -> None:
    found = evaluated(case_of(spots, "spots"), ("psnr", "points", "bias"), ("f2r",))
    restored = electrons(f2rcli.denoise(spots.codes))
    for group in ("points", "bias"):
        for name, values in measured(spots, restored, group).items():
            series = found.clips[0].methods[-1].of(name)
            assert series is not None
            assert series.clip == pytest.approx(values, abs=1e-4)
    low, high = span(spots.light)
    errors = np.square(restored - spots.light).mean((1, 2)) / (high - low) ** 2
    assert found.mean("f2r", "psnr") == pytest.approx(np.mean(-10 * np.log10(errors)), abs=1e-3)


def test_quantities_by_brightness_are_columns_of_their_own(spots: Scene) -> None:
    found = evaluated(case_of(spots, "spots"), ("psnr", "points"))
    titles = [facts.title for facts, _ in found.columns()]
    assert titles[:3] == ["PSNR", "Light kept, 200 e-", "Light kept, 800 e-"]
    told = json.loads(export.to_json(found))["means"][0]["values"]
    share = found.mean("none", "light", channel="800 e-")
    assert told["light, 800 e-"] == share == pytest.approx(1, abs=0.1)
    rows = list(csv.DictReader(export.to_csv(found).splitlines()))
    cell = next(r for r in rows if (r["metric"], r["channel"]) == ("light", "800 e-"))
    assert float(cell["value"]) == pytest.approx(share)
