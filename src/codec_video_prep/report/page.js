"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const bytes = Uint8Array.from(atob(data.positions), (letter) => letter.charCodeAt(0));
const positions = new Int32Array(bytes.buffer);
const origin = document.getElementById("origin");
const place = origin.querySelector(".place");
place.style.aspectRatio = `${data.columns} / ${data.rows}`;

function show(box, row, column, x, y) {
  const at = 3 * ((Number(box.dataset.canvas) * data.rows + row) * data.columns + column);
  const [frame, fromRow, fromColumn] = positions.slice(at, at + 3);
  const mark = box.querySelector("i");
  mark.style.cssText = `left:${(100 * column) / data.columns}%;top:${(100 * row) / data.rows}%;` +
    `width:${100 / data.columns}%;height:${100 / data.rows}%`;
  box.classList.add("active");
  const spot = place.querySelector("i");
  spot.hidden = frame < 0;
  spot.style.cssText = `left:${(100 * fromColumn) / data.columns}%;top:${(100 * fromRow) / data.rows}%;` +
    `width:${100 / data.columns}%;height:${100 / data.rows}%`;
  origin.querySelector("p").textContent = frame < 0
    ? "padding"
    : `frame ${frame}, ${data.seconds[frame].toFixed(2)} s\nrow ${fromRow}, column ${fromColumn}`;
  origin.hidden = false;
  const { width, height } = origin.getBoundingClientRect();
  const left = x + 16 + width > innerWidth ? x - 16 - width : x + 16;
  const top = y + 16 + height > innerHeight ? y - 16 - height : y + 16;
  origin.style.left = `${Math.max(4, left)}px`;
  origin.style.top = `${Math.max(4, top)}px`;
}

function hide(box) {
  box.classList.remove("active");
  origin.hidden = true;
}

for (const box of document.querySelectorAll(".patches")) {
  let row = 0;
  let column = 0;
  const move = () => {
    const area = box.getBoundingClientRect();
    show(box, row, column, area.left + ((column + 1) * area.width) / data.columns,
      area.top + ((row + 1) * area.height) / data.rows);
  };
  box.addEventListener("pointermove", (event) => {
    const area = box.getBoundingClientRect();
    column = Math.min(data.columns - 1, Math.max(0, Math.floor(((event.clientX - area.left) / area.width) * data.columns)));
    row = Math.min(data.rows - 1, Math.max(0, Math.floor(((event.clientY - area.top) / area.height) * data.rows)));
    show(box, row, column, event.clientX, event.clientY);
  });
  box.addEventListener("pointerleave", () => hide(box));
  box.addEventListener("blur", () => hide(box));
  box.addEventListener("focus", () => box.matches(":focus-visible") && move());
  box.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (event.key === "Escape") hide(box);
    if (!step) return;
    event.preventDefault();
    row = Math.min(data.rows - 1, Math.max(0, row + step[0]));
    column = Math.min(data.columns - 1, Math.max(0, column + step[1]));
    move();
  });
}

for (const choice of document.querySelectorAll("input[name=layer]")) {
  choice.addEventListener("change", () => {
    document.querySelector(".maps").dataset.layer = choice.value;
  });
}

function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
}
addEventListener("hashchange", openTarget);
openTarget();
