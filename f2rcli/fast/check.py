"""Run all kernels once on a small picture: compiled or loaded from disk, and compared."""

import numpy as np
import torch
from numba.core.errors import NumbaError
from torch import Tensor

from f2rcli.fast import anchoring, comparing, refining, warping
from f2rcli.fast.cells import Code
from f2rcli.fast.networks import CODED, PLAIN
from f2rcli.models.large.codes import SPAN, coded, plain

SIDE = 16  # pixels
NEAR = 1 / SPAN  # a code


def check(codes: bool) -> None:
    """On codes, or float32. Raises RuntimeError, or another error if the installation is broken."""
    try:
        _run(codes)
    except NumbaError as error:
        raise RuntimeError(str(error)) from error


def _run(codes: bool) -> None:
    picture = torch.linspace(0, 1, 3 * SIDE**2).view(1, 3, SIDE, SIDE)
    given, code = (coded(picture), CODED) if codes else (picture, PLAIN)
    with torch.inference_mode():
        moved = [torch.empty_like(given), torch.empty_like(given)]
        warping.warped([given, given], np.zeros((SIDE, SIDE, 2), np.float32), moved)
        if not torch.allclose(plain(moved[1]), picture, atol=NEAR):
            raise RuntimeError("a warp that moves nothing gives another picture")
        found = comparing.differences((picture,) * 2, (picture,) * 2, *[picture[:, :1]] * 2)
        apart = comparing.distances(given[None], given, 1.0)
        if apart.any() or found[0].any() or found[1].any():
            raise RuntimeError("a picture differs from itself")
        _anchor(picture, given, code)
        _refiner(picture, given, code)


def _anchor(picture: Tensor, given: Tensor, code: Code) -> None:
    several, sure = torch.stack([given] * 2, 1), torch.ones(1, 2, 1, SIDE, SIDE)
    mean, spread = anchoring.compared(several, sure, code)
    seen = anchoring.weighing(given, sure[:, 0], mean, spread, code)
    logits = seen[:, :4].contiguous(memory_format=torch.channels_last)
    _, merged, _, _ = anchoring.merged([logits] * 2, several, several, sure, spread, code)
    if not torch.allclose(merged, picture, atol=NEAR):
        raise RuntimeError("the mean of two equal pictures is another one")


def _refiner(picture: Tensor, given: Tensor, code: Code) -> None:
    sure = torch.ones(1, 2, 1, SIDE, SIDE)
    powers = refining.power(given, picture, picture, code)
    start, seen, into = refining.begun(given, given, picture, picture, powers, code, 16)
    shown = refining.around(given, given, start, code)
    features = shown[:, :8].contiguous(memory_format=torch.channels_last)
    refining.mixed([features] * 2, sure / 2, sure, into)
    if not torch.equal(seen[:, -8:], features) or not torch.allclose(start, picture, atol=NEAR):
        raise RuntimeError("the mean of two equal pictures is another one")
