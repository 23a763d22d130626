"""What the networks cost: arithmetic and parameters of every part.

    python benchmarks/cost.py [WEIGHTS]

GMAC are 1e9 multiply-accumulates of convolutions, counted by torch's own counter on real forward
passes and divided by the megapixels of output; element-wise work (weighted means, shuffles) is not
in them. Times and memory are `speed.py`'s. WEIGHTS: a bundled name or a file.
"""

import argparse

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from f2rcli import weights
from f2rcli.frames import Family
from f2rcli.models.planar import CentreFrame, Neighbours, Networks
from f2rcli.planes import LAYOUTS, Layout

SIDE = 64  # cells of the square pictures that are counted: cost per pixel does not depend on it
CELL = 4, 16  # pixels of a cell; of a mosaic's


def cost(network: nn.Module, *inputs: object, pixels: int) -> tuple[float, int]:
    """GMAC per megapixel of output, of so many pixels, and parameters: of a network, run once."""
    with FlopCounterMode(display=False) as counted:  # with gradients nothing is fused, all is known
        network(*inputs)
    parameters = sum(p.numel() for p in network.parameters())
    return counted.get_total_flops() / 2 / pixels / 1000, parameters


def budget(networks: Networks, layout: Layout, length: int) -> dict[str, tuple[float, int]]:
    """What one output frame costs with windows of `length` frames, the coarse frame made once."""
    rng = torch.Generator().manual_seed(0)
    noisy = torch.rand(1, layout.channels, SIDE, SIDE, generator=rng)
    told = torch.full((1, 2 * len(layout.planes), SIDE, SIDE), 0.1)
    several = noisy.unsqueeze(1).expand(-1, length - 1, -1, -1, -1)
    sure = torch.ones(1, length - 1, 1, SIDE, SIDE)
    seen = Neighbours(several, several, sure, sure)
    with torch.no_grad():
        centre = CentreFrame(noisy, networks.coarse(layout, noisy, told))
        anchor = networks.anchor(layout, seen, told)
    pixels = CELL[layout.name == "mosaic"] * SIDE**2
    return {
        "coarse": cost(networks.coarse, layout, noisy, told, pixels=pixels),
        "anchor": cost(networks.anchor, layout, seen, told, pixels=pixels),
        "refiner": cost(networks.refiner, layout, centre, told, anchor, seen, pixels=pixels),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="?", default=weights.choose("f2r", Family.RGB))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = weights.load(arguments.weights)
    networks = chosen.network(lambda: Networks(chosen.header.config)).eval()
    length = chosen.header.length
    print(f"{chosen.name}: size {chosen.header.size}, length {length}\n")
    print("| planes | part | GMAC/Mpx | of it per neighbour | parameters |")
    print("|---|---|---|---|---|")
    for name in networks.layouts:
        layout = LAYOUTS[name]
        whole, wider = (budget(networks, layout, many) for many in (length, length + 1))
        for part, (arithmetic, parameters) in whole.items():
            each = wider[part][0] - arithmetic
            print(f"| {name} | {part} | {arithmetic:.1f} | {each:.2f} | {parameters:,} |")
        total = sum(arithmetic for arithmetic, _ in whole.values())
        print(f"| {name} | **all** | **{total:.1f}** | | |", flush=True)


if __name__ == "__main__":
    main()
