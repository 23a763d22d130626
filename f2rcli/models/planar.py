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
from torch.nn import functional

from f2rcli.models.layers import (
    SLOPE,
    Down,
    ResidualBlock,
    Up,
    conv,
    convolved,
    inner_mean,
    lowered,
    pooled,
    together,
)
from f2rcli.planes import LAYOUTS, Layout

EPSILON = 1e-4  # keeps ratios of brightness finite; one fortieth of an 8-bit code
NEAR = 3  # cells, of local means: about as wide as the neighbourhood of a flow's patch
WIDE = 5  # cells, of local powers, whose own noise is the square root of 2 over their samples
NOTHING = -1e4  # logit of a neighbour that is not there

# What each of the two sizes is made of. `full` is the arithmetic of the RGB networks before it;
# `lite` was shaped by measured time (benchmarks/results).
CONFIGS: dict[str, dict[str, Any]] = {
    "full": {
        "coarse": {"widths": (32, 64, 128), "encoders": (1, 1), "middle": 2, "decoders": (1, 1)},
        "anchor": {
            "trunk": {"widths": (24, 48, 96), "encoders": (1, 1), "middle": 2, "decoders": (1, 1)},
            "hidden": 12,
            "step": 1,
            "guided": True,
        },
        "refiner": {
            "trunk": {"widths": (48, 64, 128), "encoders": (1, 1), "middle": 2, "decoders": (1, 1)},
            "embed": 20,
            "deep": 0,
            "guided": True,
        },
    },
    "lite": {
        "coarse": {"widths": (24, 48, 96), "encoders": (1, 1), "middle": 2, "decoders": (1, 1)},
        "anchor": {
            "trunk": {"widths": (12, 24, 48), "encoders": (1, 1), "middle": 2, "decoders": (1, 1)},
            "hidden": 8,
            "step": 1,
            "guided": True,
        },
        "refiner": {
            "trunk": {"widths": (24, 48, 96), "encoders": (1, 1), "middle": 2, "decoders": (1, 1)},
            "embed": 8,
            "deep": 0,
            "guided": True,
        },
    },
}


class Coarse(NamedTuple):
    """One frame by itself."""

    picture: Tensor  # (B, C, h, w)
    deep: Tensor | None  # (B, D, h/2, w/2): what the trunk knows, for refiners that take it

    def detached(self) -> "Coarse":
        """The same, through which no gradient passes."""
        return Coarse(self.picture.detach(), None if self.deep is None else self.deep.detach())


class Neighbours(NamedTuple):
    """Neighbours on the centre's grid. A missing one has confidence zero everywhere."""

    noisy: Tensor  # (B, N, C, h, w)
    coarse: Tensor  # (B, N, C, h, w)
    confidence: Tensor  # (B, N, 1, h, w): 0..1 for a frame, times `worth`
    worth: Tensor  # (B, N, 1, h, w): frames that a neighbour is the mean of, 1 or more


class Anchor(NamedTuple):
    """Stage 1's estimates of the centre; no noisy sample of the centre enters them."""

    strict: Tensor  # (B, C, h, w): made of neighbours alone
    correction: Tensor | None  # (B, C, h, w): what guided mode adds to the centre's coarse frame
    merged: Tensor  # (B, C, h, w): the mean of the noisy neighbours by `weights`
    weights: Tensor  # (B, N, 1, h, w): sum to one over N
    spread: Tensor  # (B, 1, h, w): how far neighbours disagree
    deep: Tensor  # (B, D, h/2, w/2): what the trunk knows

    def given(self, coarse_centre: Tensor) -> Tensor:
        """What the refiner begins from: guided, the coarse centre (B, C, h, w) with what
        neighbours add to it at the very end; without that mode, the strict estimate."""
        return self.strict if self.correction is None else coarse_centre + self.correction

    def detached(self) -> "Anchor":
        """The same, through which no gradient passes."""
        parts = {name: part for name, part in self._asdict().items() if part is not None}
        return self._replace(**{name: part.detach() for name, part in parts.items()})


class Restored(NamedTuple):
    """Both stages' estimates of a centre, (B, C, h, w) each."""

    strict: Tensor
    anchor: Tensor  # what the refiner begins from
    refined: Tensor


class Trunk(nn.Module):
    """A U-Net over features (B, widths[0], h, w): residual blocks on every level."""

    def __init__(
        self,
        widths: tuple[int, ...],
        encoders: tuple[int, ...],
        middle: int,
        decoders: tuple[int, ...],
    ) -> None:
        """encoders, decoders: blocks of every level but the last, `middle` of that."""
        super().__init__()
        pairs = list(pairwise(widths))
        self.encoders = nn.ModuleList(map(_blocks, widths[:-1], encoders))
        self.downs = nn.ModuleList(Down(a, b) for a, b in pairs)
        self.middle = _blocks(widths[-1], middle)
        self.ups = nn.ModuleList(Up(b, a) for a, b in pairs)
        self.decoders = nn.ModuleList(map(_blocks, widths[:-1], decoders))
        self.stride = 2 ** len(pairs)
        blocks = [a + b for a, b in zip(encoders, decoders, strict=True)] + [middle]
        # cells within which an input can change an output: two convolutions a block, and both ends
        self.reach = 2 + sum((2 * n + 1) * 2**level for level, n in enumerate(blocks))

    def forward(self, x: Tensor, deep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """h and w multiples of `stride`; deep (B, widths[1], h/2, w/2) is added where the second
        level begins -> features like x, and those of the second level where it ends."""
        skips = []
        for level, (encoder, down) in enumerate(zip(self.encoders, self.downs, strict=True)):
            x = encoder(x)
            skips.append(x)
            x = down(x)
            if deep is not None and level == 0:
                x = x + deep
        x = second = self.middle(x)
        for level in range(len(skips) - 1, -1, -1):
            x = self.decoders[level](self.ups[level](x, skips[level]))
            if level == 1:
                second = x
        return x, second


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(count)))


def per_layout(names: Sequence[str], make: Callable[[Layout], nn.Module]) -> nn.ModuleDict:
    """A module for each of some layouts, by its name."""
    return nn.ModuleDict({name: make(LAYOUTS[name]) for name in names})


def stem(layers: nn.ModuleDict, layout: Layout, parts: list[Tensor]) -> Tensor:
    """Pictures into a trunk's features, in float32: bfloat16 would round them by half a code."""
    layer = of(layers, layout)
    with torch.autocast(parts[0].device.type, enabled=False):
        begun = convolved(layer, together(parts), SLOPE)
    return lowered(begun)


def tail(layers: nn.ModuleDict, layout: Layout, x: Tensor) -> Tensor:
    """A trunk's features into a change of pictures, float32."""
    return convolved(of(layers, layout), x).float()


def of(layers: nn.ModuleDict, layout: Layout) -> nn.Conv2d:
    """The layer of a layout."""
    return cast("nn.Conv2d", layers[layout.name])


class CoarseNet(nn.Module):
    """The denoiser of single frames."""

    def __init__(self, layouts: Sequence[str], **trunk: Any) -> None:
        super().__init__()
        width = trunk["widths"][0]
        self.stems = per_layout(
            layouts, lambda one: conv(one.channels + 2 * len(one.planes), width)
        )
        self.trunk = Trunk(**trunk)
        self.tails = per_layout(layouts, lambda one: conv(width, one.channels, gain=0.1))
        self.stride, self.reach = self.trunk.stride, self.trunk.reach

    def forward(self, layout: Layout, noisy: Tensor, told: Tensor) -> Coarse:
        """noisy (B, C, h, w); told (B, 2 P, h, w): noise of every plane, then codec's errors."""
        x, deep = self.trunk(stem(self.stems, layout, [noisy, told]))
        return Coarse(noisy + tail(self.tails, layout, x), deep)


class AnchorNet(nn.Module):
    """Stage 1, the blind temporal estimator. The centre is not among its arguments.

    A softmax weighs the neighbours cell by cell; the weighted mean of the *noisy* ones is linear in
    their noise. A trunk adds a change to it: `strict`; where `guided` is wanted, also one for
    the coarse centre, to which it is added outside.
    """

    def __init__(
        self, layouts: Sequence[str], trunk: dict[str, Any], hidden: int, step: int, *, guided: bool
    ) -> None:
        """hidden: channels of the weighing; step: cells along a side that it looks at as one."""
        super().__init__()
        width = trunk["widths"][0]
        self.step = step
        self.firsts = per_layout(
            layouts, lambda one: nn.Conv2d(one.channels + 2, hidden, 3, padding=1)
        )
        self.second = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.logits = nn.Conv2d(hidden, 1, 3, padding=1)
        nn.init.zeros_(self.logits.weight)  # start from confidence alone
        nn.init.zeros_(self.logits.bias)  # type: ignore[arg-type]  # bias=True, so never None
        self.stems = per_layout(
            layouts, lambda one: conv(2 * one.channels + 1 + 2 * len(one.planes), width)
        )
        self.trunk = Trunk(**trunk)
        self.guided = guided
        count = 2 if guided else 1
        self.tails = per_layout(layouts, lambda one: conv(width, count * one.channels, gain=0.1))
        self.stride = max(self.trunk.stride, step)
        self.reach = self.trunk.reach + (NEAR // 2 + 4) * step  # the weighing, and its enlargement

    def forward(self, layout: Layout, neighbours: Neighbours, told: Tensor) -> Anchor:
        """told (B, 2 P, h, w): the maps of one frame's noise and codec's errors."""
        weights, spread = self._weigh(layout, neighbours)
        merged = weighted(weights, neighbours.coarse)
        noisy = weighted(weights, neighbours.noisy)
        texture = noisy - merged  # what coarse frames lack
        left = weighted(weights.square(), 1 / neighbours.worth).sqrt()  # of noise, as a share
        begun = stem(self.stems, layout, [merged, texture, spread, told * left])
        x, deep = self.trunk(begun)
        strict, *guided = torch.split(tail(self.tails, layout, x), layout.channels, 1)
        correction = texture + guided[0] if guided else None
        return Anchor(noisy + strict, correction, noisy, weights, spread, deep)

    def _weigh(self, layout: Layout, seen: Neighbours) -> tuple[Tensor, Tensor]:
        """Weights (B, N, 1, h, w), and how far neighbours disagree (B, 1, h, w), which is also the
        unit of disagreement: weights do not change when a clip is made brighter."""
        coarse, sure = (self._seen(one) for one in (seen.coarse, seen.confidence))
        trust = sure / sure.sum(1, keepdim=True).clamp_min(EPSILON)
        apart = coarse - weighted(trust, coarse).unsqueeze(1)
        distance = apart.abs().mean(2, keepdim=True)
        spread = inner_mean(weighted(trust, distance), NEAR)
        scale, found = 1 / (spread + EPSILON), []
        for place in range(apart.shape[1]):  # one by one: all at once would take N times the memory
            parts = [apart[:, place] * scale, distance[:, place] * scale]
            x = together([*parts, sure[:, place].clamp_max(1)])
            x = convolved(self.second, convolved(of(self.firsts, layout), x, SLOPE), SLOPE)
            found.append(convolved(self.logits, x).float())
        x = torch.stack(found, 1).flatten(0, 1)
        if self.step > 1:
            x, spread = (
                functional.interpolate(one, scale_factor=self.step, mode="bilinear")
                for one in (x, spread)
            )
        sure = seen.confidence
        logits = torch.log(sure + EPSILON) + x.view(sure.shape)
        missing = sure.amax((2, 3, 4), keepdim=True) == 0
        return torch.softmax(logits.masked_fill(missing, NOTHING), 1), spread

    def _seen(self, pictures: Tensor) -> Tensor:
        """Pictures (B, N, C, h, w) as the weighing looks at them: `step` cells at once."""
        if self.step == 1:
            return pictures
        return pooled(pictures, self.step)


class RefinerNet(nn.Module):
    """Stage 2, the non-blind spatial refiner: the anchor, the centre itself, and its neighbours.

    It begins at the posterior mean of the centre, given the anchor, and adds a change to it.
    """

    def __init__(
        self, layouts: Sequence[str], trunk: dict[str, Any], embed: int, deep: int, *, guided: bool
    ) -> None:
        """embed: features made of every neighbour, and averaged over them; deep: features of the
        coarse frame's and the anchor's trunks together that enter its own; guided: whether the
        anchor is, which is then shown beside where it begins; else the merged neighbours are."""
        super().__init__()
        width = trunk["widths"][0]
        self.embeds = (
            per_layout(layouts, lambda one: conv(2 * one.channels + 1, embed)) if embed else None
        )
        self.guided = guided
        self.stems = per_layout(
            layouts, lambda one: conv(4 * one.channels + 2 * len(one.planes) + 2 + 2 * embed, width)
        )
        self.deep = conv(deep, trunk["widths"][1], 1, gain=0.1) if deep else None
        self.trunk = Trunk(**trunk)
        self.tails = per_layout(layouts, lambda one: conv(width, one.channels, gain=0.01))
        self.stride, self.reach = self.trunk.stride, self.trunk.reach + WIDE // 2 + 1

    def forward(
        self,
        layout: Layout,
        noisy: Tensor,
        told: Tensor,
        coarse: Coarse,
        anchor: Anchor,
        neighbours: Neighbours,
    ) -> Tensor:
        """noisy (B, C, h, w), told (B, 2 P, h, w): the centre's -> the refined centre."""
        given = anchor.given(coarse.picture)
        start = posterior_mean(layout, noisy, given, told)
        beside = given if self.guided else anchor.merged
        parts = [start, noisy - start, coarse.picture - start, beside - start]
        alone = told[:, :1] / (1 + neighbours.confidence.sum(1))  # noise where nothing helps
        parts += [told, anchor.spread, alone]
        if self.embeds is not None:
            parts += self._embedded(layout, start, anchor, neighbours)
        deep = None
        if self.deep is not None and coarse.deep is not None:
            deep = convolved(self.deep, torch.cat([coarse.deep, anchor.deep], 1))
        x, _ = self.trunk(stem(self.stems, layout, parts), deep)
        return start + tail(self.tails, layout, x)

    def _embedded(
        self, layout: Layout, start: Tensor, anchor: Anchor, seen: Neighbours
    ) -> list[Tensor]:
        """Neighbours' features, as means over them by the anchor's weights and by confidence."""
        assert self.embeds is not None
        trust = seen.confidence / seen.confidence.sum(1, keepdim=True).clamp_min(EPSILON)
        means = [start.new_zeros(()), start.new_zeros(())]
        for place in range(seen.coarse.shape[1]):
            apart = seen.coarse[:, place] - start
            texture = seen.noisy[:, place] - seen.coarse[:, place]
            parts = [apart, texture, apart.abs().mean(1, keepdim=True)]
            features = convolved(of(self.embeds, layout), together(parts), SLOPE)
            for index, by in enumerate((anchor.weights, trust)):
                means[index] = torch.addcmul(means[index], by[:, place], features)
        return means


class Networks(nn.Module):
    """The three trained parts."""

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
        self, layout: Layout, noisy: Tensor, told: Tensor, coarse: Coarse, neighbours: Neighbours
    ) -> Restored:
        """Both stages on a centre: its noisy planes (B, C, h, w), what is told of them (B, 2 P, h,
        w) and its coarse frame. Gradients do not pass from one stage to the one before, so that a
        coarse frame and an anchor stay estimates of the picture and do not become messages to the
        refiner."""
        fixed = coarse.detached()
        anchor = self.anchor(layout, neighbours, told)
        refined = self.refiner(layout, noisy, told, fixed, anchor.detached(), neighbours)
        return Restored(anchor.strict, anchor.given(fixed.picture), refined)


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


def weighted(weights: Tensor, pictures: Tensor) -> Tensor:
    """Sum over N of weights (B, N, 1, h, w) times pictures (B, N, C, h, w)."""
    total = weights[:, 0] * pictures[:, 0]
    for place in range(1, pictures.shape[1]):
        total.addcmul_(weights[:, place], pictures[:, place])
    return total
