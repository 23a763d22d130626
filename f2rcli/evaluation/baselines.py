"""Who denoises in an evaluation: f2r's methods, and the denoisers of others that are installed.

Those of others are FFmpeg's filters (nlmeans takes 0.6 sigma; bm3d 3.67 sigma, one block per group:
the best on white noise in 8-bit samples), OpenCV's non-local means over frames, and VapourSynth's
V-BM3D where it is installed.
"""

import importlib
import importlib.metadata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import partial
from itertools import chain, groupby, islice
from math import isnan
from statistics import fmean
from typing import Any, ClassVar, Protocol

import av
import cv2
import numpy as np

from f2rcli.engine.stream import EngineSettings, denoise_stream, load_engine
from f2rcli.errors import F2RError, InputError
from f2rcli.evaluation.frame_set import FRAMES, NoiseLeft
from f2rcli.evaluation.result import WHOLE, MethodFacts
from f2rcli.frames import ClipInfo, Codes, Family, Frame, PlaneLayout
from f2rcli.noise.estimate import single_frame_sigma
from f2rcli.noise.synthesis.law import to_codes
from f2rcli.settings import Setting
from f2rcli.window import windows
from f2rcli.yuv import code_span, to_rgb

LEAVE_OUT = "Leave it out of baselines=."
STRONGEST_NLMEANS = 30.0  # the filter's own limit of s
NLM_FRAMES = 3  # five take longer and gain nothing
NLM_STRENGTH = 0.8  # h over sigma, the best on white noise
NLM_TEMPLATE, NLM_SEARCH = 7, 21  # pixels per side
VBM3D_RADIUS = 2  # frames to either side that blocks are sought in
VBM3D_HELD = 8 * VBM3D_RADIUS + 1  # frames: two passes, each searches and sums on both sides


Frames = Iterable[Frame]
Pictures = Iterable[Codes]


class Contestant(Protocol):
    """A denoiser that takes part: one of f2r's methods, or a baseline."""

    name: str  # the key that results use: "f2r", "ffmpeg-nlmeans"
    optional: ClassVar[bool] = False  # whether the others go on where it fails

    def denoise(self, frames: Frames, info: ClipInfo, sigma8: float | None) -> Iterator[Frame]:
        """Yield one frame for each, in the layout that came in or floats. sigma8: the noise's
        standard deviation in 8-bit units, if known. Raises F2RError for clips it cannot take."""

    def facts(self) -> MethodFacts:
        """Name, title, version, weights and settings; complete once a clip was denoised."""


@dataclass
class MethodContestant(Contestant):
    """One of f2r's methods, run blind by the engine: it does not know the noise that was added."""

    name: str
    settings: EngineSettings
    weights: dict[str, str] = field(default_factory=dict)  # name -> sha256, of every clip
    settled: dict[str, str] = field(default_factory=dict)

    def denoise(self, frames: Frames, info: ClipInfo, sigma8: float | None) -> Iterator[Frame]:
        """Raises F2RError where no weights suit the clip."""
        engine = load_engine(self.settings, info)
        self.weights[engine.weights.name] = engine.weights.sha256
        self.settled = {"device": engine.device, "precision": engine.precision}
        return denoise_stream(frames, info, engine)

    def facts(self) -> MethodFacts:
        chosen = {k: v for k, v in asdict(self.settings).items() if v is not None}
        return MethodFacts(
            name=self.name, title=self.name, kind="method",
            weights=", ".join(self.weights), weights_sha256=", ".join(self.weights.values()),
            settings=chosen | self.settled,
        )  # fmt: skip


@dataclass(kw_only=True)
class Filter(Contestant):
    """A third-party denoiser of 8-bit pictures, (H, W, 3) RGB or (H, W) gray."""

    optional: ClassVar[bool] = True
    name: str
    title: str
    version: str
    settings: Mapping[str, Any]
    # Pictures, sigma in 8-bit units, how many there are if known -> one for each, in order.
    filtered: Callable[[Pictures, float, int | None], Iterator[Codes]]
    missing: str = ""  # why it cannot run here, and what to install, in one line

    def facts(self) -> MethodFacts:
        return MethodFacts(
            name=self.name, title=self.title, kind="baseline", version=self.version,
            settings=self.settings,
        )  # fmt: skip

    def denoise(self, frames: Frames, info: ClipInfo, sigma8: float | None) -> Iterator[Frame]:
        """Without a sigma, each lane's first frames are measured as `noise_left` is, white or not.
        Raises F2RError."""
        if info.layout.family is Family.BAYER:
            raise InputError(f"{info.name}: {self.name} cannot denoise mosaics.", hint=LEAVE_OUT)
        for _, lane in groupby(frames, key=lambda frame: frame.lane):
            first = list(islice(lane, FRAMES))
            waiting: deque[Frame] = deque()
            codes = _codes_of(chain(first, lane), waiting)  # noqa: B031  # goes on
            frames_of_lane = None if info.frames is None else info.frames // len(info.lanes)
            for done in self.filtered(codes, sigma8 or measured_sigma8(first), frames_of_lane):
                yield _frame(done, waiting.popleft())
            if waiting:
                raise F2RError(f"{self.name}: failed, frames are missing.", hint=LEAVE_OUT)


def ffmpeg(filter: str, options: Callable[[float], str]) -> Filter:
    """One of FFmpeg's filters, by the libraries that read and write video here. options: of sigma
    in 8-bit units; they are told for a sigma of 10."""
    known = filter in av.filter.filters_available
    version = ".".join(map(str, av.library_versions["libavfilter"]))
    return Filter(
        name=f"ffmpeg-{filter}", title=f"FFmpeg {filter}", version=f"libavfilter {version}",
        settings={"at sigma 10": f"{filter}={options(10.0)}"},
        filtered=partial(_through_ffmpeg, filter, options),
        missing="" if known else f"PyAV's FFmpeg was built without the filter {filter}.",
    )  # fmt: skip


def _through_ffmpeg(
    filter: str, options: Callable[[float], str], pictures: Pictures, sigma8: float, _: int | None
) -> Iterator[Codes]:
    graph: av.filter.Graph | None = None
    try:
        for picture in pictures:
            kind = "gray" if picture.ndim == 2 else "gbrp"
            frame = av.VideoFrame.from_ndarray(picture, format=kind)
            graph = _graph(frame, filter, options(sigma8)) if graph is None else graph
            graph.vpush(frame)
            yield from _pulled(graph)
        if graph is not None:
            graph.vpush(None)
            yield from _pulled(graph)
    except av.FFmpegError as error:
        raise F2RError(f"ffmpeg-{filter}: failed: {error.strerror}.", hint=LEAVE_OUT) from error


def _graph(like: av.VideoFrame, filter: str, options: str) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=like.width, height=like.height, format=like.format, time_base=Fraction(1, 25)
    )
    graph.link_nodes(source, graph.add(filter, options), graph.add("buffersink")).configure()
    return graph


def _pulled(graph: av.filter.Graph) -> Iterator[Codes]:
    """The pictures that are ready."""
    with suppress(av.BlockingIOError, av.EOFError):
        while True:
            frame = graph.vpull()
            assert isinstance(frame, av.VideoFrame)
            yield np.asarray(frame.to_ndarray(), np.uint8)


def nlmeans(sigma8: float) -> str:
    """Options of nlmeans for noise of this standard deviation."""
    return f"s={min(STRONGEST_NLMEANS, max(1.0, 0.6 * sigma8)):.4g}:p=7:r=15"


def bm3d(sigma8: float) -> str:
    """Options of bm3d; blocks of 16 pixels, which releases before and after 7 write differently."""
    return f"sigma={3.67 * sigma8:.4g}:bstep=2:group=1:estim=basic"


def opencv_nlm() -> Filter:
    """fastNlMeansDenoisingMulti and its colour form (Buades et al., IPOL 2011)."""
    return Filter(
        name="opencv-nlm", title="OpenCV fastNlMeansDenoisingMulti",
        version=f"OpenCV {cv2.__version__}",
        settings={
            "h": f"{NLM_STRENGTH:g} sigma", "frames": NLM_FRAMES, "template": NLM_TEMPLATE,
            "search": NLM_SEARCH,
        },
        filtered=_non_local_means,
    )  # fmt: skip


def _non_local_means(pictures: Pictures, sigma8: float, _: int | None) -> Iterator[Codes]:
    """The first and the last picture see their one neighbour twice."""
    reach, strength = NLM_FRAMES // 2, NLM_STRENGTH * sigma8
    how = (reach, NLM_FRAMES, None, strength)
    for near in (window.around(reach) for window in windows(pictures, NLM_FRAMES)):
        if near[0].ndim == 2:
            done = cv2.fastNlMeansDenoisingMulti(near, *how, NLM_TEMPLATE, NLM_SEARCH)
        else:  # its colour form wants blue first
            blue = [np.ascontiguousarray(picture[..., ::-1]) for picture in near]
            how_coloured = (*how, strength, NLM_TEMPLATE, NLM_SEARCH)
            done = cv2.fastNlMeansDenoisingColoredMulti(blue, *how_coloured)[..., ::-1]
        yield np.asarray(done, np.uint8)


def vapoursynth_vbm3d() -> Filter:
    """V-BM3D (Dabov et al., EUSIPCO 2007) of VapourSynth, its fast profile over five frames."""
    install = "pip install vapoursynth vapoursynth-bm3d"
    version, missing = "", f"VapourSynth with BM3D is not installed: {install}."
    with suppress(ImportError):
        if hasattr(importlib.import_module("vapoursynth").core, "bm3d"):
            version, missing = importlib.metadata.version("vapoursynth-bm3d"), ""
    return Filter(
        name="vapoursynth-vbm3d", title="V-BM3D (VapourSynth)", version=version,
        settings={"profile": "fast", "radius": VBM3D_RADIUS}, filtered=_vbm3d,
        missing=missing,
    )  # fmt: skip


def _vbm3d(pictures: Pictures, sigma8: float, count: int | None) -> Iterator[Codes]:
    """VapourSynth asks for frames by number, a few ahead; one too many is the last again."""
    vs: Any = importlib.import_module("vapoursynth")
    supply = iter(pictures if count else (every := list(pictures)))
    length = count or len(every)
    held = dict(enumerate(islice(supply, 1)))
    if not held:
        return

    def fill(n: int, f: Any) -> Any:
        while n not in held:
            last = max(held)
            held[last + 1] = next(supply, held[last])
            held.pop(last + 1 - VBM3D_HELD, None)
        made = f.copy()
        for place, plane in enumerate(np.atleast_3d(held[n]).transpose(2, 0, 1)):
            np.asarray(made[place])[...] = plane / np.float32(255)
        return made

    (rows, columns), rgb = held[0].shape[:2], held[0].ndim == 3
    core = vs.core
    core.num_threads = 1  # frames are asked for in order
    kind = vs.RGBS if rgb else vs.GRAYS
    clip = core.std.BlankClip(width=columns, height=rows, format=kind, length=length)
    clip = core.std.ModifyFrame(clip, clip, fill)
    clip = core.bm3d.RGB2OPP(clip, sample=1) if rgb else clip
    how = {
        "profile": "fast", "sigma": [sigma8] * (3 if rgb else 1), "radius": VBM3D_RADIUS,
        "matrix": 100 if rgb else 2,
    }  # fmt: skip
    basic = core.bm3d.VAggregate(core.bm3d.VBasic(clip, **how), VBM3D_RADIUS, 1)
    final = core.bm3d.VAggregate(core.bm3d.VFinal(clip, basic, **how), VBM3D_RADIUS, 1)
    for frame in (core.bm3d.OPP2RGB(final, 1) if rgb else final).frames():
        planes = [np.asarray(frame[place]) for place in range(frame.format.num_planes)]
        codes = to_codes(np.stack(planes, -1))
        yield codes if rgb else codes[..., 0]


def _codes_of(frames: Iterable[Frame], waiting: deque[Frame]) -> Iterator[Codes]:
    """Frames as 8-bit pictures, rounded and clipped; they themselves are put in the queue."""
    for frame in frames:
        codes = to_codes(to_rgb(frame))
        waiting.append(frame)
        yield codes[0] if len(codes) == 1 else np.ascontiguousarray(codes.transpose(1, 2, 0))


def _frame(picture: Codes, like: Frame) -> Frame:
    """A frame of an 8-bit picture, in floats: 0..1, or the codes of a stack."""
    planes = [picture] if picture.ndim == 2 else [picture[..., channel] for channel in range(3)]
    family = Family.GRAY if len(planes) == 1 else Family.RGB
    layout = PlaneLayout(family=family, bits=32, levels=like.layout.levels)
    zero, span = (np.float32(number) for number in code_span(layout))
    values = tuple(zero + span * (plane.astype(np.float32) / np.float32(255)) for plane in planes)
    return Frame(
        planes=values, layout=layout, pts=like.pts, duration=like.duration,
        time_base=like.time_base, lane=like.lane,
    )  # fmt: skip


def measured_sigma8(frames: Sequence[Frame]) -> float:
    """The noise of a clip's first frames, mean of the channels, in 8-bit units; where they cannot
    be compared, of the first alone, which takes coarse noise for the scene."""
    left = NoiseLeft()
    for frame in frames:
        left.add(to_rgb(frame))
    found = left.finish().clip[WHOLE]
    return 255 * fmean(map(single_frame_sigma, to_rgb(frames[0]))) if isnan(found) else found


EVERY: dict[str, Callable[[], Filter]] = {
    "ffmpeg-nlmeans": partial(ffmpeg, "nlmeans", nlmeans),
    "ffmpeg-bm3d": partial(ffmpeg, "bm3d", bm3d),
    "opencv-nlm": opencv_nlm,
    "vapoursynth-vbm3d": vapoursynth_vbm3d,
}


def find(names: tuple[str, ...]) -> list[Filter]:
    """The baselines of these names, or of first words of them, each once. Raises UsageError."""
    groups = {name: name.partition("-")[0] for name in EVERY}
    for name in names:
        Setting(choices=[*dict.fromkeys(groups.values()), *EVERY]).check("baselines", name)
    chosen = (one for name in names for one in EVERY if name in (one, groups[one]))
    return [EVERY[one]() for one in dict.fromkeys(chosen)]
