"""The coarse denoiser: one frame in, one frame out, once per frame."""

from torch import Tensor, nn

from f2rcli.models.layers import UNet, lowered_cat, unet_reach, unet_stride


class Coarse(nn.Module):
    """A single-frame denoiser, conditioned on the noise level or blind to it.

    It stands where the published F2R puts a frozen NAFNet (arXiv 2603.10417, code), at one
    twentieth of its cost, and without its global pooling.
    """

    sees_pictures = True  # bf16 rounds them by up to half an 8-bit code

    def __init__(self, channels: int = 3, widths: tuple[int, ...] = (32, 64, 128)) -> None:
        super().__init__()
        self.stride = unet_stride(widths)
        self.reach = unet_reach(widths)
        self.unet = UNet(2 * channels, channels, widths)

    def forward(self, noisy: Tensor, level: Tensor) -> Tensor:
        """noisy (B, C, H, W); level (B, C, H, W), the noise's standard deviation at every sample
        in the units of `noisy`, zero where it is not known -> the coarse estimate (B, C, H, W).

        H and W must be multiples of `stride`.
        """
        return noisy + self.unet(lowered_cat([noisy, level]))
