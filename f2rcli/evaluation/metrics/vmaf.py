"""VMAF, by an FFmpeg that was built with libvmaf."""

import json
import math
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from f2rcli.errors import F2RError
from f2rcli.evaluation.base import ClipFacts, Meter, Metric
from f2rcli.evaluation.ffmpeg import EXTRA, program_with
from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.measures.meters import mean
from f2rcli.evaluation.result import WHOLE, MetricFacts, MetricSeries
from f2rcli.frames import Picture, Space
from f2rcli.noise.codec import to_codes

FACTS = MetricFacts(
    name="vmaf",
    title="VMAF",
    definition="Netflix's VMAF with its default model vmaf_v0.6.1, by FFmpeg's filter libvmaf, on "
    "8-bit 4:2:0 (BT.601, limited range) made of the compared pictures; pooled by the mean. It "
    "was made for compression at full HD, and rewards sharpening and some noise: never to be "
    "read alone.",
)


def missing() -> str | None:
    """Why VMAF cannot be measured here."""
    if program_with("libvmaf") is None:
        return f"vmaf: no FFmpeg with libvmaf is installed. {EXTRA}"
    return None


class _Track:
    """A clip on disk for FFmpeg: FFV1, 4:2:0, frame after frame."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.container: Any = av.open(str(path), "w")
        self.stream: Any = None

    def add(self, picture: Picture) -> None:
        codes = to_codes(picture)
        rgb = np.ascontiguousarray(np.moveaxis(np.broadcast_to(codes, (3, *codes.shape[1:])), 0, 2))
        if self.stream is None:
            self.stream = self.container.add_stream("ffv1", rate=Fraction(25))
            self.stream.height, self.stream.width = (size // 2 * 2 for size in rgb.shape[:2])
            self.stream.pix_fmt = "yuv420p"
        even = np.ascontiguousarray(rgb[: self.stream.height, : self.stream.width])
        frame = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(format="yuv420p")
        self.container.mux(self.stream.encode(frame))

    def close(self) -> None:
        if self.stream is not None:
            self.container.mux(self.stream.encode())
        self.container.close()


class VmafMeter(Meter):
    """Writes both clips to a temporary folder and asks FFmpeg at the end."""

    def __init__(self, facts: MetricFacts, setting: ClipFacts) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="f2r-vmaf-")
        names = ("estimate.mkv", "reference.mkv")
        self.estimate, self.reference = (_Track(Path(self.folder.name) / name) for name in names)
        self.frames = 0

    def add(self, frame_set: FrameSet, estimate: Picture) -> None:
        self.frames += 1
        if frame_set.reference is not None:
            self.estimate.add(estimate)
            self.reference.add(frame_set.reference)

    def finish(self) -> MetricSeries:
        """Raises F2RError with FFmpeg's own last words."""
        with self.folder:
            self.estimate.close()
            self.reference.close()
            if self.reference.stream is None:
                nothing: tuple[float | None, ...] = (None,) * self.frames
                return MetricSeries(metric="vmaf", frames={WHOLE: nothing}, clip={WHOLE: math.nan})
            values = self._ask()
        return MetricSeries(metric="vmaf", frames={WHOLE: values}, clip={WHOLE: mean([*values])})

    def _ask(self) -> tuple[float, ...]:
        program = program_with("libvmaf")
        done = subprocess.run(
            [
                str(program), "-nostdin", "-v", "error",
                "-i", self.estimate.path.name, "-i", self.reference.path.name,
                "-lavfi", "libvmaf=log_fmt=json:log_path=vmaf.json:n_threads=1", "-f", "null", "-",
            ],
            cwd=self.folder.name, capture_output=True, text=True,
        )  # fmt: skip
        log = Path(self.folder.name) / "vmaf.json"
        if done.returncode or not log.exists():
            words = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise F2RError(f"vmaf: FFmpeg failed: {words}", hint="Leave vmaf out of metrics=.")
        frames = json.loads(log.read_text(encoding="utf-8"))["frames"]
        return tuple(float(frame["metrics"]["vmaf"]) for frame in frames)


METRIC = Metric(FACTS, VmafMeter, missing, (Space.RGB, Space.GRAY))
