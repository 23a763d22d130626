"""Networks that see large pictures in strips of rows give what they give of whole pictures."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from f2rcli.models.fusion import Aligned, Anchor, BlindAnchor, Refiner
from f2rcli.models.large import strips
from f2rcli.models.large.codes import coded, plain
from f2rcli.models.layers import padded

WIDTHS = (8, 8, 8)


def pictures(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(len(shape))) * 1.4 - 0.2


@pytest.mark.parametrize("size", [(48, 40), (44, 36)])  # of the networks' stride, and not
@pytest.mark.parametrize("kind", [plain, coded])
def test_strips_give_what_whole_pictures_give(
    size: tuple[int, int], kind: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    around = kind(pictures(2, 3, 3, *size))
    shown = Aligned(around[:1], around[1:], torch.rand(1, 3, 1, *size))
    anchor, refiner = BlindAnchor(3, WIDTHS), Refiner(3, WIDTHS, embed=4)
    for values in (*anchor.parameters(), *refiner.parameters()):
        torch.nn.init.normal_(values, std=0.1)  # nothing is left at zero
    centre = [*kind(pictures(2, 3, *size)).unsqueeze(1), torch.full((1, 3, *size), 0.1)]

    def both() -> list[Tensor]:
        with torch.inference_mode():
            made: Anchor = padded(anchor, shown)
            return [*made, padded(refiner, *centre, made, shown)]

    whole = both()
    monkeypatch.setattr(strips, "PIXELS", 20 * size[1])
    for found, wanted in zip(both(), whole, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_pictures_of_more_than_half_a_megapixel_are_seen_in_even_strips() -> None:
    heights = []

    def run(x: Tensor) -> tuple[Tensor]:
        heights.append(x.shape[-2])
        return (x,)

    for rows, expected in ((512, [512]), (514, [262, 260])):
        heights.clear()
        with torch.inference_mode():
            (out,) = strips.in_strips(run, 3, torch.rand(1, 1, rows, 1024))
        assert heights == expected
        assert out.shape[-2] == rows
