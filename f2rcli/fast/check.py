"""All kernels once, on a small picture: compiled, or loaded from disk, and not far off."""

import numpy as np
import torch
from numba.core.errors import NumbaError

from f2rcli.fast import anchoring, comparing, refining, warping

SIDE = 16  # pixels


def check() -> None:
    """Raises RuntimeError, or another error of an installation that does not fit."""
    try:
        _run()
    except NumbaError as error:
        raise RuntimeError(str(error)) from error


def _run() -> None:
    with torch.inference_mode():
        picture = torch.linspace(0, 1, 3 * SIDE**2).view(1, 3, SIDE, SIDE)
        moved = [torch.empty_like(picture), torch.empty_like(picture)]
        warping.warped([picture, picture], np.zeros((SIDE, SIDE, 2), np.float32), moved)
        if not torch.allclose(moved[1], picture, atol=1e-5):
            raise RuntimeError("a warp that moves nothing gives another picture")
        found = comparing.differences((picture,) * 2, (picture,) * 2, *[picture[:, :1]] * 2)
        apart = comparing.distances(picture[None], picture, 1.0)
        if apart.any() or found[0].any() or found[1].any():
            raise RuntimeError("a picture differs from itself")
        _anchor(picture)
        _refiner(picture)


def _anchor(picture: torch.Tensor) -> None:
    several, sure = torch.stack([picture] * 2, 1), torch.ones(1, 2, 1, SIDE, SIDE)
    code = (1.0, 0.0)
    mean, spread = anchoring.compared(several, sure, code)
    seen = anchoring.weighing(picture, sure[:, 0], mean, spread, code)
    logits = seen[:, :4].contiguous(memory_format=torch.channels_last)
    _, merged, _, _ = anchoring.merged([logits] * 2, several, several, sure, spread, code)
    if not torch.allclose(merged, picture, atol=1e-5):
        raise RuntimeError("the mean of two equal pictures is another one")


def _refiner(picture: torch.Tensor) -> None:
    code, sure = (1.0, 0.0), torch.ones(1, 2, 1, SIDE, SIDE)
    powers = refining.power(picture, picture, picture, code)
    start, seen, into = refining.begun(picture, picture, picture, picture, powers, code, 16)
    shown = refining.around(picture, picture, start, code)
    features = shown[:, :8].contiguous(memory_format=torch.channels_last)
    refining.mixed([features] * 2, sure / 2, sure, into)
    if not torch.equal(seen[:, -8:], features) or not torch.allclose(start, picture, atol=1e-5):
        raise RuntimeError("the mean of two equal pictures is another one")
