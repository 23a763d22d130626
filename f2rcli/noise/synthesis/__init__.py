"""Noise that is made: what users may ask for, laws, cameras, sensors and codecs."""


def kinds() -> list[str]:
    """Every kind of `f2r eval --noise` as it is written, with default numbers."""
    from f2rcli.noise.synthesis.spec import usages  # brings PyAV

    return usages()


def training_kinds() -> list[str]:
    """The kinds of `f2r train --noise`."""
    from f2rcli.noise.synthesis.spec import usages  # brings PyAV

    return usages(training=True)
