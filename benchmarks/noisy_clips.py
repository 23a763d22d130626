"""Clean clips, their noisy versions on disk, and how estimates are scored against them.

Every benchmark on made noise takes its inputs from here, so that all of them see the same files:
the noise is f2r's own (`--noise` of `f2r eval`), drawn with seed 0, rounded and clipped to 8 bits,
and written losslessly (FFV1, RGB). `h264` is the compressed clip itself (x264, 4:2:0, MP4).
"""

from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import ClipInfo, Family, Floats, Frame, PlaneLayout
from f2rcli.noise.synthesis.law import Law, noisy_clip, repeatable
from f2rcli.noise.synthesis.spec import parse

Clip = NDArray[np.uint8]  # (T, H, W, 3) RGB
Pictures = Iterable[NDArray[np.generic]]
RGB8 = PlaneLayout(family=Family.RGB, bits=8)
RATE = Fraction(25)  # of clips that state none
# Noise that is not even (by time, distance from the middle and column, 0..1 each) or not fine, made
# of white noise of 1.
MADE: dict[str, Callable[..., Floats]] = {
    "corners": lambda white, time, far, column: white * (8 + 12 * far[None] ** 2),
    "half": lambda white, time, far, column: white * np.where(column < 0.5, 24, 6)[None, None],
    "rising": lambda white, time, far, column: white * (4 + 26 * time),
    "falling": lambda white, time, far, column: white * (30 - 26 * time),
    "pulsing": lambda white, time, *_: white * np.where(np.indices(time.shape)[0] % 4, 10, 20),
    "grain": lambda white, *_: 8 * blurred(white, 2),
    "blotches": lambda white, *_: 8 * white + 6 * blurred(white[::-1], 3),
    "tape": lambda white, *_: 10 * blurred(white, 3, 1e-9),
}


def blurred(white: Floats, width: float, height: float = 0) -> Floats:
    """Noise as strong, of a width (a Gaussian's sigma, pixels) and by default the same height."""
    found = np.stack([cv2.GaussianBlur(frame, (0, 0), width, None, height) for frame in white])
    return np.asarray(found / found.std())


class Score(NamedTuple):
    psnr: float  # dB
    ssim: float


def clean_clips(folder: Path, *only: str) -> list[Path]:
    """The clips of a folder, those whose names contain one of `only` if any is given."""
    clips = sorted(folder.glob("*.mkv"))
    return [clip for clip in clips if not only or any(part in clip.stem for part in only)]


def read(path: Path, frames: int | None = None) -> Clip:
    """The first frames of a file as 8-bit RGB, converted by FFmpeg."""
    with av.open(str(path)) as container:
        pictures = islice(container.decode(video=0), frames)
        return np.stack([picture.to_ndarray(format="rgb24") for picture in pictures])


def make_noisy(
    clip: Path, noise: str, folder: Path, frames: int | None = None, times: int = 1
) -> Path:
    """Write the noisy version of a clip's first frames into a folder; returns its path.

    noise: as `f2r eval --noise` takes it, such as g30, pg, corr30 or h264, or one of MADE; times:
    that each noisy picture comes, coded.
    """
    clean, plain = read(clip, frames), folder / f"{clip.stem}.{noise}.mkv"
    if noise in MADE:
        time, row, column = (np.linspace(0, 1, length) for length in clean.shape[:3])
        far = np.hypot(row[:, None] - 0.5, column - 0.5) * 2**0.5
        white = np.random.default_rng(0).normal(0, 1, clean.shape)
        made = MADE[noise](white, time.reshape(-1, 1, 1, 1), far[..., None], column[:, None])
        write(plain, np.clip(np.rint(made + clean), 0, 255).astype(np.uint8))
        return plain
    law, coding, rng = parse(noise).draw_for(clip.stem, seed=0)
    if coding is None:
        write(plain, _noisy(clean, law, rng), _rate(clip))
        return plain
    clean = clean[:, : clean.shape[1] // 2 * 2, : clean.shape[2] // 2 * 2]  # 4:2:0 is even
    coded, options = plain.with_suffix(".mp4"), {"crf": str(coding.crf), "preset": "medium"}
    noisy = _noisy(clean, law, rng).repeat(times, 0)
    write(coded, noisy, _rate(clip), coding.encoder, options, "yuv420p")
    return coded


def score(estimate: NDArray[np.generic], clean: Clip) -> Score:
    """PSNR over all pixels and channels and SSIM (Gaussian window of 1.5, population covariance)
    of each frame, in the clip's codes; mean over frames."""
    from skimage.metrics import structural_similarity

    each = []
    for one, truth in zip(estimate, clean, strict=True):
        error = np.mean((one.astype(np.float64) - truth) ** 2)
        ssim = structural_similarity(
            one, truth, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
            data_range=255, channel_axis=-1,
        )  # fmt: skip
        each.append((10 * np.log10(255**2 / error), ssim))
    return Score(*(float(v) for v in np.mean(each, axis=0)))


def _noisy(clean: Clip, law: Law, rng: np.random.Generator) -> Clip:
    info = ClipInfo(
        name="clip", width=clean.shape[2], height=clean.shape[1], layout=RGB8, frames=len(clean),
        duration=None, rate=RATE, time_base=1 / RATE,
    )  # fmt: skip
    frames = (Frame(planes=tuple(p.transpose(2, 0, 1)), layout=RGB8) for p in clean)
    noisy = noisy_clip(frames, info, law, rng, clipped=True)[1]
    return np.stack([np.stack(frame.planes, axis=-1) for frame in noisy])


def write(
    path: Path, clip: Clip, rate: Fraction = RATE, encoder: str = "ffv1",
    options: dict[str, str] | None = None, pix_fmt: str = "bgr0",
) -> None:  # fmt: skip
    """Write a clip (T, H, W, 3) of RGB or (T, H, W) of gray; the same bytes each time."""
    kind = "rgb24" if clip.ndim == 4 else "gray"
    with av.open(str(path), "w") as container:
        told = _joined(options or {}, repeatable(encoder, clip.shape[2]))
        stream = container.add_stream(encoder, rate=rate, options=told)
        stream.thread_count = 1
        stream.height, stream.width = clip.shape[1:3]
        stream.pix_fmt = pix_fmt if kind == "rgb24" else kind
        for picture in clip:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=kind)
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode())


def _joined(options: dict[str, str], more: dict[str, str]) -> dict[str, str]:
    """Options of an encoder; parameters of the same name follow each other."""
    both = {key: f"{value}:{options[key]}" for key, value in more.items() if key in options}
    return options | more | both


def _rate(clip: Path) -> Fraction:
    with av.open(str(clip)) as container:
        return Fraction(container.streams.video[0].average_rate or RATE)


def psnr(pictures: Pictures, clean: Pictures, peak: float = 255) -> float:
    """Mean over frames, dB."""
    pairs = zip(pictures, clean, strict=True)
    errors = [np.mean((one.astype(np.float64) - truth) ** 2) for one, truth in pairs]
    return float(np.mean(10 * np.log10(peak**2 / np.maximum(errors, 1e-9))))
