"""The widget: choose a layer and a strength, look at the frame on screen, run, look at the rest.

Runs go in a thread of their own; the window asks them how far they are.
"""

from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any

import numpy as np
from magicgui import widgets
from napari.layers import Image
from napari.qt.threading import create_worker
from qtpy.QtCore import QTimer

from f2rcli.errors import CancelledError, F2RError
from f2rcli.napari import runs

LOOK = 100  # milliseconds between looks at a run's progress
PREVIEW = "f2r preview"


class DenoisePanel(widgets.Container):
    """The panel beside the viewer."""

    def __init__(self, napari_viewer: Any) -> None:
        self._viewer = napari_viewer
        self.layer = widgets.create_widget(label="layer", annotation=Image)
        self.axes = widgets.LineEdit(
            label="axes",
            tooltip="A letter per axis: T time, Z depth, C channel, Y rows, X columns, S colours.",
        )
        self.strength = widgets.FloatSlider(
            label="strength", value=1.0, min=0.0, max=4.0,
            tooltip="1 removes the measured noise, less keeps grain.",
        )  # fmt: skip
        self.difference = widgets.CheckBox(label="difference layer", value=True)
        self.preview = widgets.PushButton(text="Preview this frame")
        self.start = widgets.PushButton(text="Denoise")
        self.cancel = widgets.PushButton(text="Cancel", enabled=False)
        self.bar = widgets.ProgressBar(value=0, max=1)
        self.noise = widgets.Label(value="")
        self.noise.native.setWordWrap(True)  # a law or a note is longer than the panel is wide
        super().__init__(
            widgets=[self.layer, self.axes, self.strength, self.difference, self.preview,
                     self.start, self.cancel, self.bar, self.noise],
        )  # fmt: skip
        self._stop, self._progress = Event(), (1, 0)
        self.worker: Any = None  # while a run goes on
        self._timer = QTimer(interval=LOOK, timeout=self._look)
        self.native.destroyed.connect(lambda: self._stop.set())
        self.layer.changed.connect(self._propose)
        self.preview.clicked.connect(self.show_preview)
        self.start.clicked.connect(self.denoise)
        self.cancel.clicked.connect(lambda: self._stop.set())
        self._propose()

    def show_preview(self) -> None:
        """Restore the frame on screen, into a layer that the next preview replaces."""
        self._begin(self._preview, self._show_preview)

    def denoise(self) -> None:
        """Restore the whole layer into a new one."""
        self._begin(lambda layer: runs.restored, self._show)

    def _propose(self) -> None:
        layer = self.layer.value
        if layer is not None:
            labels = [str(label) for label in layer.axis_labels]
            self.axes.value = runs.axes_of(layer.data.shape, labels, colour=layer.rgb)

    def _preview(self, layer: Any) -> Callable[..., Any]:
        shown = layer.world_to_data(self._viewer.dims.point[-layer.ndim :])
        sizes = layer.data.shape[: layer.ndim]
        at = [min(max(0, round(v)), n - 1) for v, n in zip(shown, sizes, strict=True)]
        return partial(runs.preview, shown=at)

    def _begin(
        self, run_of: Callable[[Any], Callable[..., Any]], show: Callable[..., None]
    ) -> None:
        """Run what a layer asks for, and show its result."""
        layer = self.layer.value
        if layer is None or layer.multiscale:
            self.noise.value = "Choose an image layer without several scales."
            return
        self._stop, self._progress = Event(), (1, 0)
        work = partial(
            run_of(layer), layer.data, self.axes.value, strength=self.strength.value,
            progress=self._count, cancel=self._stop.is_set,
        )  # fmt: skip
        self._busy(True)
        self.worker = create_worker(_outcome, work, _start_thread=False)
        self.worker.returned.connect(lambda done: self._end(done, partial(show, layer)))
        self.worker.errored.connect(lambda error: self._busy(False))  # napari shows it
        self.worker.start()

    def _end(self, done: Any, show: Callable[[Any], None]) -> None:
        self._busy(False)
        if isinstance(done, str):
            self.noise.value = done
            return
        clean, report = done
        show(clean)
        laws = [str(noise) for noise in report.noise] or ["noise: not measured"]
        self.noise.value = "\n".join([*laws, *report.notes])

    def _show(self, layer: Any, clean: Any) -> None:
        kept = _looks(layer)
        self._viewer.add_image(clean, name=f"{layer.name} denoised", **kept)
        if not self.difference.value:
            return
        change = runs.difference(layer.data, clean, colour=layer.rgb)
        middle = np.asarray(change[tuple(n // 2 for n in change.shape[:-2])])  # a picture
        plain = {name: kept[name] for name in _PLACED}
        self._viewer.add_image(
            change, name=f"{layer.name} difference", contrast_limits=runs.levels_of(middle),
            visible=False, **plain,
        )  # fmt: skip

    def _show_preview(self, layer: Any, clean: Any) -> None:
        if PREVIEW in self._viewer.layers:
            self._viewer.layers.remove(PREVIEW)
        kept = _looks(layer)
        kept |= {name: kept[name][-2:] for name in _ALONG}
        shear = kept["shear"]  # the upper triangle, or a matrix
        shear = shear[-1:] if shear.ndim == 1 else shear[-2:, -2:]
        kept |= {"rotate": kept["rotate"][-2:, -2:], "shear": shear,
                 "affine": kept["affine"].set_slice([layer.ndim - 2, layer.ndim - 1])}  # fmt: skip
        self._viewer.add_image(clean, name=PREVIEW, **kept)
        self.layer.value = layer

    def _count(self, done: int, total: int | None) -> None:
        """How far a run is; called in its thread."""
        self._progress = total or 1, done

    def _look(self) -> None:
        self.bar.max, self.bar.value = self._progress

    def _busy(self, busy: bool) -> None:
        self.cancel.enabled = busy
        self.start.enabled = self.preview.enabled = not busy
        if busy:
            self._timer.start()
        else:
            self._timer.stop()
            self._look()
            self.worker = None


_ALONG = ("scale", "translate", "units", "axis_labels")  # a value for each axis
_PLACED = (*_ALONG, "rotate", "shear", "affine")


def _looks(layer: Any) -> dict[str, Any]:
    """A layer's place and looks, for one that is to lie on it."""
    kept = {name: getattr(layer, name) for name in _PLACED}
    kept |= {"rgb": layer.rgb}
    if not layer.rgb:
        kept |= {"colormap": layer.colormap, "contrast_limits": layer.contrast_limits}
    return kept


def _outcome(work: Callable[[], Any]) -> Any:
    """What a run gives, or in words why it gives nothing: errors napari shows with their traces."""
    try:
        return work()
    except CancelledError:
        return "cancelled"
    except F2RError as error:
        return f"{error} {error.hint or ''}"
