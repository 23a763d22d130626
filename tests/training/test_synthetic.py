"""Noise as users write it: what is drawn, and what is refused."""

import numpy as np
import pytest

from f2rcli.errors import UsageError
from f2rcli.noise.synthesis.corruption import Law, draw_law
from f2rcli.noise.synthesis.synthetic import choices, parse_noise


def laws(text: str, count: int = 500) -> list[Law | None]:
    noise, rng = parse_noise(text), np.random.default_rng(0)
    return [noise.draw(rng) for _ in range(count)]


def test_drawn_laws_cover_the_ranges_and_keep_to_them() -> None:
    sigmas = [255 * law.read for law in laws("gaussian:5-55")]
    assert 5 <= min(sigmas) < 7
    assert 53 < max(sigmas) <= 55
    assert {law.read for law in laws("gaussian:30")} == {30 / 255}
    mixed = laws("poisson-gaussian:0.001-0.04,2-15", 3000)
    gains = [law.gain for law in mixed]
    assert 0.001 <= min(gains) < 0.0012
    assert 0.035 < max(gains) <= 0.04
    assert np.median(gains) == pytest.approx(np.sqrt(0.001 * 0.04), rel=0.15)  # octaves alike
    assert 255 * min(law.read for law in mixed) >= 2
    blurs = [law.blur for law in laws("correlated:10,0.4-1.3")]
    assert 0.4 <= min(blurs) < max(blurs) <= 1.3


def test_kinds_that_are_joined_have_equal_shares() -> None:
    drawn = laws("gaussian:10+correlated:20,1+realistic", 1500)
    shares = [
        np.mean([law is None for law in drawn]),
        np.mean([law is not None and law.blur > 0 for law in drawn]),
    ]
    assert shares == pytest.approx([1 / 3, 1 / 3], abs=0.04)
    assert parse_noise("mix+realistic+coded").rendered == ("realistic", "coded")
    assert parse_noise("mix").rendered == ()


def test_mix_is_what_the_shipped_weights_learn_from() -> None:
    rng = np.random.default_rng(0)
    assert laws("mix", 50) == [draw_law(rng) for _ in range(50)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("gauss:3", "gauss is no kind of noise"),
        ("", "nothing is no kind of noise"),
        ("gaussian:5+", "nothing is no kind of noise"),
        ("gaussian:x", "x is no number"),
        ("gaussian:-5", "-5 is no number"),
        ("gaussian:nan", "nan is no number"),
        ("gaussian:55-5", "runs backwards"),
        ("gaussian:300", "must be from 0 to 200"),
        ("gaussian:5,6", "takes 1 number, not 2"),
        ("poisson-gaussian:0-0.01,3", "gain"),
        ("realistic:3", "realistic takes no numbers"),
        ("mix:3", "mix takes no numbers"),
    ],
)
def test_what_is_unknown_or_out_of_range_is_refused_with_the_choices(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        parse_noise(text)
    assert f"--synthetic {text}" in str(caught.value)
    assert choices() in str(caught.value.hint)


def test_every_choice_that_is_named_can_be_chosen() -> None:
    for name in ["gaussian", "poisson-gaussian", "correlated", "mix", "realistic", "coded"]:
        assert name in choices()
        parse_noise(name)
