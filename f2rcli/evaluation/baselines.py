"""Who denoises in an evaluation: f2r's methods, and the denoisers of others that are installed.

Those of others are FFmpeg's filters (nlmeans takes 0.6 sigma; bm3d 3.67 sigma, one block per group:
the best on white noise in 8-bit samples), OpenCV's
non-local means over frames.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from itertools import chain, groupby
from typing import TypeVar

import av
import cv2
import numpy as np

from f2rcli.engine.stream import EngineSettings, denoise_stream, load_engine
from f2rcli.errors import F2RError, InputError
from f2rcli.evaluation.base import Baseline, Contestant
from f2rcli.evaluation.plan import BASELINES
from f2rcli.evaluation.result import MethodFacts
from f2rcli.frames import ClipInfo, Codes, Family, Frame, PlaneLayout
from f2rcli.noise.synthesis.codec import to_codes
from f2rcli.settings import check_choice
from f2rcli.yuv import code_span, to_rgb

T = TypeVar("T")

SUBSAMPLED = {(0, 0): "yuv444p", (1, 0): "yuv422p", (1, 1): "yuv420p"}
LEAVE_OUT = "Leave it out of baselines=."
STRONGEST_NLMEANS = 30.0  # the filter's own limit of s
NLM_FRAMES = 3  # five take longer and gain nothing
NLM_STRENGTH = 0.8  # h over sigma, the best on white noise
NLM_TEMPLATE, NLM_SEARCH = 7, 21  # pixels per side


@dataclass
class MethodContestant(Contestant):
    """One of f2r's methods, run blind by the engine: it does not know the noise that was added."""

    name: str
    settings: EngineSettings
    weights: dict[str, str] = field(default_factory=dict)  # name -> sha256, of every clip
    settled: dict[str, str] = field(default_factory=dict)

    def denoise(
        self, frames: Iterable[Frame], info: ClipInfo, sigma8: float | None
    ) -> Iterator[Frame]:
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


@dataclass
class Stopwatch:
    """Times an iterator, without the time that its own input takes."""

    seconds: float = 0.0

    def source(self, items: Iterable[T]) -> Iterator[T]:
        """The items; the time it takes to get them does not count."""
        iterator = iter(items)
        while True:
            began = time.perf_counter()
            item = next(iterator, None)
            self.seconds -= time.perf_counter() - began
            if item is None:
                return
            yield item

    def draw(self, items: Iterator[T]) -> T | None:
        """The next item, or None at the end; the time it takes counts."""
        began = time.perf_counter()
        item = next(items, None)
        self.seconds += time.perf_counter() - began
        return item


@dataclass(frozen=True, slots=True)
class EightBitPlanes:
    """A picture's planes, in FFmpeg's order for `pix_fmt`."""

    planes: tuple[Codes, ...]
    pix_fmt: str  # yuv4xxp, gray or gbrp


@dataclass
class FFmpegFilter(Baseline):
    """One of FFmpeg's filters, by the libraries that read and write video here."""

    name: str
    filter: str
    options: Callable[[float], str]  # of sigma in 8-bit units

    def available(self) -> str | None:
        if self.filter in av.filter.filters_available:
            return None
        return f"PyAV's FFmpeg was built without the filter {self.filter}."

    def facts(self) -> MethodFacts:
        """Settings are shown for a sigma of 10."""
        version = ".".join(map(str, av.library_versions["libavfilter"]))
        return MethodFacts(
            name=self.name, title=f"FFmpeg {self.filter}", kind="baseline",
            version=f"libavfilter {version}",
            settings={"at sigma 10": f"{self.filter}={self.options(10.0)}"},
        )  # fmt: skip

    def denoise(
        self, frames: Iterable[Frame], info: ClipInfo, sigma8: float | None
    ) -> Iterator[Frame]:
        """Without a sigma, that of each lane's first frame is measured."""
        refuse_mosaic(info, self.name)
        for sigma, lane in by_lane(frames, sigma8):
            yield from _filtered(lane, self.filter, self.options(sigma))


def _filtered(frames: Iterable[Frame], name: str, options: str) -> Iterator[Frame]:
    """Every frame through a filter that gives one for one. Raises F2RError."""
    waiting: deque[Frame] = deque()
    graph: av.filter.Graph | None = None
    try:
        for frame in frames:
            plain = to_eight_bit(frame)
            graph = _graph(plain, name, options) if graph is None else graph
            waiting.append(frame)
            graph.vpush(_video_frame(plain))
            for done in _pulled(graph):
                yield from_eight_bit(done, waiting.popleft())
        if graph is not None:
            graph.vpush(None)
            for done in _pulled(graph):
                yield from_eight_bit(done, waiting.popleft())
    except av.FFmpegError as error:
        raise F2RError(f"FFmpeg's {name} failed: {error.strerror}.", hint=LEAVE_OUT) from error
    if waiting:
        raise F2RError(f"FFmpeg's {name} failed: frames are missing.", hint=LEAVE_OUT)


def _graph(like: EightBitPlanes, name: str, options: str) -> av.filter.Graph:
    height, width = like.planes[0].shape
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=width, height=height, format=av.VideoFormat(like.pix_fmt), time_base=Fraction(1, 25)
    )
    graph.link_nodes(source, graph.add(name, options), graph.add("buffersink")).configure()
    return graph


def _pulled(graph: av.filter.Graph) -> Iterator[EightBitPlanes]:
    """The frames that are ready."""
    with suppress(av.BlockingIOError, av.EOFError):
        while True:
            frame = graph.vpull()
            assert isinstance(frame, av.VideoFrame)
            planes = [
                np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)
                for plane in frame.planes
            ]
            cut = (p[:, : plane.width] for p, plane in zip(planes, frame.planes, strict=True))
            yield EightBitPlanes(tuple(map(np.ascontiguousarray, cut)), frame.format.name)


def _video_frame(plain: EightBitPlanes) -> av.VideoFrame:
    height, width = plain.planes[0].shape
    frame = av.VideoFrame(width, height, plain.pix_fmt)
    for plane, codes in zip(frame.planes, plain.planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, : plane.width] = codes
        plane.update(rows.tobytes())
    return frame


def nlmeans(sigma8: float) -> str:
    """Options of nlmeans for noise of this standard deviation."""
    return f"s={min(STRONGEST_NLMEANS, max(1.0, 0.6 * sigma8)):.4g}:p=7:r=15"


def bm3d(sigma8: float) -> str:
    """Options of bm3d; blocks of 16 pixels, which releases before and after 7 write differently."""
    return f"sigma={3.67 * sigma8:.4g}:bstep=2:group=1:estim=basic"


@dataclass
class OpenCVNonLocalMeans(Baseline):
    """fastNlMeansDenoisingMulti and its colour form (Buades et al., IPOL 2011)."""

    name: str = "opencv-nlm"

    def available(self) -> str | None:
        if hasattr(cv2, "fastNlMeansDenoisingColoredMulti"):
            return None
        return "this OpenCV was built without its photo module. Install opencv-python-headless."

    def facts(self) -> MethodFacts:
        return MethodFacts(
            name=self.name, title="OpenCV fastNlMeansDenoisingMulti", kind="baseline",
            version=f"OpenCV {cv2.__version__}",
            settings={
                "h": f"{NLM_STRENGTH:g} sigma", "frames": NLM_FRAMES, "template": NLM_TEMPLATE,
                "search": NLM_SEARCH,
            },
        )  # fmt: skip

    def denoise(
        self, frames: Iterable[Frame], info: ClipInfo, sigma8: float | None
    ) -> Iterator[Frame]:
        """In 8-bit RGB or gray. Without a sigma, that of each lane's first frame is measured.
        Windows shrink at the ends of a clip, so that the frame stays in the middle."""
        refuse_mosaic(info, self.name)
        for sigma, lane in by_lane(frames, sigma8):
            for frame, pictures in _centred(lane):
                codes = _denoised(pictures, NLM_STRENGTH * sigma)
                planes = [codes] if codes.ndim == 2 else [codes[..., c] for c in (2, 1, 0)]
                yield float_frame(planes, frame)


def _centred(frames: Iterable[Frame]) -> Iterator[tuple[Frame, list[Codes]]]:
    """Every frame in the middle of its neighbours, with as many before it as after."""
    held: deque[tuple[Frame, Codes]] = deque()
    reach = NLM_FRAMES // 2
    for frame in frames:
        held.append((frame, _codes(frame)))
        if len(held) == NLM_FRAMES or len(held) == reach + 1:  # the middle one has its neighbours
            yield _around(held, len(held) - 1 - reach)
        if len(held) == NLM_FRAMES:
            held.popleft()
    for index in range(max(0, len(held) - reach), len(held)):
        yield _around(held, index)


def _around(held: deque[tuple[Frame, Codes]], centre: int) -> tuple[Frame, list[Codes]]:
    reach = min(NLM_FRAMES // 2, centre, len(held) - 1 - centre)
    pictures = [codes for _, codes in list(held)[centre - reach : centre + reach + 1]]
    return held[centre][0], pictures


def _denoised(pictures: list[Codes], strength: float) -> Codes:
    middle, length = len(pictures) // 2, len(pictures)
    sizes = (NLM_TEMPLATE, NLM_SEARCH)
    if pictures[0].ndim == 2:
        done = cv2.fastNlMeansDenoisingMulti(pictures, middle, length, None, strength, *sizes)
    else:
        done = cv2.fastNlMeansDenoisingColoredMulti(
            pictures, middle, length, None, strength, strength, *sizes
        )
    return np.asarray(done, np.uint8)


def _codes(frame: Frame) -> Codes:
    codes = to_codes(to_rgb(frame))
    return codes[0] if len(codes) == 1 else np.ascontiguousarray(codes[::-1].transpose(1, 2, 0))


def refuse_mosaic(info: ClipInfo, who: str) -> None:
    """Raise InputError for mosaics, which third-party denoisers cannot take."""
    if info.layout.family is Family.BAYER:
        raise InputError(
            f"{info.name}: {who} cannot denoise mosaics.", hint="Leave it out of baselines=."
        )


def to_eight_bit(frame: Frame) -> EightBitPlanes:
    """The frame's own planes if 8-bit Y'CbCr or gray, else 8-bit RGB or gray, rounded, clipped."""
    layout = frame.layout
    if _own(layout):
        planes = tuple(
            np.ascontiguousarray(plane) for plane in frame.planes[: layout.colour_planes]
        )
        name = "gray" if len(planes) == 1 else SUBSAMPLED[layout.log2_chroma]
        return EightBitPlanes(planes, name)
    codes = to_codes(to_rgb(frame))
    if len(codes) == 1:
        return EightBitPlanes((codes[0],), "gray")
    red, green, blue = codes
    return EightBitPlanes((green, blue, red), "gbrp")


def from_eight_bit(plain: EightBitPlanes, like: Frame) -> Frame:
    """The frame with these planes: in its own layout if `to_eight_bit` kept it, else in floats."""
    if _own(like.layout):
        return replace(like, planes=plain.planes + like.planes[like.layout.colour_planes :])
    order = (0,) if plain.pix_fmt == "gray" else (2, 0, 1)
    return float_frame([plain.planes[i] for i in order], like)


def float_frame(planes: Sequence[Codes], like: Frame) -> Frame:
    """A frame of gray or RGB planes of 8 bits, in floats: 0..1, or the codes of a stack."""
    family = Family.GRAY if len(planes) == 1 else Family.RGB
    layout = PlaneLayout(family=family, bits=32, levels=like.layout.levels)
    zero, span = (np.float32(number) for number in code_span(layout, chroma=False))
    values = tuple(zero + span * (plane.astype(np.float32) / np.float32(255)) for plane in planes)
    return Frame(
        planes=values, layout=layout, pts=like.pts, duration=like.duration,
        time_base=like.time_base, lane=like.lane,
    )  # fmt: skip


def by_lane(
    frames: Iterable[Frame], sigma8: float | None
) -> Iterator[tuple[float, Iterator[Frame]]]:
    """Each lane's frames and noise sigma in 8-bit units, roughly of the first one if not given."""
    for _, lane in groupby(frames, key=lambda frame: frame.lane):
        first = next(lane)
        yield sigma8 or _rough_sigma8(first), chain([first], lane)  # noqa: B031  # goes on


def _rough_sigma8(frame: Frame) -> float:
    """The noise of a frame by itself: the median of its finest diagonal wavelet coefficients
    (Donoho and Johnstone, 1994), mean of the channels."""
    picture = 255 * to_rgb(frame)
    even, odd = (picture[:, part:-1:2, : picture.shape[2] // 2 * 2] for part in (0, 1))
    apart = even[:, : odd.shape[1]] - odd[:, : even.shape[1]]
    finest = (apart[..., ::2] - apart[..., 1::2]) / 2
    return float(np.mean(np.median(np.abs(finest), axis=(1, 2))) / 0.6745)


def _own(layout: PlaneLayout) -> bool:
    if layout.bits != 8 or layout.levels is not None:
        return False
    return layout.family is Family.GRAY or (
        layout.family is Family.YUV and layout.log2_chroma in SUBSAMPLED
    )


def find(names: tuple[str, ...]) -> list[Baseline]:
    """The baselines of these names and groups (ffmpeg, opencv), each once. Raises UsageError for
    unknown names."""
    chosen: dict[str, Baseline] = {}
    for name in names:
        check_choice("baselines", name, [*BASELINES])
        chosen |= {one: _made(one) for one in BASELINES[name]}
    return list(chosen.values())


def _made(name: str) -> Baseline:
    if name == "opencv-nlm":
        return OpenCVNonLocalMeans()
    options = {"nlmeans": nlmeans, "bm3d": bm3d}
    wanted = name.removeprefix("ffmpeg-")
    return FFmpegFilter(name, wanted, options[wanted])
