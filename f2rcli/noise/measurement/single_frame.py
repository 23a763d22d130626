"""A rough look at the noise of one frame, where there is nothing to compare it with."""

from torch import Tensor
from torch.nn import functional

MAD_TO_SIGMA = 1.4826  # of a Gaussian


def single_frame_sigma(noisy: Tensor) -> float:
    """A rough standard deviation from one frame (1, C, H, W): median of its finest diagonal detail.

    Donoho and Johnstone, Biometrika 1994. Reads low where noise is spatially correlated.
    """
    height, width = (size // 2 * 2 for size in noisy.shape[-2:])
    if min(height, width) < 2:
        return 0.0
    cells = functional.pixel_unshuffle(noisy[..., :height, :width].flatten(0, 1).unsqueeze(1), 2)
    diagonal = (cells[:, 0] - cells[:, 1] - cells[:, 2] + cells[:, 3]) / 2
    return float(diagonal.abs().median()) * MAD_TO_SIGMA
