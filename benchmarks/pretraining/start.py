"""Networks on packed planes begun from today's RGB networks: the colour transform (and 4:2:0's
nearest enlargement) is folded into stems and tails. A narrower trunk begins from the strongest
channels; one with other inputs and fewer levels from nothing: what pruning leaves of it is learnt
away slower than a fresh one learns (benchmarks/results).

    python benchmarks/pretraining/start.py full OUT.safetensors [--of f2r-rgb-small]
    python benchmarks/pretraining/start.py bundled FOLDER --of WEIGHTS-FOLDER

`bundled` makes every set that f2r brings with it from a folder of the RGB, gray and mosaic sets
that came before them, and prints what the manifest says of them.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from safetensors.torch import save_file

from f2rcli import weights, yuv
from f2rcli.frames import Matrix
from f2rcli.models.planar import CONFIGS, Networks
from f2rcli.planes import LAYOUTS, ROTATION, Layout

# The noise in R, G and B as a sum of that in every plane: right for noise that is equal and
# independent in R, G and B, and for noise in luma alone (BT.709, chroma averaged).
TOLD = {"yuv420": (1.0, 0.36, 0.36), "yuv422": (1.0, 0.27, 0.27), "yuv444": (1.0, 0.19, 0.19),
        "rgb": (0.577, 0.211, 0.211), "gray": (1.0,)}  # fmt: skip
# How many times larger the mean difference of R, G and B is than that over a cell's samples
# (adjacent frames of test clips, restored one by one: within a tenth).
FARTHER = {"yuv420": 1.48, "yuv422": 1.8, "yuv444": 2.2, "rgb": 1.34}
NOISILY = {"yuv422": 1.2, "yuv444": 1.4}  # the same of differences that are mostly noise
SETS = {  # name: the file it begins from, and what the manifest says beside
    "f2r-full": ("f2r_rgb_small", {"default": True}),
    "f2r-full-light": ("f2r_rgb_light", {"light_beside": "f2r-full"}),
    "f2r-full-compressed": ("f2r_rgb_compressed", {"compressed_beside": "f2r-full"}),
    "f2r-full-coded-noise": ("f2r_rgb_coded_noise", {"coded_noise_beside": "f2r-full"}),
    "f2r-full-gray": ("f2r_gray_small", {"default": True}),
    "f2r-full-mosaic": ("f2r_bayer_small", {"default": True}),
    "f2r-full-blind": ("f2r_rgb_blind", {}),
}  # fmt: skip
OLD = "encoders.0", "encoders.1", "middle.0", "middle.1", "decoders.1", "decoders.0"
LEVELS = {"encoders.0": 0, "decoders.0": 0, "encoders.1": 1, "decoders.1": 1,
          "middle.0": 2, "middle.1": 2}  # fmt: skip


def begun(size: str, of: str = "f2r-rgb-small") -> Networks:
    """Networks of a size, or of the shape in a file, begun from bundled weights."""
    held = weights.load(of)
    shape = {"layouts": layouts_of(held.header.channels), **shape_of(size)}
    source = {name: value.float() for name, value in held.tensors.items()}
    networks = Networks(shape)
    new: dict[str, Tensor] = {}
    for part in ("coarse", "anchor", "refiner"):
        config = shape[part]
        trunk = config if part == "coarse" else config["trunk"]
        if part == "coarse" or config["guided"]:  # else it has other inputs, and fewer levels
            kept = carried_trunk(source, part, trunk, new)
            carried_ends(source, part, kept, config, new)
    own = networks.state_dict()
    unknown = [name for name, value in new.items() if own[name].shape != value.shape]
    assert not unknown, unknown
    networks.load_state_dict({**own, **new})
    return networks


def layouts_of(channels: int) -> list[str]:
    """What networks of so many channels can begin as."""
    of = {1: ["gray"], 4: ["mosaic"]}
    return of.get(channels, [name for name in LAYOUTS if name != "mosaic"])


def shape_of(size: str) -> dict[str, Any]:
    """The constructor's arguments of a size, or of a JSON file that holds them."""
    return CONFIGS[size] if size in CONFIGS else json.loads(Path(size).read_text())


def carried_trunk(
    source: Mapping[str, Tensor], part: str, config: Mapping[str, Any], new: dict[str, Tensor]
) -> Tensor:
    """Fill a trunk; the channels of its first level that were kept."""
    unet, widths = f"{part}.unet", config["widths"]
    streams = []  # channels kept of every level: those that its blocks write most into
    for level, width in enumerate(widths):
        blocks = [block for block in OLD if LEVELS[block] == level]
        written = [source[f"{unet}.{b}.second.weight"].square().sum((1, 2, 3)) for b in blocks]
        streams.append(strongest(torch.stack(written).sum(0), width))
    last = len(widths) - 1
    places = {f"middle.{i}": f"middle.{i}" for i in range(config["middle"])}
    for side in ("encoders", "decoders"):
        for level, count in enumerate(config[side]):
            places |= {f"{side}.{level}.{i}": f"{side}.{level}" for i in range(count)}
    for name, old in places.items():
        first, second = (source[f"{unet}.{old}.{half}.weight"] for half in ("first", "second"))
        stream = streams[LEVELS[old]]
        power = first.square().sum((1, 2, 3)) * second.square().sum((0, 2, 3))
        inner = strongest(power, len(stream))
        new[f"{part}.trunk.{name}.first.weight"] = first[inner][:, stream]
        new[f"{part}.trunk.{name}.second.weight"] = second[stream][:, inner]
    for i in range(last):
        down, up = (source[f"{unet}.{way}.{i}.conv.weight"] for way in ("downs", "ups"))
        new[f"{part}.trunk.downs.{i}.conv.weight"] = down[streams[i + 1]][:, streams[i]]
        rows = (streams[i][:, None] * 4 + torch.arange(4)).flatten()
        new[f"{part}.trunk.ups.{i}.conv.weight"] = up[rows][:, streams[i + 1]]
    return streams[0]


def carried_ends(
    source: Mapping[str, Tensor],
    part: str,
    kept: Tensor,
    config: Mapping[str, Any],
    new: dict[str, Tensor],
) -> None:
    """Fill stems and tails of every layout."""
    head, last = source[f"{part}.unet.head.weight"][kept], source[f"{part}.unet.tail.weight"]
    n = len(source["coarse.unet.tail.weight"])  # samples in a cell of its pictures
    for name in layouts_of(n // 4):
        layout = LAYOUTS[name]
        (into, out), farther = fold(layout, n), FARTHER.get(name, 1.0) if n == 12 else 1.0
        tails = [out_of(one, out) for one in last[:, kept].split(n)]
        new[f"{part}.tails.{name}.weight"] = torch.cat(tails)
        stem = f"{part}.stems.{name}.weight"
        told = torch.zeros(len(head), 2 * len(layout.planes), 3, 3)
        if part == "coarse":
            told = told_of(head[:, n:], layout)
            new[stem] = torch.cat([in_to(head[:, :n], into), told], 1)
        elif part == "anchor":
            pictures = [in_to(one, into) for one in head[:, : 2 * n].split(n, 1)]
            new[stem] = torch.cat([*pictures, farther * joined(head[:, 2 * n :]), told], 1)
            first = source["anchor.first.weight"]
            ratios = [joined(one) for one in first[:, n:].split(4, 1)]
            new[f"anchor.firsts.{name}.weight"] = torch.cat(
                [in_to(first[:, :n], into) / farther, *ratios], 1
            )
            new[f"anchor.firsts.{name}.bias"] = source["anchor.first.bias"]
        else:
            pictures = [in_to(one, into) for one in head[:, : 4 * n].split(n, 1)]
            told = told_of(head[:, 4 * n : 5 * n], layout)
            more = torch.zeros(len(head), 2, 3, 3)
            new[stem] = torch.cat([*pictures, told, more, head[:, 5 * n :]], 1)
            embed = source["refiner.embed.weight"]
            seen = [in_to(one, into) for one in embed[:, : 2 * n].split(n, 1)]
            new[f"refiner.embeds.{name}.weight"] = torch.cat(
                [*seen, NOISILY.get(name, 1.0) * joined(embed[:, 2 * n :])], 1
            )
    if part == "anchor":
        for layer in ("second", "logits"):
            for kind in ("weight", "bias"):
                old = source[f"anchor.{layer}.{kind}"]
                new[f"anchor.{layer}.{kind}"] = (
                    old.mean(0, keepdim=True) if layer == "logits" else old
                )


def fold(layout: Layout, count: int) -> tuple[Tensor, Tensor]:
    """Cells of pictures (`count`, channel by channel) of packed planes (C), and the inverse."""
    if count != 12:  # gray pictures and mosaics are packed as they are
        return torch.eye(count), torch.eye(count)
    if layout.rotated:
        to_planes = np.asarray(ROTATION)
    elif len(layout.planes) == 1:
        to_planes = np.full((1, 3), 1 / 3)
    else:
        to_planes = np.asarray(yuv.matrices(Matrix.BT709)[1], float)
    to_rgb = np.linalg.inv(to_planes) if len(to_planes) == 3 else np.ones((3, 1))
    into, out = np.zeros((12, layout.channels)), np.zeros((layout.channels, 12))
    for plane, ((rows, columns), part) in enumerate(zip(layout.planes, layout.slices, strict=True)):
        for phase in range(4):
            y, x = phase // 2 * rows // 2, phase % 2 * columns // 2
            sample = part.start + y * columns + x
            for colour in range(3):
                into[4 * colour + phase, sample] = to_rgb[colour, plane]
                out[sample, 4 * colour + phase] = to_planes[plane, colour] * rows * columns / 4
    return torch.from_numpy(into).float(), torch.from_numpy(out).float()


def in_to(weight: Tensor, into: Tensor) -> Tensor:
    """A convolution of RGB cells (O, 12, 3, 3) as one of packed planes."""
    return torch.einsum("oiyx,ic->ocyx", weight, into)


def out_of(weight: Tensor, out: Tensor) -> Tensor:
    """A convolution that gives RGB cells (12, I, 3, 3) as one that gives packed planes."""
    return torch.einsum("oiyx,co->ciyx", weight, out)


def joined(weight: Tensor) -> Tensor:
    """A convolution of a map's four phases as one of their mean."""
    return weight.sum(1, keepdim=True)


def told_of(weight: Tensor, layout: Layout) -> Tensor:
    """A convolution of the noise in every channel as one of what is told of planes: their noise,
    and a codec's errors, which are never told both."""
    if layout.name == "mosaic":
        planes = [joined(one) for one in weight.split(4, 1)]
    else:
        planes = [share * joined(weight) for share in TOLD[layout.name]]
    return torch.cat([*planes, *planes], 1)


def strongest(power: Tensor, count: int) -> Tensor:
    """Places of the largest, in order."""
    return torch.topk(power, count).indices.sort().values


def bundled(folder: Path, of: Path) -> None:
    """Every set that f2r brings with it; prints the manifest's entries."""
    for name, (begins, facts) in SETS.items():
        source = of / f"{begins}.safetensors"
        header, networks = weights.load(str(source)).header, begun("full", str(source))
        config = {**CONFIGS["full"], "layouts": list(networks.layouts)}
        made = replace(header, config=config, size="full", order="planes")
        file = f"{name.replace('-', '_')}.safetensors"
        digest = weights.save(folder / file, made, networks.state_dict())
        entry = {
            "file": file, "sha256": digest, "method": "f2r", "space": header.space.value,
            "size": "full", **facts,
        }  # fmt: skip
        lines = (f"{key} = {json.dumps(value)}" for key, value in entry.items())
        print(f"[{name}]", *lines, "", sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("size", help="a size, a JSON file of a shape, or `bundled`")
    parser.add_argument("out", type=Path)
    parser.add_argument("--of", default="f2r-rgb-small")
    given = parser.parse_args()
    if given.size == "bundled":
        bundled(given.out, Path(given.of))
        return
    state = begun(given.size, given.of).state_dict()
    halves = {name: value.half().contiguous() for name, value in state.items()}
    save_file(halves, given.out, {"shape": json.dumps(shape_of(given.size))})


if __name__ == "__main__":
    main()
