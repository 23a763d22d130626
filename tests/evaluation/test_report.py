"""The report page: complete, escaped, self-contained, bounded; and alive in a real browser."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from f2rcli.errors import OutputError
from f2rcli.evaluation.report import write_report
from f2rcli.evaluation.report.clip import thinned
from f2rcli.evaluation.report.page import page
from f2rcli.evaluation.result import Evaluation
from f2rcli.plots.chart import Axes, Chart, Curve
from f2rcli.plots.svg import chart_svg
from tests.evaluation.sample import EVIL, evaluation

VOID = {"br", "img", "input", "meta"}
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)


class Tree(HTMLParser):
    """Checks that elements are closed in order, and notes elements, attributes and texts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

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


def parsed(text: str) -> Tree:
    tree = Tree()
    tree.feed(text)
    tree.close()
    assert not tree.open
    return tree


@pytest.fixture(scope="module")
def sample() -> Evaluation:
    return evaluation()


@pytest.fixture(scope="module")
def text(sample: Evaluation) -> str:
    return page(sample)


@pytest.fixture(scope="module")
def tree(text: str) -> Tree:
    return parsed(text)


def test_every_element_is_closed_and_everything_has_its_place(tree: Tree) -> None:
    assert [len(tree.all(name)) for name in ("html", "head", "body", "main", "script")] == [1] * 5
    words = " ".join(tree.texts)
    for expected in (
        "Summary",
        "PSNR",
        "∞",
        "gaussian:30",
        "FastDVDnet",
        "CVPR 2020",
        "no FFmpeg",
        "neighbouring",
    ):
        assert expected in words


def test_names_from_outside_stay_text(tree: Tree, text: str) -> None:
    assert EVIL in tree.texts
    assert EVIL not in text
    assert "<i>other</i>" in tree.texts
    assert not tree.all("i") or all(
        found.get("class", "").startswith("swatch") for found in tree.all("i")
    )
    assert len(tree.all("script")) == 1


def test_nothing_is_fetched(tree: Tree, text: str) -> None:
    for _, attributes in tree.elements:
        assert not set(attributes) & {"href", "srcset", "action", "onclick", "onload"}
        source = attributes.get("src")
        assert source is None or source.startswith(("data:image/png;base64,", "data:image/webp;"))
    without_data = re.sub(r"data:image/[^\"]*", "", text)
    assert not re.search(r"https?://|@import|url\(", without_data)
    policy = next(m["content"] for m in tree.all("meta") if "http-equiv" in m)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_every_picture_says_what_it_shows(tree: Tree) -> None:
    pictures = tree.all("img")
    assert len(pictures) > 20
    for picture in pictures:
        assert picture["alt"]
        assert int(picture["width"] or 0) > 0


def test_controls_can_be_reached_by_keyboard_and_are_named(tree: Tree) -> None:
    ranges = [found for found in tree.all("input") if found["type"] == "range"]
    assert len(ranges) == 2
    assert all(found["aria-label"] for found in ranges)
    plots = [found for found in tree.all("div") if found.get("class") == "plot"]
    assert plots
    assert all(found["tabindex"] == "0" and found["aria-label"] for found in plots)


def test_the_best_value_is_marked_in_its_direction(tree: Tree, text: str) -> None:
    best = re.findall(r'<td class="n best">([^<]*)</td>', text)
    assert best
    assert set(best) == {"∞"}  # of PSNR; a single method has flicker, and is not called the best


def test_without_a_reference_the_input_is_no_rival(sample: Evaluation) -> None:
    blind = [replace(metric, reference=False, better="lower") for metric in sample.metrics]
    text = page(replace(sample, metrics=tuple(blind), benchmark=None))
    assert "20.00" in text  # the input's, and the lowest
    assert '<td class="n best">20.00</td>' not in text


@pytest.mark.parametrize("frames", [2, 3, 6, 90])
def test_frames_are_counted_in_whole_numbers(frames: int) -> None:
    line = Curve(name="a", x=list(range(frames)), y=[1.0] * frames)
    ticks = Chart([line], Axes(title="t", x="frame", y="", whole=True)).columns()
    assert len(ticks) >= 2
    assert all(tick.is_integer() for tick in ticks)


def test_a_page_says_whether_any_brightness_moved(sample: Evaluation, tree: Tree) -> None:
    words = " ".join(tree.texts)
    assert "f2r: moved by more than half a code from the reference: G by +3.0" in words
    still = [replace(m, change=m.change[::2]) for m in sample.clips[0].methods]
    calm = replace(sample.clips[0], methods=tuple(still))
    assert "no brightness moved by more than half a code (R, B)" in page(
        replace(sample, clips=(calm,))
    )


def test_a_page_says_how_much_the_contract_gave_back_and_where(
    sample: Evaluation, tree: Tree
) -> None:
    assert "f2r: 23.4% of what was taken out (R 30.0%, G 20.0%, B 10.0%)." in tree.texts
    maps = [p["alt"] for p in tree.all("img") if p.get("class") == "pixels map"]
    assert len(maps) == 2
    assert "from 0% to 100%, most 75% from the left and 75% from the top" in str(maps[0])
    without = [replace(m, given_back=None) for m in sample.clips[0].methods]
    bare = page(replace(sample, clips=(replace(sample.clips[0], methods=tuple(without)),)))
    assert "contract gave back" not in bare


def test_a_page_shows_flat_places_and_colour_beside_brightness(tree: Tree) -> None:
    words = " ".join(tree.texts)
    assert "The flattest place, at 400 %" in words
    assert "figures are luma, in 8-bit codes" in words
    assert " 1 times" not in words  # a contrast that stays
    alts = [str(picture["alt"]) for picture in tree.all("img")]
    taken = [alt for alt in alts if "difference to the noisy input" in alt]
    assert [alt.endswith("colour alone") for alt in taken] == [False, True] * (len(taken) // 2)


def test_a_bent_axis_keeps_small_values_apart_beside_large_ones() -> None:
    line = Curve(name="a", x=[0, 1, 2], y=[0.4, -0.4, 0.0], spread=[30.0] * 3, band=True)
    chart = Chart([line], Axes(title="t", x="x", y="", bend=1.0, marks={-0.5: "", 0.5: "limit"}))
    places = {value: chart.y.place(value) for value in chart.rows()}
    assert places[0] == pytest.approx(50, abs=0.1)
    assert places[1] - places[0] > 7
    assert places[30] - places[10] == pytest.approx(places[10] - places[3], rel=0.1)
    drawn = chart_svg(chart).decode()
    assert drawn.count('class="mark"') == 2
    assert ">limit<" in drawn
    assert "<polygon" in drawn


def test_identical_pages_come_from_identical_results(sample: Evaluation, text: str) -> None:
    assert page(sample) == text


def test_pages_of_many_clips_stay_small() -> None:
    small = page(evaluation(clips=1))
    many = page(evaluation(clips=8, frames=8))
    assert len(small) < 2_000_000
    assert len(many) < 8_000_000
    parsed(many)


def test_a_page_without_pictures_noise_or_values_is_whole(sample: Evaluation) -> None:
    bare = [replace(clip, pictures=None, methods=()) for clip in sample.clips]
    parsed(page(replace(sample, clips=tuple(bare), metrics=(), benchmark=None)))
    parsed(page(replace(sample, clips=(), metrics=(), methods=())))


def test_long_curves_are_averaged_and_keep_their_mean() -> None:
    x, y = thinned(tuple(float(value) for value in range(1000)), 100)
    assert len(x) == 100
    assert x[0] == 4.5
    assert y[0] == 4.5
    assert sum(y) / len(y) == pytest.approx(499.5)


def test_missing_and_infinite_values_are_gaps_in_a_curve() -> None:
    _, y = thinned((None, 1.0, float("inf"), 2.0), 10)
    assert [value == value for value in y] == [False, True, False, True]


def test_a_page_is_written_whole_and_never_over_another(sample: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(OutputError, match="already exists"):
        write_report(sample, path)
    assert path.read_text() == "mine"
    write_report(sample, path, overwrite=True)
    assert path.read_text(encoding="utf-8") == page(sample)
    assert list(tmp_path.iterdir()) == [path]


# In a browser: the page in a frame, and a script around it that plays the user.
DRIVER = """<!doctype html><meta charset="utf-8"><body>
<iframe id="page" src="page.html" style="width:360px;height:2000px"></iframe>
<pre id="found">nothing</pre>
<script>
const found = {};
page.onload = () => {
  const d = page.contentDocument, w = page.contentWindow;
  const key = (el, key) => el.dispatchEvent(new w.KeyboardEvent("keydown", {key, bubbles: true}));
  const pick = (el, value) => { el.value = value; el.dispatchEvent(new w.Event("change")); };
  found.overflow = d.documentElement.scrollWidth - d.documentElement.clientWidth;
  const theme = d.querySelector("[data-theme-toggle]");
  const before = w.getComputedStyle(d.body).backgroundColor;
  theme.click();
  found.theme = before !== w.getComputedStyle(d.body).backgroundColor;
  found.pressed = theme.getAttribute("aria-pressed");
  const plot = d.querySelector(".plot"), tip = plot.querySelector(".tip");
  plot.focus();
  found.focused = d.activeElement === plot;
  key(plot, "End");
  found.last = tip.innerText.replace(/\\s+/g, " ");
  key(plot, "ArrowLeft");
  found.previous = tip.innerText.replace(/\\s+/g, " ");
  key(plot, "Escape");
  found.closed = tip.hidden;
  const legend = d.querySelector(".legend button");
  legend.click();
  found.off = d.querySelectorAll(".plot .off").length;
  const range = d.querySelector(".stage input"), stage = range.closest(".stage");
  range.focus();
  found.rangeFocused = d.activeElement === range;
  range.value = 80; range.dispatchEvent(new w.Event("input"));
  found.split = stage.style.getPropertyValue("--split");
  const left = d.querySelector('select[data-pick="a"]');
  pick(left, "");
  found.left = stage.querySelector("img.a").alt;
  const visible = (el) => w.getComputedStyle(el).visibility === "visible";
  found.shown = [...stage.querySelectorAll("img")].filter(visible).length;
  pick(d.querySelector('select[data-pick="size"]'), "2");
  found.width = stage.getBoundingClientRect().width;
  found.overflowLarge = d.documentElement.scrollWidth - d.documentElement.clientWidth;
  const metric = d.querySelector("select[data-metric]");
  pick(metric, "flicker");
  const charts = metric.closest("[data-charts]").querySelectorAll("[data-metric-chart]");
  found.charts = [...charts].map((c) => c.hidden);
  found.broken = [...d.images].filter((i) => i.loading !== "lazy" && !i.naturalWidth).length;
  document.getElementById("found").textContent = JSON.stringify(found);
};
</script>"""


def opened(page: str, profile: Path) -> subprocess.CompletedProcess[str]:
    """Chromium, once it has printed what became of a page."""
    return subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync",
            "--disable-component-update", "--enable-logging=stderr",
            "--allow-file-access-from-files", f"--user-data-dir={profile}",
            "--virtual-time-budget=10000", "--dump-dom", page,
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def starts(profile: Path) -> bool:
    """Whether Chromium can show nothing at all."""
    try:
        return "<body>" in opened("about:blank", profile).stdout
    except subprocess.TimeoutExpired:
        return False


@pytest.fixture(scope="module")
def browsed(text: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], str]:
    """What the driver found, and what the browser complained about."""
    if CHROMIUM is None:
        pytest.skip("no chromium here")
    folder = tmp_path_factory.mktemp("browser")
    if not starts(folder / "first"):
        pytest.skip("this machine's chromium does not start")
    (folder / "page.html").write_text(text, encoding="utf-8")
    (folder / "driver.html").write_text(DRIVER, encoding="utf-8")
    done = opened((folder / "driver.html").as_uri(), folder / "profile")
    match = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match is not None, done.stderr
    complaints = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return json.loads(html.unescape(match[1])), complaints


def test_a_browser_finds_nothing_to_complain_about(browsed: tuple[dict[str, object], str]) -> None:
    found, complaints = browsed
    assert complaints == ""
    assert found["broken"] == 0


def test_a_phone_needs_no_sideways_scrolling(browsed: tuple[dict[str, object], str]) -> None:
    found, _ = browsed
    assert found["overflow"] == 0
    assert found["overflowLarge"] == 0
    assert found["width"] == 256  # twice 128 pixels, scrolled inside its own box where too wide


def test_colours_charts_and_pictures_obey_the_keyboard(
    browsed: tuple[dict[str, object], str],
) -> None:
    found, _ = browsed
    assert found["theme"] is True
    assert found["focused"] is True
    assert str(found["last"]).startswith("frame 5")
    assert str(found["previous"]).startswith("frame 4")
    assert found["closed"] is True
    assert found["off"] == 1
    assert found["rangeFocused"] is True
    assert found["split"] == "80%"
    assert "reference" in str(found["left"])
    assert found["shown"] == 2
    assert found["charts"] == [True, False]
