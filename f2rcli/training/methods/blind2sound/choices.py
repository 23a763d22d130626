"""Choices that Blind2Sound offers; see recipe.py."""

from f2rcli.training.methods import Capabilities

CAPABILITIES = Capabilities(
    recipes={
        "self-supervised": "noisy frames alone, two of the four masks of 2x2 cells a step",
        "published": "all sixteen masks a step, the paper's optimiser and schedule",
    },
    sizes=("small", "published"),
    lengths=(1,),
    length=1,
)
