"""Choices that F2R offers; see recipe.py."""

from f2rcli.training.methods import Capabilities

CAPABILITIES = Capabilities(
    recipes={
        "self-supervised": "noisy footage alone (blind anchor, pseudo pairs, recorruption; from "
        "scratch with several clips a second round on what the first restores)",
        "published": "F2R's own losses and schedules",
        "supervised": "clean clips with synthetic noise (--inputs-are-clean --noise)",
    },
    sizes=("small", "base"),
    widths=True,
    adapt=("full", "fast"),
)
