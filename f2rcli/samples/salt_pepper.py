"""Salt and pepper: noise that turns single samples into one bright or dark code, new every frame.

No detail of a picture does the same. Light lies on more than one pixel, so that the pixels beside
it see part of it; it comes in all codes; it is bright, or dark, but not as often both; it lies on
objects, which are somewhere in a picture, and near there in the frame before. Single samples are
noise only where they show nothing of all that.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Mask, Plane, Singles
from f2rcli.samples.impulses import CROSS, SAMPLED, STEPS, Places, samples_near

SIGMA = 1.75  # standard deviations of noise in the median distance from medians of 3x3
FAR = 4.0, 0.1  # of the noise, of the range: what shows a law stands out by more
LEAST = 16  # samples of either code that show a law
FEW_CODES = 16  # of a picture that is made of dots
SPIKE = 4  # times as many have that code as have any other,
STEEP = 1.5  # or so many before it is known which of them are single, for the time that takes
BALANCE = 4  # times as many may be bright as dark, or the other way round
SEEN = 0.08  # of what they stand out by that those beside may see: of light 0.4 pixels wide 0.13
PARTS, UNEVEN = 4, 0.5  # of a side; variance of their counts beyond chance, of the squared mean
COMPANY = 0.4  # more of them near each in the frame before than near other places, at the most
AGAIN = 0.1  # of them, beyond chance, that may have been in the same places in the frame before
NEARER, WIDER = 17, 49  # sides of the squares that are near, and that such places lie in
MOST = 0.3  # of the samples that may stand out, for the time it takes
BEYOND = 2.5, 0.03  # of the noise, of the range: salt and pepper of a known law stand out by more
ALIKE = 2.0, 0.016  # of the noise, of the range: samples that differ by less
SURE = 3.5  # standard deviations of how many are alike by chance
WIDEST = 2  # samples of a square: more that are alike are not a single point

AROUND = np.array([step for step in STEPS if max(map(abs, step)) == 1])
RING = np.array([step for step in STEPS if max(map(abs, step)) == 2])
SQUARE = np.array([(0, 0), *AROUND.tolist()])


class ImpulseLaw(NamedTuple):
    """Salt and pepper of a plane, in this order."""

    codes: tuple[float, float]
    shares: tuple[float, float]  # of the samples


class _Sight(NamedTuple):
    """A plane (H, W), and what stands out of it."""

    plane: Plane
    span: float  # of codes, from black to white
    middle: Plane  # medians of 3x3
    apart: Plane  # distances from them
    sigma: float  # of the noise

    @classmethod
    def of(cls, plane: Plane, span: float) -> "_Sight":
        import cv2  # not before it is needed: io knows this module

        middle = cv2.medianBlur(plane, 3)
        apart = cv2.absdiff(plane, middle)
        some = apart.ravel()[:: max(1, apart.size // SAMPLED)]
        return cls(plane, span, middle, apart, SIGMA * float(np.median(some)))

    def codes(self, of_noise: float, of_range: float) -> float:
        """The larger one of a share of the noise and one of the range, in codes."""
        return max(of_noise * self.sigma, of_range * self.span)

    @property
    def places(self) -> Places:
        """Where samples stand out enough to show a law."""
        found: Places = np.flatnonzero(self.apart > self.codes(*FAR))
        return found

    def alone(self, places: Places, near: Sequence[Plane]) -> tuple[Places, Singles]:
        """Those of the places where no sample around, here and in frames near it, is nearer to the
        one there than to the median of those around, and how far it is beyond that."""
        around = _near(self.plane, places, AROUND)
        beyond = self.plane.ravel()[places] - np.median(around, axis=1)
        for plane, steps in ((self.plane, AROUND), *((one, SQUARE) for one in near)):
            apart = _near(plane, places, steps) - self.plane.ravel()[places, None]
            kept = (2 * np.abs(apart) >= np.abs(beyond)[:, None]).all(axis=1)
            places, beyond = places[kept], beyond[kept]
        far = np.abs(beyond) > self.codes(*FAR)
        return places[far], beyond[far]

    def exposed(self, sign: int, code: float, near: Sequence[Plane]) -> Singles:
        """Where (H, W) a sample of this code, bright or dark by sign, would be alone: 1, else 0."""
        import cv2  # not before it is needed: io knows this module

        beyond = sign * (code - self.middle.astype(np.float32))
        alone = beyond > self.codes(*FAR)
        for plane in near:
            ends = (cv2.dilate if sign > 0 else cv2.erode)(plane, np.ones((3, 3), np.uint8))
            alone &= 2 * sign * (code - ends.astype(np.float32)) >= beyond
        return alone.astype(np.float32)


def without_salt_and_pepper(
    planes: Sequence[Plane], near: Sequence[Sequence[Plane]], span: float
) -> list[tuple[Plane, int]]:
    """Planes (H, W) of integers of one kind, such as red, green and blue, with medians of what is
    around in place of salt and pepper, and how many samples of each that are. If one of them shows
    a law, it is that of all.

    near: the same planes of one or two frames near theirs; span: of the codes from black to white.
    """
    sights = [_Sight.of(plane, span) for plane in planes]
    others = [[frame[index] for frame in near] for index in range(len(planes))]
    laws = (law_of(*both) for both in zip(sights, others, strict=True))
    law = next((one for one in laws if one is not None), None)
    if law is None:
        return [(plane, 0) for plane in planes]
    return [_repaired(*both, law) for both in zip(sights, others, strict=True)]


def law_of(sight: _Sight, near: Sequence[Plane]) -> ImpulseLaw | None:
    """The law of a plane's salt and pepper; None where it shows none."""
    out = sight.places
    if not near or not 2 * LEAST <= out.size <= MOST * sight.plane.size:
        return None
    if np.unique(sight.plane.ravel()[:SAMPLED]).size < FEW_CODES:
        return None
    values = sight.plane.ravel()[out]
    up = values > sight.middle.ravel()[out]
    if _spike(values[up], STEEP) is None or _spike(values[~up], STEEP) is None:
        return None
    single = sight.alone(out, near)
    salt, pepper = (_kind(sight, near, *single, sign) for sign in (1, -1))
    if salt is None or pepper is None or _is_detail(sight, (salt, pepper), near):
        return None
    return ImpulseLaw((salt.code, pepper.code), (salt.share, pepper.share))


class _Kind(NamedTuple):
    """Single samples of one code."""

    sign: int  # 1: brighter than what is around, -1: darker
    code: float
    places: Places
    beyond: Singles  # how far each is from what is around
    seen: Singles  # (H, W), 1 where one more would be single, 0 elsewhere

    @property
    def share(self) -> float:
        """The share of all samples that has come to be like them."""
        return self.places.size / max(float(self.seen.sum()), 1.0)


def _kind(
    sight: _Sight, near: Sequence[Plane], places: Places, beyond: Singles, sign: int
) -> _Kind | None:
    """Those of single samples that are bright or dark by sign, and have a code that far more of
    them have than any other; None if there is no such code."""
    some = sign * beyond > 0
    places, beyond = places[some], beyond[some]
    values = sight.plane.ravel()[places]
    code = _spike(values)
    if code is None:
        return None
    seen = sight.exposed(sign, code, (sight.plane, *near))
    return _Kind(sign, code, places[values == code], beyond[values == code], seen)


def _spike(values: Plane, times: float = SPIKE) -> float | None:
    """The code that far more of the values have than any other; None if there is no such."""
    codes, counts = np.unique(values, return_counts=True)
    first, second = [*np.sort(counts)[::-1][:2], 0, 0][:2]
    return float(codes[np.argmax(counts)]) if first >= max(LEAST, times * second) else None


def _is_detail(sight: _Sight, kinds: tuple[_Kind, _Kind], near: Sequence[Plane]) -> bool:
    """Whether single samples look like light, or like something that is somewhere or moves."""
    shares = [kind.share for kind in kinds]
    if max(shares) > BALANCE * min(shares):
        return True
    places, beyond = (
        np.concatenate(both) for both in zip(*(one[2:4] for one in kinds), strict=True)
    )
    beside = _near(sight.plane, places, np.array(CROSS)).mean(axis=1)
    ground = np.median(_near(sight.plane, places, RING), axis=1)
    if np.median((beside - ground) / beyond) > SEEN:
        return True
    here = np.zeros(sight.plane.shape, np.float32)
    here.flat[places] = np.sign(beyond)
    counts = _by_part(np.abs(here))
    expected = sum(kind.share * _by_part(kind.seen) for kind in kinds)
    if np.mean((counts - expected) ** 2 - expected) > UNEVEN * counts.mean() ** 2:
        return True
    return _moves(sight, here, kinds, near[0])


def _by_part(values: Singles) -> NDArray[np.float64]:
    """Sums over PARTS x PARTS parts of a plane."""
    rows = np.array_split(values, PARTS)
    return np.array([part.sum() for row in rows for part in np.array_split(row, PARTS, axis=1)])


def _moves(sight: _Sight, here: Singles, kinds: tuple[_Kind, _Kind], before: Plane) -> bool:
    """Whether the frame before has more samples of the same kind near those that are here than near
    other places where they would be seen, of either kind in their very places, or of the same kind
    in the same pattern, moved by any step."""
    other = _Sight.of(before, sight.span)
    out = other.places
    codes = [kind.code for kind in kinds]
    its, beyond = other.alone(out[np.isin(before.ravel()[out], codes)], ())
    there = np.zeros_like(here)
    there.flat[its] = np.sign(beyond)
    more = 0.0
    for kind in kinds:
        company = _sums((there == kind.sign).astype(np.float32), NEARER)
        usual = _sums(company * kind.seen, WIDER) / np.maximum(_sums(kind.seen, WIDER), 1)
        more += float((company - usual).ravel()[kind.places].sum())
    count = np.count_nonzero(here)
    again, chance = np.count_nonzero(here * there), count * its.size / here.size
    if more > COMPANY * count or again > AGAIN * count + 2 * chance + SURE * np.sqrt(chance):
        return True
    steps = np.fft.irfft2(np.fft.rfft2(here) * np.fft.rfft2(there).conj(), s=here.shape)
    return bool(steps.max() > 6 * np.sqrt(count * its.size / here.size) + COMPANY * count)


def _sums(values: Singles, side: int) -> Singles:
    """Sums over squares around every place."""
    import cv2  # not before it is needed: io knows this module

    return np.asarray(cv2.boxFilter(values, -1, (side, side), normalize=False))


def _repaired(sight: _Sight, near: Sequence[Plane], law: ImpulseLaw) -> tuple[Plane, int]:
    """A plane without salt and pepper of this law, and how much there was."""
    import cv2  # not before it is needed: io knows this module

    plane = sight.plane
    coded = np.isin(plane, law.codes)
    inside = cv2.erode(coded.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    places = np.flatnonzero(coded & ~inside)
    around = _near(plane, places, AROUND)
    ground = _medians(around, _near(coded, places, AROUND) > 0)
    code = plane.ravel()[places].astype(np.float32)
    far = np.abs(code - ground)
    within = np.minimum(far / 2, sight.codes(*ALIKE))
    seen = np.stack([_near(one, places, SQUARE) for one in (plane, *near)], axis=1)
    alike = np.abs(seen - code[:, None, None]) < within[:, None, None]
    counts = alike.sum(axis=2)
    # A sample that is single here is not what was part of something larger in another frame.
    shows = (counts <= WIDEST) | (counts[:, :1] > 1)
    by_chance = max(law.shares) + _tail((far - within) / max(sight.sigma, 1e-6))
    expected = by_chance * len(SQUARE) * seen.shape[1]
    most = 2 + expected + SURE * np.sqrt(expected)  # one is itself
    few = (counts * shows).sum(axis=1) <= most
    found = (far > sight.codes(*BEYOND)) & few & ~(alike[:, :, 0] & shows).all(axis=1)
    whole = plane.copy()
    whole.flat[places[found]] = np.rint(ground[found]).astype(plane.dtype)
    return whole, int(np.count_nonzero(found))


def _medians(values: Singles, out: Mask) -> Singles:
    """Medians of rows of values without those that are out; of all of them where all are."""
    out = out & ~out.all(axis=1, keepdims=True)
    ordered = np.sort(np.where(out, np.inf, values), axis=1)
    middle = (np.count_nonzero(~out, axis=1) - 1) // 2
    medians: Singles = np.take_along_axis(ordered, middle[:, None], axis=1)[:, 0]
    return medians


def _tail(far: Singles) -> Singles:
    """The share of a normal law beyond so many standard deviations, within 0.005."""
    return np.asarray(0.5 * np.exp(-0.717 * far - 0.416 * far * far), np.float32)


def _near(plane: Plane, places: Places, steps: Places) -> Singles:
    """The samples at steps (M, 2), down and across, from places (N,): (N, M)."""
    near = samples_near(plane, *np.divmod(places, plane.shape[1]), steps)
    return near.astype(np.float32)
