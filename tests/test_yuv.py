"""Colour on planes: a change of nothing changes nothing, and a change arrives where it should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from f2rcli import yuv
from f2rcli.frames import Family, Frame, Matrix, PlaneLayout

layouts = st.builds(
    PlaneLayout,
    family=st.sampled_from(Family),
    bits=st.sampled_from([8, 10, 12, 16]),
    log2_chroma=st.sampled_from([(0, 0), (1, 0), (1, 1), (2, 0), (2, 2)]),
    alpha=st.booleans(),
    full_range=st.booleans(),
    matrix=st.sampled_from(Matrix),
    siting=st.sampled_from([(0.0, 0.5), (0.5, 0.5), (0.0, 0.0)]),
)


def random_frame(layout: PlaneLayout, height: int, width: int, seed: int = 0) -> Frame:
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if layout.bits == 8 else np.uint16
    x, y = layout.log2_chroma if layout.family is Family.YUV else (0, 0)
    sizes = [(height, width)]
    if layout.family is not Family.GRAY:
        sizes += [(-(-height // 2**y), -(-width // 2**x))] * 2
    if layout.alpha:
        sizes.append((height, width))
    planes = tuple(rng.integers(0, 2**layout.bits, size, dtype) for size in sizes)
    return Frame(planes=planes, layout=layout)


@given(layout=layouts, height=st.integers(1, 19), width=st.integers(1, 19), seed=st.integers(0, 99))
def test_no_change_changes_nothing(layout: PlaneLayout, height: int, width: int, seed: int) -> None:
    frame = random_frame(layout, height, width, seed)
    picture = yuv.to_rgb(frame)
    assert picture.shape == (layout.colour_planes, height, width)
    same = yuv.with_changes(frame, yuv.parted(np.zeros_like(picture), layout)).planes
    assert all(
        np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(same, frame.planes, strict=True)
    )


@given(layout=layouts, seed=st.integers(0, 99))
def test_a_change_arrives_exactly_without_subsampling(layout: PlaneLayout, seed: int) -> None:
    if layout.family is Family.YUV and layout.log2_chroma != (0, 0):
        return
    frame, other = random_frame(layout, 9, 7, seed), random_frame(layout, 9, 7, seed + 100)
    change = yuv.parted(yuv.to_rgb(other) - yuv.to_rgb(frame), layout)
    arrived = yuv.with_changes(frame, change).planes
    allowed = 1 if layout.bits == 16 else 0  # float32 holds 24 bits
    for got, wanted in zip(arrived[: layout.colour_planes], other.planes, strict=False):
        assert np.abs(got.astype(int) - wanted.astype(int)).max() <= allowed


@pytest.mark.parametrize("matrix", list(Matrix))
@pytest.mark.parametrize("full_range", [True, False])
def test_white_and_black_are_one_and_zero(matrix: Matrix, full_range: bool) -> None:
    layout = PlaneLayout(family=Family.YUV, bits=10, full_range=full_range, matrix=matrix)
    low, high = (0, 1023) if full_range else (64, 940)
    for code, value in ((low, 0.0), (high, 1.0)):
        planes = tuple(np.full((2, 2), c, np.uint16) for c in (code, 512, 512))
        picture = yuv.to_rgb(Frame(planes=planes, layout=layout))
        np.testing.assert_allclose(picture, value, atol=1e-6)


def test_bt709_red_has_the_codes_of_the_standard() -> None:
    layout = PlaneLayout(family=Family.YUV, bits=8, full_range=False, matrix=Matrix.BT709)
    black = Frame(planes=tuple(np.full((1, 1), c, np.uint8) for c in (16, 128, 128)), layout=layout)
    red = np.array([1, 0, 0], np.float32).reshape(3, 1, 1)
    planes = yuv.with_changes(black, yuv.parted(red, layout)).planes
    assert [int(p[0, 0]) for p in planes] == [63, 102, 240]


@pytest.mark.parametrize("siting", [(0.0, 0.5), (0.5, 0.5), (0.0, 0.0)])
def test_chroma_ramps_are_interpolated_on_their_siting(siting: tuple[float, float]) -> None:
    """A ramp sampled where the chroma samples lie comes back as the same ramp."""
    layout = PlaneLayout(family=Family.YUV, bits=16, log2_chroma=(1, 1), siting=siting)
    columns = 2 * np.arange(16) + siting[0]
    ramp = np.round(20000 + 500 * columns).astype(np.uint16)[None].repeat(8, 0)
    planes = (np.full((16, 32), 30000, np.uint16), np.full((8, 16), 32768, np.uint16), ramp)
    red = yuv.to_rgb(Frame(planes=planes, layout=layout))[0, 5]
    steps = np.diff(red[2:-2])
    np.testing.assert_allclose(steps, steps.mean(), rtol=1e-2)


def test_alpha_is_left_alone() -> None:
    frame = random_frame(PlaneLayout(family=Family.YUV, bits=8, alpha=True), 4, 4)
    changed = yuv.with_changes(frame, np.full((3, 4, 4), 0.2, np.float32)).planes
    assert changed[3] is frame.planes[3]
    assert not np.array_equal(changed[0], frame.planes[0])


def test_float_samples_keep_values_beyond_white() -> None:
    layout = PlaneLayout(family=Family.GRAY, bits=32)
    frame = Frame(planes=(np.array([[1.5, -0.25]], np.float32),), layout=layout)
    np.testing.assert_array_equal(yuv.to_rgb(frame)[0], frame.planes[0])
    (changed,) = yuv.with_changes(frame, np.full((1, 1, 2), 0.5, np.float32)).planes
    np.testing.assert_array_equal(changed, [[2.0, 0.25]])


@pytest.mark.parametrize("height", [6, 7, 9, 10])
def test_fields_of_any_height_have_pictures_and_take_changes(height: int) -> None:
    """Where the number of chroma rows is odd, the bottom field has one chroma row fewer."""
    layout = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 1))
    frame = random_frame(layout, height, 8)
    for parity in (0, 1):
        planes = tuple(plane[parity::2] for plane in frame.planes)
        field = Frame(planes=planes, layout=layout)
        picture = yuv.to_rgb(field)
        none = zip(yuv.parted(np.zeros_like(picture), layout), planes, strict=True)
        same = yuv.with_changes(field, [one[: len(plane)] for one, plane in none]).planes
        assert all(np.array_equal(a, b) for a, b in zip(same, planes, strict=True))


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "u4", "i4", "f2", "f4", "f8"])
def test_a_change_of_nothing_keeps_codes_of_any_dtype_with_levels(dtype: str) -> None:
    rng = np.random.default_rng(1)
    span = (0.0, 3e4) if dtype[0] == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    codes = rng.uniform(*span, (6, 7)).astype(dtype)
    layout = PlaneLayout(family=Family.GRAY, bits=16, levels=(-40.0, 900.5))
    frame = Frame(planes=(codes,), layout=layout)
    (same,) = yuv.with_changes(frame, np.zeros((1, 6, 7), np.float32)).planes
    assert same.dtype == codes.dtype
    assert same.tobytes() == codes.tobytes()


def test_levels_are_seen_as_zero_and_one_and_a_change_is_in_their_units() -> None:
    layout = PlaneLayout(family=Family.GRAY, bits=16, levels=(-100.0, 300.0))
    codes = np.array([[-100, 300], [100, 700]], np.int16)
    frame = Frame(planes=(codes,), layout=layout)
    np.testing.assert_allclose(yuv.to_rgb(frame), [[[0, 1], [0.5, 2]]])
    (moved,) = yuv.with_changes(frame, np.full((1, 2, 2), 0.25, np.float32)).planes
    np.testing.assert_array_equal(moved, codes + 100)
