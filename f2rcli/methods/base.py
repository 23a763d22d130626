"""The engine's contract with a method."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

from f2rcli.frames import PlaneLayout
from f2rcli.models.flow import Flow
from f2rcli.models.recorded import Graphs
from f2rcli.noise.model import PlaneNoise
from f2rcli.weights import Weights
from f2rcli.window import Window

# Runs a network on pictures of any size: pads to its stride, cuts into tiles, casts, moves. The
# network says two things for that: `stride`, of which height and width must be multiples, and
# `reach`, how many pixels beyond its own a result depends on.
Run = Callable[..., Any]

# Gives a flow (1, H, W, 2) in a frame's own pixels, large as it is, once it is wanted.
LazyFlow = Callable[[], Flow]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Data made once per frame and shared by every window the frame is in."""

    index: int  # place in the clip, duplicates not counted
    noisy: Tensor  # (1, C, h, w) float32, packed planes or channels, on the method's device
    coarse: Tensor  # the same shape: the single-frame estimate; `noisy` where there is none
    look: Tensor  # (1, 1, H / 2, W / 2): brightness of `coarse`, for motion and cuts
    kept: Tensor | None = None  # what else the method needs of the frame


class Method(Protocol):
    """Networks with the steps that make them a denoiser. One instance serves one clip. Pictures are
    packed planes (f2rcli.planes); methods of RGB pictures are `rgb.RgbMethod`s."""

    name: ClassVar[str]
    # Whether a result depends on the noise's level so much that a user should hear of it where
    # it was estimated.
    wants_sigma: ClassVar[bool] = False

    length: int  # frames per window, centre included; 1 for a single-frame method
    stride: int = 1  # cells that height and width of pictures are to be multiples of
    activation_bytes: int  # memory while networks run, per pixel of what runs at once
    networks: nn.Module  # all of them, to be moved to a device

    @classmethod
    def from_weights(cls, weights: Weights, run: Run, source: PlaneLayout) -> "Method":
        """Build and fill the networks of a header, for pictures of such planes. Raises WeightsError
        if tensors do not fit it."""

    def prepare(self, index: int, noisy: Tensor, told: PlaneNoise) -> Prepared:
        """Prepare a frame by itself; called in order, and again for the last
        few frames where the noise turns out to be another."""

    def restore(self, window: Window[Prepared], told: PlaneNoise) -> Tensor:
        """The centre of a window restored, as a frame's `Prepared.noisy`."""

    def motion(self, centre: Prepared, neighbour: Prepared) -> LazyFlow | None:
        """A function that gives the flow from a centre into an adjacent frame, if known."""
        return None

    def stay_on_device(self, graphs: Graphs) -> None:
        """Keep everything on the device, and record it, if possible; before the first frame."""
        return

    # What results depend on beyond the window; most methods remember nothing.

    def remembered(self) -> tuple[int | None, dict[str, Tensor]]:
        """The place that it remembers up to, and what, for `recall`."""
        return None, {}

    def recall(self, view: Window[Prepared], place: int | None, kept: dict[str, Tensor]) -> None:
        """Remember what was `remembered` after this window was restored."""
        return

    def forget_from(self, index: int) -> None:
        """Drop what is known of this frame and of later ones: they are prepared anew."""
        return

    def forget(self) -> None:
        """Drop everything: a new clip's frames may have the indices of this one's."""
        self.forget_from(0)


@runtime_checkable
class Following(Protocol):
    """A method that restores in two steps; `restore` is both."""

    def follow(self, window: Window[Prepared], told: PlaneNoise) -> Any:
        """A window's motion and past; called in the order of frames."""

    def finish(self, window: Window[Prepared], told: PlaneNoise, followed: Any) -> Tensor:
        """Restore the centre. It keeps nothing, and may run while a later window is followed."""
