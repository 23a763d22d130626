"""Colour against a reference of its own: float64, dense matrices, the numbers of the standards."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from f2rcli import yuv
from f2rcli.frames import Family, Frame, Matrix, PlaneLayout

Array = NDArray[np.float64]

# Luma weights of red, green and blue as the standards print them.
STANDARD = {
    Matrix.BT601: (0.299, 0.587, 0.114),
    Matrix.BT709: (0.2126, 0.7152, 0.0722),
    Matrix.BT2020: (0.2627, 0.6780, 0.0593),
    Matrix.FCC: (0.30, 0.59, 0.11),
    Matrix.SMPTE240M: (0.212, 0.701, 0.087),
}
SITINGS = [(0.0, 0.5), (0.5, 0.5), (0.0, 0.0), (0.5, 0.0)]
SUBSAMPLINGS = [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (2, 2)]

yuv_layouts = st.builds(
    PlaneLayout,
    family=st.just(Family.YUV),
    bits=st.sampled_from([8, 10, 12, 16]),
    log2_chroma=st.sampled_from(SUBSAMPLINGS),
    full_range=st.booleans(),
    matrix=st.sampled_from(Matrix),
    siting=st.sampled_from(SITINGS),
)
sizes = st.tuples(st.integers(1, 17), st.integers(1, 17))


def from_rgb(matrix: Matrix) -> Array:
    """(3, 3): R'G'B' to Y'CbCr, chroma in -0.5..0.5; Y, Cg, Co for YCgCo."""
    if matrix is Matrix.YCGCO:
        return np.array([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0, -0.5]])
    red, green, blue = STANDARD[matrix]
    luma = np.array([red, green, blue])
    cb = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
    cr = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
    return np.stack([luma, cb, cr])


def code_scale(layout: PlaneLayout, index: int) -> tuple[float, float]:
    """(code of zero, codes per unit) of plane `index`: ITU-T H.273, equations 20 to 31."""
    if layout.full_range:
        span = 2**layout.bits - 1
        return (2 ** (layout.bits - 1), span) if index else (0, span)
    scale = 2 ** (layout.bits - 8)
    return (128 * scale, 224 * scale) if index else (16 * scale, 219 * scale)


def stretch(count: int, size: int, factor: int, site: float) -> Array:
    """(size, count): linear interpolation from samples at factor * i + site * (factor - 1)."""
    matrix = np.zeros((size, count))
    for place in range(size):
        left = (place - site * (factor - 1)) / factor
        low = int(np.floor(left))
        for sample, weight in ((low, 1 - (left - low)), (low + 1, left - low)):
            matrix[place, min(max(sample, 0), count - 1)] += weight
    return matrix


def shrink(count: int, size: int, factor: int, site: float) -> Array:
    """(count, size): means of cells; of [1 2 1] / 4 where a sample of a pair lies on the first."""
    matrix = np.zeros((count, size))
    for cell in range(count):
        taps = [(factor * cell + i, 1 / factor) for i in range(factor)]
        if factor == 2 and site == 0:
            taps = [(2 * cell - 1, 0.25), (2 * cell, 0.5), (2 * cell + 1, 0.25)]
        for place, weight in taps:
            matrix[cell, min(max(place, 0), size - 1)] += weight
    return matrix


class Grid:
    """Chroma of a layout against luma of height x width."""

    def __init__(self, layout: PlaneLayout, height: int, width: int) -> None:
        x, y = layout.log2_chroma
        self.shape = (-(-height // 2**y), -(-width // 2**x))
        axes = ((self.shape[0], height, 2**y, layout.siting[1]),
                (self.shape[1], width, 2**x, layout.siting[0]))  # fmt: skip
        self.ups = [stretch(*axis) if axis[2] > 1 else np.eye(axis[1]) for axis in axes]
        self.downs = [shrink(*axis) if axis[2] > 1 else np.eye(axis[1]) for axis in axes]

    def up(self, chroma: Array) -> Array:
        return self.ups[0] @ chroma @ self.ups[1].T

    def down(self, plane: Array) -> Array:
        return self.downs[0] @ plane @ self.downs[1].T

    def sampled(self, plane: Array, rounds: int) -> Array:
        chroma = self.down(plane)
        for _ in range(rounds):
            chroma = chroma + self.down(plane - self.up(chroma))
        return chroma


def drawn(layout: PlaneLayout, size: tuple[int, int], seed: int) -> Frame:
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if layout.bits == 8 else np.uint16
    shape = Grid(layout, *size).shape if layout.family is Family.YUV else size
    shapes = [size, shape, shape][: layout.colour_planes]
    planes = tuple(rng.integers(0, 2**layout.bits, shape, dtype) for shape in shapes)
    return Frame(planes=planes, layout=layout)


@given(layout=yuv_layouts, size=sizes, seed=st.integers(0, 99))
@settings(max_examples=150)
def test_pictures_are_the_references(layout: PlaneLayout, size: tuple[int, int], seed: int) -> None:
    frame, grid = drawn(layout, size, seed), Grid(layout, *size)
    units = []
    for index, plane in enumerate(frame.planes):
        zero, span = code_scale(layout, index)
        units.append((plane.astype(np.float64) - zero) / span)
    full = [units[0], grid.up(units[1]), grid.up(units[2])]
    wanted = np.tensordot(np.linalg.inv(from_rgb(layout.matrix)), np.stack(full), 1)
    np.testing.assert_allclose(yuv.to_rgb(frame), wanted, atol=2e-5)
    for plane, unit in zip(yuv.planes_of(frame), units, strict=True):
        np.testing.assert_allclose(plane, unit, atol=2e-6)
    np.testing.assert_allclose(
        yuv.joined([unit.astype(np.float32) for unit in units], layout), wanted, atol=2e-5
    )


@given(layout=yuv_layouts, size=sizes, seed=st.integers(0, 99), rounds=st.sampled_from([0, 2]))
@settings(max_examples=200)
def test_changes_arrive_as_the_reference_has_them(
    layout: PlaneLayout, size: tuple[int, int], seed: int, rounds: int
) -> None:
    frame, grid = drawn(layout, size, seed), Grid(layout, *size)
    change = np.random.default_rng(seed + 1).normal(0, 0.2, (3, *size)).astype(np.float32)
    luma, *chroma = np.tensordot(from_rgb(layout.matrix), change.astype(np.float64), 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yuv, "BACK_PROJECTIONS", rounds)
        found = yuv.parted(change, layout)
        codes = yuv.with_changes(frame, found).planes
    wanted = [luma, *(grid.sampled(plane, rounds) for plane in chroma)]
    for index, (got, want, new, old) in enumerate(
        zip(found, wanted, codes, frame.planes, strict=True)
    ):
        np.testing.assert_allclose(got, want, atol=1e-5)
        exact = np.clip(old + want * code_scale(layout, index)[1], 0, 2**layout.bits - 1)
        assert new.dtype == old.dtype
        assert np.abs(new - exact).max() <= 0.5 + 2e-5 * 2**layout.bits


@given(layout=yuv_layouts, size=sizes, seed=st.integers(0, 99))
def test_parting_is_the_references(layout: PlaneLayout, size: tuple[int, int], seed: int) -> None:
    picture = np.random.default_rng(seed).random((3, *size), np.float32)
    grid = Grid(layout, *size)
    luma, *chroma = np.tensordot(from_rgb(layout.matrix), picture.astype(np.float64), 1)
    wanted = [luma, *(grid.down(plane) for plane in chroma)]
    for got, want in zip(yuv.parted(picture, layout, averaged=True), wanted, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("matrix", list(Matrix))
def test_matrices_are_those_of_the_standards(matrix: Matrix) -> None:
    layout = PlaneLayout(family=Family.YUV, bits=8, matrix=matrix)
    to_rgb = yuv.matrices(layout.matrix)[0]
    np.testing.assert_allclose(to_rgb @ from_rgb(matrix), np.eye(3), atol=1e-6)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("family", list(Family)[:3])
@pytest.mark.parametrize("full_range", [True, False])
def test_codes_end_at_their_depth_never_wrap(bits: int, family: Family, full_range: bool) -> None:
    """250 + 0.1 in 8 bits is 255; without a limit it would be 20."""
    layout = PlaneLayout(family=family, bits=bits, full_range=full_range)
    top, dtype = 2**bits - 1, np.uint8 if bits == 8 else np.uint16
    codes = np.array([[0, 5, 250 * top // 255, top]], dtype)
    frame = Frame(planes=(codes,) * layout.colour_planes, layout=layout)
    for sign in (1, -1):
        change = np.full((layout.colour_planes, 1, 4), 0.1 * sign, np.float32)
        moved = yuv.with_changes(frame, change).planes[0]
        assert moved.dtype == dtype
        wanted = codes.astype(float) + sign * 0.1 * code_scale(layout, 0)[1]
        np.testing.assert_allclose(moved, np.clip(wanted, 0, top), atol=0.51)
    assert moved[0, :2].tolist() == [0, 0]


def test_chroma_codes_end_at_their_depth_too() -> None:
    layout = PlaneLayout(family=Family.YUV, bits=8, matrix=Matrix.BT709)
    planes = tuple(np.array([[code]], np.uint8) for code in (128, 250, 5))
    blue = np.array([-0.5, 0, 0.5], np.float32).reshape(3, 1, 1)
    frame = Frame(planes=planes, layout=layout)
    moved = yuv.with_changes(frame, yuv.parted(blue, layout)).planes
    assert [int(plane[0, 0]) for plane in moved[1:]] == [255, 0]


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "u4", "i4"])
@pytest.mark.parametrize("sign", [1, -1])
def test_samples_with_levels_end_where_their_dtype_does(dtype: str, sign: int) -> None:
    limits = np.iinfo(dtype)
    span = float(limits.max) - limits.min
    layout = PlaneLayout(family=Family.GRAY, bits=16, levels=(0.0, span))
    codes = np.array([[limits.min, limits.max]], dtype)
    change = np.full((1, 1, 2), 0.25 * sign, np.float32)
    (moved,) = yuv.with_changes(Frame(planes=(codes,), layout=layout), change).planes
    exact = codes.astype(np.float64) + sign * np.rint(0.25 * span)
    np.testing.assert_array_equal(moved, np.clip(exact, limits.min, limits.max).astype(dtype))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_float_samples_with_levels_take_changes_unrounded(dtype: str) -> None:
    layout = PlaneLayout(family=Family.GRAY, bits=32, levels=(10.0, 20.0))
    codes = np.array([[10.0, 12.5, 30.0]], dtype)
    frame = Frame(planes=(codes,), layout=layout)
    np.testing.assert_allclose(yuv.to_rgb(frame), [[[0, 0.25, 2]]])
    (moved,) = yuv.with_changes(frame, np.full((1, 1, 3), 0.125, np.float32)).planes
    np.testing.assert_allclose(moved, codes + 1.25)


def test_integers_of_more_digits_than_float32_has_are_decoded_exactly() -> None:
    layout = PlaneLayout(family=Family.GRAY, bits=16, levels=(2.0**30, 2.0**30 + 64))
    codes = (2**30 + np.arange(65, dtype=np.uint32))[None]
    picture = yuv.to_rgb(Frame(planes=(codes,), layout=layout))[0, 0]
    np.testing.assert_array_equal(picture, (np.arange(65) / 64).astype(np.float32))


@pytest.mark.parametrize("siting", SITINGS)
@pytest.mark.parametrize("log2_chroma", SUBSAMPLINGS)
def test_gains_of_white_noise_are_the_energies_of_the_references_rows(
    log2_chroma: tuple[int, int], siting: tuple[float, float]
) -> None:
    layout = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=log2_chroma, siting=siting)
    grid = Grid(layout, 64, 64)
    sampled = up = 1.0
    if log2_chroma != (0, 0):
        # One chroma sample far from the border: how it answers to every luma sample.
        row, column = (n // 2 for n in grid.shape)
        answer = np.zeros((64, 64))
        for y in range(20, 44):
            for x in range(20, 44):
                impulse = np.zeros((64, 64))
                impulse[y, x] = 1
                answer[y, x] = grid.sampled(impulse, 2)[row, column]
        sampled = float(np.square(answer).sum())
        impulse = np.zeros(grid.shape)
        impulse[row, column] = 1
        up = float(np.square(grid.up(impulse)).sum()) / 2 ** sum(log2_chroma)
    assert yuv.sampling_gain(layout) == pytest.approx(sampled, rel=1e-3)
    assert yuv.stretching_gain(layout) == pytest.approx(up, rel=1e-5)


@pytest.mark.parametrize("siting", SITINGS)
def test_back_projection_brings_chroma_closer_to_the_change(siting: tuple[float, float]) -> None:
    layout = PlaneLayout(family=Family.YUV, bits=16, log2_chroma=(1, 1), siting=siting)
    change = np.random.default_rng(1).normal(0, 0.1, (3, 32, 32)).astype(np.float32)
    wanted = np.tensordot(from_rgb(layout.matrix), change.astype(np.float64), 1)[1]
    grid = Grid(layout, 32, 32)
    errors = []
    for rounds in (0, 1, 2):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(yuv, "BACK_PROJECTIONS", rounds)
            found = yuv.parted(change, layout)[1]
        errors.append(float(np.square(grid.up(found.astype(np.float64)) - wanted).mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.99 * errors[0]
    assert yuv.BACK_PROJECTIONS == 2
