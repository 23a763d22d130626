"""Fit the bundled weights to a noisy clip of your own, from Python.

python examples/train_on_own_footage.py CLIP NAME.safetensors [TIME]
"""

import sys

from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.folder import running
from f2rcli.training.run.report import summarise
from f2rcli.training.run.session import train


def main(clip: str, output: str, time_limit: str = "10m") -> None:
    """Adapt to `clip` for at most `time_limit`; print what happens and how to use the result."""
    config = TrainConfig(inputs=(clip,), output=output, adapt="full", time_limit=time_limit)
    with running(config):
        result = train(config, print)
    print("\n".join(summarise(result, config).lines))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:4])
