"""Messages of the library, which name settings, in the words of the command line."""

import pytest

from f2rcli.cli.spelling import as_flags

FLAGS = {
    "sigma": ("--sigma", "--sigma"), "strict": ("--strict", "--no-strict"),
    "output": ("-o", "-o"), "encoder_options": ("--encoder-opt", "--encoder-opt"),
    "device": ("--device", "--device"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("message", "spelled"),
    [
        ("sigma=-1: must be 0 or more.", "--sigma -1: must be 0 or more."),
        ("device='cuda:7': not here.", "--device cuda:7: not here."),
        ("With strict=False it goes on.", "With --no-strict it goes on."),
        ("Pass strict=True, or sigma=0.5.", "Pass --strict, or --sigma 0.5."),
        ("Check encoder_options=, sigma= and output=.", "Check --encoder-opt, --sigma and -o."),
        ("Pass output='-'.", "Pass -o -."),
        ("in a/sigma=3.mkv and k=v", "in a/sigma=3.mkv and k=v"),
        ("axes='TYX': unknown here", "axes='TYX': unknown here"),
    ],
)
def test_settings_become_flags(message: str, spelled: str) -> None:
    assert as_flags(message, FLAGS) == spelled
