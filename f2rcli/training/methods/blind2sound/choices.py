"""Choices that Blind2Sound offers; see recipe.py."""

from f2rcli.training.methods import Capabilities

CAPABILITIES = Capabilities(
    recipes={
        "self-supervised": "noisy frames alone, two of the four masks of 2x2 cells per step",
        "published": "all sixteen masks of 4x4 cells per step, the paper's optimiser and schedule",
    },
    sizes=("small", "published"),
    lengths=(1,),
    length=1,
)
