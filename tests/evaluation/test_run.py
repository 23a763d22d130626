"""Clips side by side: lengths, sizes, noise made on the spot, failures, time and memory."""

import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest

from f2rcli.errors import InputError, UsageError
from f2rcli.evaluation import base, lockstep, result
from f2rcli.evaluation import run as runs
from f2rcli.frames import ClipInfo, Family, Frame, Matrix, Mosaic, PlaneLayout
from f2rcli.noise.synthesis.spec import parse

CODES = PlaneLayout(family=Family.RGB, bits=8)
YUV = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 1), matrix=Matrix.BT709)
TIME = Fraction(1, 25)


@dataclass
class Made:
    """A clip made here: random gray blocks that move to the right, with noise of its sigma."""

    frames: int = 4
    size: tuple[int, int] = (48, 64)
    noise: float = 0.0
    layout: PlaneLayout = CODES
    name: str = "made.mkv"
    rate: int = 25
    told: bool = True  # whether the number of frames is known beforehand
    lanes: tuple[int, ...] = ()
    alive: list[int] = field(default_factory=list)

    @property
    def info(self) -> ClipInfo:
        return ClipInfo(
            name=self.name, width=self.size[1], height=self.size[0], layout=self.layout,
            frames=self.frames if self.told else None, duration=None, rate=Fraction(self.rate),
            time_base=TIME,
        )  # fmt: skip

    def __call__(self) -> AbstractContextManager[base.OpenClip]:
        return nullcontext(self)

    def __iter__(self) -> Iterator[Frame]:
        rng = np.random.default_rng(int(self.noise))
        cells = np.random.default_rng(9).integers(60, 190, [side // 8 + 1 for side in self.size])
        blocks = cells.repeat(8, 0).repeat(8, 1)[: self.size[0], : self.size[1]]
        scene = np.stack([blocks] * 3)
        rough, fine = self.layout.log2_chroma
        for index in range(self.frames):
            codes = np.roll(scene, index, 2) + self.noise * rng.normal(size=scene.shape)
            planes = list(np.clip(np.rint(codes), 0, 255).astype(np.uint8))
            planes[1:] = [plane[:: 2**fine, :: 2**rough] for plane in planes[1:]]
            yield Frame(
                planes=tuple(planes[: self.layout.colour_planes]), layout=self.layout, pts=index,
                duration=1, time_base=TIME, lane=self.lanes[index] if self.lanes else 0,
            )  # fmt: skip


@dataclass
class Clock:
    """Stands in for `time`: it goes on when it is told to."""

    seconds: int = 0

    def perf_counter(self) -> int:
        return self.seconds


@dataclass
class Fake:
    """A baseline that gives back what it gets, in three seconds a frame of its clock, or fails."""

    optional: ClassVar[bool] = True
    name: str = "fake"
    title: str = "Fake"
    lag: int = 0
    clock: Clock = field(default_factory=Clock)
    fails_at: int | None = None
    missing: str = ""
    told: list[float | None] = field(default_factory=list)

    def facts(self) -> result.MethodFacts:
        return result.MethodFacts(name=self.name, title=self.title, kind="baseline")

    def denoise(
        self, frames: Iterable[Frame], info: ClipInfo, sigma8: float | None
    ) -> Iterator[Frame]:
        self.told.append(sigma8)
        held: list[Frame] = []
        for index, frame in enumerate(frames):
            if index == self.fails_at:
                raise InputError("broken inside.")
            self.clock.seconds += 3
            held.append(frame)
            if len(held) > self.lag:
                yield held.pop(0)
        yield from held


def run(
    case: base.Case, *fakes: Fake, kind: str = "reference", **choices: object
) -> result.Evaluation:
    settings = {"metrics": ("psnr",), "methods": ("none",)} | choices
    return evaluated([case], base.Plan(**settings), kind, fakes)  # type: ignore[arg-type]


def evaluated(
    cases: list[base.Case], plan: base.Plan, kind: str, fakes: tuple[Fake, ...] = ()
) -> result.Evaluation:
    run = runs.Evaluator(plan, kind=kind, baselines=fakes)
    return run.evaluation([run.clip(case) for case in cases])


def given(clean: Made | None, **denoised: Made) -> base.Case:
    return base.Case(name="clip", reference=clean, given=denoised)


def test_every_frame_of_every_side_is_seen_at_the_same_moment() -> None:
    case = base.Case(
        name="clip", reference=Made(), noisy=Made(noise=20), given={"out": Made(noise=5)}
    )
    found = run(case, Fake(lag=3), metrics=("psnr", "drift"))
    clip = found.clips[0]
    assert (clip.frames, clip.width, clip.height, clip.space) == (4, 64, 48, "rgb")
    assert [result.method for result in clip.methods] == ["none", "out", "fake"]
    assert clip.value("none", "psnr") == clip.value("fake", "psnr")  # in step, whatever its lag
    assert clip.value("out", "psnr") > clip.value("none", "psnr") + 8
    assert [method.kind for method in found.methods] == ["noisy", "given", "baseline"]


def test_noise_on_the_spot_is_seeded_and_its_psnr_is_that_of_its_sigma() -> None:
    case = base.Case(name="clip", reference=Made(), noise=parse("gaussian:20"))
    first, again, other = (
        run(case, kind="synthetic", seed=seed).clips[0].value("none", "psnr") for seed in (0, 0, 1)
    )
    assert first == again != other
    assert first == pytest.approx(20 * np.log10(255 / 20), abs=0.1)


def test_noise_is_added_to_the_picture_that_is_compared() -> None:
    class Loud(Made):  # chroma far outside what RGB can hold
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                luma, *chroma = frame.planes
                yield replace(frame, planes=(luma, *(np.full_like(c, 250) for c in chroma)))

    case = base.Case(name="clip", reference=Loud(layout=YUV), noise=parse("gaussian:1"))
    clip = run(case, kind="synthetic", clipped=False).clips[0]
    assert clip.value("none", "psnr") == pytest.approx(20 * np.log10(255), abs=0.1)


def test_unclipped_noise_keeps_what_lies_outside_the_range() -> None:
    case = base.Case(name="clip", reference=Made(), noise=parse("gaussian:90"))
    floats, codes = (
        run(case, kind="synthetic", clipped=clipped).clips[0].value("none", "psnr")
        for clipped in (False, True)
    )
    assert floats == pytest.approx(20 * np.log10(255 / 90), abs=0.1)
    assert codes > floats + 0.5


def test_a_codec_that_wants_even_sizes_is_compared_on_what_it_leaves() -> None:
    case = base.Case(name="clip", reference=Made(size=(49, 65)), noise=parse("compressed:10,30"))
    clip = run(case, kind="synthetic").clips[0]
    assert (clip.width, clip.height) == (64, 48)
    assert any("compared at 64x48" in note for note in clip.notes)
    assert 20 < clip.value("none", "psnr") < 45


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Made(size=(48, 66)), "sizes differ, 66x48 and 64x48"),
        (Made(frames=5), "frame counts differ, 5 and 4"),
        (Made(layout=replace(CODES, family=Family.GRAY)), "gray and rgb pictures"),
    ],
)
def test_clips_that_do_not_belong_together_are_refused(other: Made, words: str) -> None:
    with pytest.raises(InputError, match=words):
        run(given(Made(), out=replace(other, name="out.mkv")))


@pytest.mark.parametrize("frames", [3, 5])
def test_a_length_that_was_not_known_is_noticed_at_the_end(frames: int) -> None:
    with pytest.raises(InputError, match="frame counts differ") as caught:
        run(given(Made(), out=Made(frames=frames, told=False)))
    assert f"frames={min(frames, 4)}" in str(caught.value.hint)


def test_different_rates_are_remarked_on() -> None:
    notes = " ".join(run(given(Made(), out=Made(rate=30))).clips[0].notes)
    assert "rates differ, 30 and 25" in notes


def test_a_baseline_that_fails_or_is_missing_does_not_stop_the_others() -> None:
    case = base.Case(name="clip", reference=Made(), noisy=Made(noise=20))
    fakes = Fake("good"), Fake("bad", fails_at=2), Fake("absent", missing="not installed.")
    found = run(case, *fakes)
    clip = found.clips[0]
    bad = clip.of("bad")
    assert bad is not None
    assert bad.failed == "broken inside."
    assert not bad.metrics
    assert clip.frames == 4
    assert clip.value("good", "psnr") == clip.value("none", "psnr")
    assert clip.of("absent") is None
    assert found.notes == ("absent left out: not installed.",)
    assert np.isnan(found.mean("bad", "psnr"))


def test_time_is_that_of_denoising_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(lockstep, "time", clock)

    class Slow(Made):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                clock.seconds += 5
                yield frame

    case = base.Case(name="clip", reference=Made(), noisy=Slow(noise=20))
    found = run(case, Fake("quick"), Fake("waits", clock=clock))
    assert [found.seconds_per_frame(name) for name in ("quick", "waits")] == [0, 3]


def test_baselines_are_told_the_noise_that_was_made() -> None:
    fake = Fake()
    case = base.Case(name="clip", reference=Made(), noise=parse("gaussian:20"))
    run(case, fake, kind="synthetic")
    assert fake.told == [20]


def test_memory_is_flat_in_the_clips_length() -> None:
    def peak(frames: int) -> int:
        tracemalloc.start()
        noisy = Made(frames, (96, 128), noise=9)
        run(base.Case(name="clip", reference=Made(frames, (96, 128)), noisy=noisy), Fake(lag=2))
        reached = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return reached

    peak(4)
    assert peak(24) < 1.1 * peak(8)


def test_lanes_of_a_stack_are_not_compared_with_each_other() -> None:
    clip = Made(lanes=(0, 0, 1, 1))
    done = run(given(clip, out=clip), metrics=("warping",)).clips[0].methods[0]
    values = done.metrics["warping"].frames["all"]
    assert [value is None for value in values] == [True, False, True, False]


def test_lanes_of_a_stack_are_compared_each_in_its_own_codes() -> None:
    """The second channel is ten times as bright, with an error that is four times as large."""

    class Channels(Made):
        def __iter__(self) -> Iterator[Frame]:
            for lane, (white, error) in enumerate(((1000.0, 1), (10000.0, 4))):
                plane = np.full(self.size, 500 + error * int(self.noise), np.uint16)
                layout = PlaneLayout(family=Family.GRAY, bits=16, levels=(0.0, white))
                yield Frame(planes=(plane,), layout=layout, lane=lane)

    layout = PlaneLayout(family=Family.GRAY, bits=16, levels=(0.0, 1000.0))
    clean, out = (Channels(layout=layout, frames=2, noise=noise) for noise in (0, 20))
    alone = [20 * np.log10(white / error) for white, error in ((1000, 20), (10000, 80))]
    found = run(given(clean, out=out)).clips[0].value("out", "psnr")
    assert found == pytest.approx(np.mean(alone), abs=1e-3)


def test_mosaics_are_compared_plane_by_plane_from_black_to_white() -> None:
    mosaic = Mosaic(pattern="RGGB", black=(64.0,) * 4, white=(1023.0,) * 4)
    layout = PlaneLayout(family=Family.BAYER, bits=10, mosaic=mosaic)

    class Raw(Made):
        def __iter__(self) -> Iterator[Frame]:
            plane = np.full(self.size, 500 + int(self.noise), np.uint16)
            yield Frame(planes=(plane,), layout=self.layout)

    found = run(given(Raw(layout=layout, frames=1), out=Raw(layout=layout, frames=1, noise=96)))
    clip = found.clips[0]
    assert clip.space == "bayer"
    assert clip.value("out", "psnr") == pytest.approx(20 * np.log10(959 / 96), abs=1e-3)
    assert set(clip.methods[0].metrics["psnr"].clip) == {"all", "R", "G1", "B", "G2"}


def test_without_a_reference_metrics_that_need_one_are_refused() -> None:
    case = base.Case(name="clip", noisy=Made(noise=9), given={"out": Made()})
    with pytest.raises(UsageError, match="'psnr': needs a clean reference"):
        run(case, kind="blind")
    every = run(case, kind="blind", metrics=("all",))
    assert {metric.name for metric in every.metrics} == {
        "noise_left", "warping", "drift",
    }  # fmt: skip


def test_clips_of_different_scales_are_remarked_on() -> None:
    deep = Made(layout=replace(CODES, bits=10))  # codes of 8 bits in a file of 10
    result = run(given(Made(), out=deep)).clips[0].methods[0]
    assert "darker than the reference: are they on the same scale" in result.notes[0]
    assert not run(given(Made(), out=Made(noise=20))).clips[0].methods[0].notes


def test_groups_have_means_of_their_own() -> None:
    cases = [
        base.Case(name="clip", group=noise, reference=Made(), noise=parse(noise))
        for noise in ("gaussian:10", "gaussian:40")
    ]
    choices = base.Plan(metrics=("psnr",), methods=("none",))
    found = evaluated(cases, choices, "synthetic")
    assert found.groups == ("gaussian:10", "gaussian:40")
    strong, weak = (found.mean("none", "psnr", group) for group in found.groups[::-1])
    assert weak - strong == pytest.approx(12, abs=0.3)
    assert found.mean("none", "psnr") == pytest.approx((weak + strong) / 2)
