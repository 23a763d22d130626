"""Choices that FITVNet offers; see recipe.py and stage.py."""

from f2rcli.training.methods import Capabilities

CAPABILITIES = Capabilities(
    recipes={
        "self-supervised": "noisy footage alone, each frame recorrupted into two",
        "supervised": "clean clips with synthetic noise (--inputs-are-clean --noise)",
        "published": "the paper's losses and schedule, on either",
    },
    sizes=("small", "published"),
    variants={
        "jsn": "both modules at once, the image module against second noisy copies",
        "jsc": "the same against clean frames (--inputs-are-clean)",
        "base": "no loss of the image module's own",
        "unsupervised": "the image module's estimate is the target of the other one",
        "unsupervised-drift": "the same without a stopped gradient",
        "unsupervised-hidden": "the reference is hidden from the blocks, which aim at it",
    },
    lengths=(5,),
)
