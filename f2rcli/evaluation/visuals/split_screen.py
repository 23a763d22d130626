"""Comparison videos: noisy, denoised and clean side by side, in step.

Written by the same writer as every other video, at high quality, in 4:2:0 as every player takes
it. Every panel has its name above it, never over the picture.
"""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np

from f2rcli import yuv
from f2rcli.errors import UsageError
from f2rcli.evaluation.base import ClipFacts, Observer
from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.result import NOISY, ClipResult
from f2rcli.evaluation.visuals.images import in_colour
from f2rcli.frames import ClipInfo, Family, Frame, Matrix, Mosaic, Picture, PlaneLayout
from f2rcli.io import Reader, WriteOptions, Writer, open_writer, plan_output
from f2rcli.io.disk_errors import disk_error
from f2rcli.io.video.colour import LIMITED, ColourTags
from f2rcli.io.video.source import SourceMetadata
from f2rcli.io.ledger import Ledger

SUFFIXES = (".mp4", ".mkv", ".mov")
CRF = 12.0  # of x264: hardly any loss to be seen
TICKS = 90_000  # per second
RATE = 25.0  # frames per second of clips that have no times, as stacks and folders
ROW = 3  # panels up to which they stand in one row
LARGEST = (4320, 7680)  # rows and columns of the whole screen; larger ones are reduced
GAP = 4  # pixels between panels
HEAD = 36  # rows for the names above them
FONT = cv2.FONT_HERSHEY_SIMPLEX
LAYOUT = PlaneLayout(
    family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False, matrix=Matrix.BT709
)
TAGS = ColourTags(primaries=1, transfer=1, matrix=1, range=LIMITED, chroma_location="left")


class _Screen:
    """The layout of the panels, and the frames they make together."""

    def __init__(self, panel: tuple[int, int], labels: list[str]) -> None:
        """panel: rows and columns of a picture."""
        count = len(labels)
        self.across = count if count <= ROW else math.ceil(count**0.5)
        self.down = math.ceil(count / self.across)
        self.factor = next(f for f in itertools.count(1) if self._fits(panel, f))
        self.panel = (max(1, panel[0] // self.factor), max(1, panel[1] // self.factor))
        self.head = HEAD if self.panel[1] >= 200 else HEAD // 2 + 4
        self.size = self._size(self.panel, self.head)
        self.labels = labels
        self.paper = self._labelled()
        luma = np.full(self.size, 16, np.uint8)
        chroma = np.full((self.size[0] // 2, self.size[1] // 2), 128, np.uint8)
        self.black = Frame(
            planes=(luma, chroma, chroma), layout=LAYOUT, time_base=Fraction(1, TICKS)
        )

    def _size(self, panel: tuple[int, int], head: int) -> tuple[int, int]:
        rows = self.down * (panel[0] + head)
        columns = self.across * (panel[1] + GAP) - GAP
        return rows + rows % 2, columns + columns % 2

    def _fits(self, panel: tuple[int, int], factor: int) -> bool:
        size = self._size((panel[0] // factor, panel[1] // factor), HEAD)
        return size[0] <= LARGEST[0] and size[1] <= LARGEST[1]

    def _corner(self, place: int) -> tuple[int, int]:
        """Row and column where a panel's picture begins."""
        row, column = divmod(place, self.across)
        top = row * (self.panel[0] + self.head) + self.head
        return top, column * (self.panel[1] + GAP)

    def _labelled(self) -> Picture:
        """The empty screen (3, H, W) with the names."""
        paper = np.full((*self.size, 3), 24, np.uint8)
        for place, label in enumerate(self.labels):
            top, left = self._corner(place)
            text = label.encode("ascii", "replace").decode()
            if self.factor > 1:
                text += f" (1/{self.factor})"
            size = 0.6 * self.head / HEAD
            while text and cv2.getTextSize(text, FONT, size, 1)[0][0] > self.panel[1] - 8:
                text = text[:-1]
            at = (left + 4, top - self.head // 3)
            cv2.putText(paper, text, at, FONT, size, (235, 235, 235), 1, cv2.LINE_AA)
        return np.ascontiguousarray(paper.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)

    def frame(self, pictures: Iterable[Picture | None], pts: int) -> Frame:
        """The screen with its pictures (3, H, W), in the order of the labels; None stays dark."""
        canvas = self.paper.copy()
        for place, picture in enumerate(pictures):
            if picture is None:
                continue
            top, left = self._corner(place)
            shown = self._reduced(picture)
            rows, columns = shown.shape[1:]
            canvas[:, top : top + rows, left : left + columns] = np.clip(shown, 0, 1)
        planes = yuv.add_residual(self.black, canvas)
        return replace(self.black, planes=planes, pts=pts)

    def _reduced(self, picture: Picture) -> Picture:
        if self.factor == 1:
            return picture
        size = (self.panel[1], self.panel[0])
        small = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in picture]
        return np.stack(small).astype(np.float32, copy=False)


class _ScreenReader(Reader):
    """A reader without a file: the facts that a writer needs about the screen's frames."""

    def __init__(self, name: str, size: tuple[int, int], rate: Fraction) -> None:
        self.info = ClipInfo(
            name=name, width=size[1], height=size[0], layout=LAYOUT, frames=None, duration=None,
            rate=rate, time_base=Fraction(1, TICKS),
        )  # fmt: skip
        self.ledger = Ledger()
        self.metadata = SourceMetadata(family="h264", pix_fmt="yuv420p", colour=TAGS)

    def __iter__(self) -> Iterator[Frame]:
        return iter(())

    def describe(self) -> list[dict[str, Any]]:
        """An empty description: there is no file."""
        return []

    def paths(self) -> list[Path]:
        """No file is read here."""
        return []

    def close(self) -> None:
        """Nothing is open."""


class SplitScreen(Observer):
    """Writes a comparison video per clip. As a context manager it removes unfinished ones."""

    def __init__(self, target: Path, *, clips: int = 1, overwrite: bool = False) -> None:
        """target: the video; of several clips each gets its own, NAME-clip.mp4, or clip.mp4 in
        `target` where that is a folder or has no suffix. Raises UsageError for a suffix that is
        no video's."""
        folder = target.is_dir() or not target.suffix
        if not folder and target.suffix.lower() not in SUFFIXES:
            raise UsageError(
                f"compare_video={target.name!r}: not a supported video format.",
                hint=f"Name a file that ends in {', '.join(SUFFIXES)}.",
            )
        self.target, self.overwrite = target, overwrite
        self.folder, self.alone = folder, clips == 1 and not folder
        self.paths: list[Path] = []  # of the videos that are complete
        self.names: list[str] = []
        self.rate = RATE
        self.methods: tuple[str, ...] = ()
        self._writer: Writer | None = None
        self._held: Frame | None = None  # until it is known how long it is shown
        self._screen: _Screen | None = None
        self._start = 0  # ticks of the first frame's own time
        self.mosaic: Mosaic | None = None

    def begin(self, name: str, setting: ClipFacts, methods: tuple[str, ...]) -> None:
        self.mosaic = setting.mosaic
        self.path = self.target if self.alone else self._beside(name)
        self.rate = setting.rate or RATE
        self.methods = tuple(method for method in methods if method != NOISY)

    def _beside(self, name: str) -> Path:
        plain = re.sub(r"[^\w.-]+", "_", name).strip("._") or "clip"
        self.names.append(plain)
        again = self.names.count(plain)
        name = f"{plain}-{again}" if again > 1 else plain
        if self.folder:
            try:
                self.target.mkdir(exist_ok=True)
            except OSError as error:
                raise disk_error(self.target, error) from error
            return self.target / f"{name}{SUFFIXES[0]}"
        return self.target.with_name(f"{self.target.stem}-{name}{self.target.suffix}")

    def see(self, frame_set: FrameSet, estimates: Mapping[str, Picture]) -> None:
        """A method that stopped early leaves black."""
        panels: dict[str, Picture | None] = {}
        if frame_set.noisy is not None:
            panels["noisy"] = frame_set.noisy
        panels |= {name: estimates.get(name) for name in self.methods}
        if frame_set.reference is not None:
            panels["reference"] = frame_set.reference
        if self._screen is None:
            self._screen = self._open(panels)
        shown = [None if p is None else in_colour(p, self.mosaic) for p in panels.values()]
        self._pass_on(self._screen.frame(shown, self._place(frame_set)))

    def _place(self, frame_set: FrameSet) -> int:
        """When a frame begins, in ticks from the first: its own time, as long as that goes on."""
        seconds = frame_set.index / self.rate if frame_set.seconds is None else frame_set.seconds
        ticks = round(seconds * TICKS)
        before = None if self._held is None else self._held.pts
        if before is None:
            self._start = ticks
        elif ticks - self._start <= before:  # the next lane of a stack begins at its own zero
            self._start = ticks - before - round(TICKS / self.rate)
        return ticks - self._start

    def _open(self, panels: Mapping[str, Picture | None]) -> _Screen:
        some = next(picture for picture in panels.values() if picture is not None)
        screen = _Screen((some.shape[1], some.shape[2]), list(panels))
        rate = Fraction(self.rate).limit_denominator(1001)
        reader = _ScreenReader(self.path.name, screen.size, rate)
        options = WriteOptions(codec="h264", crf=CRF, overwrite=self.overwrite)
        self._writer = open_writer(reader, plan_output(reader, self.path, options))
        return screen

    def _pass_on(self, frame: Frame | None) -> None:
        """Write the frame before: it lasts until this one begins, the last as the rate says."""
        held, self._held = self._held, frame
        if held is None or self._writer is None:
            return
        lasts = round(TICKS / self.rate)
        if frame is not None and frame.pts is not None and held.pts is not None:
            lasts = max(1, frame.pts - held.pts)
        self._writer.write(replace(held, duration=lasts))

    def end(self, result: ClipResult) -> None:
        """Finish the clip's video, verify it and put it at its place."""
        if self._writer is None:
            return
        self._pass_on(None)
        self._writer.finish()
        self.paths.append(self.path)
        self._let_go()

    def _let_go(self) -> None:
        if self._writer is not None:
            self._writer.abandon()  # nothing, after it has finished
        self._writer, self._screen, self._held = None, None, None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go()
