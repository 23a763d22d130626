"""Fit the bundled weights to a noisy clip of your own, from Python.

python examples/train_on_own_footage.py CLIP NAME.safetensors [MINUTES]
"""

import sys

from f2rcli.training.config import TrainConfig
from f2rcli.training.folder import running, summarise
from f2rcli.training.session import train


def main(clip: str, output: str, minutes: str = "5") -> None:
    """Adapt to `clip` for about `minutes`; print what happens and how to use the result."""
    config = TrainConfig(inputs=(clip,), output=output, adapt=True, time_limit=f"{minutes}m")
    with running(config):
        result = train(config, print)
    lines, _ = summarise(result)
    print("\n".join(lines))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:4])
