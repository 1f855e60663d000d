// Shows a curve's values where the pointer is, looks closer at a range of steps, and has a served page follow its run. The
// page of a run that is over is complete without it.
"use strict";
const LEFT = 52, TOP = 12, W = 396, H = 186; // of a plot within its view box
const SVG = "http://www.w3.org/2000/svg";
const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, useGrouping: false });
const show = (x) => x !== 0 && (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e6) ? x.toExponential(2).replace("e+", "e") : number.format(x);

let zoom = null; // [from, to] steps, of all charts
let pointer = null; // {chart, x}: where the pointer is
const logarithmic = new Map(); // by chart, what the reader chose
const open = new Map(); // likewise of what can be unfolded

function ticks(low, high, n, log) {
  const all = [];
  if (log && high > 3 * low) {
    for (let k = Math.floor(Math.log10(low)); k <= Math.log10(high); k++) {
      for (const f of [1, 2, 5]) {
        const t = f * 10 ** k;
        if (t >= low && t <= high && (f === 1 || high < 300 * low)) all.push(t);
      }
    }
    return all;
  }
  const rough = (high - low) / n;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((f) => f * power >= rough * 0.999);
  for (let k = Math.ceil(low / step); k * step <= high; k++) all.push(k * step);
  return all;
}

// How steps and values of a plot become positions, of the range that is shown.
function frame(data, log) {
  const x = zoom || data.x;
  let low = Infinity, high = -Infinity;
  for (const c of data.curves) {
    c.x.forEach((v, i) => {
      if (v < x[0] || v > x[1]) return;
      low = Math.min(low, (c.low || c.mean)[i]);
      high = Math.max(high, (c.high || c.mean)[i]);
    });
  }
  if (low > high) return null;
  if (low === high) [low, high] = [low - (Math.abs(low) || 1) / 10, high + (Math.abs(high) || 1) / 10];
  if (log) {
    const pad = (high / low) ** 0.05;
    [low, high] = [low / pad, high * pad];
  } else {
    const pad = (high - low) * 0.06;
    [low, high] = [low >= 0 ? Math.max(0, low - pad) : low - pad, high + pad];
  }
  const f = log ? Math.log : (v) => v;
  return {
    x, low, high,
    px: (v) => LEFT + (v - x[0]) / (x[1] - x[0]) * W,
    py: (v) => TOP + H - (f(v) - f(low)) / (f(high) - f(low)) * H,
  };
}

function element(name, attributes, text) {
  const e = document.createElementNS(SVG, name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  if (text !== undefined) e.textContent = text;
  return e;
}

// Draws a plot for a range of steps; without one it is as it came.
function draw(plot, data) {
  plot.asItCame ??= plot.innerHTML;
  if (!zoom) {
    if (plot.changed) plot.innerHTML = plot.asItCame;
    plot.changed = false;
    return;
  }
  const log = plot.classList.contains("log");
  const f = frame(data, log);
  plot.innerHTML = plot.asItCame;
  plot.changed = true;
  plot.querySelectorAll("circle").forEach((c) => c.remove());
  const lines = [...plot.querySelectorAll(".line path")];
  const grid = plot.querySelector(".grid"), ys = plot.querySelector(".axis.y"), xs = plot.querySelector(".axis.x");
  const title = xs.querySelector(".title");
  grid.replaceChildren();
  ys.replaceChildren();
  xs.replaceChildren(title);
  plot.querySelector(".reference")?.setAttribute("visibility", "hidden");
  lines.forEach((p) => p.setAttribute("d", ""));
  if (!f) return;
  for (const t of ticks(f.low, f.high, 5, log)) {
    grid.append(element("line", { x1: LEFT, x2: LEFT + W, y1: f.py(t), y2: f.py(t) }));
    ys.append(element("text", { x: LEFT, y: f.py(t), dx: -8, dy: 4 }, show(t)));
  }
  for (const t of ticks(f.x[0], f.x[1], 5, false)) xs.append(element("text", { x: f.px(t), y: TOP + H, dy: 17 }, show(t)));
  if (data.reference && data.reference > f.low && data.reference < f.high) {
    const r = plot.querySelector(".reference");
    r.removeAttribute("visibility");
    r.setAttribute("y1", f.py(data.reference));
    r.setAttribute("y2", f.py(data.reference));
  }
  plot.querySelectorAll(".line").forEach((g, k) => {
    const c = data.curves[k];
    const inside = c.x.map((v, i) => i).filter((i) => c.x[i] >= f.x[0] && c.x[i] <= f.x[1]);
    const path = (values, order) => order.map((i) => `${f.px(c.x[i]).toFixed(1)} ${f.py(values[i]).toFixed(1)}`).join("L");
    const [band, mean] = g.querySelectorAll("path");
    if (!inside.length) return;
    mean.setAttribute("d", "M" + path(c.mean, inside));
    if (c.low) band.setAttribute("d", "M" + path(c.high, inside) + "L" + path(c.low, [...inside].reverse()) + "Z");
  });
}

function zoomTo(range) {
  zoom = range;
  document.querySelectorAll(".chart").forEach((figure) => figure.redraw());
  document.querySelectorAll(".whole").forEach((b) => { b.hidden = !zoom; });
}

function chart(figure) {
  const data = JSON.parse(figure.dataset.chart);
  const plots = [...figure.querySelectorAll(".plot")];
  const box = figure.querySelector("input");
  const shown = () => plots.find((p) => p.classList.contains(box?.checked ? "log" : "linear"));
  const readout = document.createElement("div");
  readout.className = "readout";
  const cursor = element("line", { class: "cursor", y1: TOP, y2: TOP + H });
  const selection = element("rect", { class: "selection", y: TOP, height: H });
  figure.redraw = () => plots.forEach((p) => draw(p, data));

  if (box) {
    if (logarithmic.has(figure.id)) box.checked = logarithmic.get(figure.id);
    box.addEventListener("change", () => logarithmic.set(figure.id, box.checked));
  }
  const domain = () => zoom || data.x;
  const stepAt = (plot, clientX) => {
    const r = plot.getBoundingClientRect();
    const at = ((clientX - r.left) * plot.viewBox.baseVal.width / r.width - LEFT) / W;
    return domain()[0] + Math.min(1, Math.max(0, at)) * (domain()[1] - domain()[0]);
  };
  const hide = () => { cursor.remove(); readout.remove(); if (pointer?.chart === figure.id) pointer = null; };
  figure.point = (clientX) => {
    const plot = shown();
    const r = plot.getBoundingClientRect();
    const [from, to] = domain();
    const step = stepAt(plot, clientX);
    const nearest = (c) => c.x.reduce((best, x, i) => x >= from && x <= to && (best < 0 || Math.abs(x - step) < Math.abs(c.x[best] - step)) ? i : best, -1);
    const first = nearest(data.curves[0]);
    if (first < 0) return hide();
    const x = LEFT + (data.curves[0].x[first] - from) / (to - from) * W;
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    const values = data.curves.map((c) => {
      const i = nearest(c);
      if (i < 0) return "";
      const spread = c.low && c.low[i] < c.high[i] ? ` (${show(c.low[i])} to ${show(c.high[i])})` : "";
      return (c.name ? c.name + " " : "") + show(c.mean[i]) + spread;
    });
    readout.textContent = "step " + data.curves[0].x[first] + ": " + values.filter(Boolean).join(", ");
    plot.append(cursor);
    figure.append(readout);
    const outer = figure.getBoundingClientRect();
    const px = r.left - outer.left + x * r.width / plot.viewBox.baseVal.width;
    readout.style.left = Math.max(8, Math.min(px - readout.offsetWidth / 2, outer.width - readout.offsetWidth - 8)) + "px";
    readout.style.top = r.top - outer.top + 4 + "px";
  };
  for (const plot of plots) {
    let begun = null;
    plot.addEventListener("pointerleave", hide);
    plot.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      begun = { x: event.clientX, step: stepAt(plot, event.clientX) };
      plot.setPointerCapture(event.pointerId);
    });
    plot.addEventListener("pointermove", (event) => {
      pointer = { chart: figure.id, x: event.clientX };
      figure.point(event.clientX);
      if (!begun) return;
      const at = [begun.step, stepAt(plot, event.clientX)].sort((a, b) => a - b).map((v) => LEFT + (v - domain()[0]) / (domain()[1] - domain()[0]) * W);
      selection.setAttribute("x", at[0]);
      selection.setAttribute("width", at[1] - at[0]);
      plot.append(selection);
    });
    const end = (event) => {
      selection.remove();
      if (begun && Math.abs(event.clientX - begun.x) > 8 && event.type === "pointerup") {
        const range = [begun.step, stepAt(plot, event.clientX)].sort((a, b) => a - b);
        if (data.curves[0].x.filter((v) => v >= range[0] && v <= range[1]).length > 1) zoomTo(range);
      }
      begun = null;
    };
    plot.addEventListener("pointerup", end);
    plot.addEventListener("pointercancel", end);
    plot.addEventListener("dblclick", () => zoomTo(null));
  }
  if (zoom) figure.redraw();
  if (pointer?.chart === figure.id) figure.point(pointer.x);
}

// Brings a part of the page to life, with what the reader chose before it was replaced.
function enliven(part) {
  part.querySelectorAll(".chart").forEach(chart);
  part.querySelectorAll(".whole").forEach((b) => {
    b.hidden = !zoom;
    b.addEventListener("click", () => zoomTo(null));
  });
  part.querySelectorAll("details").forEach((d) => {
    const key = part.dataset.part;
    if (open.has(key)) d.open = open.get(key);
    d.addEventListener("toggle", () => open.set(key, d.open));
  });
}
document.querySelectorAll("[data-part]").forEach(enliven);

// A served page asks once a second how far the run is, and for the parts that are others since.
if (document.documentElement.hasAttribute("data-live")) {
  const status = document.querySelector(".status");
  const bar = status.querySelector("progress");
  const seen = new Map();
  let last = null;

  const clock = (s) => s >= 3600 ? Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min"
    : s >= 60 ? Math.floor(s / 60) + " min " + Math.floor(s % 60) + " s" : s >= 10 ? Math.round(s) + " s" : s.toFixed(1) + " s";

  async function get(path) {
    const answer = await fetch(path, { signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(answer.status);
    return answer;
  }

  function say(s) {
    const parts = [s.phase];
    if (s.steps) parts.push(`step ${s.step} of ${s.steps} (${Math.floor(100 * s.step / s.steps)} %)`);
    if (s.time_left_s > 0) parts.push(clock(s.time_left_s) + " left");
    if (s.step_age_s !== null) parts.push("last step " + clock(s.step_age_s) + " ago");
    status.querySelector(".text").textContent = parts.join(" · ");
    bar.value = s.steps ? s.step / s.steps : 0;
    status.dataset.state = "live";
    document.title = (s.steps ? Math.floor(100 * s.step / s.steps) + " % " : "") + document.querySelector("h1").textContent;
  }

  async function refresh(versions) {
    for (const part of document.querySelectorAll("[data-part]")) {
      const name = part.dataset.part;
      const version = ["figures", "curves"].includes(name) ? versions.join() : String(versions[1]);
      if (seen.get(name) === version) continue;
      const html = await (await get("parts/" + name)).text();
      seen.set(name, version);
      if (part.was === html) continue;
      part.was = html;
      const across = [...part.querySelectorAll(".sheet, .views")].map((e) => e.scrollLeft);
      const down = part.querySelector("pre")?.scrollTop;
      part.innerHTML = html;
      part.querySelectorAll(".sheet, .views").forEach((e, i) => { e.scrollLeft = across[i] || 0; });
      if (down) part.querySelector("pre").scrollTop = down;
      enliven(part);
    }
  }

  async function follow() {
    if (!document.hidden && !document.querySelector(".selection")) {
      try {
        last = await (await get("status.json")).json();
        say(last);
        await refresh(last.versions);
      } catch {
        status.dataset.state = "gone";
        status.querySelector(".text").textContent = "The run has ended, or is out of reach" +
          (last ? `, after step ${last.step} of ${last.steps}` : "") + ". Its folder has the report.";
      }
    }
    setTimeout(follow, 1000);
  }
  follow();
}
