"""A frame with more of its own noise, restored again: how a method responds to noise."""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from f2rcli.engine.contract.residual import STRICT
from f2rcli.engine.contract.shares import NoiseShares
from f2rcli.engine.contract.terms import Terms, law_of
from f2rcli.engine.engine import Engine
from f2rcli.engine.level import NoiseTracker
from f2rcli.engine.packing import Packing
from f2rcli.engine.planes_store import grouped_planes
from f2rcli.frames import Frame, Singles
from f2rcli.methods.base import Following, Method, Prepared
from f2rcli.noise.bands import Shares, bands, white_shares
from f2rcli.noise.model import PlaneNoise, with_changes
from f2rcli.window import Window

ASK_EVERY = 48  # frames
STILL = 0.9  # of a clip's texture: what a method loses there shows in every frame, see `memory`


class ResponseProbe(NamedTuple):
    """Asks a method how it answers to noise, now and then, where the noise is faint."""

    method: Method
    engine: Engine
    noise: NoiseTracker
    packing: Packing

    def new(self) -> NoiseShares | None:
        """Empty shares for a stream that begins; None where there is nothing to learn."""
        # A codec makes noise look weaker than what is left of it: shares of that mean nothing.
        fits = self.engine.slack is STRICT and isinstance(self.method, Following)
        contract = self.engine.settings.contract and self.noise.planes is not None
        asks = fits and contract and self.noise.weak and self.noise.still < STILL
        return NoiseShares() if asks else None

    def due(self, view: Window[Prepared], shares: NoiseShares | None) -> bool:
        """Whether to ask on this window's centre: on the first, on the first with as many frames
        before it as after it, and every ASK_EVERY frames."""
        if shares is None:
            return False
        balanced = len(view.before) >= len(view.after) > 0
        index = view.centre.index
        again = shares.settled and index > 0 and index % ASK_EVERY == 0
        return not shares.looks or again or (balanced and not shares.settled)

    def ask(
        self, shares: NoiseShares, frame: Frame, view: Window[Prepared], changes: list[Tensor]
    ) -> None:
        """Learn from a window's centre, the `frame`, and changes of its planes."""
        method, told, noise = self.method, self.noise.told, self.noise.planes
        assert isinstance(method, Following)
        assert noise is not None
        layout, store = frame.layout, self.engine.store
        terms, shown = Terms(layout, noise.shares, noise.clipped), store.groups(frame)
        removed = [-group for group in grouped_planes(changes, layout)]
        variances = law_of(noise, terms, shown).variances(shown, removed, terms)
        levels = [np.sqrt(plane.cpu().numpy()) for group in variances for plane in group]
        noisier = _noisier(frame, levels, noise, view.centre.index)
        seen = self.engine.planes(noisier)
        packed = self.packing.packed(self.noise.into(seen))
        centre = method.prepare(view.centre.index, packed, told)
        again = Window(centre, view.before, view.after)
        restored = method.finish(again, told, method.follow(again, told))
        after = grouped_planes(changes_of(seen, restored.refined, self.noise, self.packing), layout)
        added = [x - y for x, y in zip(store.groups(noisier), shown, strict=True)]
        shares.learn(removed, [-group for group in after], added, variances)


def changes_of(
    planes: list[Tensor], restored: Tensor, noise: NoiseTracker, packing: Packing
) -> list[Tensor]:
    """What a restored packed picture changes in planes (H, W) that networks saw through `noise`."""
    estimate = packing.planes(restored, [plane.shape for plane in planes])
    own = noise.back(estimate, planes)
    return [after - before for after, before in zip(own, planes, strict=True)]


def _noisier(frame: Frame, levels: list[Singles], noise: PlaneNoise, seed: int) -> Frame:
    """A frame with noise of these standard deviations added, rounded and cut off as files do."""
    rng = np.random.default_rng(seed)
    changes = [
        _coloured(rng.standard_normal(level.shape, np.float32), shares) * level
        for level, shares in zip(levels, noise.shares, strict=True)
    ]
    return with_changes(frame, changes)


def _coloured(white: Singles, shares: Shares) -> Singles:
    """White noise with its variance over the bands as given."""
    if shares == white_shares():
        return white
    gains = np.sqrt(np.array(shares) / white_shares()).astype(np.float32)
    parts = [gain * band for gain, band in zip(gains, bands(white), strict=True)]
    coloured: Singles = np.sum(parts, axis=0, dtype=np.float32)
    return coloured
