// Two of a frame's pictures, one over the other, parted where the slider says.
"use strict";
for (const figure of document.querySelectorAll("[data-compare]")) {
  const stage = figure.querySelector(".stage");
  const slider = figure.querySelector("input");
  const [frame, left, right, size] = figure.querySelectorAll("select");
  const show = () => {
    for (const picture of stage.querySelectorAll("img")) {
      const here = picture.dataset.frame === frame.value;
      picture.classList.toggle("left", here && picture.dataset.side === left.value);
      picture.classList.toggle("right", here && picture.dataset.side === right.value);
    }
    stage.style.setProperty("--split", `${slider.value}%`);
    stage.style.width = size.value ? `${size.value * stage.dataset.width}px` : "100%";
  };
  for (const control of [slider, frame, left, right, size]) control.addEventListener("input", show);
  figure.querySelector(".bar").hidden = false;
  show();
}
