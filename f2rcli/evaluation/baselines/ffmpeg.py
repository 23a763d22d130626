"""FFmpeg's denoising filters, at the strengths that were best on white noise in 8-bit samples.

Non-local means takes 0.6 sigma; bm3d 3.67 sigma, one block per group (more all but disable it);
hqdn3d 1.67 sigma in space and 0.53 sigma in time.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from f2rcli.errors import F2RError
from f2rcli.evaluation import ffmpeg
from f2rcli.evaluation.base import Baseline
from f2rcli.evaluation.clips.eight_bit import by_lane, refuse_mosaic
from f2rcli.evaluation.ffmpeg_filter import filtered
from f2rcli.evaluation.result import MethodFacts
from f2rcli.frames import ClipInfo, Frame

STRONGEST_NLMEANS = 30.0  # the filter's own limit of s


@dataclass
class FFmpegFilter(Baseline):
    """One of FFmpeg's filters, a `Baseline`."""

    name: str
    title: str
    filter: str
    options: Callable[[float], str]  # of sigma in 8-bit units

    def available(self) -> str | None:
        if ffmpeg.program_with(self.filter):
            return None
        return f"no FFmpeg with the filter {self.filter} is installed. {ffmpeg.EXTRA}"

    def facts(self) -> MethodFacts:
        """Settings are shown for a sigma of 10."""
        return MethodFacts(
            name=self.name, title=self.title, kind="baseline",
            version=ffmpeg.version_of(ffmpeg.program_with(self.filter)),
            settings={"at sigma 10": f"{self.filter}={self.options(10.0)}"},
        )  # fmt: skip

    def denoise(
        self, frames: Iterable[Frame], info: ClipInfo, sigma8: float | None
    ) -> Iterator[Frame]:
        """Without a sigma, that of each lane's first frame is measured."""
        refuse_mosaic(info, self.title)
        program = ffmpeg.program_with(self.filter)
        if program is None:
            raise F2RError(f"{self.name}: {self.available()}")
        for sigma, lane in by_lane(frames, sigma8):
            yield from filtered(lane, program, self.filter, self.options(sigma))


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
    FFmpegFilter("ffmpeg-nlmeans", "FFmpeg nlmeans", "nlmeans", nlmeans),
    FFmpegFilter("ffmpeg-bm3d", "FFmpeg bm3d", "bm3d", bm3d),
    FFmpegFilter("ffmpeg-hqdn3d", "FFmpeg hqdn3d", "hqdn3d", hqdn3d),
)
