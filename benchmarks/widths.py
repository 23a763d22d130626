"""Quality against cost: the coarse network at several widths, trained alike.

    python benchmarks/widths.py CLIPS --run RUN --work WORK [--steps 1500] [--to docs/cost.svg]

CLIPS is the folder of clean training clips, RUN a folder for caches. Every sixth clip is held out;
the others train each width for the same number of steps with the same batches. Quality is the mean
PSNR over fixed crops of the clips held out, in three noises: white of sigma 30, the same correlated
over 0.8 px, and the compressed pre-training mixture. A killed run goes on where WORK says it
stopped. So few steps say how widths compare, not how good they get.
"""

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cost import coarse_cost
from numpy.typing import NDArray

from f2rcli.models.coarse import Coarse
from f2rcli.models.layers import channels_last
from f2rcli.noise.codec import to_codes, to_unit
from f2rcli.noise.synthesis.law import Law, draw_mixture
from f2rcli.noise.synthesis.spec import parse
from f2rcli.plots import Curve, draw_curves, new_axes, new_figure, saved
from f2rcli.training.footage.footage import open_footage
from f2rcli.training.footage.renditions import render_all
from f2rcli.training.footage.windows import CleanClips
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.trainer import Trainer
from f2rcli.training.methods.f2r.stages import CoarseStage

WIDTHS = ((16, 32, 64), (24, 48, 96), (32, 64, 128), (48, 96, 192))
HELD_OUT = 6  # every so many clips
RENDITIONS = 4  # compressed ones per clip, as in pre-training
COMPRESSED_SHARE = 0.35  # of the samples
CROP = 128  # pixels per side of a crop that is judged
CROPS = 8  # per clip held out and noise

Sample = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def samples(clips: list[Any], compressed: list[Any], seed: int) -> dict[str, list[Sample]]:
    """Noise -> fixed crops (noisy, level, clean), each (H, W, C) in 0..1."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[Sample]] = {"g30": [], "corr30": [], "compressed": []}
    for name, law in (("g30", Law(0.0, 30 / 255, 0.0)), ("corr30", Law(0.0, 30 / 255, 0.8))):
        for clip in clips:
            for _ in range(CROPS):
                clean = to_unit(_cut(clip, _place(clip, rng)))
                noisy = to_unit(to_codes(law.add(clean, rng)))
                found[name].append((noisy, law.level(clean), clean))
    for item in compressed:
        for _ in range(CROPS // RENDITIONS):
            place = _place(item.clean, rng)
            noisy, clean = (to_unit(_cut(part, place)) for part in (item.noisy, item.clean))
            found["compressed"].append((noisy, np.full_like(noisy, item.sigma), clean))
    return found


def _place(clip: NDArray[Any], rng: np.random.Generator) -> tuple[int, int, int]:
    frames, height, width, _ = clip.shape
    return (
        int(rng.integers(frames)),
        int(rng.integers(height - CROP + 1)),
        int(rng.integers(width - CROP + 1)),
    )


def _cut(clip: NDArray[Any], place: tuple[int, int, int]) -> NDArray[Any]:
    frame, top, left = place
    return clip[frame, top : top + CROP, left : left + CROP]


def quality(network: Coarse, crops: list[Sample]) -> float:
    """Mean PSNR in dB; every estimate clipped to 0..1."""
    found = []
    for crop in crops:
        noisy, level, clean = (torch.from_numpy(part.transpose(2, 0, 1)[None]) for part in crop)
        with torch.inference_mode():
            estimate = network(noisy.contiguous(), level.contiguous()).clamp(0, 1)
        found.append(10 * np.log10(1 / float((estimate - clean).square().mean())))
    return float(np.mean(found))


def plot(rows: list[dict[str, Any]], noises: list[str], target: Path) -> None:
    """PSNR against GMAC per megapixel, one line per noise, as an SVG file."""
    costs = [row["gmac"] for row in rows]
    lines = [Curve(name=noise, x=costs, y=[row[noise] for row in rows]) for noise in noises]
    widths = ", ".join(row["widths"] for row in rows)
    figure = new_figure(8, 5)
    draw_curves(
        new_axes(figure)[0], lines,
        title=f"Coarse network, {rows[0]['steps']} steps each: PSNR on clips held out",
        x=f"GMAC per megapixel, of widths {widths}", y="PSNR, dB",
    )  # fmt: skip
    target.write_bytes(saved(figure, "svg"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="checkpoints and results")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--optimiser", default="adamw")
    parser.add_argument("--lr", type=float, default=7e-4)
    parser.add_argument("--to", type=Path, help="SVG file of the plot")
    parser.add_argument("--no-bf16", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    footage = open_footage([arguments.clips], arguments.run / "footage")
    mixture = parse("compressed-mixture")
    orders = render_all(footage, arguments.run / "rendered", mixture, per_clip=RENDITIONS)
    clips = [clip.array for clip in footage]
    kept, held = (
        [i for i in range(len(clips)) if (i % HELD_OUT == 0) is out] for out in (False, True)
    )

    def of(places: list[int]) -> list[Any]:
        chosen = {id(footage[place]) for place in places}
        return [order.load() for order in orders if id(order.clip) in chosen]

    def law(rng: np.random.Generator) -> Law | None:
        return None if rng.random() < COMPRESSED_SHARE else draw_mixture(rng)

    crops = samples([clips[i] for i in held], of(held), arguments.seed)
    print(f"{len(kept)} clips train, {len(held)} are held out; {len(crops['g30'])} crops per noise")
    rows = []
    for widths in WIDTHS:
        torch.manual_seed(arguments.seed)
        network = Coarse(3, widths)
        channels_last(network)
        cost = coarse_cost(network, 3)
        stage = CoarseStage(network, CleanClips([clips[i] for i in kept], law, of(kept)))
        settings = TrainSettings(
            steps=arguments.steps,
            seed=arguments.seed,
            optimiser=arguments.optimiser,
            lr=arguments.lr,
            precision="fp32" if arguments.no_bf16 else "bf16",
        )
        name = "-".join(map(str, widths))
        Trainer(stage, arguments.work / name, settings).run(print)
        row: dict[str, Any] = {"widths": name, "gmac": round(cost.gmac_per_mpx, 1)}
        row |= {"parameters": cost.parameters, "steps": arguments.steps}
        row |= {noise: round(quality(network, some), 2) for noise, some in crops.items()}
        rows.append(row)
        print(row, flush=True)
        record(rows, arguments.work / "widths.csv")
        if arguments.to:
            plot(rows, list(crops), arguments.to)


def record(rows: list[dict[str, Any]], target: Path) -> None:
    """Write what is known so far as CSV."""
    with target.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
