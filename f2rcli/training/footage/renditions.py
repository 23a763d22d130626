"""Synthetic noise that takes long to make, rendered once and kept in the run folder.

A rendition is a run of frames of a clean clip as a camera, a sensor or a codec would have left it,
with the same frames as they would be without noise and coding. Which frames, settings and noise it
has is determined by the seed, the clip's name and the rendition's number alone.
"""

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from f2rcli.errors import F2RError
from f2rcli.frames import Codes
from f2rcli.io.atomic import sweep
from f2rcli.noise.codec import coded, to_codes, to_unit, uncoded
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.stabilising import VarianceStabiliser
from f2rcli.noise.synthesis.camera import STEPS, Camera
from f2rcli.noise.synthesis.coding import Coding
from f2rcli.noise.synthesis.sensor import Unprocessing, draw_raw_law, sense
from f2rcli.noise.synthesis.spec import REALISTIC, SENSOR, NoiseSpec, parse
from f2rcli.training.footage.augment import dihedral
from f2rcli.training.footage.cache import building, check_space, fingerprint
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.worker_pool import spread

PER_CLIP = 4  # renditions
FRAMES = 20  # of a rendition
DISK = 8 << 30  # bytes that all of them may take
SIDE = 640  # pixels; larger clips are cropped at random
SMALLEST = 128  # pixels per side of what is coded
MACROBLOCK = 16  # x264 repeats itself exactly on whole ones only, and not on small pictures
UNCODED = 0.25  # share of realistic renditions that no codec touches


@dataclass(frozen=True, slots=True)
class Rendition:
    """A noisy clip with the clean one it came from: (T, H, W, C) 8-bit codes."""

    noisy: Codes
    clean: Codes
    sigma: float  # standard deviation of noisy - clean, in units of white


@dataclass(frozen=True, slots=True)
class RenditionJob:
    """One rendition to be made, or to be loaded. May be sent to other processes."""

    clip: Footage
    number: int
    seed: int
    cache: Path
    noise: str = REALISTIC  # one kind, as --noise takes it
    frames: int = FRAMES

    @property
    def entry(self) -> Path:
        """The rendition's place in the cache."""
        clip = self.clip
        source = (clip.path.parent.name, clip.path.name, clip.name, clip.shape)
        key = fingerprint([], self.noise, source, self.number, self.seed, self.frames)
        return self.cache / key

    def most_bytes(self) -> int:
        """Upper bound of its size in bytes."""
        _, height, width, channels = self.clip.shape
        return 2 * self.frames * min(height, SIDE) * min(width, SIDE) * channels

    def load(self) -> Rendition:
        """The finished rendition, memory-mapped for as long as it is held."""
        facts = json.loads((self.entry / "facts.json").read_text(encoding="utf-8"))
        noisy, clean = (
            np.memmap(self.entry / f"{part}.u8", np.uint8, "r", shape=tuple(facts["shape"]))
            for part in ("noisy", "clean")
        )
        return Rendition(noisy, clean, facts["sigma"])


def render_all(
    clips: Sequence[Footage],
    cache: Path,
    noise: NoiseSpec,
    *,
    seed: int = 0,
    jobs: int = 1,
    per_clip: int = PER_CLIP,
    report: Callable[[str], None] = lambda line: None,
) -> list[RenditionJob]:
    """Renditions of every clip in the noise's rendered kinds, in turn, made unless in the cache.

    Raises OutputError where the disk is too small, and what stopped a worker.
    """
    orders = rendition_jobs(clips, cache, noise, seed=seed, per_clip=per_clip, disk=DISK)
    cache.mkdir(parents=True, exist_ok=True)
    sweep(cache)
    missing = [order for order in orders if not order.entry.exists()]
    needed = sum(order.most_bytes() for order in missing)
    check_space(cache, needed, needed, f"{len(missing)} noisy renditions")
    for count, (order, error) in enumerate(spread(render, missing, jobs), 1):
        if isinstance(error, F2RError):
            raise error
        report(f"rendered {order.clip.name} ({count} of {len(missing)})")
    return orders


def rendition_jobs(
    clips: Sequence[Footage], cache: Path, noise: NoiseSpec, *, seed: int, per_clip: int, disk: int
) -> list[RenditionJob]:
    """Jobs in rounds over the clips: as many as fit `disk` bytes, at least one."""
    kinds = [part.name for part in noise.rendered]
    orders: list[RenditionJob] = []
    if not kinds:
        return orders
    for number in range(per_clip):
        for index, clip in enumerate(clips):
            order = RenditionJob(clip, number, seed, cache, kinds[(number + index) % len(kinds)])
            disk -= order.most_bytes()
            if disk >= 0 or not orders:
                orders.append(order)
    return orders


def render(order: RenditionJob) -> None:
    """Make a rendition and put it into the cache, unless it is there."""
    if order.entry.exists():
        return
    rng = np.random.default_rng([order.seed, zlib.crc32(order.clip.name.encode()), order.number])
    part = parse(order.noise, training=True).parts[0]
    scenes = _scenes(order, rng)
    if part.kind == SENSOR:
        _store(order, *_recorded(np.stack(scenes), rng))
    elif part.kind == REALISTIC:
        camera = Camera.draw(rng)
        coding = None if rng.random() < UNCODED else Coding.draw(rng)
        noisy = [camera.shoot(scene, rng) for scene in scenes]
        clean = [camera.quiet.shoot(scene, rng) for scene in scenes]
        _store(order, *_compressed(noisy, clean, coding), asdict(camera))
    else:
        law, coding = part.draw(rng)
        noisy = [to_codes(law.add(to_unit(scene), rng)) for scene in scenes]
        _store(order, *_compressed(noisy, scenes, coding), asdict(law))


def _compressed(
    noisy: list[Codes], clean: list[Codes], coding: Coding | None
) -> tuple[Codes, Codes, float]:
    """Both clips as a codec leaves them, the clean one with its chroma at 4:2:0, and sigma."""
    if coding is not None and min(noisy[0].shape[:2]) >= SMALLEST:
        gray = noisy[0].shape[2] == 1
        noisy = [_like(p, gray) for p in coded((_coloured(p) for p in noisy), **asdict(coding))]
        clean = [_like(uncoded(_coloured(p)), gray) for p in clean]
    first, second = np.stack(noisy), np.stack(clean)
    error = first.astype(np.float32) - second
    return first, second, float(np.sqrt(np.mean(error**2)) / 255)


def _recorded(scenes: Codes, rng: np.random.Generator) -> tuple[Codes, Codes, float]:
    """Stabilised codes (T, H / 2, W / 2, 4) of what a sensor would have recorded, and sigma.

    The clean codes are the mean that stabilised noisy ones have, so that what learns from them is
    undone by the exact unbiased inverse, like everything that learns from noisy frames alone.
    """
    turned = dihedral(scenes, int(rng.integers(8)))
    packed, law = Unprocessing.draw(rng).packed(turned), draw_raw_law(rng)
    stabiliser = VarianceStabiliser.of(
        NoiseModel((law.gain,) * 4, (law.read,) * 4, (law.read,) * 4)
    )
    places = torch.linspace(0, 1.1, STEPS).view(1, 1, 1, -1).expand(1, 4, 1, -1)
    light = stabiliser.back(places)[0, 0, 0].numpy()
    sensed = (sense(frame, law, rng).transpose(2, 0, 1)[None].copy() for frame in packed)
    noisy = [stabiliser.into(torch.from_numpy(frame)) for frame in sensed]
    clean = np.interp(packed, light, places[0, 0, 0].numpy()).astype(np.float32)
    return to_codes(torch.cat(noisy).permute(0, 2, 3, 1).numpy()), to_codes(clean), stabiliser.sigma


def _store(
    order: RenditionJob,
    noisy: Codes,
    clean: Codes,
    sigma: float,
    settings: dict[str, Any] | None = None,
) -> None:
    with building(order.entry) as part:
        (part / "noisy.u8").write_bytes(noisy.tobytes())
        (part / "clean.u8").write_bytes(clean.tobytes())
        facts = {"shape": noisy.shape, "sigma": sigma, "number": order.number, "seed": order.seed}
        facts |= {"noise": order.noise, "settings": settings}
        (part / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def _scenes(order: RenditionJob, rng: np.random.Generator) -> list[Codes]:
    """Frames in a row of one shot, cropped to whole macroblocks or, if small, to even sizes."""
    shots = order.clip.shots
    lengths = np.array([len(shot) for shot in shots])
    shot = shots[rng.choice(len(shots), p=lengths / lengths.sum())]
    count = min(order.frames, len(shot))
    first = shot.start + int(rng.integers(len(shot) - count + 1))
    rows, columns = (_stretch(size, rng) for size in order.clip.shape[1:3])
    return [to_codes(order.clip.read(t, rows, columns)) for t in range(first, first + count)]


def _stretch(size: int, rng: np.random.Generator) -> slice:
    step = MACROBLOCK if size >= SMALLEST else 2
    length = min(size, SIDE) // step * step
    first = int(rng.integers(size - length + 1))
    return slice(first, first + length)


def _coloured(picture: Codes) -> Codes:
    return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture


def _like(picture: Codes, gray: bool) -> Codes:
    return picture[..., 1:2] if gray else picture
