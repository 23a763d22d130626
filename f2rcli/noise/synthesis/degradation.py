"""Clean clips degraded like real footage, paired with the truth.

Daylight with strong, clipped noise taught networks to harm everything else (DESIGN.md D32). So
every sample draws what it shows (a moving scene, a still one, graphics, texture), how it is lit,
how strong its noise is (light noise as often as heavy), and what holds it: RGB codes clipped at
black and white, limited-range Y'CbCr 4:2:0 with room beyond both, or numbers that are not rounded.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from f2rcli import yuv
from f2rcli.frames import Family, Matrix, Pictures, PlaneLayout
from f2rcli.noise.codec import to_codes, to_unit
from f2rcli.noise.synthesis.coding import transcoded
from f2rcli.noise.synthesis.colour import as_gray
from f2rcli.noise.synthesis.law import Law, draw_mixture
from f2rcli.noise.synthesis.scenes import draw_scene, relit

LIGHTEST, HEAVIEST = 0.3, 55.0  # standard deviations of log-uniform noise, 8-bit codes
SPANS = ((16, 219.0), (128, 224.0), (128, 224.0))  # code of zero and codes of one unit, Y Cb Cr
OLD_SHARE = 0.45  # of the noise is drawn as for the first weights, evenly up to strong

VIDEO = PlaneLayout(
    family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False, matrix=Matrix.BT709
)


class DegradedClip(NamedTuple):
    """A degraded clip, its truth, and its noise's standard deviation before any clipping."""

    noisy: Pictures
    clean: Pictures
    level: Pictures


def degraded(
    clip: NDArray[Any], frames: int, size: int, rng: np.random.Generator, *, coded: bool
) -> DegradedClip:
    """Footage of `frames` square pictures cut from a clip (T, H, W, 3) of codes or 0..1; coded:
    encoded as video at the end."""
    clean = relit(draw_scene(clip, frames, size, rng), rng)
    gray = rng.random() < 0.1
    if gray:
        clean = as_gray(clean)
    law = draw_light_law(rng) if rng.random() > OLD_SHARE else draw_mixture(rng)
    if coded:
        noisy = noised(clean, replace(law, shared=1.0) if gray else law, rng)
        return through_encoder(noisy, clean, rng)
    holder = rng.random()
    if holder < 0.4:
        return _in_video(clean, law, rng, gray=gray)
    if gray:
        law = replace(law, shared=1.0)
    noisy = noised(clean, law, rng)
    if holder < 0.82:
        noisy = to_unit(to_codes(noisy))
    return DegradedClip(noisy, clean, levels(law, clean))


def draw_light_law(rng: np.random.Generator) -> Law:
    """Noise of any strength, every octave as likely: white, with shot noise, or correlated."""
    sigma = float(np.exp(rng.uniform(np.log(LIGHTEST), np.log(HEAVIEST)))) / 255
    shared = float(rng.uniform(0.2, 1.0)) if rng.random() < 0.2 else 0.0
    kind = rng.random()
    if kind < 0.5:
        return Law(0.0, sigma, 0.0, shared)
    if kind < 0.75:  # the variance at middle gray is sigma's, part of it from light
        part = rng.uniform(0.2, 0.95)
        return Law(2 * part * sigma**2, sigma * (1 - part) ** 0.5, 0.0, shared)
    return Law(0.0, sigma, rng.uniform(0.4, 1.3), shared)


def noised(clean: Pictures, law: Law, rng: np.random.Generator) -> Pictures:
    """Frames with fresh noise; in a twentieth of clips filtered with the last frame's."""
    if rng.random() > 0.05:
        return np.stack([law.add(frame, rng) for frame in clean])
    memory = np.float32(rng.uniform(0.2, 0.6))
    kept, out = law.sample(clean[0].shape, rng), []
    for frame in clean:
        kept = memory * kept + np.sqrt(1 - memory**2) * law.sample(frame.shape, rng)
        out.append(frame + kept * law.level(frame))
    return np.stack(out)


def levels(law: Law, clean: Pictures) -> Pictures:
    """The standard deviation of a law's noise at every sample."""
    return np.stack([law.level(frame) for frame in clean])


def _in_video(clean: Pictures, law: Law, rng: np.random.Generator, *, gray: bool) -> DegradedClip:
    """Noise of planes of limited-range 4:2:0: below black and above white, chroma's apart."""
    read = law.read if not law.gain else float(np.sqrt(law.read**2 + law.gain / 4))
    blur = float(rng.choice([0.0, law.blur, rng.uniform(0.5, 1.5)]))
    chroma = replace(law, gain=0.0, read=read, blur=blur, shared=0.0)
    factor = 0.0 if gray else float(np.exp(rng.uniform(np.log(0.3), np.log(2.0))))
    truth, noisy = [], []
    for frame in clean:
        planes = _planes(frame)
        if gray:
            planes[1:] = [np.zeros_like(plane) for plane in planes[1:]]
        truth.append(_rgb(planes))
        loud = [law.add(planes[0][..., None], rng)[..., 0]]
        for plane in planes[1:]:
            added = chroma.sample((*plane.shape, 1), rng)[..., 0] * np.float32(factor * chroma.read)
            loud.append(plane + added)
        noisy.append(_rgb(_units(_codes(loud)) if rng.random() < 0.8 else loud))
    found, true = np.stack(noisy), np.stack(truth)
    luma = levels(law, true.mean(-1, keepdims=True))
    measured = _apart(found, true)
    typical = np.sqrt(np.mean(luma**2)) + 1e-6
    return DegradedClip(found, true, (luma * (measured / typical)).astype(np.float32))


def _planes(picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """A picture (H, W, 3) as planes of VIDEO, not rounded."""
    return yuv.split(np.ascontiguousarray(picture.transpose(2, 0, 1)), VIDEO)


def _rgb(planes: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return yuv.joined(planes, VIDEO).transpose(1, 2, 0)


def through_encoder(noisy: Pictures, clean: Pictures, rng: np.random.Generator) -> DegradedClip:
    """Noisy footage through an encoder; the truth at 4:2:0, as the file could have held it."""
    files = transcoded([_codes(_planes(frame)) for frame in noisy], rng)
    truth = np.stack([_rgb(_planes(frame)) for frame in clean])
    return evenly_noisy(np.stack([_rgb(_units(frame)) for frame in files]), truth)


def evenly_noisy(noisy: Pictures, clean: Pictures) -> DegradedClip:
    """Footage whose noise counts as equally strong everywhere, as far apart as the two lie."""
    spread = _apart(noisy, clean).astype(np.float32)
    return DegradedClip(noisy, clean, np.broadcast_to(spread, clean.shape))


def _apart(noisy: Pictures, clean: Pictures) -> NDArray[np.float32]:
    """Root mean square of the difference in every channel."""
    return np.asarray(np.sqrt(np.mean((noisy - clean) ** 2, axis=(0, 1, 2))))


def _codes(planes: list[NDArray[np.float32]]) -> list[NDArray[np.uint8]]:
    """Planes as 8 bits hold them: 1..254, black at 16, chroma's zero at 128."""
    return [
        np.clip(np.rint(p * np.float32(span) + zero), 1, 254).astype(np.uint8)
        for p, (zero, span) in zip(planes, SPANS, strict=True)
    ]


def _units(planes: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    return [
        ((p.astype(np.float32) - zero) / np.float32(span))
        for p, (zero, span) in zip(planes, SPANS, strict=True)
    ]
