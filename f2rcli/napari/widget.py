"""The widget: choose a layer and a strength, look at the frame on screen, run, look at the rest.

Runs go in a thread of their own; the window asks them how far they are.
"""

from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any, NamedTuple

import numpy as np
from magicgui import widgets
from napari.layers import Image
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
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
        self._stop, self._progress = Event(), runs.Progress()
        self.worker: Any = None  # while a run goes on
        self._timer = QTimer()
        self._timer.setInterval(LOOK)
        self._timer.timeout.connect(self._look)
        self.native.destroyed.connect(lambda: self._stop.set())
        self.layer.changed.connect(self._propose)
        self.preview.clicked.connect(self.show_preview)
        self.start.clicked.connect(self.denoise)
        self.cancel.clicked.connect(lambda: self._stop.set())
        self._propose()

    def show_preview(self) -> None:
        """Restore the frame on screen, into a layer that the next preview replaces."""
        layer, run = self.layer.value, self._run()
        if run is None:
            return
        shown = layer.world_to_data(self._viewer.dims.point[-layer.ndim :])
        sizes = layer.data.shape[: layer.ndim]
        at = [min(max(0, round(v)), n - 1) for v, n in zip(shown, sizes, strict=True)]
        stop = self._stop = Event()
        self._begin(lambda: run.preview(at, stop), partial(self._show_preview, layer))

    def denoise(self) -> None:
        """Restore the whole layer into a new one."""
        layer, run = self.layer.value, self._run()
        if run is None:
            return
        stop, progress = Event(), runs.Progress()
        self._stop, self._progress = stop, progress
        self._begin(lambda: run.whole(progress, stop), partial(self._show, layer))

    def _propose(self) -> None:
        layer = self.layer.value
        if layer is not None:
            labels = [str(label) for label in layer.axis_labels]
            self.axes.value = runs.axes_of(layer.data.shape, labels, colour=layer.rgb)

    def _run(self) -> runs.LayerRun | None:
        """The run asked for; None, and a word why, where that cannot be done."""
        layer = self.layer.value
        if layer is None or layer.multiscale:
            show_error("f2r: choose an image layer without several scales.")
            return None
        try:
            return runs.LayerRun(
                data=layer.data, axes=self.axes.value, strength=self.strength.value,
                colour=layer.rgb,
            )  # fmt: skip
        except F2RError as error:
            self._tell(error)
            return None

    def _begin(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        self._busy(True)
        self.worker = create_worker(_outcome, work, _start_thread=False)
        self.worker.returned.connect(lambda done: self._end(done, then))
        self.worker.errored.connect(lambda error: self._busy(False))  # napari shows it
        self.worker.start()

    def _end(self, done: Any, then: Callable[[Any], None]) -> None:
        self._busy(False)
        if isinstance(done, Refused) and isinstance(done.error, CancelledError):
            self.noise.value = "cancelled"
        elif isinstance(done, Refused):
            self._tell(done.error)
        else:
            clean, report = done
            then(clean)
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

    def _look(self) -> None:
        self.bar.max = max(1, self._progress.total)
        self.bar.value = self._progress.done

    def _busy(self, busy: bool) -> None:
        self.cancel.enabled = busy
        self.start.enabled = self.preview.enabled = not busy
        if busy:
            self._timer.start()
        else:
            self._timer.stop()
            self._look()
            self.worker = None

    def _tell(self, error: F2RError) -> None:
        hint = f" {error.hint}" if error.hint else ""
        self.noise.value = f"{error}{hint}"
        show_error(f"f2r: {error}{hint}")


_ALONG = ("scale", "translate", "units", "axis_labels")  # a value for each axis
_PLACED = (*_ALONG, "rotate", "shear", "affine")


def _looks(layer: Any) -> dict[str, Any]:
    """A layer's place and looks, for one that is to lie on it."""
    kept = {name: getattr(layer, name) for name in _PLACED}
    kept |= {"rgb": layer.rgb}
    if not layer.rgb:
        kept |= {"colormap": layer.colormap, "contrast_limits": layer.contrast_limits}
    return kept


class Refused(NamedTuple):
    """An error of f2r's as a run's result: napari would show one as it is with its traceback."""

    error: F2RError


def _outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except F2RError as error:
        return Refused(error)
