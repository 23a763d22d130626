"""F2R's networks on packed planes: one trunk for every layout, a stem and a tail for each.

Frames2Residual (arXiv 2603.10417) in three networks: a coarse denoiser of single frames, a blind
anchor made of neighbours, and a refiner that takes the centre back in. All see packed planes at
half the picture's size (`f2rcli.planes`), and two maps for every plane: the standard deviation of
noise and that of a codec's errors, in the units of the samples. What depends on the layout is one
convolution at either end; what lies between is shared.

Bias-free but for the weighing of neighbours, which sees ratios: f(a y) = a f(y) for a >= 0. Shapes:
B pictures, N neighbours, C channels and P planes of the layout, h x w cells.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from f2rcli.models.filters import here, inner_mean
from f2rcli.models.layers import (
    SLOPE,
    Down,
    ResidualBlock,
    Up,
    conv,
    convolved,
    lowered,
    mapped,
    together,
)
from f2rcli.planes import LAYOUTS, Layout

EPSILON = 1e-4  # keeps ratios of brightness finite; one fortieth of an 8-bit code
NEAR = 3  # cells, of local means: about as wide as the neighbourhood of a flow's patch
WIDE = 5  # cells, of local powers, whose own noise is the square root of 2 over their samples
NOTHING = -1e4  # logit of a neighbour that is not there
CELL = 2  # pixels along a side of what networks count

# What each of the two sizes is made of. `full` is the arithmetic of the RGB networks before it;
# `lite` was shaped by measured time (benchmarks/results).
CONFIGS: dict[str, dict[str, Any]] = {
    "full": {
        "coarse": {"widths": (32, 64, 128)},
        "anchor": {"widths": (24, 48, 96), "hidden": 12},
        "refiner": {"widths": (48, 64, 128), "embed": 20},
    },
    "lite": {
        "coarse": {"widths": (24, 48, 96)},
        "anchor": {"widths": (12, 24, 48), "hidden": 8},
        "refiner": {"widths": (24, 48, 96), "embed": 8},
    },
}


class CentreFrame(NamedTuple):
    """The frame that is to be restored."""

    noisy: Tensor  # (B, C, h, w): as it is
    coarse: Tensor  # (B, C, h, w): restored by itself


class Neighbours(NamedTuple):
    """Neighbours on the centre's grid. A missing one has confidence zero everywhere."""

    noisy: Tensor  # (B, N, C, h, w)
    coarse: Tensor  # (B, N, C, h, w)
    confidence: Tensor  # (B, N, 1, h, w): 0..1 for a frame, times `worth`
    worth: Tensor  # (B, N, 1, h, w): frames that a neighbour is the mean of, 1 or more


class Anchor(NamedTuple):
    """Stage 1's estimates of the centre; no noisy sample of the centre enters them."""

    strict: Tensor  # (B, C, h, w): made of neighbours alone
    correction: Tensor  # (B, C, h, w): what neighbours add to the centre's coarse frame
    weights: Tensor  # (B, N, 1, h, w): sum to one over N
    spread: Tensor  # (B, 1, h, w): how far neighbours disagree

    def given(self, coarse_centre: Tensor) -> Tensor:
        """What the refiner begins from: the coarse centre (B, C, h, w) with what neighbours add."""
        return coarse_centre + self.correction


class Restored(NamedTuple):
    """Both stages' estimates of a centre, (B, C, h, w) each."""

    strict: Tensor
    anchor: Tensor  # what the refiner begins from
    refined: Tensor


class Trunk(nn.Module):
    """A U-Net over features (B, widths[0], h, w): a residual block before every halving, two in the
    middle, one after every doubling."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        pairs = list(pairwise(widths))
        self.encoders = nn.ModuleList(_blocks(width, 1) for width in widths[:-1])
        self.downs = nn.ModuleList(Down(a, b) for a, b in pairs)
        self.middle = _blocks(widths[-1], 2)
        self.ups = nn.ModuleList(Up(b, a) for a, b in pairs)
        self.decoders = nn.ModuleList(_blocks(width, 1) for width in widths[:-1])
        self.stride = 2 ** len(pairs)
        # cells within which an input can change an output: two blocks of two convolutions on every
        # level, and both ends
        self.reach = 2 + sum((2 * 2 + 1) * 2**level for level in range(len(widths)))

    def forward(self, x: Tensor) -> Tensor:
        """h and w multiples of `stride` -> features like x."""
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = self.middle(x)
        for level in range(len(skips) - 1, -1, -1):
            x = self.decoders[level](self.ups[level](x, skips[level]))
        return x


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(count)))


def per_layout(names: Sequence[str], make: Callable[[Layout], nn.Module]) -> nn.ModuleDict:
    """A module for each of some layouts, by its name."""
    return nn.ModuleDict({name: make(LAYOUTS[name]) for name in names})


def of(layers: nn.ModuleDict, layout: Layout) -> nn.Conv2d:
    return cast("nn.Conv2d", layers[layout.name])


class PlanarNet(nn.Module):
    """A trunk on packed planes, with a stem and a tail for every layout: a change of pictures."""

    cell = CELL

    def build(
        self, layouts: Sequence[str], widths: Sequence[int], seen: Callable[[Layout], int],
        made: int = 1, gain: float = 0.1,
    ) -> None:  # fmt: skip
        """seen: channels that go in; made: pictures that come out, at first small by `gain`."""
        width = widths[0]
        self.stems = per_layout(layouts, lambda one: conv(seen(one), width))
        self.trunk = Trunk(widths)
        self.tails = per_layout(layouts, lambda one: conv(width, made * one.channels, gain=gain))
        self.stride, self.reach = self.trunk.stride, self.trunk.reach

    def change(self, layout: Layout, parts: list[Tensor]) -> Tensor:
        """Of pictures (B, C, h, w), which the list is rid of once they are seen: a twentieth of a
        run's memory. float32 at both ends: bfloat16 would round them by half a code."""
        with torch.autocast(parts[0].device.type, enabled=False):
            begun = convolved(of(self.stems, layout), together(parts), SLOPE)
        parts.clear()
        return convolved(of(self.tails, layout), self.trunk(lowered(begun))).float()


class CoarseNet(PlanarNet):
    """The denoiser of single frames."""

    def __init__(self, layouts: Sequence[str], widths: Sequence[int]) -> None:
        super().__init__()
        self.build(layouts, widths, lambda one: one.channels + 2 * len(one.planes))

    def forward(self, layout: Layout, noisy: Tensor, told: Tensor) -> Tensor:
        """noisy (B, C, h, w); told (B, 2 P, h, w): noise of every plane, then codec's errors ->
        the coarse frame (B, C, h, w)."""
        return noisy + self.change(layout, [noisy, told])


class AnchorNet(PlanarNet):
    """Stage 1, the blind temporal estimator. The centre is not among its arguments.

    A softmax weighs the neighbours cell by cell; the weighted mean of the *noisy* ones is linear in
    their noise. A trunk adds a change to it, `strict`, and makes one for the coarse centre, to
    which it is added outside.
    """

    def __init__(self, layouts: Sequence[str], widths: Sequence[int], hidden: int) -> None:
        """hidden: channels of the weighing."""
        super().__init__()
        self.firsts = per_layout(
            layouts, lambda one: nn.Conv2d(one.channels + 2, hidden, 3, padding=1)
        )
        self.second = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.logits = nn.Conv2d(hidden, 1, 3, padding=1)
        nn.init.zeros_(self.logits.weight)  # start from confidence alone
        nn.init.zeros_(self.logits.bias)  # type: ignore[arg-type]  # bias=True, so never None
        self.build(layouts, widths, lambda one: 2 * one.channels + 1 + 2 * len(one.planes), made=2)
        self.reach += NEAR // 2 + 4  # the weighing

    def forward(self, layout: Layout, neighbours: Neighbours, told: Tensor) -> Anchor:
        """told (B, 2 P, h, w): the maps of one frame's noise and codec's errors."""
        weights, spread = self._weigh(layout, neighbours)
        merged = weighted(weights, neighbours.coarse)
        noisy = weighted(weights, neighbours.noisy)
        texture = noisy - merged  # what coarse frames lack
        left = weighted(weights.square(), 1 / neighbours.worth).sqrt()  # of noise, as a share
        made = self.change(layout, [merged, texture, spread, told * left])
        strict, guided = made.chunk(2, 1)
        return Anchor(noisy + strict, texture + guided, weights, spread)

    def _weigh(self, layout: Layout, seen: Neighbours) -> tuple[Tensor, Tensor]:
        """Weights (B, N, 1, h, w), and how far neighbours disagree (B, 1, h, w), which is also the
        unit of disagreement: weights do not change when a clip is made brighter."""
        coarse, sure = seen.coarse, seen.confidence
        trust = sure / sure.sum(1, keepdim=True).clamp_min(EPSILON)
        apart = coarse - weighted(trust, coarse).unsqueeze(1)
        distance = apart.abs().mean(2, keepdim=True)
        spread = inner_mean(weighted(trust, distance), NEAR)
        scale, found = 1 / (spread + EPSILON).unsqueeze(1), []
        for some in in_turn(sure):
            parts = [apart[:, some] * scale, distance[:, some] * scale, sure[:, some].clamp_max(1)]
            x = together([one.flatten(0, 1) for one in parts])
            x = convolved(self.second, convolved(of(self.firsts, layout), x, SLOPE), SLOPE)
            x = convolved(self.logits, x).float()
            found.append(x.unflatten(0, (-1, some.stop - some.start)))  # type: ignore[no-untyped-call]  # torch's stub
        logits = torch.log(sure + EPSILON) + torch.cat(found, 1)
        missing = sure.amax((2, 3, 4), keepdim=True) == 0
        return torch.softmax(logits.masked_fill(missing, NOTHING), 1), spread


class RefinerNet(PlanarNet):
    """Stage 2, the non-blind spatial refiner: the anchor, the centre itself, and its neighbours.

    It begins at the posterior mean of the centre, given the anchor, and adds a change to it.
    """

    def __init__(self, layouts: Sequence[str], widths: Sequence[int], embed: int) -> None:
        """embed: features made of every neighbour, and averaged over them."""
        super().__init__()
        self.embeds = per_layout(layouts, lambda one: conv(2 * one.channels + 1, embed))
        self.build(
            layouts, widths,
            lambda one: 4 * one.channels + 2 * len(one.planes) + 2 + 2 * embed, gain=0.01,
        )  # fmt: skip
        self.reach += WIDE // 2 + 1

    def forward(
        self, layout: Layout, centre: CentreFrame, told: Tensor, anchor: Anchor, seen: Neighbours
    ) -> Tensor:
        """told (B, 2 P, h, w): of the centre -> the refined centre (B, C, h, w)."""
        noisy, coarse = centre
        given = anchor.given(coarse)
        start = posterior_mean(layout, noisy, given, told)
        alone = told[:, :1] / (1 + seen.confidence.sum(1))  # noise where nothing helps
        parts = [start, noisy - start, coarse - start, given - start, told, anchor.spread, alone]
        parts += self._embedded(layout, start, anchor, seen)
        return start + self.change(layout, parts)

    def _embedded(
        self, layout: Layout, start: Tensor, anchor: Anchor, seen: Neighbours
    ) -> list[Tensor]:
        """Neighbours' features, as means over them by the anchor's weights and by confidence."""
        trust = seen.confidence / seen.confidence.sum(1, keepdim=True).clamp_min(EPSILON)
        means: list[Tensor | None] = [None, None]
        for some in in_turn(trust):
            apart = seen.coarse[:, some] - start.unsqueeze(1)
            texture = seen.noisy[:, some] - seen.coarse[:, some]
            parts = [apart, texture, apart.abs().mean(2, keepdim=True)]
            x = together([one.flatten(0, 1) for one in parts])
            x = convolved(of(self.embeds, layout), x, SLOPE)
            features = x.unflatten(0, (-1, some.stop - some.start))  # type: ignore[no-untyped-call]  # torch's stub
            ways = zip((anchor.weights, trust), means, strict=True)
            means = [weighted(by[:, some], features, mean) for by, mean in ways]
        return cast("list[Tensor]", means)


class Networks(nn.Module):
    def __init__(self, config: dict[str, Any]) -> None:
        """config: a table of constructor arguments for each of coarse, anchor and refiner, as in
        CONFIGS; and the names of the `layouts` there are stems and tails for, by default all."""
        super().__init__()
        self.layouts = tuple(config.get("layouts", LAYOUTS))
        self.coarse = CoarseNet(self.layouts, **config["coarse"])
        self.anchor = AnchorNet(self.layouts, **config["anchor"])
        self.refiner = RefinerNet(self.layouts, **config["refiner"])
        self.stride = max(part.stride for part in (self.coarse, self.anchor, self.refiner))

    def forward(
        self, layout: Layout, centre: CentreFrame, told: Tensor, neighbours: Neighbours, *,
        refine: bool = True,
    ) -> Restored:  # fmt: skip
        """Both stages on a centre and what is told of it (B, 2 P, h, w), or the first. Gradients do
        not pass from one stage to the one before, so that a coarse frame and an anchor stay
        estimates of the picture and do not become messages to the refiner."""
        fixed = centre._replace(coarse=centre.coarse.detach())
        anchor = self.anchor(layout, neighbours, told)
        start = anchor.given(fixed.coarse)
        if not refine:
            return Restored(anchor.strict, start, start)
        refined = self.refiner(layout, fixed, told, mapped(anchor, Tensor.detach), neighbours)
        return Restored(anchor.strict, start, refined)


def posterior_mean(layout: Layout, noisy: Tensor, anchor: Tensor, told: Tensor) -> Tensor:
    """anchor + g (noisy - anchor), g = E / (E + sigma^2), plane by plane; all (B, C, h, w).

    E, the anchor's own error power, is what the local power of noisy - anchor has beyond that of
    noise and codec's errors (methods: Gaussian posterior).
    """
    apart = noisy - anchor
    noise, errors = told.square().chunk(2, 1)
    variance = noise + errors  # (B, P, h, w)
    power = torch.stack([apart[:, part].square().mean(1) for part in layout.slices], 1)
    excess = (inner_mean(power, WIDE) - variance).clamp_min(0)
    gain = excess / (excess + variance + EPSILON**2)
    taken = [gain[:, i : i + 1] * apart[:, part] for i, part in enumerate(layout.slices)]
    return anchor + torch.cat(taken, 1)


def in_turn(neighbours: Tensor) -> list[slice]:
    """Neighbours (B, N, ...) that are seen at once: on a processor one by one, as all would take N
    times the memory; elsewhere all, as each call takes its time."""
    each = 1 if here(neighbours) else neighbours.shape[1]
    return [slice(place, place + each) for place in range(0, neighbours.shape[1], each)]


def weighted(weights: Tensor, pictures: Tensor, total: Tensor | None = None) -> Tensor:
    """Sum over N of weights (B, N, 1, h, w) times pictures (B, N, C, h, w), added to a total."""
    if not here(pictures) and total is None:
        return (weights * pictures).sum(1)
    for place in range(pictures.shape[1]):
        pair = weights[:, place], pictures[:, place]
        total = pair[0] * pair[1] if total is None else total.addcmul_(*pair)
    return cast(Tensor, total)
