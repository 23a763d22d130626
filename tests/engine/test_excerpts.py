"""Large frames' noise is measured on four squares of them, and comes out as that of the whole."""

from fractions import Fraction

import numpy as np
import pytest

from f2rcli.engine.noise import excerpts as module
from f2rcli.engine.noise.excerpts import chosen_squares, excerpts, over_all
from f2rcli.engine.noise.measurement import measure_noise
from f2rcli.engine.noise.opening import opening_noise
from f2rcli.engine.stream import estimate_noise
from f2rcli.frames import Family, Frame, Mosaic, PlaneLayout
from f2rcli.noise.model import NoiseModel
from f2rcli.sensor import bayer_layout, pack
from tests.engine.conftest import clean_clip, engine_for, info_of, to_frames
from tests.engine.test_noise_measurement import noise_like, smooth_clip

BAYER = bayer_layout(Mosaic(pattern="GBRG", black=(0.0,) * 4, white=(4095.0,) * 4), 12)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Squares of 64 pixels, so that small frames are large ones."""
    monkeypatch.setattr(module, "SIDE", 64)
    monkeypatch.setattr(module, "MOST_PIXELS", 4 * 64**2)


def frames_of(layout: PlaneLayout, height: int = 203, width: int = 301) -> list[Frame]:
    rng, (x, y) = np.random.default_rng(0), layout.log2_chroma
    chroma = [(-(-height // 2**y), -(-width // 2**x))] * 2
    sizes = [(height, width), *chroma][: layout.colour_planes]
    return [
        Frame(
            planes=tuple(rng.integers(20, 230, size).astype(np.uint8) for size in sizes),
            layout=layout, time_base=Fraction(1, 25),
        )
        for _ in range(2)
    ]  # fmt: skip


@pytest.mark.parametrize("subsampling", [(0, 0), (1, 1), (2, 0), (2, 2)])
def test_planes_are_cut_at_the_same_places(small: None, subsampling: tuple[int, int]) -> None:
    layout = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=subsampling)
    whole = frames_of(layout)
    parts = excerpts(whole)
    squares = chosen_squares(whole[1].planes[0] / np.float32(255))
    for frame, part in zip(whole, parts, strict=True):
        for index, (plane, cut) in enumerate(zip(frame.planes, part.planes, strict=True)):
            x, y = subsampling if index else (0, 0)
            assert cut.shape == (128 >> y, 128 >> x)
            top, left, height, width = squares[3]
            there = plane[top >> y : (top + height) >> y, left >> x : (left + width) >> x]
            assert np.array_equal(cut[64 >> y :, 64 >> x :], there)


def test_a_mosaic_keeps_its_cells(small: None) -> None:
    parts = excerpts(frames_of(BAYER, 403, 501))
    assert parts[0].planes[0].shape == (256, 256)
    phase = np.indices((404, 502)).sum(0)[:403, :501] % 2
    marked = [Frame(planes=(phase.astype(np.uint16),), layout=BAYER)]
    planes = pack(excerpts(marked)[0].planes[0].astype(np.float32), "GBRG")
    assert [float(np.ptp(plane)) for plane in planes] == [0, 0, 0, 0]


def test_small_and_narrow_frames(small: None) -> None:
    layout = PlaneLayout(family=Family.GRAY, bits=8)
    for size in ((128, 128), (30, 4000)):
        frames = frames_of(layout, *size)
        assert all(one is other for one, other in zip(excerpts(frames), frames, strict=True))
    assert excerpts(frames_of(layout, 40, 4000))[0].planes[0].size <= 128**2
    assert excerpts(frames_of(layout, 4000, 40))[0].planes[0].size <= 128**2


def test_squares_show_every_brightness_and_avoid_bars(small: None) -> None:
    luma = np.full((320, 640), 0.0, np.float32)
    luma[64:256] = np.repeat(np.linspace(0.1, 0.9, 10, dtype=np.float32), 64)
    luma[64:256] += np.random.default_rng(0).normal(0, 0.02, (192, 640)).astype(np.float32)
    seen = [luma[y : y + h, x : x + w] for y, x, h, w in chosen_squares(luma)]
    assert min(float(part.min()) for part in seen) > 0
    levels = sorted(float(part.mean()) for part in seen)
    assert levels[0] < 0.35
    assert levels[-1] > 0.65


def squares_by_definition(luma: np.ndarray) -> list[tuple[int, ...]]:
    """Window by window, of cells of 16 pixels; squares of 4 cells a side."""
    rows, columns = (length // 16 for length in luma.shape)
    cells = luma[: 16 * rows, : 16 * columns].reshape(rows, 16, columns, 16)
    level = cells.mean((1, 3))
    steep = np.hypot(*np.gradient(level))
    worth = 1 / (1 + (steep / max(np.median(steep), 1e-4)) ** 2)
    worth[(np.ptp(cells, axis=(1, 3)) == 0) | (level <= 2 / 255) | (level >= 1 - 2 / 255)] = 0
    limits = np.quantile(level, np.arange(1, 8) / 8)
    kind = (level[..., None] > limits).sum(-1)
    high = min(4, rows)
    wide = min(16 // high, columns)
    high = min(16 // wide, rows)
    had, found = np.zeros(8), []
    for _ in range(4):
        best = -1.0
        for top, left in np.ndindex(rows - high + 1, columns - wide + 1):
            part = np.s_[top : top + high, left : left + wide]
            sums = np.bincount(kind[part].ravel(), worth[part].ravel(), 8)
            gain = (np.sqrt(had + sums) - np.sqrt(had)).sum()
            if gain > best + 1e-9:
                best, chosen, more = gain, (top, left), sums
        had += more
        worth[chosen[0] : chosen[0] + high, chosen[1] : chosen[1] + wide] = 0
        found.append((16 * chosen[0], 16 * chosen[1], 16 * high, 16 * wide))
    return found


@pytest.mark.parametrize("size", [(200, 231), (40, 900), (900, 50), (170, 160)])
@pytest.mark.parametrize("seed", [0, 1])
def test_squares_are_chosen_by_definition(small: None, size: tuple[int, int], seed: int) -> None:
    """Of a picture with edges, bars, drawn areas and saturated ones."""
    rng = np.random.default_rng(seed)
    cells = [length // 16 + 1 for length in size]
    level = rng.uniform(-0.05, 1.05, cells) * rng.uniform(0.2, 1, cells[1])
    level[rng.random(cells) < 0.1] = rng.choice([1.9, 2.1, 252.9, 253.1]) / 255
    fine = (
        rng.normal(0, 0.001, size)
        * (np.kron(rng.random(cells), np.ones((16, 16))) < 0.8)[: size[0], : size[1]]
    )
    luma = np.kron(level, np.ones((16, 16)))[: size[0], : size[1]] + fine
    luma = luma.clip(0, 1).astype(np.float32)
    assert [tuple(one) for one in chosen_squares(luma)] == squares_by_definition(luma)


@pytest.mark.parametrize(
    ("size", "made"),
    [
        ((512, 512), None),
        ((511, 514), (512, 512)),
        ((31, 9000), None),
        ((32, 8193), (64, 4096)),
        ((8193, 33), (4096, 64)),
        ((150, 2000), (288, 896)),
    ],
)
def test_frames_of_more_pixels_than_four_squares_of_256_are_cut(
    size: tuple[int, int], made: tuple[int, int] | None
) -> None:
    layout = PlaneLayout(family=Family.GRAY, bits=8)
    frames = [Frame(planes=(np.full(size, at, np.uint8),), layout=layout) for at in range(6)]
    parts = excerpts(frames)
    if made is None:
        assert all(one is other for one, other in zip(parts, frames, strict=True))
        return
    assert [part.planes[0].shape for part in parts] == [made] * 6
    assert [int(part.planes[0].max()) for part in parts] == list(range(6))


@pytest.mark.parametrize(("count", "place"), [(1, 0), (3, 2), (4, 3), (6, 3)])
def test_the_fourth_frame_or_the_last_decides_on_squares(
    small: None, count: int, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = PlaneLayout(family=Family.GRAY, bits=8)
    seen: list[float] = []

    def chosen(luma: np.ndarray) -> list[module.Square]:
        seen.append(float(255 * luma.max()))
        return [module.Square(16 * at, 32 * at, 64, 64) for at in range(4)]

    monkeypatch.setattr(module, "chosen_squares", chosen)
    frames = [
        Frame(planes=(np.full((150, 180), at, np.uint8),), layout=layout) for at in range(count)
    ]
    marked = np.arange(150 * 180).reshape(150, 180).astype(np.uint16)
    part = module.excerpter(frames)(Frame(planes=(marked,), layout=layout)).planes[0]
    assert seen == [pytest.approx(place)]
    for at, corner in enumerate([(0, 0), (0, 64), (64, 0), (64, 64)]):
        assert part[corner] == marked[16 * at, 32 * at]


def test_a_part_is_cut_out_of_every_plane() -> None:
    layout = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 2))
    frame, part = frames_of(layout)[0], module.Square(32, 48, 64, 80)
    luma, *colours = module.cut_out(frame, part).planes
    np.testing.assert_array_equal(luma, frame.planes[0][32:96, 48:128])
    for one, whole in zip(colours, frame.planes[1:], strict=True):
        np.testing.assert_array_equal(one, whole[8:24, 24:64])


def test_sigma_over_a_frame_is_that_over_means_of_eight_pixels() -> None:
    """Of a part that is darker than the whole, by a curve."""
    rng = np.random.default_rng(3)
    curve = tuple(rng.uniform(0.01, 0.1, 17))
    law = NoiseModel((0.0,), (0.1,), (0.07,), curve=(curve,))
    layout, powers = PlaneLayout(family=Family.GRAY, bits=8), []
    frames = [
        Frame(planes=(rng.integers(*span, (48, 56)).astype(np.uint8),), layout=layout)
        for span in ((0, 90), (60, 256))
    ]
    for frame in frames:
        light = frame.planes[0].reshape(6, 8, 7, 8).mean((1, 3)) / 255
        powers.append(np.mean(np.interp(light, np.linspace(0, 1, 17), curve) ** 2))
    wanted = 0.07 * (powers[1] / powers[0]) ** 0.5
    assert over_all(law, *frames).sigma == pytest.approx((wanted,), rel=1e-4)


def test_sigma_is_that_of_the_whole_frame() -> None:
    law = NoiseModel((0.01,), (0.0,), (0.05,))
    bright, dark = (
        to_frames(np.full((1, 3, 32, 32), level), PlaneLayout(family=Family.GRAY, bits=8))[0]
        for level in (0.8, 0.2)
    )
    assert over_all(law, dark, bright).sigma[0] == pytest.approx(0.1, rel=0.01)


def test_run_report_and_first_look_say_the_same_of_large_frames(small: None) -> None:
    clip = smooth_clip(7, 144, 176)
    frames = to_frames(clip + noise_like(clip, 12))
    info, engine = info_of(frames), engine_for(frames)
    report, model = measure_noise(frames, info, engine), estimate_noise(frames, info, engine)
    assert report is not None
    assert model is not None
    assert report.model.sigma8 == model.sigma8
    assert model.sigma8 == pytest.approx((12,) * 3, rel=0.06)


def test_a_scene_that_moves_out_of_the_squares_is_measured_whole(
    small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    clip = clean_clip(4, height=144, width=176)
    frames = to_frames(clip + noise_like(clip))
    engine = engine_for(frames)
    real = type(engine).to_tensor
    monkeypatch.setattr(
        type(engine), "to_tensor", lambda self, f: (sizes.append(f.width), real(self, f))[1]
    )
    monkeypatch.setattr("f2rcli.engine.noise.anchor_pairs.same_shot", lambda *_: sizes[-1] == 176)
    found = opening_noise(frames, engine)
    assert set(sizes) == {128, 176}
    assert found.compared
