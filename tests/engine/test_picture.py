"""Whole runs on made clips: how much of each kind of noise goes, and what never does.

Bars are a third of a decibel below what the shipped weights reach.
"""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from torch.nn.modules.module import register_module_forward_pre_hook

import f2rcli
from f2rcli import weights
from f2rcli.engine.stream import EngineSettings, denoise_stream, load_engine
from f2rcli.io import open_reader
from f2rcli.models.planar import CoarseNet
from tests.fidelity import footage
from tests.fidelity.footage import Clip, psnr

pytestmark = pytest.mark.skipif(not weights.available(), reason="no weights are bundled")
HEIGHT, WIDTH, FRAMES = 96, 128, 7


@cache
def clean(name: str) -> Clip:
    """Leaves that move apart, alone and below a smooth sky."""
    return footage.leaves(HEIGHT, WIDTH, FRAMES, seed=1 + (name == "sky"), sky=name == "sky")


def gray(clip: Clip) -> np.ndarray:
    return np.stack([planes[0] for planes in clip])


def planes_of(path: Path, *, contract: bool = True) -> list[np.ndarray]:
    """What `lite` makes of a file, plane by plane: (T, H, W) each."""
    with open_reader(str(path)) as reader:
        engine = load_engine(EngineSettings(model="lite", threads=1), reader.info)
        if not contract:
            engine.contract.allowed = lambda frame, change, context: change
        frames = denoise_stream(reader, reader.info, engine)
        return footage.stacked([[p.astype(float) for p in frame.planes] for frame in frames])


def luma_of(path: Path, *, contract: bool = True) -> np.ndarray:
    return planes_of(path, contract=contract)[0]


def coarse(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """White noise, blurred to share half of its power with its neighbours."""
    noise = rng.normal(0, 1, shape)
    noise = noise + sum(np.roll(noise, by, axis) for by, axis in ((1, 1), (1, 2)))
    return noise / noise.std()


def softened(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """White noise as a picture that was moved by parts of a pixel has it."""
    noise = np.stack([cv2.GaussianBlur(one, (0, 0), 0.45) for one in rng.normal(0, 1, shape)])
    return noise / noise.std()


# Kind of noise: what is added to pictures of 0..255; the gain in dB of the sky and of leaves.
KINDS = {
    "white 5": (lambda rng, light: rng.normal(0, 5, light.shape), (9.5, 6.2)),
    "white 25": (lambda rng, light: rng.normal(0, 25, light.shape), (15.2, 12.4)),
    "coarse 15": (lambda rng, light: 15 * coarse(rng, light.shape), (6.6, 6.8)),
    "softened 12": (lambda rng, light: 12 * softened(rng, light.shape), (11.9, 8.9)),
    "photons": (lambda rng, light: 2 * rng.poisson(light / 2) - light, (13.7, 10.7)),
    "dark half": (
        lambda rng, light: rng.normal(0, 1, light.shape) * np.where(light < 110, 20, 5),
        (2.2, 6.5),
    ),
    "two thirds": (
        lambda rng, light: rng.normal(0, 20, light.shape) * (np.arange(128) < 85),
        (12.6, 10.3),
    ),
}


@pytest.mark.parametrize("clip", ["sky", "leaves"])
@pytest.mark.parametrize("kind", KINDS)
def test_noise_goes_by_as_many_decibels_as_it_did(kind: str, clip: str) -> None:
    add, bars = KINDS[kind]
    light = gray(clean(clip))
    noisy = np.clip(np.rint(light + add(np.random.default_rng(3), light)), 0, 255).astype(np.uint8)
    done = f2rcli.denoise(np.stack([noisy] * 3, -1), model="full", threads=1)[..., 1]
    gained = psnr(done, light) - psnr(noisy, light)
    print(f"{kind}, {clip}: {gained:.2f}")
    assert gained > bars[clip == "leaves"]


def test_grain_of_luma_goes_from_lossless_film(tmp_path: Path) -> None:
    clip, rng = clean("sky"), np.random.default_rng(0)
    grain = [cv2.GaussianBlur(rng.normal(0, 1, y.shape), (0, 0), 0.7) for y, *_ in clip]
    pairs = zip(clip, 12 * np.array(grain) / np.std(grain), strict=True)
    noisy = [[y + added, *chroma] for (y, *chroma), added in pairs]
    done = luma_of(footage.write(tmp_path / "grain.mkv", noisy))
    assert psnr(done, gray(clip)) > psnr(gray(noisy), gray(clip)) + 7.2


@pytest.mark.parametrize("clip", ["sky", "leaves", "graphics"])
def test_pictures_without_noise_stay_as_they_are(clip: str) -> None:
    frames = footage.graphics(HEIGHT, WIDTH, FRAMES) if clip == "graphics" else clean(clip)
    codes = np.rint(gray(frames[:5])).clip(0, 255).astype(np.uint8)
    done = f2rcli.denoise(np.stack([codes] * 3, -1), threads=1)
    assert psnr(done[..., 0], codes) > 48


@pytest.mark.parametrize("sigma", [5, 15])
def test_a_still_scene_is_as_near_to_the_mean_of_its_frames_as_serves_it(sigma: float) -> None:
    truth = 0.6 * gray(clean("leaves"))[:1] + 50
    noise = np.random.default_rng(4).normal(0, sigma, (24, HEIGHT, WIDTH))
    noisy = np.clip(np.rint(truth + noise), 0, 255).astype(np.uint8)
    done = f2rcli.denoise(np.stack([noisy] * 3, -1), model="lite", threads=1)[..., 1]
    means = np.cumsum(noisy, 0, float) / np.arange(1, 25)[:, None, None]
    late, mean = done[12:].astype(float), means[12:]
    nearer = [psnr(late + share * (mean - late), truth) for share in (0.15, 0.3, 0.5)]
    assert max(nearer) < psnr(late, truth) + 0.2


@pytest.mark.parametrize("codec", ["ffv1", "libx264"])
def test_bars_and_the_picture_beside_them_keep_their_light(codec: str, tmp_path: Path) -> None:
    pad, light = 24, [[0.45 * y + 140, *chroma] for y, *chroma in clean("leaves")]
    truth = footage.letterboxed(light, pad)
    noisy = footage.letterboxed(footage.noisy(light, 20, 3), pad)
    options = {"crf": "12"} if codec == "libx264" else {}
    path = footage.write(tmp_path / "bars.mkv", noisy, codec, **options)
    off = luma_of(path) - gray(truth)
    assert np.abs(np.delete(off, np.s_[pad : pad + HEIGHT], 1)).max() <= 1
    rows = off[:, pad : pad + HEIGHT].mean((0, 2))
    assert abs(rows.mean()) < 0.5  # nothing cut their noise off
    assert np.abs(rows[[0, 1, -2, -1]]).max() < 3


def half_noisy(clip: Clip, left: float, right: float) -> Clip:
    """White noise of other strength in either half."""
    rng = np.random.default_rng(5)
    return [
        [p + rng.normal(0, 1, p.shape) * np.repeat([left, right], p.shape[1] // 2) for p in planes]
        for planes in clip
    ]


def test_noise_goes_where_it_is_by_as_much_as_if_it_were_everywhere(tmp_path: Path) -> None:
    clip = footage.leaves(192, 256, 7, seed=1)
    shots = [half_noisy(clip, 24, 6), half_noisy(clip[::-1], 24, 24), half_noisy(clip[::-1], 6, 6)]
    loud, even, calm = shots
    films = {"both": loud + even, "late": even + loud, "even": even, "calm": calm}
    done = {
        name: luma_of(footage.write(tmp_path / f"{name}.mkv", film)) for name, film in films.items()
    }
    light, left, right = gray(clip), np.s_[..., :112], np.s_[..., 144:]
    first, second = done["both"][:7], done["both"][7:]
    assert psnr(first[left], light[left]) > psnr(done["even"][::-1][left], light[left]) - 1.5
    assert psnr(first[right], light[right]) > psnr(done["calm"][::-1][right], light[right]) - 1
    # a shot with other noise goes by its own
    assert psnr(done["late"][7:][right], light[right]) > psnr(first[right], light[right]) - 0.3
    assert psnr(second, light[::-1]) > psnr(done["even"], light[::-1]) - 0.3


def test_frames_of_changing_noise_are_prepared_once(coarse_alone: None, tmp_path: Path) -> None:
    noisy = half_noisy(footage.leaves(HEIGHT, WIDTH, 16, seed=1), 30, 12)
    path, seen = footage.write(tmp_path / "coded.mkv", noisy, "libx264", crf="26"), []
    with register_module_forward_pre_hook(lambda module, _: seen.append(type(module))):
        assert len(luma_of(path)) == seen.count(CoarseNet) == 16


def test_noise_in_a_window_of_a_still_graphic_goes_and_the_graphic_stays(tmp_path: Path) -> None:
    clip = clean("leaves")
    truth, noisy = ([[p.copy() for p in planes] for planes in clip] for _ in range(2))
    loud = footage.noisy(clip, 20, 3)
    page = np.kron(np.random.default_rng(0).integers(40, 220, (3, 4)), np.ones((32, 32)))
    for at, pair in enumerate(zip(truth, noisy, strict=True)):
        for kind, (a, b) in enumerate(zip(*pair, strict=True)):
            window = np.s_[16:80, 16:112] if not kind else np.s_[8:40, 8:56]
            inside = clip[at][kind][window], loud[at][kind][window]
            a[:], b[:] = (page, page) if not kind else (140, 140)
            a[window], b[window] = inside
    window = np.s_[:, 16:80, 16:112]
    done = luma_of(footage.write(tmp_path / "window.mkv", noisy))
    alone = luma_of(footage.write(tmp_path / "alone.mkv", loud))
    outside = np.ones(done.shape, bool)
    outside[window] = False
    assert np.array_equal(done[outside], np.rint(gray(truth))[outside])
    assert psnr(done[window], gray(truth)[window]) > psnr(alone[window], gray(clip)[window]) - 2.5


def test_a_noisy_window_leaves_the_quiet_scene_around_it_as_it_is(tmp_path: Path) -> None:
    scene, other = (footage.leaves(192, 320, 7, seed=n, sky=n == 4) for n in (3, 4))
    quiet, loud = footage.noisy(scene, 3, 5), footage.noisy(other, 20, 3)
    seen = [[plane.copy() for plane in planes] for planes in quiet]
    for planes, noisy in zip(seen, loud, strict=True):
        for cell, one, own in zip((1, 2, 2), planes, noisy, strict=True):
            window = np.s_[8 // cell : 72 // cell, -104 // cell : -8 // cell]
            one[window] = own[window]
    around = np.ones((7, 192, 320), bool)
    around[:, :88, -120:] = False
    done = luma_of(footage.write(tmp_path / "window.mkv", seen))[around]
    alone = luma_of(footage.write(tmp_path / "alone.mkv", quiet))[around]
    assert psnr(done, gray(scene)[around]) > psnr(alone, gray(scene)[around]) - 0.3


def test_a_camera_in_a_page_has_no_noisy_colours_in_its_first_frames(tmp_path: Path) -> None:
    clip, page = footage.leaves(192, 320, 7, seed=1), []
    for at, loud in enumerate(footage.noisy(clip, 20, 3)):
        page.append([np.full_like(one, 140 if n else 235) for n, one in enumerate(loud)])
        for cell, one, own in zip((1, 2, 2), page[-1], loud, strict=True):
            y, x = ((n + by * at) // cell for n, by in ((20, 3), (30, 6)))  # of a pointer
            one[y : y + 6 // cell, x : x + 6 // cell] = (16, 141)[cell - 1]
            window = np.s_[104 // cell : 184 // cell, 184 // cell : 312 // cell]
            one[window] = own[window]
    done = planes_of(footage.write(tmp_path / "page.mkv", page))[1][:, 52:92, 92:156]
    assert psnr(done, np.stack([planes[1][52:92, 92:156] for planes in clip])) > 31


@pytest.mark.parametrize(
    "sigmas", [(10, 10, 20, 10, 10, 10, 20), tuple(np.linspace(4, 26, 12))],
    ids=["key frames", "rising"],
)  # fmt: skip
def test_every_frame_loses_the_noise_that_it_has(sigmas: tuple[float, ...], tmp_path: Path) -> None:
    clip = footage.leaves(HEIGHT, WIDTH, len(sigmas), seed=1)

    def done(name: str, by_frame: tuple[float, ...]) -> np.ndarray:
        pairs = enumerate(zip(clip, by_frame, strict=True))
        loud = [footage.noisy([one], sigma, n)[0] for n, (one, sigma) in pairs]
        return luma_of(footage.write(tmp_path / f"{name}.mkv", loud))

    mixed, light = done("mixed", sigmas), gray(clip)
    for frame in (5, 6):
        even = done(str(sigmas[frame]), (sigmas[frame],) * len(sigmas))
        assert psnr(mixed[frame], light[frame]) > psnr(even[frame], light[frame]) - 2.5, frame


@pytest.mark.parametrize("fades", [False, True])
def test_a_title_without_noise_stays_beside_a_noisy_film(fades: bool, tmp_path: Path) -> None:
    title = footage.graphics(HEIGHT, WIDTH, 1) * 6
    if fades:  # from black, without a word on it
        title = [[0 * y + 30 + 9 * t, *(0 * c + 128 for c in both)]
                 for t, (y, *both) in enumerate(title)]  # fmt: skip
    film = footage.noisy(clean("leaves"), 20, 3)
    done = luma_of(footage.write(tmp_path / "title.mkv", title + film))
    assert np.array_equal(done[:6], np.rint(gray(title)).clip(1, 254))
    assert psnr(done[6:], gray(clean("leaves"))) > psnr(gray(film), gray(clean("leaves"))) + 9


def test_what_loud_frames_left_in_means_does_not_come_back(tmp_path: Path) -> None:
    truth = clean("leaves")[0]
    each = enumerate(np.linspace(28, 3, 14))
    path = footage.write(
        tmp_path / "falling.mkv", [footage.noisy([truth], sigma, n)[0] for n, sigma in each]
    )
    done, networks = luma_of(path), luma_of(path, contract=False)
    assert psnr(done[7:], truth[0]) > psnr(networks[7:], truth[0]) - 0.3


def test_noise_that_rises_to_white_moves_no_brightness(tmp_path: Path) -> None:
    light = [[0.45 * y + 130, *chroma] for y, *chroma in footage.leaves(HEIGHT, WIDTH, 12, seed=1)]
    noisy = footage.noisy(light[:6], 4, 3) + footage.noisy(light[6:], 20, 4)
    done = luma_of(footage.write(tmp_path / "bright.mkv", noisy))
    assert abs((done[8:] - gray(light)[8:]).mean()) < 0.5


def test_a_picture_that_is_half_white_loses_the_noise_of_the_rest(tmp_path: Path) -> None:
    light = [[1.1 * y + 50, *chroma] for y, *chroma in footage.leaves(HEIGHT, WIDTH, 12, seed=1)]
    noisy, half = footage.noisy(light, 15, 3), WIDTH // 2
    for at, ((y, *_), (white, *_)) in enumerate(zip(light, noisy, strict=True)):
        bright = np.s_[:, : half - 2 * (at % 2)]
        y[bright] = white[bright] = 255
    done = luma_of(footage.write(tmp_path / "white.mkv", noisy))
    rest, truth = np.s_[..., half:], gray(light)
    assert psnr(done[rest], truth[rest]) > psnr(gray(noisy)[rest], truth[rest]) + 8.5


@pytest.mark.parametrize(
    ("codec", "options", "reached"),
    [
        ("mpeg2video", {"qmin": "8", "qmax": "8"}, 38.8),
        ("libx264", {"crf": "28", "preset": "ultrafast"}, 39.2),
        ("prores_ks", {"profile": "2", "pix_fmt": "yuv422p10le"}, 39.3),
    ],
)
def test_what_a_coarse_codec_made_of_noise_goes(
    codec: str, options: dict[str, str], reached: float, tmp_path: Path
) -> None:
    clip = clean("sky")
    path = footage.write(tmp_path / "coded.mkv", footage.noisy(clip, 10, 3), codec, **options)
    done = luma_of(path) / (4 if "10" in options.get("pix_fmt", "") else 1)
    assert psnr(done, gray(clip)) > reached - 0.33


def test_small_coloured_things_in_a_coded_clip_keep_their_colour(tmp_path: Path) -> None:
    rng, clip = np.random.default_rng(2), [[p.copy() for p in planes] for planes in clean("sky")]
    places, colours = rng.integers(0, 44, (15, 2)), rng.uniform(60, 196, (15, 2))
    for _, *chroma in clip:
        for (y, x), colour in zip(places % 46, colours, strict=True):
            for plane, code in zip(chroma, colour, strict=True):
                plane[y : y + 2, x : x + 2] = code
        places[:, 0] += 2
    noisy = footage.noisy(clip, (9, 4, 4), 3)
    path = footage.write(tmp_path / "coded.mkv", noisy, "libx264", crf="22")
    coded, truth = footage.stacked(footage.read(path)), footage.stacked(clip)
    done = planes_of(path)
    for plane in (1, 2):
        assert psnr(done[plane], truth[plane]) >= psnr(coded[plane], truth[plane])


@pytest.mark.parametrize(("still", "gain"), [(True, 11.3), (False, 11.8)])
def test_noise_kept_from_frame_to_frame_goes(still: bool, gain: float, tmp_path: Path) -> None:
    clip = footage.leaves(HEIGHT, WIDTH, 12, seed=2, sky=True)
    clip = [clip[0]] * 12 if still else clip
    rng, kept, noisy = np.random.default_rng(6), None, []
    for planes in clip:
        new = [rng.normal(0, 12, plane.shape) for plane in planes]
        kept = new if kept is None else [0.6 * a + 0.8 * b for a, b in zip(kept, new, strict=True)]
        noisy.append([np.clip(a + b, 0, 255) for a, b in zip(planes, kept, strict=True)])
    done = luma_of(footage.write(tmp_path / "kept.mkv", noisy))
    gained = psnr(done, gray(clip)) - psnr(gray(noisy), gray(clip))
    print(f"still {still}: {gained:.2f}")
    assert gained > gain
