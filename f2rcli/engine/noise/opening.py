"""The noise of a stream's first frames, measured on them alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import log
from typing import NamedTuple

import torch
from torch import Tensor

from f2rcli.engine.contract.residual import STRICT
from f2rcli.engine.cuts import same_shot, thumbnail
from f2rcli.engine.engine import Engine
from f2rcli.engine.noise.anchor_pairs import AnchorPair, AnchorPairs, evidence
from f2rcli.engine.noise.excerpts import cut_out, excerpts, over_all
from f2rcli.engine.noise.places import louder_part
from f2rcli.engine.noise.predicted import held_predicted
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.methods.rgb import RgbMethod
from f2rcli.noise.measurement.blocking import Blocking, find_blocking
from f2rcli.noise.measurement.blocks import FramePlanes, Pair
from f2rcli.noise.measurement.bound import Bound
from f2rcli.noise.measurement.compression import Compression, compression_of
from f2rcli.noise.measurement.detail import single_frame_sigma
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.photons.flashes import without_flashes
from f2rcli.noise.photons.line import FEW, counted_model, photon_line
from f2rcli.noise.planes import Anchored, Measured, PlaneNoise, measure_planes, picture_of
from f2rcli.noise.report import FLAT_ENOUGH, HARDLY_ANY, Doubts
from f2rcli.noise.stabilising import VarianceStabiliser

PREROLL = 6  # frames, no two alike, that the noise is measured on
DIM_PREROLL = 32  # the same of a stack of few photons, for its law
LEAST_SIGMA = 1e-4  # of that look
# Of luma, of 255: what moving texture adds to a plane's sigma where nothing is flat, and the same
# where anchors read more than the bound by more than LOOSE (45 training clips, sigma 1).
MOVING_TEXTURE8, LOOSE_TEXTURE8, LOOSE = 0.63, 0.95, 0.2
FEWEST_COMPARED = 3  # frames


class Opening(NamedTuple):
    """The noise of a stream's first frames: the one number that all commands show."""

    model: NoiseModel
    planes: PlaneNoise
    bounds: list[Bound]  # per plane of the file; empty for a single frame of a shot
    free: NoiseModel  # as anchors alone measure it, without the bound
    compared: bool  # with neighbours; False: from single frames alone
    blocking: Blocking | None = None  # block edges that compression left
    compression: Compression | None = None  # its errors, not in `model`; None: hardly any
    whole: float = 1.0  # sigma of the first plane over whole frames, by that where it is bounded

    def texture(self, layout: PlaneLayout) -> float:
        """Variance that texture which moves may have added to that of the first plane."""
        doubts = self.doubts((0.0, 0.0), layout)
        if not self.bounds or layout.counts_light:
            return 0.0
        unsure = max(0.0, 1 - doubts.flat / FLAT_ENOUGH) * (1 - self.bounds[0].still)
        loose = min(max(doubts.gap / LOOSE, 0.0), 1.0)
        least, most = MOVING_TEXTURE8**2, LOOSE_TEXTURE8**2
        return unsure * (least + (most - least) * loose) / 255**2

    def doubts(self, rails: tuple[float, float], layout: PlaneLayout) -> Doubts:
        """Doubts about it; rails: the shares of samples on black and on white."""
        subsampled = layout.family is Family.YUV and any(layout.log2_chroma)
        if not self.bounds or not any(self.bounds[0].counts):  # pictures of a few pixels
            return Doubts(clipped=sum(rails), bounded=False, subsampled=subsampled)
        first = self.bounds[0]
        sigma = self.planes.models[0].sigma[0]
        share = mean_sigma8(self.free) / max(mean_sigma8(self.model), 1e-9)
        left = log(max(sigma / self.whole, 1e-6) / max(first.mean, 1e-6))
        return Doubts(
            flat=first.flat,
            gap=left + log(max(share, 1e-6)),
            left=left,
            clipped=sum(rails),
            subsampled=subsampled,
        )


HARDLY_ANY8 = 255 * HARDLY_ANY


def mean_sigma8(model: NoiseModel) -> float:
    """The sigma that is shown, mean of the channels, of 255."""
    return sum(model.sigma8) / len(model.sigma8)


def hardly_any(model: NoiseModel, layout: PlaneLayout) -> bool:
    """Whether there is too little noise to take out; what sensors count has no such limit."""
    return not layout.counts_light and mean_sigma8(model) < HARDLY_ANY8


def few_photons(frames: Sequence[Frame]) -> bool:
    """Whether a stack's first frames hold so few photons that its law needs DIM_PREROLL of them.

    Six of 96x96 pixels, a tenth of an electron and half an electron of read noise in each, tell a
    gain of one code within 8 %, and no estimate could do better; 32 tell it within 3 %.
    """
    if not frames or frames[0].layout.levels is None or not frames[0].layout.counts_light:
        return False
    line = photon_line([picture_of(frame).planes[0] for frame in _calm_shot(excerpts(frames))])
    return line is not None and line.photons < FEW


def recounted(
    parts: Sequence[Frame], whole: Frame, model: NoiseModel, planes: PlaneNoise
) -> tuple[NoiseModel, PlaneNoise]:
    """The law of few photons and that of the planes by more first frames than `model` and `planes`
    were found by; these where they tell none. parts: see `excerpts`; whole: the first frame."""
    counted = counted_model([picture_of(frame).planes for frame in _calm_shot(parts)], model)
    if counted is None:
        return model, planes
    return _over_all(counted, _counted(planes, counted, whole), parts[0], whole)


def opening_noise(frames: Sequence[Frame], engine: Engine) -> Opening:
    """The noise of a stream's first frames, no two of them alike: PREROLL, or more of few photons.
    It is measured by blind anchors, and held to what adjacent frames differ by; of large frames,
    on four squares of them."""
    return _of_louder_part(_measured(frames, engine), frames, engine)


def _of_louder_part(found: Opening, frames: Sequence[Frame], engine: Engine) -> Opening:
    """What was found, or what a part of the picture holds that is much louder than that. Files that
    a codec wrote hold uneven noise anyway."""
    layout = frames[0].layout
    if layout.counts_light or engine.slack is not STRICT:
        return found
    pairs = pairs_of([picture_of(frame) for frame in frames[:PREROLL]])
    part = louder_part(pairs[len(pairs) // 2], found.planes.models[0]) if pairs else None
    if part is None:
        return found
    there = _opening(excerpts([cut_out(frame, part) for frame in frames]), engine)
    if not there.compared or there.planes.models[0].sigma < found.planes.models[0].sigma:
        return found
    return there._replace(planes=replace(there.planes, uneven=True))


def _measured(frames: Sequence[Frame], engine: Engine) -> Opening:
    """The noise of first frames as if it were the same everywhere."""
    parts = excerpts(frames)
    found = _opening(parts, engine)
    if parts[0] is frames[0]:
        return found
    if not found.compared and len(frames) >= FEWEST_COMPARED:  # the scene moves out of them
        return _opening(frames, engine)
    model, planes = _over_all(found.model, found.planes, parts[0], frames[0])
    free = over_all(found.free, parts[0], frames[0])
    whole = planes.models[0].sigma[0] / max(found.planes.models[0].sigma[0], 1e-9)
    return found._replace(model=model, planes=planes, free=free, whole=max(whole, 1e-9))


def _over_all(
    model: NoiseModel, planes: PlaneNoise, part: Frame, whole: Frame
) -> tuple[NoiseModel, PlaneNoise]:
    """See `over_all`; of a picture and its planes."""
    seen, *of_planes = (over_all(one, part, whole) for one in (model, *planes.models))
    return seen, replace(planes, models=tuple(of_planes))


def _opening(frames: Sequence[Frame], engine: Engine) -> Opening:
    layout = frames[0].layout
    if layout.counts_light:
        shot = _one_shot([picture_of(frame) for frame in frames])
        of_shot = _without_flashes(frames[:shot])
        frames = [*of_shot, *frames[shot:]]
    frames = frames[:PREROLL]
    pictures = [engine.to_tensor(frame) for frame in frames]
    dark, space = layout.levels is not None, None
    if layout.counts_light:
        space = sensor_space(pictures, engine.new_measurer, dark=dark)
    with torch.inference_mode():
        seen = _opening_views(pictures, engine.new_measurer(), space)
    samples = evidence([one for _, one in seen], pictures[0].shape[1], dark=dark)
    free = samples.model()
    compared = free is not None
    if free is None:
        sigma = min(single_frame_sigma(picture) for picture in pictures)
        free = NoiseModel.gaussian(sigma, pictures[0].shape[1])
    anchored = [Anchored(frames[index], one.first, one.second) for index, one in seen]
    clipped = samples.cut_off if compared else layout.full_range
    planes = [picture_of(frame) for frame in frames]
    found = measured_planes(planes, anchored, free, layout, clipped=clipped)
    blocking = None if layout.counts_light else find_blocking([one.luma for one in planes])
    model, held = found.model, found.planes
    if layout.counts_light:
        shown = [picture_of(frame).planes for frame in of_shot]
        counted = counted_model(shown, model)
        if counted is not None:
            model, held = counted, _counted(held, counted, frames[0])
    compression = None if layout.counts_light else compression_of(frames, blocking)
    return Opening(model, held, found.bounds, free, compared, blocking, compression)


def _counted(planes: PlaneNoise, model: NoiseModel, frame: Frame) -> PlaneNoise:
    """The law of a frame's planes where its picture's is known by counting."""
    return replace(PlaneNoise.of(model, frame.layout, clipped=planes.clipped), shares=planes.shares)


def _calm_shot(frames: Sequence[Frame]) -> list[Frame]:
    """Frames up to a cut, without flashes."""
    return _without_flashes(frames[: _one_shot([picture_of(frame) for frame in frames])])


def _without_flashes(frames: Sequence[Frame]) -> list[Frame]:
    """See `without_flashes`."""
    columns = zip(*(frame.planes for frame in frames), strict=True)
    rows = zip(*map(without_flashes, columns), strict=True)
    return [replace(frame, planes=row) for frame, row in zip(frames, rows, strict=True)]


def _one_shot(pictures: Sequence[FramePlanes]) -> int:
    """The number of first frames, up to a cut."""
    looks = [thumbnail(picture.luma) for picture in pictures]
    count = 1
    while count < len(looks) and same_shot(looks[count - 1], looks[count]):
        count += 1
    return count


def measured_planes(
    pictures: Sequence[FramePlanes],
    anchored: Sequence[Anchored],
    model: NoiseModel,
    layout: PlaneLayout,
    *,
    clipped: bool,
) -> Measured:
    """See `measure_planes`; lowered to what adjacent frames allow."""
    found = measure_planes(pairs_of(pictures), anchored, model, layout, clipped=clipped)
    return held_predicted(found, pictures, layout)


def pairs_of(pictures: Sequence[FramePlanes]) -> list[Pair]:
    """Adjacent frames of one shot."""
    looks = [thumbnail(picture.luma) for picture in pictures]
    return [
        Pair(*pair)
        for pair, look in zip(pairwise(pictures), pairwise(looks), strict=True)
        if same_shot(*look)
    ]


def sensor_space(
    pictures: list[Tensor], new_measurer: Callable[[], RgbMethod | None], *, dark: bool
) -> VarianceStabiliser | None:
    """A space to measure sensor values (1, C, H, W) in; None if there is too little to see. dark:
    whether their light may begin above 0."""
    sigma = min(single_frame_sigma(picture) for picture in pictures)
    rough = NoiseModel.gaussian(max(sigma, LEAST_SIGMA), pictures[0].shape[1])
    space = VarianceStabiliser.of(rough, pictures[0].device)
    seen = [one for _, one in _opening_views(pictures[:PREROLL], new_measurer(), space)]
    model = evidence(seen, pictures[0].shape[1], dark=dark).model()
    return None if model is None else VarianceStabiliser.of(model, pictures[0].device)


def _opening_views(
    pictures: list[Tensor], method: RgbMethod | None, space: VarianceStabiliser | None
) -> list[tuple[int, AnchorPair]]:
    """Two of the middle pictures with their places and anchors; none unless the method measures."""
    if method is None:
        return []
    anchors = AnchorPairs(method, space, pictures)
    inner = [view for view in anchors.views() if view.before and view.after]
    chosen = inner[len(inner) // 2 - 1 :][:2] if len(inner) > 1 else inner
    return [(view.centre.index, one) for view in chosen if (one := anchors.pair(view))]


def with_compression(
    model: NoiseModel, planes: PlaneNoise, compression: Compression | None, layout: PlaneLayout
) -> tuple[NoiseModel, PlaneNoise]:
    """Noise, or the errors of compression as white noise where these are stronger."""
    if compression is None or not compression.exceeds(model):
        return model, planes
    errors = NoiseModel.gaussian(compression.sigma, len(model.sigma))
    law = PlaneNoise.of(errors, layout, clipped=planes.clipped)
    found = zip(law.models, planes.models, compression.even, strict=False)
    models = tuple(own if even else error for error, own, even in found)
    return errors, replace(law, models=models)


def stated_model(stated: tuple[tuple[float, float], ...], picture: Tensor) -> NoiseModel:
    """The law that a file states, its sigma as it is on this picture (1, C, H, W)."""
    means = picture.clamp_min(0).mean((0, 2, 3)).tolist()
    gain, read = tuple(g for g, _ in stated), tuple(v**0.5 for _, v in stated)
    sigma = tuple((g * m + v) ** 0.5 for (g, v), m in zip(stated, means, strict=True))
    return NoiseModel(gain, read, sigma)
