"""Packing planes to half size, mosaics to planes, and back: order, geometry, levels, rounding."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from f2rcli.errors import InputError
from f2rcli.frames import Frame, Mosaic
from f2rcli.planes import LAYOUTS, Layout, pack, unpack
from f2rcli.yuv import (
    PATTERNS,
    bayer_layout,
    developed,
    pack_mosaic,
    plane_colours,
    to_rgb,
    unpack_mosaic,
    with_changes,
)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_unpacking_gives_back_every_sample(layout: Layout) -> None:
    rng = np.random.default_rng(1)
    planes = [rng.random((3, 12 * r, 16 * c), np.float32) for r, c in layout.planes]
    packed = pack(layout, planes)
    assert packed.shape == (3, layout.channels, 12, 16)
    as_tensor = pack(layout, [torch.from_numpy(plane) for plane in planes])
    np.testing.assert_array_equal(as_tensor.numpy(), packed)
    backs = zip(unpack(layout, packed), unpack(layout, as_tensor), planes, strict=True)
    for back, tensor, plane in backs:
        np.testing.assert_allclose(back, plane, rtol=0, atol=1e-6 if layout.rotated else 0)
        np.testing.assert_allclose(tensor.numpy(), plane, atol=1e-6)


def test_luma_of_a_cell_lies_row_by_row() -> None:
    luma = np.arange(8.0).reshape(2, 4)
    chroma = np.full((1, 2), 9.0)
    packed = pack(LAYOUTS["yuv420"], [luma, chroma, -chroma])
    np.testing.assert_array_equal(packed[:, 0, 1], [2, 3, 6, 7, 9, -9])


def test_noise_of_rgb_stays_as_strong_and_independent() -> None:
    noise = np.random.default_rng(2).standard_normal((3, 256, 256))
    packed = pack(LAYOUTS["rgb"], list(noise)).reshape(12, -1)
    np.testing.assert_allclose(np.cov(packed), np.eye(12), atol=0.04)
    gray = pack(LAYOUTS["rgb"], [np.full((2, 2), 0.5)] * 3)
    np.testing.assert_allclose(gray[4:], 0, atol=1e-12)  # gray has no chroma


SIZES = st.integers(2, 13)


def mosaic_of(pattern: str, **levels: tuple[float, float, float, float]) -> Mosaic:
    black = levels.get("black", (240.0, 241.0, 242.0, 243.0))
    return Mosaic(pattern=pattern, black=black, white=levels.get("white", (4095.0,) * 4))


def frame_of(mosaic: Mosaic, height: int = 10, width: int = 12, seed: int = 0) -> Frame:
    codes = np.random.default_rng(seed).integers(0, 4300, (height, width)).astype(np.uint16)
    return Frame(planes=(codes,), layout=bayer_layout(mosaic, 12))


def scene(pattern: str, height: int, width: int) -> np.ndarray:
    """A mosaic of a scene whose red is 1, blue 3, and whose greens are 2 in red rows, 4 in blue."""
    letters = np.array(list(pattern)).reshape(2, 2)
    red_row = int("R" in letters[1])
    value = {"R": 1.0, "B": 3.0}
    rows = [[value.get(c, 2.0 if r == red_row else 4.0) for c in letters[r]] for r in range(2)]
    tiled = np.tile(np.array(rows, np.float32), (height // 2 + 1, width // 2 + 1))
    return tiled[:height, :width]


@given(st.sampled_from(PATTERNS), SIZES, SIZES)
def test_packing_and_unpacking_gives_back_every_sample(p: str, height: int, width: int) -> None:
    codes = np.random.default_rng(height * width).random((height, width), np.float32)
    assert np.array_equal(unpack_mosaic(pack_mosaic(codes, p), p, codes.shape), codes)


@given(st.sampled_from(PATTERNS), SIZES, SIZES)
def test_every_phase_gives_the_planes_red_green_blue_green(p: str, height: int, width: int) -> None:
    packed = pack_mosaic(scene(p, height, width), p)
    assert [set(np.unique(plane)) for plane in packed] == [{1.0}, {2.0}, {3.0}, {4.0}]
    top, left = divmod(p.index("R"), 2)
    assert packed.shape[1:] == ((height + top + 1) // 2, (width + left + 1) // 2)


def test_crvds_order_is_the_published_one() -> None:
    raw = np.arange(48, dtype=np.float32).reshape(6, 8)
    r, g1, b, g2 = pack_mosaic(raw, "GBRG")
    inside = slice(1, None)  # one row is mirrored before the first
    assert np.array_equal(r[inside], raw[1::2, 0::2])
    assert np.array_equal(g1[inside], raw[1::2, 1::2])
    assert np.array_equal(b, np.vstack([raw[0::2, 1::2], raw[-2:-1, 1::2]])[: len(b)])
    assert np.array_equal(g2[: len(raw) // 2], raw[0::2, 0::2])


@pytest.mark.parametrize("p", PATTERNS)
def test_planes_lie_alike_whatever_the_phase(p: str) -> None:
    rows, columns = np.indices((12, 12), dtype=np.float32)
    red, green, blue, other = pack_mosaic(rows * 100 + columns, p)
    inside = (slice(1, -1), slice(1, -1))
    assert np.all(green[inside] - red[inside] == 1)
    assert np.all(blue[inside] - red[inside] == 101)
    assert np.all(other[inside] - red[inside] == 100)


@pytest.mark.parametrize("p", PATTERNS)
def test_flips_with_a_pixel_cropped_keep_the_order_and_a_transpose_swaps_the_greens(p: str) -> None:
    raw = scene(p, 9, 9)
    for flipped in (raw[::-1][: 9 // 2 * 2 + 1], raw[:, ::-1]):
        assert [float(plane.mean()) for plane in pack_mosaic(flipped, p)] == [1, 2, 3, 4]
    swapped = p[0] + p[2] + p[1] + p[3]
    assert [float(plane.mean()) for plane in pack_mosaic(raw.T, swapped)] == [1, 4, 3, 2]


@pytest.mark.parametrize("p", PATTERNS)
def test_black_is_zero_and_white_is_one_in_every_plane(p: str) -> None:
    mosaic = mosaic_of(p)
    cell = np.array(plane_colours(p))
    black = np.tile(np.array(mosaic.black)[cell], (4, 4)).astype(np.uint16)
    dark = Frame(planes=(black,), layout=bayer_layout(mosaic, 12))
    light = Frame(planes=(np.full((8, 8), 4095, np.uint16),), layout=dark.layout)
    assert np.all(to_rgb(dark) == 0)
    assert np.allclose(to_rgb(light), 1)


@given(st.sampled_from(PATTERNS), SIZES, SIZES)
def test_no_change_gives_back_every_code(p: str, height: int, width: int) -> None:
    frame = frame_of(mosaic_of(p), height, width)
    (plane,) = with_changes(frame, np.zeros_like(to_rgb(frame))).planes
    assert plane.dtype == np.uint16
    assert np.array_equal(plane, frame.planes[0])


@given(st.sampled_from(PATTERNS), st.integers(0, 99))
def test_a_change_lands_where_it_was_seen(p: str, seed: int) -> None:
    frame, other = frame_of(mosaic_of(p)), frame_of(mosaic_of(p), seed=seed)
    (plane,) = with_changes(frame, to_rgb(other) - to_rgb(frame)).planes
    assert np.array_equal(plane, np.minimum(other.planes[0], max(4095, frame.planes[0].max())))


def test_rounding_to_codes_happens_once() -> None:
    frame = frame_of(mosaic_of("GBRG"))
    change = np.random.default_rng(1).normal(0, 0.01, to_rgb(frame).shape).astype(np.float32)
    once = with_changes(frame, change).planes
    again = Frame(planes=once, layout=frame.layout)
    assert np.array_equal(with_changes(again, np.zeros_like(change)).planes[0], once[0])


def test_codes_stay_between_zero_and_what_the_file_held() -> None:
    frame = frame_of(mosaic_of("RGGB"))
    up, down = (np.full_like(to_rgb(frame), way) for way in (9, -9))
    assert with_changes(frame, up).planes[0].max() == max(4095, frame.planes[0].max())
    assert with_changes(frame, down).planes[0].min() == 0


def test_a_quick_look_is_balanced_and_gamma_encoded() -> None:
    mosaic = Mosaic(pattern="RGGB", black=(0,) * 4, white=(1000,) * 4, balance=(2.0, 1.0, 4.0))
    codes = np.tile(np.array([[107, 214], [214, 53.5]]), (4, 4))
    frame = Frame(planes=(codes.astype(np.float32),), layout=bayer_layout(mosaic, 10))
    picture = developed(to_rgb(frame), mosaic)
    assert picture.shape == (3, 4, 4)
    assert np.allclose(picture, 0.5, atol=2e-3)  # 21.4 % of the light is half way up sRGB's curve


def test_light_beyond_black_and_white_looks_black_and_white() -> None:
    """And what lies between has sRGB's curve (IEC 61966-2-1), the greens their mean."""
    planes = np.random.default_rng(0).uniform(-0.2, 1.3, (4, 40, 40)).astype(np.float32)
    planes[:, :20] /= 300  # in the dark the curve is a line
    mosaic = Mosaic(pattern="RGGB", black=(0,) * 4, white=(1,) * 4, balance=(0.9, 1.0, 1.2))
    red, green, blue, other = planes.astype(np.float64)
    light = np.stack([0.9 * red, (green + other) / 2, 1.2 * blue]).clip(0, 1)
    seen = np.where(light > 0.0031308, 1.055 * light.clip(1e-9) ** (1 / 2.4) - 0.055, 12.92 * light)
    np.testing.assert_allclose(developed(planes, mosaic), seen, atol=1e-5)


def test_impossible_mosaics_are_refused() -> None:
    with pytest.raises(InputError, match="are not one of the four"):
        bayer_layout(mosaic_of("RGBG"), 12)
    with pytest.raises(InputError, match="above black"):
        bayer_layout(mosaic_of("RGGB", white=(240.0,) * 4), 12)
