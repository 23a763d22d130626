"""The report page: complete, escaped, self-contained, bounded."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from f2rcli.evaluation import report, result
from tests.evaluation.sample import EVIL, evaluation

VOID = {"br", "img", "input", "meta"}


class Tree(HTMLParser):
    """Checks that elements are closed in order, and notes elements, attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for element, attributes in self.elements if element == name]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def sample() -> result.Evaluation:
    return evaluation()


@pytest.fixture(scope="module")
def text(sample: result.Evaluation) -> str:
    return report.page(sample)


@pytest.fixture(scope="module")
def tree(text: str) -> Tree:
    return Tree(text)


def test_everything_has_its_place(tree: Tree) -> None:
    for words in (
        "Summary", "FastDVDnet", "published: CVPR 2020", "34.06", "noisy input", "no FFmpeg",
        "85 frames at most", "The benchmark is not complete", "Before and after",
        "What was taken out", "What is still wrong", "The noise of",
        "white: neighbouring pixels are independent", "f2r eval --clean", "ab" * 32,
    ):  # fmt: skip
        assert words in tree.words, words


def test_names_from_outside_stay_text(tree: Tree, text: str) -> None:
    assert EVIL in tree.texts
    assert len(tree.all("script")) == 1
    assert "<i>other</i>" in tree.words
    assert "a <b>note</b>" in tree.words
    assert "alert('x')</script>" not in text


def test_nothing_is_fetched(tree: Tree, text: str) -> None:
    (policy,) = [m["content"] for m in tree.all("meta") if "http-equiv" in m]
    assert "default-src 'none'" in str(policy)
    assert not tree.all("link")
    assert all(str(image["src"]).startswith("data:image/") for image in tree.all("img"))
    assert not re.search(r"(?:src|href)=\"https?:", text)


def test_every_picture_says_what_it_shows_and_every_control_is_named(tree: Tree) -> None:
    assert all(image.get("alt") for image in tree.all("img"))
    assert all(slider.get("aria-label") for slider in tree.all("input"))
    assert len(tree.all("select")) == 4 * len(tree.all("input"))
    assert tree.all("label")


def test_the_slider_begins_with_the_noisy_input_and_the_first_method(tree: Tree) -> None:
    sides = {
        image["class"]: image["data-side"]
        for image in tree.all("img")
        if image.get("class") in ("left", "right")
    }
    assert sides == {"left": "none", "right": "f2r"}


def test_the_best_value_is_marked_in_its_direction(text: str) -> None:
    best = re.findall(r'<td class="n best">([^<]+)', text)
    assert set(best) == {"inf"}  # of PSNR; only one method has a warping error
    assert len(best) == 3  # over all clips, and of each


def test_without_a_reference_the_input_is_no_rival(sample: result.Evaluation) -> None:
    facts = replace(sample.metrics[0], reference=False)
    assert facts.best({"none": 40.0, "f2r": 30.0, "other": 20.0}) == 30.0
    assert replace(facts, reference=True).best({"none": 40.0, "f2r": 30.0}) == 40.0


def test_identical_pages_come_from_identical_results(sample: result.Evaluation, text: str) -> None:
    assert report.page(sample) == text
    assert "<h1>DAVIS</h1>" in text


def test_pages_of_many_clips_stay_small() -> None:
    assert len(report.page(evaluation(clips=4, frames=2))) < 8_000_000


def test_a_page_without_pictures_noise_or_values_is_whole(sample: result.Evaluation) -> None:
    bare = tuple(replace(c, pictures=(), noise=None, methods=()) for c in sample.clips)
    Tree(report.page(replace(sample, clips=bare, benchmark=None, metrics=())))
