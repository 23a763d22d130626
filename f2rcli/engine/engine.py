"""A method with its weights on a device, chosen and checked for a clip, and what it may cost."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from f2rcli import methods, weights
from f2rcli.engine.contract.limits import CODED, STRICT
from f2rcli.engine.contract.residual import Contract
from f2rcli.engine.device import (
    LARGE,
    Runner,
    bf16_serves,
    choose_device,
    choose_precision,
    choose_tile,
    memory_of,
)
from f2rcli.engine.planes_store import PlanesStore
from f2rcli.engine.settings import EngineSettings, check_strengths
from f2rcli.errors import WeightsError
from f2rcli.frames import ClipInfo, Family, PlaneLayout
from f2rcli.methods.base import Method
from f2rcli.models.layers import channels_last
from f2rcli.models.recorded import Graphs
from f2rcli.noise.coding import Compression
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.rows import RowNoise
from f2rcli.samples.defects import SetAside
from f2rcli.system import CancelCheck, never_cancelled, threads_for
from f2rcli.weights import CHANNELS, Weights

SHORT_OF_MEMORY = "the GPU's memory ran short for a while: slower without recorded work"


@dataclass
class Findings:
    """What is known of one clip, and what was noted of its run."""

    noise: NoiseModel | None = None  # of its first frames
    compression: Compression | None = None  # whose errors that is, where they are stronger
    aside: SetAside = field(default_factory=SetAside)  # invalid samples
    notes: dict[str, list[int]] = field(default_factory=dict)  # by line, the lanes that it is of
    lane: int | None = None  # that is being restored
    lane_noise: dict[int, tuple[PlaneLayout, NoiseModel]] = field(default_factory=dict)  # of these
    coarse8: float = 0.0  # of 255, noise that is taken out first, at a quarter of the size
    lines: dict[int, list[RowNoise]] = field(default_factory=dict)  # rows' offsets, by lane

    def note(self, line: str) -> None:
        """Add a note for the user, once."""
        lanes = self.notes.setdefault(line, [])
        if self.lane is not None and self.lane not in lanes:
            lanes.append(self.lane)

    def noted(self, info: ClipInfo) -> Iterator[str]:
        """The notes, with the lanes that each is of, unless these are all."""
        for line, lanes in self.notes.items():
            of = [info.lanes[lane] for lane in lanes]
            where = "; ".join(of) if len(of) < 4 else f"{len(of)} of {len(info.lanes)} lanes"
            yield f"{where}: {line}" if 0 < len(of) < len(info.lanes) else line

    def noises(self, info: ClipInfo) -> Iterator[tuple[str, PlaneLayout, NoiseModel]]:
        """The noise of every lane that is done, before that of the first, by what it is called."""
        known = self.lane_noise or ({} if self.noise is None else {0: (info.layout, self.noise)})
        for lane, (layout, model) in known.items():
            yield info.lanes[lane], layout, model


@dataclass
class Engine:
    """A loaded method on a device, ready for clips of one space."""

    settings: EngineSettings
    weights: Weights
    torch_device: torch.device
    precision: str
    tile: int | None
    space: Family  # of the pictures that networks see
    found: Findings = field(default_factory=Findings)  # of the clip that it restores
    coded: bool = False  # whether a codec wrote the clip: see CODED of the residual contract
    stated: tuple[tuple[float, float], ...] | None = None  # see ClipInfo.noise_profile
    threads: int = 1  # of the processor, that a stream may use
    lent: int | None = None  # of these, that each of two pieces of work has at the moment
    prompt: bool = False  # whether results may not wait for more frames than a window holds
    check: CancelCheck = never_cancelled  # before every pass of a network

    def __post_init__(self) -> None:
        self._work_with(PlanesStore(self.torch_device))
        if self.torch_device.type == "cuda":
            self.stay_on_device()

    def stay_on_device(self) -> None:
        """Do everything between uploaded and downloaded planes on the device."""
        graphs = Graphs.on(self.torch_device)
        graphs.short = partial(self.found.note, SHORT_OF_MEMORY)
        self._work_with(PlanesStore(self.torch_device, graphs))

    def _work_with(self, store: PlanesStore) -> None:
        self.store, self.graphs = store, store.graphs
        self.contract = Contract(store, self.settings, CODED if self.coded else STRICT)

    def another(self) -> "Engine":
        """A copy for another clip like this one, without any knowledge of its noise."""
        return replace(self, found=Findings(), lent=None)

    @property
    def channels(self) -> int:
        """Of the pictures that networks see."""
        return CHANNELS[self.space]

    @property
    def device(self) -> str:
        return str(self.torch_device)

    @property
    def choices(self) -> dict[str, Any]:
        """What it runs, and where, as JSON values."""
        return {
            "method": self.settings.method, "weights": self.weights.name, "device": self.device,
            "precision": self.precision, "tile": self.tile,
        }  # fmt: skip

    def provenance(self) -> dict[str, Any]:
        """What a clip was restored by, and of, as far as that is known by now; as JSON values."""
        known = self.choices | {"sha256": self.weights.sha256}
        noise = self.found.noise
        return known if noise is None else known | {"noise": _law_values(noise)}

    def new_method(self, source: PlaneLayout) -> Method:
        """The method with its networks, for one clip of such planes, or one field of it."""
        run = Runner(
            self.torch_device, self.precision, self.tile, self.graphs, self.check,
            self._with_smaller_tiles,
        )  # fmt: skip
        method = methods.load(self.settings.method).from_weights(self.weights, run, source)
        channels_last(method.networks.eval().to(self.torch_device))
        if self.store.away:
            method.stay_on_device(self.graphs)
        return method

    def _with_smaller_tiles(self, tile: int) -> None:
        """Say what lack of memory has come to: it is what the clip was restored with."""
        self.tile = tile
        self.found.note(
            f"the GPU's memory ran short: pictures went through networks in tiles of {tile}"
        )


STACK_TILE = 512  # pixels: stacks are promised to need little memory, for a tenth more time


def load_engine(settings: EngineSettings, info: ClipInfo) -> Engine:
    """Choose how to restore a clip, and on what. Raises UsageError, WeightsError, DeviceError."""
    check_strengths(settings, info)
    threads = threads_for(settings.threads)
    device = choose_device(settings.device)
    cell = 2 if info.layout.mosaic else 1  # pixels a side: networks see a sensor's colours apart
    size, memory = (-(-info.height // cell), -(-info.width // cell)), memory_of(device)
    precision = choose_precision(settings.precision, device, math.prod(size))
    wish = settings.tile
    if wish == "auto" and info.layout.levels is not None and device.type == "cpu":
        wish = str(STACK_TILE)
    chosen = weights.load(settings.weights or _bundled(settings, info.space, device))
    header = chosen.header
    if header.method != settings.method:
        raise WeightsError(
            f"{chosen.name}: weights for method {header.method}, not {settings.method}.",
            hint=f"Pass method={header.method!r}, or other weights.",
        )
    of_planes = "layouts" in header.config  # networks of these know what they have stems for
    as_colour = header.space is Family.RGB and info.space is Family.GRAY
    if header.space is not info.space and not as_colour and not of_planes:
        raise WeightsError(
            f"{chosen.name}: weights for {header.space.value} pictures, "
            f"{info.name} holds {info.space.value}.",
            hint="Leave weights= out, or pass weights for such pictures.",
        )
    engine = Engine(
        settings, chosen, device, precision, None, stated=info.noise_profile, threads=threads,
        space=info.space if of_planes else header.space, coded=info.coded,
    )  # fmt: skip
    if header.space is not info.space and not of_planes:
        engine.found.note("gray pictures go through RGB weights")
    if device.type == "cpu" and precision == "bf16" and not bf16_serves(LARGE):
        engine.found.note("precision='bf16': this processor emulates it, slower than fp32")
    # A file that does not fit its own header fails here, before any work. Bundled ones have been
    # checked: networks are built once they are to run.
    sized = engine.new_method(info.layout) if settings.weights else methods.load(settings.method)
    engine.tile = choose_tile(wish, *size, memory, sized.activation_bytes)
    return engine


def _bundled(settings: EngineSettings, space: Family, device: torch.device) -> str:
    size = settings.size(space, processor=device.type == "cpu")
    name = weights.choose(settings.method, space, size)
    if settings.model not in (None, weights.manifest()[name]["size"]):
        raise WeightsError(
            f"model={settings.model!r}: no bundled weights of that size for method "
            f"{settings.method} and {space.value} pictures.", hint="Leave it out.",
        )  # fmt: skip
    return name


def _law_values(noise: NoiseModel) -> dict[str, Any]:
    """The law of the noise: 8-bit units, per channel."""
    values = {"sigma8": [round(level, 3) for level in noise.sigma8]}
    for name in ("gain", "read", "dark"):
        if any(found := getattr(noise, name)):
            values[name] = [float(f"{value:.6g}") for value in found]
    return values
