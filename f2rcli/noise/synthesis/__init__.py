"""Noise that is made: what users may ask for, its laws, and codecs."""


def kinds() -> list[str]:
    """Every kind of --noise as it is written, with default numbers."""
    from f2rcli.noise.synthesis.spec import usages  # brings PyAV

    return usages()
