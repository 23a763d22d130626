"""OpenCV's non-local means over several frames (Buades et al., IPOL 2011)."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from f2rcli.evaluation.base import Baseline
from f2rcli.evaluation.clips.eight_bit import by_lane, float_frame, refuse_mosaic
from f2rcli.evaluation.result import MethodFacts
from f2rcli.frames import ClipInfo, Codes, Frame
from f2rcli.noise.codec import to_codes
from f2rcli.yuv import to_rgb

LENGTH = 3  # frames; five take longer and gain nothing
STRENGTH = 0.8  # h over sigma, the best on white noise
TEMPLATE, SEARCH = 7, 21  # pixels per side


@dataclass
class NonLocalMeans(Baseline):
    """fastNlMeansDenoisingMulti and its colour form, a `Baseline`."""

    name: str = "opencv-nlm"
    title: str = "OpenCV fastNlMeansDenoisingMulti"

    def available(self) -> str | None:
        if hasattr(cv2, "fastNlMeansDenoisingColoredMulti"):
            return None
        return "this OpenCV was built without its photo module. Install opencv-python-headless."

    def facts(self) -> MethodFacts:
        chosen = {"frames": LENGTH, "template": TEMPLATE, "search": SEARCH}
        return MethodFacts(
            name=self.name, title=self.title, kind="baseline", version=f"OpenCV {cv2.__version__}",
            settings={"h": f"{STRENGTH:g} sigma"} | chosen,
        )  # fmt: skip

    def denoise(
        self, frames: Iterable[Frame], info: ClipInfo, sigma8: float | None
    ) -> Iterator[Frame]:
        """In 8-bit RGB or gray. Without a sigma, that of each lane's first frame is measured.
        Windows shrink at the ends of a clip, so that the frame stays in the middle."""
        refuse_mosaic(info, self.title)
        for sigma, lane in by_lane(frames, sigma8):
            for frame, pictures in _centred(lane):
                yield _frame(_denoised(pictures, STRENGTH * sigma), frame)


def _centred(frames: Iterable[Frame]) -> Iterator[tuple[Frame, list[Codes]]]:
    """Every frame in the middle of its neighbours, with as many before it as after."""
    held: deque[tuple[Frame, Codes]] = deque()
    reach = LENGTH // 2
    for frame in frames:
        held.append((frame, _codes(frame)))
        if len(held) == LENGTH or len(held) == reach + 1:  # the middle one has all its neighbours
            yield _around(held, len(held) - 1 - reach)
        if len(held) == LENGTH:
            held.popleft()
    for index in range(max(0, len(held) - reach), len(held)):
        yield _around(held, index)


def _around(held: deque[tuple[Frame, Codes]], centre: int) -> tuple[Frame, list[Codes]]:
    reach = min(LENGTH // 2, centre, len(held) - 1 - centre)
    pictures = [codes for _, codes in list(held)[centre - reach : centre + reach + 1]]
    return held[centre][0], pictures


def _denoised(pictures: list[Codes], strength: float) -> Codes:
    middle, length = len(pictures) // 2, len(pictures)
    if pictures[0].ndim == 2:
        done = cv2.fastNlMeansDenoisingMulti(
            pictures, middle, length, None, strength, TEMPLATE, SEARCH
        )
    else:
        done = cv2.fastNlMeansDenoisingColoredMulti(
            pictures, middle, length, None, strength, strength, TEMPLATE, SEARCH
        )
    return np.asarray(done, np.uint8)


def _codes(frame: Frame) -> Codes:
    codes = to_codes(to_rgb(frame))
    return codes[0] if len(codes) == 1 else np.ascontiguousarray(codes[::-1].transpose(1, 2, 0))


def _frame(codes: Codes, like: Frame) -> Frame:
    return float_frame([codes] if codes.ndim == 2 else [codes[..., c] for c in (2, 1, 0)], like)


BASELINES: tuple[Baseline, ...] = (NonLocalMeans(),)
