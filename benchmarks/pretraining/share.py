"""Train the network that tells which share of the noise's bound is noise, on one core.

    python benchmarks/pretraining/share.py make CLIPS OUT.npz --seed 1 [--count 4000]
        [--first 0] [--beside 0.15] [--size 160]
    python benchmarks/pretraining/share.py train OUT.safetensors MADE.npz... --minutes 20
        [--without walls sheets]

`make` writes what the network sees of samples of `material.py`, with the truth: which share of the
power that matched frames differ by comes from the noise, known because the noise is. `train` can be
killed and goes on where it stopped (OUT.state). --without leaves out whole generators, for trials.
"""

import argparse
import math
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from material import Material, Sample

from f2rcli.frames import Family
from f2rcli.models.flow import dis_flow
from f2rcli.noise.bound import LOOKS, MOST_SHARE, Share, evidence, mean, powers, whole
from f2rcli.noise.model import FramePlanes

SIZE, FRAMES = 160, 5
DRAWN = 0.45  # of the samples: what is to be told from noise is mostly drawn
REDUCED = 1.4  # at least: clips' own noise counts as none
ONE_NEIGHBOUR = 0.15  # of the samples
FLOOR = 2 * math.log(0.15)  # of variances: below 0.15 of an 8-bit code, all is none
HELD_EVERY = 12  # of the items, one is validated on
BATCH, RATE = 32, 2e-3


def make(given: argparse.Namespace) -> None:
    """Write evidence and truth of samples, by shape of their planes."""
    cv2.setNumThreads(1)
    how = given.clips, given.seed, given.size, FRAMES, given.layouts, DRAWN
    material = Material(*how, least_reduced=REDUCED, calm=True, beside=given.beside)
    found: dict[str, list[NDArray[Any]]] = defaultdict(list)
    for index in range(given.first, given.first + given.count):
        rng = np.random.default_rng((given.seed, index, 1))
        sample = material[index]
        for looks, truth in items(sample, rng):
            name = "x".join(map(str, truth.shape[1:]))
            found[f"looks {name}"].append(looks.astype(np.float16))
            found[f"truth {name}"].append(truth.astype(np.float32))
            found[f"scene {name}"].append(np.array(sample.scene))
        if index % 500 == 499:
            print(index + 1, f"{time.process_time():.0f} s", flush=True)
    np.savez(given.out, **{name: np.stack(parts) for name, parts in found.items()})


def items(
    sample: Sample, rng: np.random.Generator
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """For the planes of one window: what the network sees, and the logarithms (4, R, C) of the
    bounds and of their shares, in 8-bit codes squared; of colours that are alike, one plane."""
    place = int(rng.integers(1, FRAMES - 1))
    near = [place - 1, place + 1] if rng.random() > ONE_NEIGHBOUR else [place - 1] * 2
    shown = [picture(sample, time) for time in (place, *near)]
    flows = [dis_flow(shown[0].luma, one.luma) for one in shown[1:]]
    planes = list(range(len(sample.clean)))
    if len(planes) > 1:
        planes = [0, int(rng.integers(1, len(planes)))]
    made = []
    for plane in planes:
        seen, matched = evidence(shown[0], shown[1:], flows, plane)
        off = sample.noisy[plane] - sample.bare[plane]
        noise = matched.apart(off[place], [off[time] for time in near])
        own = 1.0
        if sample.calm:  # what a codec makes of noise is noise; what it does to the scene is not
            calm, all_off = (np.square(one[place]) for one in (sample.calm[plane], off))
            own = (1 - mean(calm, 16) / (mean(all_off, 16) + 1e-12)).clip(0, 1)
        power, most = matched.power(noise), 1.0
        if "filtered in time" in sample.kind:  # frames differ by less than their noise
            every = [powers(whole(off[time])) for time in (place, *near)]
            power, most = np.mean(every, 0), MOST_SHARE
        share = (power * own / np.maximum(seen.bound, 1e-12)).clip(1e-6, most)
        bound = np.log(seen.bound * 255**2 + 1e-4)
        made.append((seen.looks, np.concatenate([bound, np.log(share)])))
    return made


def picture(sample: Sample, time: int) -> FramePlanes:
    planes = [plane[time] for plane in sample.noisy]
    if sample.layout.family is Family.YUV:
        return FramePlanes(planes, np.clip(planes[0], 0, 1), chroma=True)
    return FramePlanes.of_channels(planes)


def loss_of(net: nn.Module, looks: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """The likelihood of the truth by a Laplacian of the error that the network expects, and how far
    the logarithm of the standard deviation is off."""
    looks = looks.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=net.training):
        share, error = (part.float() for part in net(looks))
    bound, target = truth[:, :2], truth[:, 2:]
    found, wanted = ((bound + one).clamp_min(FLOOR) for one in (share, target))
    off = (found - wanted).abs()
    return (off / error.exp() + error).mean(), off.mean() / 2


def train(given: argparse.Namespace) -> None:
    """Train on what was made, with a cosine that ends when the minutes are over."""
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    groups = loaded(given.made, given.without)
    sizes = np.array([len(looks) for looks, _ in groups])
    net, average = Share(LOOKS).to(memory_format=torch.channels_last), Share(LOOKS)
    steady = torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-4)
    state_path, limit = given.out.with_suffix(".state"), 60 * given.minutes
    step, before = 0, 0.0
    if given.start is not None:
        net.load_state_dict(load_file(given.start), strict=False)
    average.load_state_dict(net.state_dict())
    average.eval()
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        net.load_state_dict(state["net"])
        average.load_state_dict(state["average"])
        steady.load_state_dict(state["optimiser"])
        step, before = state["step"], state["seconds"]
    begun = time.process_time()
    while (spent := before + time.process_time() - begun) < limit:
        rng = np.random.default_rng((given.seed, step))
        looks, truth = groups[rng.choice(len(groups), p=sizes / sizes.sum())]
        chosen = learnt(len(looks), rng.integers(0, 1 << 31, BATCH))
        x, y = (torch.from_numpy(part[chosen].astype(np.float32)) for part in (looks, truth))
        ways = [way for way in (2, 3) if rng.random() < 0.5]  # mirrored, evidence is the same
        x, y = x.flip(ways), y.flip(ways)
        for group in steady.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * spent / limit)) + 1e-6
        loss, _ = loss_of(net, x, y)
        steady.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        steady.step()
        step += 1
        keep = min(0.998, step / (step + 10))
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), net.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
        if step % 250 == 0:
            held = validated(average, groups)
            print(
                step, f"{spent:.0f} s, loss {held[0]:.4f}, log sigma off {held[1]:.4f}", flush=True
            )
            state = {"net": net, "average": average, "optimiser": steady}
            kept = {name: part.state_dict() for name, part in state.items()}
            torch.save(kept | {"step": step, "seconds": spent}, state_path)
            save_file(halves(average), given.out)
    save_file(halves(average), given.out)
    print(step, "held out: loss {:.4f}, log sigma off {:.4f}".format(*validated(average, groups)))


def halves(net: nn.Module) -> dict[str, Tensor]:
    """Weights as they are shipped."""
    return {name: tensor.half() for name, tensor in net.state_dict().items()}


def loaded(
    paths: list[Path], without: list[str]
) -> list[tuple[NDArray[np.float16], NDArray[np.float32]]]:
    """Looks and truths of every shape of planes that has enough of them."""
    found: dict[str, list[NDArray[Any]]] = defaultdict(list)
    for path in paths:
        with np.load(path) as made:
            for name in made.files:
                found[name].append(made[name])
    shapes = sorted({name.split()[1] for name in found})
    groups = []
    for shape in shapes:
        looks, truth, scene = (
            np.concatenate(found[f"{part} {shape}"]) for part in ("looks", "truth", "scene")
        )
        kept = ~np.isin(scene, list(without))
        if kept.sum() > 4 * HELD_EVERY:
            groups.append((looks[kept], truth[kept]))
    return groups


def learnt(count: int, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places of items that are learnt from: all but every twelfth."""
    chosen = chosen % count
    return np.where(chosen % HELD_EVERY == 0, (chosen + 1) % count, chosen)


def validated(net: nn.Module, groups: list[Any]) -> tuple[float, float]:
    """Mean loss and error of the items that are held out."""
    rows = []
    with torch.no_grad():
        for looks, truth in groups:
            for start in range(0, len(looks), BATCH * HELD_EVERY):
                part = slice(start, start + BATCH * HELD_EVERY, HELD_EVERY)
                x, y = (torch.from_numpy(p[part].astype(np.float32)) for p in (looks, truth))
                rows.append([float(v) for v in loss_of(net, x, y)])
    return tuple(np.mean(rows, 0).tolist())  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    steps = parser.add_subparsers(dest="step", required=True)
    making = steps.add_parser("make")
    making.add_argument("clips", type=Path)
    making.add_argument("out", type=Path)
    for name, usual in {"seed": 1, "first": 0, "count": 4000, "beside": 0.0, "size": SIZE}.items():
        making.add_argument(f"--{name}", type=type(usual), default=usual)
    making.add_argument("--layouts", nargs="+", help="names of material.py; twice is more often")
    training = steps.add_parser("train")
    training.add_argument("out", type=Path)
    training.add_argument("made", type=Path, nargs="+")
    training.add_argument("--minutes", type=float, default=20)
    training.add_argument("--start", type=Path, help="weights to begin from")
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--without", nargs="+", default=[], help="scenes to leave out")
    given = parser.parse_args()
    {"make": make, "train": train}[given.step](given)


if __name__ == "__main__":
    main()
