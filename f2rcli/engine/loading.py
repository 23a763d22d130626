"""An engine for a clip: its weights, device, precision and tile, chosen and checked."""

import math

from f2rcli import methods, weights
from f2rcli.engine.contract.residual import CODED, STRICT
from f2rcli.engine.device import (
    LARGE,
    bf16_serves,
    choose_device,
    choose_precision,
    memory_of,
    threads_for,
)
from f2rcli.engine.engine import Engine
from f2rcli.engine.settings import EngineSettings
from f2rcli.engine.strength import check_strengths
from f2rcli.engine.tiles import choose_tile, picture_size
from f2rcli.errors import WeightsError
from f2rcli.frames import ClipInfo, Space

STACK_TILE = 512  # pixels: stacks are promised to need little memory, for a tenth more time


def load_engine(settings: EngineSettings, info: ClipInfo) -> Engine:
    """Choose weights, device, precision and tile for a clip. Raises UsageError, WeightsError,
    DeviceError."""
    check_strengths(settings, info)
    threads = threads_for(settings.threads)
    device = choose_device(settings.device)
    size, memory = picture_size(info), memory_of(device)
    precision = choose_precision(settings.precision, device, math.prod(size))
    wish = settings.tile
    if wish == "auto" and info.layout.levels is not None and device.type == "cpu":
        wish = str(STACK_TILE)
    tile = choose_tile(wish, *size, memory)
    chosen = weights.load(settings.weights or _bundled(settings, info.space))
    header = chosen.header
    if header.method != settings.method:
        raise WeightsError(
            f"{chosen.name}: weights for method {header.method}, not {settings.method}.",
            hint=f"Pass method={header.method!r}, or other weights.",
        )
    of_planes = "layouts" in header.config  # networks of these know what they have stems for
    as_colour = header.space is Space.RGB and info.space is Space.GRAY
    if header.space is not info.space and not as_colour and not of_planes:
        raise WeightsError(
            f"{chosen.name}: weights for {header.space.value} pictures, "
            f"{info.name} holds {info.space.value}.",
            hint="Leave weights= out, or pass weights for such pictures.",
        )
    engine = Engine(
        settings, chosen, device, precision, tile, stated=info.noise_profile, threads=threads,
        space=info.space if of_planes else header.space,
    )  # fmt: skip
    engine.slack = CODED if info.coded else STRICT
    if header.space is not info.space and not of_planes:
        engine.notes.append("gray pictures go through RGB weights")
    if device.type == "cpu" and precision == "bf16" and not bf16_serves(LARGE):
        engine.notes.append("precision='bf16': this processor emulates it, slower than fp32")
    # A file that does not fit its own header fails here, before any work. Bundled ones have been
    # checked: networks are built once they are to run.
    sized = engine.new_method(info.layout) if settings.weights else methods.load(settings.method)
    engine.tile = choose_tile(wish, *size, memory, sized.activation_bytes)
    return engine


def _bundled(settings: EngineSettings, space: Space) -> str:
    name = weights.choose(settings.method, space, settings.model)
    if settings.model not in (None, weights.manifest()[name]["size"]):
        raise WeightsError(
            f"model={settings.model!r}: no bundled weights of that size for method "
            f"{settings.method} and {space.value} pictures.", hint="Leave it out.",
        )  # fmt: skip
    return name
