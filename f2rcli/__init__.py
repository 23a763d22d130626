"""f2r: self-supervised two-stage video denoising on real footage."""

__version__ = "0.1.0"
