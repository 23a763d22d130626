"""Networks that training begins from: a bundled set, and of it the strongest channels for narrower
trunks. A trunk with other inputs and fewer levels begins from nothing: what pruning leaves of it is
learnt away slower than a fresh one learns (benchmarks/results).
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from f2rcli import weights
from f2rcli.models.planar import CONFIGS, Networks


def begun(size: str, of: str = "f2r-full") -> Networks:
    """Networks of a size, or of the shape in a file, begun from bundled weights."""
    held = weights.load(of)
    shape = {"layouts": held.header.config["layouts"], **shape_of(size)}
    source = {name: value.float() for name, value in held.tensors.items()}
    networks = Networks(shape)
    own = networks.state_dict()
    new: dict[str, Tensor] = {}
    for part in ("coarse", "anchor", "refiner"):
        config, before = shape[part], held.header.config[part]
        if part != "coarse" and not config["guided"]:  # it has other inputs, and fewer levels
            continue
        trunks = (one if part == "coarse" else one["trunk"] for one in (config, before))
        kept = carried_trunk(source, part, *trunks, new)
        for name, tensor in source.items():
            kind = name.removeprefix(f"{part}.").split(".")[0]
            if name.startswith(f"{part}.") and kind != "trunk":
                if kind in ("stems", "tails"):
                    tensor = tensor[kept] if kind == "stems" else tensor[:, kept]
                if name in own and own[name].shape == tensor.shape:
                    new[name] = tensor
    networks.load_state_dict({**own, **new})
    return networks


def shape_of(size: str) -> dict[str, Any]:
    """The constructor's arguments of a size, or of a JSON file that holds them."""
    return CONFIGS[size] if size in CONFIGS else json.loads(Path(size).read_text())


def carried_trunk(
    source: Mapping[str, Tensor],
    part: str,
    config: Mapping[str, Any],
    before: Mapping[str, Any],
    new: dict[str, Tensor],
) -> Tensor:
    """Fill a trunk from one of as many levels; the channels of its first level that were kept."""
    trunk, widths = f"{part}.trunk", config["widths"]
    last = len(widths) - 1
    levels = {f"middle.{i}": last for i in range(before["middle"])}
    for side in ("encoders", "decoders"):
        for level, count in enumerate(before[side]):
            levels |= {f"{side}.{level}.{i}": level for i in range(count)}
    streams = []  # channels kept of every level: those that its blocks write most into
    for level, width in enumerate(widths):
        blocks = (block for block, at in levels.items() if at == level)
        written = [source[f"{trunk}.{b}.second.weight"].square().sum((1, 2, 3)) for b in blocks]
        streams.append(strongest(torch.stack(written).sum(0), width))
    places = {f"middle.{i}": f"middle.{i}" for i in range(config["middle"])}
    for side in ("encoders", "decoders"):
        for level, count in enumerate(config[side]):
            places |= {f"{side}.{level}.{i}": f"{side}.{level}.0" for i in range(count)}
    for name, old in places.items():
        first, second = (source[f"{trunk}.{old}.{half}.weight"] for half in ("first", "second"))
        stream = streams[levels[old]]
        power = first.square().sum((1, 2, 3)) * second.square().sum((0, 2, 3))
        inner = strongest(power, len(stream))
        new[f"{trunk}.{name}.first.weight"] = first[inner][:, stream]
        new[f"{trunk}.{name}.second.weight"] = second[stream][:, inner]
    for i in range(last):
        down, up = (source[f"{trunk}.{way}.{i}.conv.weight"] for way in ("downs", "ups"))
        new[f"{trunk}.downs.{i}.conv.weight"] = down[streams[i + 1]][:, streams[i]]
        rows = (streams[i][:, None] * 4 + torch.arange(4)).flatten()
        new[f"{trunk}.ups.{i}.conv.weight"] = up[rows][:, streams[i + 1]]
    return streams[0]


def strongest(power: Tensor, count: int) -> Tensor:
    """Places of the largest, in order."""
    return torch.topk(power, count).indices.sort().values
