// What the page can do beyond being read. Everything is there without it.
"use strict";

const every = (selector, root = document) => [...root.querySelectorAll(selector)];

// Light and dark: the button overrules the system.
const theme = document.querySelector("[data-theme-toggle]");
const dark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};
const showTheme = () => {
  theme.setAttribute("aria-pressed", String(dark()));
  theme.textContent = dark() ? "Light" : "Dark";
};
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = dark() ? "light" : "dark";
  showTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
theme.hidden = false;
showTheme();

// Printing shows all there is.
addEventListener("beforeprint", () => every("details").forEach((box) => (box.open = true)));

// One chart per clip at a time: the metric that is chosen.
for (const choice of every("select[data-metric]")) {
  const charts = every("[data-metric-chart]", choice.closest("[data-charts]"));
  const show = () => charts.forEach((box) => (box.hidden = box.dataset.metricChart !== choice.value));
  choice.addEventListener("change", show);
  choice.closest(".bar").hidden = false;
  show();
}

for (const plot of every("[data-chart]")) chart(plot);
for (const figure of every("[data-compare]")) compare(figure);

function chart(plot) {
  const data = JSON.parse(plot.dataset.chart);
  const cursor = plot.querySelector(".cursor");
  const tip = plot.querySelector(".tip");
  const places = [...new Set(data.series.flatMap((one) => one.x))].sort((a, b) => a - b);
  const off = new Set();
  const span = (data.scale.x[1] - data.scale.x[0]) || 1;
  let at = -1;

  function show(index) {
    at = Math.max(0, Math.min(places.length - 1, index));
    const x = places[at];
    const share = (x - data.scale.x[0]) / span;
    cursor.style.left = `${100 * share}%`;
    tip.replaceChildren(line(data.x, +x.toFixed(3)));
    for (const one of data.series) {
      const place = one.x.indexOf(x);
      if (place < 0 || off.has(one.name)) continue;
      const value = one.y[place];
      let words = value === null ? "–" : value.toFixed(data.digits);
      if (one.spread) words += ` ± ${one.spread[place].toFixed(data.digits)}`;
      tip.append(line(one.name, words, one.hue));
    }
    tip.style.left = share > 0.5 ? "auto" : `calc(${100 * share}% + 10px)`;
    tip.style.right = share > 0.5 ? `calc(${100 * (1 - share)}% + 10px)` : "auto";
    cursor.hidden = tip.hidden = false;
  }
  function hide() {
    cursor.hidden = tip.hidden = true;
    at = -1;
  }
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    const x = data.scale.x[0] + (span * (event.clientX - box.left)) / box.width;
    let best = 0;
    places.forEach((place, i) => {
      if (Math.abs(place - x) < Math.abs(places[best] - x)) best = i;
    });
    if (places.length) show(best);
  });
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10 }[event.key];
    if (event.key === "Escape") return hide();
    if (step) show(at < 0 ? (step > 0 ? 0 : places.length - 1) : at + step);
    else if (event.key === "Home") show(0);
    else if (event.key === "End") show(places.length - 1);
    else return;
    event.preventDefault();
  });
  for (const button of every("[data-toggles]", plot.parentElement)) {
    button.addEventListener("click", () => {
      const name = button.dataset.toggles;
      const visible = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(visible));
      visible ? off.delete(name) : off.add(name);
      every("[data-series]", plot).forEach((line) => {
        if (line.dataset.series === name) line.classList.toggle("off", !visible);
      });
    });
  }
}

function line(name, value, hue) {
  const row = document.createElement("div");
  const label = document.createElement("span");
  const figure = document.createElement("b");
  label.textContent = name;
  figure.textContent = value;
  if (hue !== undefined) label.className = `hue${hue}`;
  row.append(label, figure);
  return row;
}

// Two of a frame's pictures, one over the other, parted where the range input says.
function compare(figure) {
  const stage = figure.querySelector(".stage");
  const range = stage.querySelector("input");
  const pick = (name) => figure.querySelector(`select[data-pick="${name}"]`);
  const [frame, left, right, size] = ["frame", "a", "b", "size"].map(pick);

  function show() {
    const named = { a: left.value, b: right.value };
    for (const picture of every("img", stage)) {
      const here = picture.dataset.frame === frame.value;
      for (const side of ["a", "b"]) {
        picture.classList.toggle(side, here && picture.dataset.side === named[side]);
      }
    }
    for (const side of ["a", "b"]) {
      const chosen = side === "a" ? left : right;
      stage.querySelector(`.side.${side}`).textContent = chosen.selectedOptions[0].text;
    }
    part();
  }
  function part() {
    stage.style.setProperty("--split", `${range.value}%`);
    range.setAttribute(
      "aria-valuetext",
      `${Math.round(range.value)} % ${left.selectedOptions[0].text}, ` +
        `the rest ${right.selectedOptions[0].text}`,
    );
  }
  function resize() {
    const factor = Number(size.value);
    stage.style.width = factor ? `${factor * stage.dataset.width}px` : "";
    stage.classList.toggle("big", factor > 1);
  }
  range.addEventListener("input", part);
  for (const choice of [frame, left, right]) choice.addEventListener("change", show);
  size.addEventListener("change", resize);
  figure.querySelector(".bar").hidden = false;
  show();
}
