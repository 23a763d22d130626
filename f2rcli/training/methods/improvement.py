"""Frames recorrupted into independent pairs, and whether networks bring one closer to the other."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from f2rcli import methods
from f2rcli.engine.tiles import Runner
from f2rcli.header import Header
from f2rcli.methods.base import Method
from f2rcli.models.fusion import smooth
from f2rcli.models.layers import channels_last
from f2rcli.noise.clipping import clipped_moments
from f2rcli.noise.law import NoiseLaw
from f2rcli.training.footage.split import Windows
from f2rcli.training.footage.windows import Sample, channels_first
from f2rcli.training.loop.stage import VALIDATION_SEED, sample_rngs
from f2rcli.training.methods.base import TrainingContext
from f2rcli.training.methods.losses import as_stored
from f2rcli.training.methods.validation import ValidationErrors
from f2rcli.weights import Weights
from f2rcli.window import Window

TAU = 0.5  # of recorruption: the target has 1 + 1/tau^2 times the noise variance
LOUDER = (1 + TAU**2) ** 0.5  # by how much the noise of what is shown is stronger than the clip's
WINDOWS, SIDE = 6, 256  # that are judged, and pixels of their sides at most


class Recorrupted(NamedTuple):
    """Noisy frames (T, C, H, W) as they are shown, and as they are asked for."""

    shown: Tensor
    asked: Tensor
    cut: (
        Tensor | None
    )  # sigma of `asked`'s noise that a range clipped, see as_stored; None: of none


def recorrupted(
    sample: Sample, law: NoiseLaw, places: Sequence[int], rng: np.random.Generator
) -> Recorrupted:
    """y + tau n' and y - n' / tau of noisy frames y.

    n' is drawn from the clip's measured law: for Gaussian noise their errors are independent,
    though y is one frame. Where the file's range cut noise off, n' is as weak as what it left. A
    frame that is there twice has the same noise twice.
    """
    pictures = channels_first(sample.noisy)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    signal = smooth(pictures)
    drawn = {p: law.sample(signal[i : i + 1], generator) for i, p in enumerate(places)}
    fresh = torch.cat([drawn[place] for place in places])
    cut = None
    if sample.clipped:
        cut = channels_first(sample.level)
        fresh = fresh * clipped_moments(signal, cut)[1].sqrt()
    return Recorrupted(pictures + TAU * fresh, pictures - fresh / TAU, cut)


def restores(context: TrainingContext, header: Header, networks: nn.Module, held: Windows) -> bool:
    """Whether held-out frames of noisy footage are better restored than left as they are.

    By what `f2r denoise` does with the weights, on recorrupted frames: the squared error to the
    other half differs from that to the clean frames by a constant, of blind networks too.
    """
    method = _method(context, header, networks)
    source, length = context.windows(held), method.length
    side = min(SIDE, source.side)
    restored, left = [], []
    with torch.inference_mode():
        for number in range(WINDOWS):
            rng = sample_rngs((VALIDATION_SEED, number), (0,))[0]
            sample = source.window(rng, range(length), side)
            assert sample.measured is not None  # clips without are left out of noisy footage
            pair = recorrupted(sample, sample.measured, range(length), rng)
            shown, asked = (part.to(context.device) for part in (pair.shown, pair.asked))
            estimate = _restored(method, shown, sample.measured)
            middle = slice(length // 2, length // 2 + 1)
            cut = None if pair.cut is None else pair.cut[middle].to(context.device)
            restored.append((as_stored(estimate, cut) - asked[middle]).square())
            left.append((shown[middle] - asked[middle]).square())
    return ValidationErrors.of(restored).score < ValidationErrors.of(left).score


def _method(context: TrainingContext, header: Header, networks: nn.Module) -> Method:
    """The method as it is with the networks' weights, in copies of them."""
    made = Weights(context.config.output, header, networks.state_dict())
    run = Runner(context.device, context.precision, None)
    method = methods.load(header.method).from_weights(made, run)
    channels_last(method.networks.eval().to(context.device))
    return method


def _restored(method: Method, frames: Tensor, law: NoiseLaw) -> Tensor:
    """The middle one of frames (T, C, H, W), restored: (1, C, H, W)."""
    noise = law.level.scaled(LOUDER)
    method.forget()
    prepared = [method.prepare(i, one[None], noise) for i, one in enumerate(frames)]
    return method.restore(Window.of(prepared, len(prepared) // 2), noise).refined.float()
