"""Noise of the training footage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.engine.measuring import stated_model
from f2rcli.evaluation.noise import FRAMES, described, in_full
from f2rcli.frames import Family, Floats
from f2rcli.io.files import disk_errors, replacing
from f2rcli.models.filters import inner_mean
from f2rcli.models.planar import NEAR
from f2rcli.noise.model import FramePlanes, PlaneNoise, clipped_moments
from f2rcli.noise.report import NoiseReport
from f2rcli.noise.spectrum import Spectrum, Temporal, coloured
from f2rcli.noise.stabilising import VarianceStabiliser, lowest
from f2rcli.planes import ROTATION, Layout, gathered, mixed, pack, spread, unpack
from f2rcli.training.folder import ELSEWHERE, Event, EventKind, OnEvent
from f2rcli.training.footage import Footage
from f2rcli.yuv import planes_of, to_rgb

MEASURING = "measuring the noise"
LOOKS = 3  # places of a clip that are looked at, at most


def measure_footage(
    footage: list[Footage], report: OnEvent = lambda event: None
) -> list[NoiseReport | None]:
    """The noise of clips, with the level that `f2r denoise` tells; None where there is too little
    to see. What a file itself states of its noise is believed."""
    found: list[NoiseReport | None] = []
    steps = len(footage) * LOOKS

    def look(number: int) -> None:
        step = len(found) * LOOKS + number
        report(Event(kind=EventKind.PROGRESS, stage=MEASURING, step=step, steps=steps))

    for clip in footage:
        found.append(_surest(clip, look))
        look(0)
    return found


def as_seen(clip: Footage, noise: NoiseReport | None) -> tuple[Footage, NoiseReport | None]:
    """A clip and its noise as networks see them at run time: sensor values through the space in
    which their noise is even."""
    if noise is None or not clip.sensor:
        return clip, noise
    first = [torch.from_numpy(to_rgb(clip.frame(i))) for i in range(min(FRAMES, clip.shape[0]))]
    low = lowest(first) if clip.levels is not None else None
    space = VarianceStabiliser.of(noise.model, low=low)
    even = PlaneNoise.of(space.model, clipped=False)
    return in_space(clip, space), replace(noise, model=space.model, planes=even)


def _surest(clip: Footage, look: Callable[[int], None]) -> NoiseReport | None:
    """The noise of a clip from those of its frames where it shows best.

    Fast motion hides it: texture that flow cannot follow makes white noise look coloured. Drawn
    afresh in that colour it taught stage 2 to keep noise, and held-out frames saw a gain. What
    frames share in one place speaks for all of the clip.
    """
    found: list[tuple[NoiseReport, range]] = []
    for number, numbers in enumerate(_places(clip)):
        look(number)
        report = _measured(clip, numbers)
        if report is not None:
            found.append((report, numbers))
            if report.confidence.word == "high":
                break
    if not found:
        return None
    surest, numbers = min(found, key=lambda one: one[0].confidence.percent)
    most = max((report.temporal for report, _ in found), key=shared)
    return replace(surest, temporal=most, by_plane=_spectra(clip, numbers))


def shared(temporal: Temporal) -> float:
    """The larger correlation between frames; below 0 it says nothing, see `Temporal`."""
    return max((rho for rho in temporal if rho is not None), default=0.0)


def _places(clip: Footage) -> list[range]:
    """Frames to measure at: the middle of the longest shot, its start and its end."""
    shot = max(clip.shots, key=len, default=range(0))
    spare = max(len(shot) - FRAMES, 0)
    return [shot[first : first + FRAMES] for first in dict.fromkeys((spare // 2, 0, spare))]


def _measured(clip: Footage, numbers: range) -> NoiseReport | None:
    frames = [clip.frame(number) for number in numbers]
    report = in_full(frames, clip.layout, coded=clip.coded, places=())  # excerpts have none
    if report is None:
        return None
    model = report.model
    if clip.stated is not None:
        model = stated_model(clip.stated, planes_of(frames[0]))
    return replace(report, model=model, levels=clip.levels)


def _spectra(clip: Footage, numbers: range) -> tuple[Spectrum, ...]:
    """Of planes of Y'CbCr: luma's, and that of all three on chroma's grid; else none, for the
    report's own is that of the planes. Noise that was independent in R, G and B is not in these: Cb
    shares half of a cell's with luma."""
    if clip.layout.family is not Family.YUV:
        return ()
    frames = [planes_of(clip.frame(number)) for number in numbers]
    reduced = [
        [_reduced(torch.from_numpy(luma)[None], one.shape)[0].numpy(), one + 0.5, two + 0.5]
        for luma, one, two in frames
    ]
    kinds = [[planes[:1] for planes in frames], reduced]
    shown = ([FramePlanes(one, np.clip(one[0], 0, 1)) for one in kind] for kind in kinds)
    found = [described(pictures, full_range=False) for pictures in shown]
    spectra = tuple(one.spectrum for one in found if one is not None and one.spectrum is not None)
    return spectra if len(spectra) == len(kinds) else ()


def in_space(clip: Footage, space: VarianceStabiliser) -> Footage:
    """The clip with its pictures in a space, in a file beside the one they are in.

    Raises OutputError where the disk is full.
    """
    target = clip.path.with_suffix(".stable")
    errors = disk_errors(clip.path.parent, ELSEWHERE)
    with errors, replacing(target) as part, part.open("wb") as file:
        for number in range(clip.shape[0]):
            seen = space.into(torch.from_numpy(np.stack(planes_of(clip.frame(number))))[None])[0]
            packed = seen if clip.packed is None else pack(clip.packed, list(seen))
            file.write(packed.numpy().astype(np.float16).tobytes())
    return replace(clip, path=target, clean=None)


# --- Noise of packed planes, drawn afresh as it was measured -------------------------------------


@dataclass(frozen=True)
class PlaneLaw:
    """A law that noise of packed planes is drawn from: as strong as the brightness has it, and
    shared by pixels and planes as it was seen to be."""

    layout: Layout
    told: PlaneNoise
    kernels: tuple[Floats | None, ...] = ()  # of every plane, see `NoiseLaw`; empty: white
    # (P, P), lower triangle, rows of unit energy: planes of independent ones, on chroma's grid
    mixing: Floats | None = None

    @classmethod
    def of(cls, layout: Layout, report: NoiseReport) -> "PlaneLaw":
        """The law that was measured; white, and independent by plane, as far as nothing was."""
        assert report.planes is not None  # measured with the report
        alone = () if report.spectrum is None else (report.spectrum,)
        spectra = report.by_plane or alone
        if not spectra or len(spectra[-1].power) != len(layout.planes):
            return cls(layout, report.planes)
        kernels = [taps for one in spectra[:-1] for taps in _filters(one)]
        kernels += _filters(spectra[-1])[len(kernels) :]
        return cls(layout, report.planes, tuple(kernels), spectra[-1].mixing())

    @property
    def clipped(self) -> bool:
        """Whether the file's range cuts noise off; never of Y'CbCr, which has room."""
        return self.told.clipped and self.layout.name in ("rgb", "gray")

    def cut(self, pictures: Tensor) -> Tensor:
        """Standard deviations before anything is cut off, of the file's planes packed (T, C, h,
        w); by smoothed pictures, in which their noise hardly counts."""
        light = unpack(self.layout, inner_mean(pictures, NEAR))
        levels = []
        for plane, one in enumerate(light):
            bright = one
            if plane and len(self.layout.planes) == 3 and not self.layout.rotated:
                bright = _reduced(light[0], one.shape)
            levels.append(self.told.model.level(bright[:, None])[:, plane])
        return gathered(self.layout, levels)

    def fresh(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Noise for pictures (T, C, h, w); where they are clipped, as weak as the range left it:
        else the errors of a recorrupted frame and of its target depend on each other."""
        sigma = self.cut(pictures)
        if self.clipped:
            left = clipped_moments(in_colours(self.layout, inner_mean(pictures, NEAR)), sigma)[1]
            sigma = sigma * left.sqrt()
        return in_planes(self.layout, self._unit(sigma, generator) * sigma)

    def _unit(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """Noise of strength one for pictures like these, of the file's planes packed."""
        planes = spread(self.layout, torch.randn(like.shape, generator=generator))
        if self.kernels:
            pairs = zip(planes, self.kernels, strict=True)
            planes = [
                one if taps is None else coloured(one[:, None], taps[None])[:, 0]
                for one, taps in pairs
            ]
        if self.mixing is not None:
            first = _reduced(planes[0], planes[-1].shape)
            alone = torch.stack([first / first.std(), *planes[1:]])
            planes[1:] = torch.tensordot(first.new_tensor(self.mixing[1:]), alone, 1)
        return gathered(self.layout, planes)

    def renoised(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Clean pictures with noise, as a file would hold them."""
        noise = self._unit(clean, generator) * self.cut(clean)
        noisy = in_colours(self.layout, clean) + noise
        return in_planes(self.layout, noisy.clamp(0, 1) if self.clipped else noisy)


def _filters(spectrum: Spectrum) -> list[Floats | None]:
    """The filter of every channel, None where noise is white."""
    taps = spectrum.kernels()
    return [None] * len(spectrum.power) if taps is None else list(taps)


def _reduced(luma: Tensor, size: Sequence[int]) -> Tensor:
    """Planes (T, H, W) averaged to another's grid, (..., h, w)."""
    return functional.adaptive_avg_pool2d(luma[:, None], (size[-2], size[-1]))[:, 0]


def in_colours(layout: Layout, packed: Tensor) -> Tensor:
    """Packed planes (B, C, h, w) as the file's own, still packed; the same but for RGB."""
    return _rotated(layout, packed, ROTATION.T)


def in_planes(layout: Layout, colours: Tensor) -> Tensor:
    """The inverse of `in_colours`."""
    return _rotated(layout, colours, ROTATION)


def _rotated(layout: Layout, packed: Tensor, by: Floats) -> Tensor:
    """Cell by cell: in every step of a training, unpacking would take longer than its network."""
    return torch.cat(mixed(by, packed.chunk(3, 1)), 1) if layout.rotated else packed
