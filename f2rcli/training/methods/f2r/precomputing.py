"""Clips for the fusion stage, noised and taken through the coarse denoiser by several processes."""

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from f2rcli.engine.tiles import Runner
from f2rcli.errors import F2RError
from f2rcli.header import Header
from f2rcli.methods.f2r import F2R, F2RNetworks
from f2rcli.models.layers import channels_last
from f2rcli.noise.codec import to_codes, to_unit
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.synthesis.colour import luma
from f2rcli.noise.synthesis.spec import FOOTAGE, NoiseSpec
from f2rcli.training.footage.renditions import RenditionJob
from f2rcli.training.footage.worker_pool import spread
from f2rcli.training.methods.base import TrainingContext
from f2rcli.training.methods.f2r.degraded_clips import LARGEST, LONGEST, Shot, draw_degraded
from f2rcli.training.methods.f2r.precomputed import NoisyPair, precompute

CONDITIONED_SHARE = 0.7  # of clips; see degraded_clips for footage
SPREAD = 0.12  # of the log of the noise level that networks are given


@dataclass(frozen=True)
class ClipMaker:
    """Makes one precomputed clip after another. May be sent to other processes."""

    folder: Path
    seed: tuple[int, int]
    shots: Sequence[Shot]
    orders: Sequence[RenditionJob]
    noise: NoiseSpec
    header: Header
    state: dict[str, NDArray[Any]]  # of the networks
    device: str
    precision: str
    gray: bool

    @classmethod
    def of(
        cls, context: TrainingContext, networks: F2RNetworks, header: Header, noise: NoiseSpec,
        shots: Sequence[Shot], orders: Sequence[RenditionJob], name: str,
    ) -> "ClipMaker":  # fmt: skip
        """For a run's networks as they are now; `name` is that of the clips' folder."""
        state = {key: value.cpu().numpy() for key, value in networks.state_dict().items()}
        seed = (context.config.seed, sum(name.encode()))
        return cls(
            context.folder / name, seed, shots, orders, noise, header, state,
            str(context.device), context.precision, context.gray,
        )  # fmt: skip

    def base(self, number: int) -> Path:
        """Path of a clip's files without their suffixes."""
        return self.folder / f"{number:04d}"

    def __call__(self, number: int) -> None:
        """Make the clip with this number."""
        if multiprocessing.parent_process() is not None:
            torch.set_num_threads(1)  # the other cores have workers of their own
        rng = np.random.default_rng([*self.seed, number])
        pair = self.pair(number, rng)
        with torch.inference_mode():
            precompute(pair, self._method(), self.base(number), rng)

    def _method(self) -> F2R:
        networks = F2RNetworks(self.header.channels, self.header.config)
        networks.load_state_dict({name: torch.from_numpy(a) for name, a in self.state.items()})
        channels_last(networks)
        device = torch.device(self.device)
        runner = Runner(device, self.precision, None)
        return F2R(networks.eval().to(device), runner, self.header.length)

    def pair(self, number: int, rng: np.random.Generator) -> NoisyPair:
        """Noisy and clean frames, their noise as networks are given it, and whether they are."""
        clip = self.shots[number % len(self.shots)].array
        if self.noise.parts[0].kind == FOOTAGE:
            noisy, clean, model, known = draw_degraded(clip, rng, gray=self.gray)
        else:
            noisy, clean, model = self._noised(clip, number, rng)
            known = bool(rng.random() < CONDITIONED_SHARE)
        return NoisyPair(noisy, clean, model.scaled(float(np.exp(rng.normal(0, SPREAD)))), known)

    def _noised(
        self, clip: NDArray[Any], number: int, rng: np.random.Generator
    ) -> tuple[NDArray[Any], NDArray[Any], NoiseModel]:
        law = self.noise.draw(rng)
        if law is None:
            item = self.orders[number % len(self.orders)].load()
            clean, noisy = _cut(rng, np.asarray(item.clean), np.asarray(item.noisy))
            model = NoiseModel.gaussian(item.sigma, clean.shape[-1])
        else:
            first = int(rng.integers(max(len(clip) - LONGEST, 0) + 1))
            (chosen,) = _cut(rng, clip[first : first + LONGEST])
            clean = to_codes(to_unit(chosen))
            noisy = to_codes(np.stack([law.add(to_unit(picture), rng) for picture in clean]))
            channels = clean.shape[-1]
            model = NoiseModel((law.gain,) * channels, *[(law.read,) * channels] * 2)
        if self.gray and clean.shape[-1] == 3:
            clean, noisy = (to_codes(luma(to_unit(c))) for c in (clean, noisy))
            model = model.first_channels(1)
        return noisy, clean, model


def precompute_all(context: TrainingContext, maker: ClipMaker, count: int) -> None:
    """Make as many clips as are not there yet, in the run's processes where it has no GPU."""
    maker.folder.mkdir(parents=True, exist_ok=True)
    numbers = [n for n in range(count) if not maker.base(n).with_suffix(".json").exists()]
    jobs = context.jobs if context.device.type == "cpu" else 1
    for done, (_, error) in enumerate(spread(maker, numbers, jobs), 1):
        if isinstance(error, F2RError):
            raise error
        context.report(f"precomputed {done} of {len(numbers)} clips into {maker.folder.name}")
        context.check_time()


def _cut(rng: np.random.Generator, *clips: NDArray[Any]) -> list[NDArray[Any]]:
    """The same place of clips, at most LARGEST a side: 36 bytes a pixel are precomputed."""
    size = clips[0].shape[1:3]
    top, left = (int(rng.integers(max(side - LARGEST, 0) + 1)) for side in size)
    return [clip[:, top : top + LARGEST, left : left + LARGEST] for clip in clips]
