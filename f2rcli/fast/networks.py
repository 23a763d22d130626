"""Inputs of the fusion networks, made by kernels; the convolutions between them are torch's.

The reference is `_seen` of either network in models/fusion.py.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from f2rcli.fast import anchoring, cells, refining
from f2rcli.fast.cells import Code
from f2rcli.fast.lanes import LANES
from f2rcli.fast.rows import in_rows
from f2rcli.fast.support import PRECISIONS, precision
from f2rcli.models.convolutions.fused import convolved
from f2rcli.models.large.codes import LOWEST, SPAN, plain
from f2rcli.models.layers import SLOPE

PLAIN: Code = (1.0, 0.0)
CODED: Code = (1 / SPAN, LOWEST)


def serves(layer: nn.Conv2d, pictures: Sequence[Tensor]) -> bool:
    """Whether kernels serve these pictures, neighbours (1, N, C, H, W) first, and their layer."""
    alike = len({picture.dtype for picture in pictures}) == 1
    fits = cells.serves(pictures[0][:, 0]) and layer.out_channels >= LANES
    return alike and fits and precision() in PRECISIONS


def anchor_seen(network: Any, aligned: Any, smooth: Any) -> tuple[Tensor, ...]:
    """See BlindAnchor._seen."""
    coarse, confidence = aligned.coarse, in_rows(aligned.confidence.float())
    code = _code(coarse)
    mean, spread = anchoring.compared(coarse, confidence, code)
    spread = smooth(spread)
    logits = []
    for one, sure in zip(coarse.unbind(1), confidence.unbind(1), strict=True):
        seen = anchoring.weighing(one, sure, mean, spread, code)
        inner = convolved(network.second, convolved(network.first, seen, SLOPE), SLOPE)
        logits.append(convolved(network.logits, inner))
    noisy = aligned.noisy
    weights, merged, texture, seen = anchoring.merged(
        logits, noisy, coarse, confidence, spread, code
    )
    return weights, merged, texture, convolved(network.unet.head, seen, SLOPE)


def refiner_seen(
    network: Any,
    noisy: Tensor,
    coarse: Tensor,
    level: Tensor,
    anchor: Any,
    aligned: Any,
    smooth: Any,
) -> tuple[Tensor, Tensor]:
    """See Refiner._seen."""
    code, guided, level = _code(noisy), anchor.guided(plain(coarse)), in_rows(level)
    power, variance = refining.power(noisy, guided, level, code)
    more = network.embed.out_channels
    start, seen, into = refining.begun(
        noisy, coarse, guided, level, (smooth(power), variance), code, 2 * more
    )
    features = [
        convolved(network.embed, refining.around(one, other, start, code), SLOPE)
        for one, other in zip(aligned.noisy.unbind(1), aligned.coarse.unbind(1), strict=True)
    ]
    sure = in_rows(aligned.confidence.float())
    refining.mixed(features, in_rows(anchor.weights), sure, into)
    return start, convolved(network.unet.head, seen, SLOPE)


def _code(picture: Tensor) -> Code:
    return PLAIN if picture.is_floating_point() else CODED
