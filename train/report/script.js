// Shows a curve's value where the pointer is. The page is complete without it.
"use strict";
for (const plot of document.querySelectorAll(".plot")) {
  const lines = [...plot.querySelectorAll(".line")].map((g) => ({
    name: g.dataset.name,
    x: g.dataset.x.split(" ").map(Number),
    steps: g.dataset.steps.split(" "),
    values: g.dataset.values.split(" "),
  }));
  const figure = plot.closest("figure");
  const base = plot.querySelector(".base");
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
  cursor.setAttribute("class", "cursor");
  cursor.setAttribute("y2", base.getAttribute("y1"));
  cursor.setAttribute("y1", "12");
  const readout = document.createElement("div");
  readout.className = "readout";

  const hide = () => { cursor.remove(); readout.remove(); };
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    const at = (event.clientX - box.left) * plot.viewBox.baseVal.width / box.width;
    const nearest = (l) => l.x.reduce((best, x, i) => Math.abs(x - at) < Math.abs(l.x[best] - at) ? i : best, 0);
    const first = nearest(lines[0]);
    const x = lines[0].x[first];
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    const values = lines.map((l) => (l.name ? l.name + " " : "") + l.values[nearest(l)]);
    readout.textContent = "step " + lines[0].steps[first] + ": " + values.join(", ");
    plot.append(cursor);
    figure.append(readout);
    const outer = figure.getBoundingClientRect();
    const px = box.left - outer.left + x * box.width / plot.viewBox.baseVal.width;
    const room = outer.width - readout.offsetWidth - 8;
    readout.style.left = Math.max(8, Math.min(px - readout.offsetWidth / 2, room)) + "px";
    readout.style.top = box.top - outer.top + 4 + "px";
  });
}
