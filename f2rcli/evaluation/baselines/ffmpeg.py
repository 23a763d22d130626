"""FFmpeg's denoising filters, in the strengths that were best on white noise in 8-bit samples.

Non-local means takes 0.6 sigma; bm3d 3.67 sigma, one block per group (more all but disable it);
hqdn3d 1.67 sigma in space and 0.53 sigma in time. PyAV's own filters are used where its build has
them: they give the same samples as the program.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby, islice

import av
import av.filter

from f2rcli.evaluation import ffmpeg
from f2rcli.evaluation.base import Baseline
from f2rcli.evaluation.clips.eight_bit import measured_sigma8, refuse_mosaic
from f2rcli.evaluation.ffmpeg_filter import filtered_by_library, filtered_by_program
from f2rcli.evaluation.result import MethodFacts
from f2rcli.frames import ClipInfo, Frame

STRONGEST_NLMEANS = 30.0  # the filter's own limit of s


@dataclass
class Filter:
    """One of FFmpeg's filters, a `Baseline`."""

    name: str
    title: str
    filter: str
    options: Callable[[float], str]  # of sigma in 8-bit units

    def available(self) -> str | None:
        """See Baseline."""
        if self._in_library() or ffmpeg.program_with(self.filter):
            return None
        return f"no FFmpeg here has the filter {self.filter}. {ffmpeg.EXTRA}"

    def facts(self) -> MethodFacts:
        """See Baseline. Settings are shown for a sigma of 10."""
        return MethodFacts(
            name=self.name,
            title=self.title,
            kind="baseline",
            version=self._version(),
            settings={"at sigma 10": f"{self.filter}={self.options(10.0)}"},
        )

    def denoise(
        self, frames: Iterable[Frame], info: ClipInfo, sigma8: float | None
    ) -> Iterator[Frame]:
        """See Baseline. Without a sigma that of each lane's first frame is measured."""
        refuse_mosaic(info, self.title)
        return self._denoised(frames, sigma8)

    def _denoised(self, frames: Iterable[Frame], sigma8: float | None) -> Iterator[Frame]:
        for _, lane in groupby(frames, key=lambda frame: frame.lane):
            (first,) = islice(lane, 1)
            sigma = measured_sigma8(first) if sigma8 is None else sigma8
            options, whole = self.options(sigma), chain([first], lane)  # noqa: B031  # goes on
            program = None if self._in_library() else ffmpeg.program_with(self.filter)
            if program is None:
                yield from filtered_by_library(whole, self.filter, options)
            else:
                yield from filtered_by_program(whole, program, self.filter, options)

    def _in_library(self) -> bool:
        return self.filter in av.filter.filters_available

    def _version(self) -> str:
        if self._in_library():
            numbers = ".".join(str(n) for n in av.library_versions["libavfilter"])
            return f"libavfilter {numbers} of PyAV {av.__version__}"
        program = ffmpeg.program_with(self.filter)
        return "" if program is None else ffmpeg.version_of(program)


def nlmeans(sigma8: float) -> str:
    """Options of nlmeans for noise of this standard deviation."""
    return f"s={min(STRONGEST_NLMEANS, max(1.0, 0.6 * sigma8)):.4g}:p=7:r=15"


def bm3d(sigma8: float) -> str:
    """Options of bm3d; blocks of 16 pixels, which releases before and after 7 write differently."""
    return f"sigma={3.67 * sigma8:.4g}:bstep=2:group=1:estim=basic"


def hqdn3d(sigma8: float) -> str:
    """Options of hqdn3d: luma and chroma in space, luma and chroma in time."""
    space, time = min(255.0, 5 / 3 * sigma8), min(255.0, 16 / 30 * sigma8)
    return f"{space:.4g}:{space:.4g}:{time:.4g}:{time:.4g}"


BASELINES: tuple[Baseline, ...] = (
    Filter("ffmpeg-nlmeans", "FFmpeg nlmeans", "nlmeans", nlmeans),
    Filter("ffmpeg-bm3d", "FFmpeg bm3d", "bm3d", bm3d),
    Filter("ffmpeg-hqdn3d", "FFmpeg hqdn3d", "hqdn3d", hqdn3d),
)
