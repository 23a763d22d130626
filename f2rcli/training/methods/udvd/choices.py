"""Choices that UDVD offers; see recipe.py."""

from f2rcli.training.methods import Capabilities

CAPABILITIES = Capabilities(
    recipes={
        "self-supervised": "noisy footage, or clean clips made noisy (--inputs-are-clean --noise), "
        "whose clean frames are never learnt from",
        "published": "the paper's schedule: Adam, batch 32, crops of 128",
    },
    sizes=("small", "published"),
    widths=True,
    variants={
        "likelihood": "mean and covariance, combined with the noisy pixel",
        "mse": "the mean alone, for unknown noise",
    },
    adapt=("full",),
    scratch=True,
    lengths=(1, 3, 5),
)
