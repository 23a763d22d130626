"""Denoise frames as they come, as a camera gives them, and say how far behind the results are.

python examples/denoise_live.py INPUT
"""

import sys
from collections.abc import Iterator

import av
import numpy as np

import f2rcli


def camera(path: str) -> Iterator[np.ndarray]:
    """Frames (H, W, 3) uint8, one by one; stands in for a camera."""
    with av.open(path) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def main(path: str) -> None:
    """Push every frame of a video and count what comes back."""
    pushed = given = behind = 0
    with f2rcli.Denoiser(strength=1.0) as live:
        for frame in camera(path):
            pushed += 1
            given += len(live.push(frame))
            behind = max(behind, pushed - given)
        for noise in live.noise:
            print("sigma", ", ".join(f"{sigma:.1f}" for sigma in noise.sigma))
        given += len(live.flush())
    print(f"{pushed} frames pushed, {given} given, {behind} behind at most")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1])
