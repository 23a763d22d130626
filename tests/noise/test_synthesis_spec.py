"""Noise made on the spot: what is drawn, that it is the same each time, and what is refused."""

import zlib
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from f2rcli.errors import F2RError, InputError, UsageError
from f2rcli.frames import ClipInfo, Family, Frame, Mosaic, PlaneLayout
from f2rcli.noise.synthesis.spec import parse, usages
from f2rcli.yuv import bayer_layout

MOSAIC = Mosaic(pattern="GBRG", black=(240.0,) * 4, white=(4095.0,) * 4)


def clip(layout: PlaneLayout, planes: np.ndarray) -> tuple[ClipInfo, list[Frame]]:
    """A clip of (T, C, H, W) samples."""
    info = ClipInfo(
        name="clip",
        width=planes.shape[3],
        height=planes.shape[2],
        layout=layout,
        frames=len(planes),
        duration=None,
        rate=Fraction(25),
        time_base=Fraction(1, 25),
    )
    frames = [
        Frame(planes=tuple(picture), layout=layout, pts=t, time_base=Fraction(1, 25))
        for t, picture in enumerate(planes)
    ]
    return info, frames


def codes(count: int = 3, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, height, width, 3), np.uint8)


def floats(pictures: np.ndarray) -> tuple[ClipInfo, list[Frame]]:
    values = pictures.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    family = Family.RGB if values.shape[1] == 3 else Family.GRAY
    return clip(PlaneLayout(family=family, bits=32), values)


def flat(level: float, layout: PlaneLayout, count: int = 6) -> tuple[ClipInfo, list[Frame]]:
    channels = 1 if layout.family is not Family.RGB else 3
    return clip(layout, np.full((count, channels, 96, 96), level, np.float32))


def noisy(
    text: str, given: tuple[ClipInfo, list[Frame]], *, seed: int = 0, clipped: bool = False
) -> tuple[ClipInfo, np.ndarray]:
    """Facts and samples (T, C, H, W) of a noisy clip whose planes are of one size."""
    info, frames = parse(text).add(iter(given[1]), given[0], seed=seed, clipped=clipped)
    return info, np.stack([np.stack(frame.planes) for frame in frames])


RGB32 = PlaneLayout(family=Family.RGB, bits=32)
GRAY32 = PlaneLayout(family=Family.GRAY, bits=32)


def blurred(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """Noise (H, W, C) by a Gaussian four sigma wide, of unit variance up to the border."""
    radius = int(4 * sigma + 0.5)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps /= np.sqrt((taps**2).sum())
    noise = rng.normal(0, 1, (shape[0] + 2 * radius, shape[1] + 2 * radius, shape[2]))
    for axis in (0, 1):
        size = shape[axis]
        noise = sum(t * np.take(noise, range(i, i + size), axis) for i, t in enumerate(taps))
    return noise


def reference(clean: np.ndarray, kind: str, seed: int) -> np.ndarray:
    """The noise of the published tables, written plainly: clean (T, H, W, 3) uint8 -> noisy."""
    x = clean / 255
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    if kind == "pg":
        y = x + rng.normal(0, 1, x.shape) * np.sqrt(0.01 * x + (4 / 255) ** 2)
    elif kind.startswith("corr"):
        y = x + float(kind[4:]) / 255 * np.stack([blurred(rng, one.shape, 0.8) for one in x])
    else:
        y = x + rng.normal(0, float(kind[1:]) / 255, x.shape)
    return np.round(np.clip(y, 0, 1) * 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["g20", "g30", "g50", "pg", "corr30", "g25.5"])
def test_short_names_are_the_tables_noise_bit_for_bit(name: str) -> None:
    pictures = codes()
    _, made = noisy(name, floats(pictures), clipped=True)
    np.testing.assert_array_equal(made.transpose(0, 2, 3, 1), reference(pictures, name, 0))


def test_well_compressed_noise_is_the_white_noise_with_chroma_subsampled() -> None:
    pictures = codes(2, 48, 63)
    given = floats(pictures)
    info, frames = parse("compressed:30,0").add(given[1], given[0], seed=0, clipped=False)
    assert (info.width, info.height) == (62, 48)
    rng = np.random.default_rng([0, zlib.crc32(b"compressed:30,0")])
    even = pictures[:, :, :62].astype(np.float64) / 255
    white = np.rint(np.clip(even + rng.normal(0, 30 / 255, even.shape), 0, 1) * 255)
    for frame, picture in zip(frames, white.astype(np.uint8), strict=True):
        subsampled = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        luma = subsampled.to_ndarray()[:48]
        assert np.sqrt(np.mean((frame.planes[0].astype(float) - luma) ** 2)) < 1


@pytest.mark.parametrize("text", ["gaussian:30", "poisson-gaussian", "correlated:20,1"])
@pytest.mark.parametrize("clipped", [False, True])
def test_one_seed_gives_one_noise_and_another_seed_another(text: str, clipped: bool) -> None:
    given = floats(codes())
    once, again = (noisy(text, given, seed=3, clipped=clipped)[1] for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert (noisy(text, given, seed=4, clipped=clipped)[1] != once).mean() > 0.05


def test_compressed_noise_is_the_same_for_the_same_seed() -> None:
    info, frames = floats(codes())
    made = [
        b"".join(p.tobytes() for f in parse("h264").add(frames, info, seed=s, clipped=True)[1]
                 for p in f.planes)
        for s in (0, 0, 1)
    ]  # fmt: skip
    assert made[0] == made[1] != made[2]


def test_noise_has_the_strength_it_is_told() -> None:
    _, white = noisy("gaussian:20", flat(0.5, RGB32))
    assert 255 * (white - 0.5).std() == pytest.approx(20, rel=0.02)
    _, shot = noisy("poisson-gaussian:0.02,5", flat(0.8, GRAY32))
    assert (shot - 0.8).var() == pytest.approx(0.016 + (5 / 255) ** 2, rel=0.03)
    _, blurred = noisy("correlated:20,0.8", flat(0.5, RGB32))
    residual = 255 * (blurred - 0.5)
    assert residual.std() == pytest.approx(20, rel=0.01)
    border = np.concatenate([residual[..., 0].ravel(), residual[..., -1].ravel()])
    assert border.std() == pytest.approx(20, rel=0.05)
    assert np.mean(residual[..., 1:] * residual[..., :-1]) / 400 > 0.5
    assert abs(np.mean(residual[1:] * residual[:-1])) / 400 < 0.02  # frames are independent


def test_unclipped_noise_leaves_the_range_and_clipped_noise_is_what_files_hold() -> None:
    dark = flat(0.0, RGB32)
    info, free = noisy("g30", dark)
    assert info.layout.float_samples
    assert free.min() < -0.2
    assert free.dtype == np.float32
    info, kept = noisy("g30", dark, clipped=True)
    assert info.layout == PlaneLayout(family=Family.RGB, bits=8)
    assert kept.dtype == np.uint8
    np.testing.assert_array_equal(kept, np.rint(255 * np.clip(free, 0, 1)).astype(np.uint8))


def test_frames_keep_their_count_order_and_time() -> None:
    info, frames = floats(codes(5))
    for text in ("gaussian", "correlated", "compressed"):
        _, made = parse(text).add(iter(frames), info, seed=0, clipped=False)
        assert [frame.pts for frame in made] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("noise", ["gaussian:10", "correlated"])
def test_noise_streams(noise: str) -> None:
    info, frames = floats(codes(1))
    seen = []

    def endless() -> Frame:
        while True:
            seen.append(1)
            yield replace(frames[0], pts=len(seen))

    _, made = parse(noise).add(endless(), info, seed=0, clipped=False)
    for _ in range(4):
        next(made)
    assert len(seen) == 4


def test_gray_clips_stay_gray() -> None:
    given = floats(codes()[..., :1])
    for text in ("gaussian", "correlated", "compressed"):
        info, made = noisy(text, given, clipped=True)
        assert info.layout.family is Family.GRAY
        assert made.shape[1] == 1


def test_mosaics_get_noise_in_units_of_their_range_and_stay_codes() -> None:
    layout = bayer_layout(MOSAIC, 12)
    dn = np.full((4, 1, 65, 64), 240 + 0.5 * 3855, np.float32).astype(np.uint16)
    info, made = noisy("poisson-gaussian:0.0135,0.7", clip(layout, dn), clipped=False)
    assert info.layout == layout
    assert made.dtype == np.uint16
    spread = (made.astype(float) - dn).std() / 3855
    assert spread == pytest.approx(np.sqrt(0.0135 * 0.5 + (0.7 / 255) ** 2), rel=0.03)
    _, extreme = noisy("gaussian:250", clip(layout, dn))
    assert extreme.min() == 0
    assert extreme.max() == 4095
    for text in ("correlated", "compressed"):
        with pytest.raises(InputError, match="mosaics"):
            noisy(text, clip(layout, dn))


def test_stacks_get_noise_in_units_of_their_levels_and_stay_what_they_are() -> None:
    layout = PlaneLayout(family=Family.GRAY, bits=16, levels=(100.0, 1100.0))
    dn = np.full((4, 1, 64, 64), 600, np.uint16)
    info, made = noisy("gaussian:25.5", clip(layout, dn), clipped=True)
    assert info.layout == layout
    assert made.dtype == np.uint16
    assert made.std() == pytest.approx(100, rel=0.03)
    assert made.mean() == pytest.approx(600, abs=3)
    info, free = noisy("gaussian:25.5", clip(layout, dn))
    assert info.layout.levels is None
    np.testing.assert_allclose(100 + 1000 * free, made, atol=0.51)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gausian:30", "gausian is not a kind of noise"),
        ("", "nothing is not a kind of noise"),
        ("gaussian:loud", "loud is neither a number nor a range"),
        ("gaussian:", "nothing is neither a number nor a range"),
        ("gaussian:5+pg", "5+pg is neither a number nor a range"),
        ("gaussian:nan", "nan is neither"),
        ("gaussian:-3", "-3 is neither"),
        ("gaussian:300", "must be from 0 to 255"),
        ("gaussian:55-5", "runs backwards"),
        ("gaussian:30,40", "gaussian takes at most 1 number"),
        ("mix", "mix is not a kind of noise"),
        ("realistic", "realistic is not a kind of noise"),
        ("correlated:30,9", "blur in pixels must be from 0.1 to 5"),
        ("compressed:30,23,vp9", "compressed takes at most 2 numbers"),
    ],
)
def test_what_is_not_noise_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_tiny_pictures_do_not_go_through_a_codec() -> None:
    with pytest.raises(F2RError, match="8x8 is too small"):
        noisy("compressed", floats(codes(2, 8, 8)))


def test_every_choice_is_readable_and_canonical() -> None:
    for text in usages():
        read = parse(text)
        assert parse(read.name) == read
    assert parse("g30").name == "gaussian:30"
    assert parse("h264_20").name == "compressed:20,23"
    assert parse("compressed:20,28,hevc").name == "compressed:20,28,hevc"
    assert parse("gaussian:5-55").name == "gaussian:5-55"


def test_ranges_are_drawn_once_per_clip_by_its_name_and_the_seed() -> None:
    info, frames = flat(0.5, RGB32)
    sigmas = {}
    for name, seed in (("a", 0), ("a", 0), ("b", 0), ("a", 1)):
        made = noisy("gaussian:5-55", (replace(info, name=name), frames), seed=seed)[1]
        per_frame = 255 * made.std((1, 2, 3))
        assert np.ptp(per_frame) < 2
        assert sigmas.setdefault((name, seed), per_frame.mean()) == per_frame.mean()
    assert len(set(sigmas.values())) == 3
    assert 4 < min(sigmas.values()) < max(sigmas.values()) < 57


@pytest.mark.parametrize(("noise", "coded"), [("gaussian:30", False), ("h264", True)])
@pytest.mark.parametrize("before", [True, False])
def test_a_clip_is_a_codecs_where_it_changed_it_last(noise: str, coded: bool, before: bool) -> None:
    """White noise on clean frames of an MP4 got networks for noise that a codec has weakened."""
    info, frames = floats(codes())
    made, _ = parse(noise).add(iter(frames), replace(info, coded=before), seed=0, clipped=True)
    assert made.coded == coded
