"""Checks the page of a run in a real browser: report.html, and the page that --serve shows while it trains.

    python scripts/python/check_report.py [--keep FOLDER]

Trains on images that it draws, with labels, and opens both pages in headless Chromium (scripts/python/chromium.sh finds or
fetches one), 400 and 1280 pixels wide, light and dark. Nothing may be reported to the console, no request may leave the machine,
all charts have to be drawn and say what metrics.jsonl says, nothing may be wider than the window, and the served page has to
move on by itself, without losing its place, a range of steps that was chosen, or what was unfolded. --keep leaves pictures of
the pages. Exits with 1 if anything is not as it should be.
"""

import argparse
import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHARTS = {"loss", "prediction", "sigreg", "accuracy", "heldout", "rank", "alpha", "lr", "grad", "rate", "wait"}
PARTS = ["figures", "accuracy", "curves", "neighbours", "maps", "projection", "views", "facts", "config"]
STEPS = 1200
problems = []


def check(ok, what):
    if not ok:
        problems.append(what)
        print("not as it should be:", what, file=sys.stderr)


def draw_images(folder, n=120, size=64):
    """Discs and bars of any colour, in two folders, and a file that is no image."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:size, :size]
    for i in range(n):
        kind = ("bars", "discs")[i % 2]
        cx, cy, r = rng.uniform(size * 0.3, size * 0.7, 2).tolist() + [rng.uniform(size * 0.12, size * 0.3)]
        inside = np.hypot(x - cx, y - cy) < r if i % 2 else np.abs(x - cx) < r / 2
        picture = np.where(inside[..., None], rng.integers(0, 256, 3), rng.integers(0, 256, 3)) + rng.normal(0, 12, (size, size, 1))
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / kind / f"{i:03}.png")
    (folder / "bars" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nthe rest is missing")


class Run:
    """A run of cmd/train that serves its page."""

    def __init__(self, binary, data, out):
        self.out = out
        self.lines = []
        self.process = subprocess.Popen(
            [binary, "--data", data, "--labels", "--out", out, "--serve", ":0", "--model", "vit_tiny_patch16_224", "--image-size", "32",
             "--patch-size", "8", "--width", "48", "--depth", "2", "--heads", "3", "--local-views", "4", "--batch-size", "16", "--steps", str(STEPS),
             "--slices", "64", "--eval-every", "20", "--log", "csv", "--threads", "1", "--workers", "1", "--precision", "fp32",
             "--max-broken", "0.1"],
            cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        for line in self.process.stderr:
            self.lines.append(line)
            found = re.search(r"the run is shown at (http://\S+)", line)
            if found:
                self.url = found.group(1)
                return
        sys.exit("the run has not served its page:\n" + "".join(self.lines))

    def get(self, path, method="GET", host=None):
        request = urllib.request.Request(self.url + path, method=method, headers={"Host": host} if host else {})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()


def records(folder):
    lines = [json.loads(line) for line in (pathlib.Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return [r for r in lines if "loss" in r], [r for r in lines if "eval" in r]


class Page:
    """A page in the browser, and what it said and asked for."""

    def __init__(self, browser, url, width, scheme):
        self.name = f"{url.split('/')[-1] or 'served'}, {width} px, {scheme}"
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.asked = []
        self.over = False  # the run that served the page has ended, and the browser says so
        self.page.on("console", lambda m: check(self.over or m.type not in ("error", "warning"), f"{self.name}: console: {m.text}"))
        self.page.on("pageerror", lambda e: check(False, f"{self.name}: {e}"))
        self.page.on("request", lambda r: self.asked.append(r.url))
        self.page.goto(url)
        self.width, self.scheme, self.url = width, scheme, url

    def charts(self):
        return self.page.evaluate("""() => Object.fromEntries([...document.querySelectorAll('.chart')].map((f) => {
            const plot = [...f.querySelectorAll('.plot')].find((p) => getComputedStyle(p).display !== 'none');
            const paths = [...plot.querySelectorAll('.mean')];
            return [f.id.replace('chart-', ''), {
                data: JSON.parse(f.dataset.chart), drawn: paths.map((p) => p.getTotalLength()), box: plot.getBoundingClientRect().toJSON(),
                colours: paths.map((p) => getComputedStyle(p).stroke), reference: !!plot.querySelector('.reference'),
                texts: [...plot.querySelectorAll('text')].map((t) => t.getBoundingClientRect().height),
            }];
        }))""")

    def check_looks(self):
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        check(wide <= self.width, f"{self.name}: {wide} px wide")
        for name, c in self.charts().items():
            check(len(c["drawn"]) == len(c["data"]["curves"]) and all(n > 20 for n in c["drawn"]), f"{self.name}: chart {name} is not drawn: {c['drawn']}")
            check(c["box"]["width"] > 250 and min(c["texts"]) > 8, f"{self.name}: chart {name} is too small to read")
            check("none" not in c["colours"], f"{self.name}: chart {name} has no colour")
        for name in PARTS if not self.url.startswith("http") else ["figures", "curves", "views", "facts", "config"]:
            check(self.page.locator(f"[data-part={name}]").inner_text().strip() or self.page.locator(f"[data-part={name}] img").count(),
                  f"{self.name}: nothing in {name}")
        broken = self.page.evaluate("[...document.images].filter((i) => !i.complete || !i.naturalWidth).length")
        check(broken == 0, f"{self.name}: {broken} images do not load")
        light = self.page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).slice(0, 3).every((v) => v > 127)")
        check(light == (self.scheme == "light"), f"{self.name}: the background is of the other scheme")

    def check_requests(self):
        for url in self.asked:
            check(url == self.url or url.startswith(("data:", self.url)), f"{self.name}: asked for {url[:100]}")

    def picture(self, keep):
        if keep:
            name = re.sub(r"\W+", "-", self.name)
            self.page.screenshot(path=keep / f"{name}.png", full_page=True)

    def close(self):
        self.check_requests()
        self.context.close()


def check_values(page, folder):
    """The charts say what the record says."""
    steps, evals = records(folder)
    charts = page.charts()
    check(set(charts) == CHARTS, f"{page.name}: charts {sorted(charts)}, expected {sorted(CHARTS)}")
    for chart, of in {"loss": "loss", "prediction": "prediction", "sigreg": "sigreg", "grad": "grad_norm", "lr": "lr", "rate": "images_per_s"}.items():
        [curve] = charts[chart]["data"]["curves"]
        values = np.array([s[of] for s in steps])
        low, high = curve.get("low", curve["mean"]), curve.get("high", curve["mean"])
        check(np.isclose(min(low), values.min(), rtol=1e-3) and np.isclose(max(high), values.max(), rtol=1e-3),
              f"{page.name}: {chart} is from {min(low)} to {max(high)}, expected {values.min()} to {values.max()}")
        size = -(-len(values) // len(curve["mean"]))
        if len(values) % len(curve["mean"]) == 0:
            check(np.allclose(values.reshape(-1, size).mean(1), curve["mean"], rtol=1e-3), f"{page.name}: means of {chart} differ")
    for chart, name, factor in [("accuracy", "online_knn", 100), ("rank", "rankme", 1), ("alpha", "alpha_req", 1), ("heldout", "sigreg", 1)]:
        curve = charts[chart]["data"]["curves"][0]
        values = [factor * e["eval"][name] for e in evals]
        check(curve["x"] == [e["step"] for e in evals] and np.allclose(curve["mean"], values, rtol=1e-3), f"{page.name}: {chart} differs")
    check(charts["sigreg"]["reference"] and charts["heldout"]["reference"], f"{page.name}: no line for a Gaussian")
    text = page.page.locator("[data-part=figures]").inner_text()
    check(f"{100 * evals[-1]['eval']['knn']:.1f} %" in text, f"{page.name}: k-NN of the record is not among {text!r}")


def check_maps(page):
    """Nine images with two maps each, which differ, and a dot for each image that was evaluated."""
    rows = page.page.evaluate("[...document.querySelectorAll('.maps .row')].map((r) => [...r.querySelectorAll('img')].map((i) => i.src))")
    check(len(rows) == 9 and all(len(set(r)) == 3 for r in rows), f"{page.name}: maps of {len(rows)} images")
    dots = page.page.evaluate("[...document.querySelectorAll('.scatter path')].map((p) => (p.getAttribute('d').match(/M/g) || []).length)")
    said = int(re.match(r"(\d+) images", page.page.locator("[data-part=projection] .note").inner_text()).group(1))
    check(len(dots) == 2 and sum(dots) == said, f"{page.name}: {dots} dots in the projection of {said} images")
    box = page.page.evaluate("""() => { const s = document.querySelector('.scatter').getBoundingClientRect();
        return [...document.querySelectorAll('.scatter path')].map((p) => p.getBoundingClientRect())
            .every((b) => b.left >= s.left && b.right <= s.right && b.top >= s.top && b.bottom <= s.bottom); }""")
    check(box, f"{page.name}: dots beyond the projection's frame")


def check_reading(page):
    """Values under the pointer, and a closer look."""
    plot = page.page.locator("#chart-lr .plot.linear")
    # In one turn, as a page that follows a run draws its charts anew at any time.
    box = page.page.evaluate("""() => { const e = document.querySelector("#chart-lr .plot.linear");
        e.scrollIntoView({block: "center"}); return e.getBoundingClientRect().toJSON(); }""")
    page.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.4 * box["height"])
    check(re.match(r"step \d+: \S+", page.page.locator("#chart-lr .readout").inner_text()), f"{page.name}: no value under the pointer")
    before = plot.locator(".mean").get_attribute("d")
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.4 * box["height"], steps=5)
    page.page.mouse.up()
    check(plot.locator(".mean").get_attribute("d") != before, f"{page.name}: no closer look")
    labels = [float(t) for t in page.page.locator("#chart-loss .plot:visible .axis.x text:not(.title)").all_text_contents() or [0]]
    check(min(labels) > 0, f"{page.name}: other charts do not follow: {labels}")
    return plot, before


def check_live(browser, run, keep):
    page = Page(browser, run.url, 1280, "light")
    deadline = time.time() + 240
    while len(page.charts()) < len(CHARTS) and time.time() < deadline:
        time.sleep(0.5)
    page.check_looks()
    page.page.locator("summary", has_text="config.yaml").click()
    plot, before = check_reading(page)
    check(page.page.locator(".whole").is_visible(), "served page: no way back to all steps")
    page.page.mouse.move(2, 2)
    place = page.page.evaluate("window.scrollY")

    def state():
        return page.page.locator(".status .text").inner_text(), page.charts()["loss"]["data"]["curves"][0]["x"][-1]

    (text, last) = state()
    check(re.search(r"step \d+ of \d+.* · last step [\d.]+ s ago", text), f"served page: status is {text!r}")
    deadline = time.time() + 60
    while state()[1] < last + 20 and time.time() < deadline:
        time.sleep(0.3)
    (later, now) = state()
    check(now >= last + 20 and later != text, f"served page: it stands at step {last}, {text!r}")
    check(page.page.evaluate("window.scrollY") == place, "served page: it lost its place")
    check(page.page.locator(".whole").is_visible() and min(float(t) for t in page.page.locator(
        "#chart-loss .plot:visible .axis.x text:not(.title)").all_text_contents()) > 0, "served page: it lost the range of steps")
    check(page.page.locator("[data-part=config] details").get_attribute("open") is not None, "served page: it folded what was unfolded")
    page.page.locator(".whole").click()
    check(page.page.locator(".whole").is_hidden(), "served page: all steps are not shown again")
    page.picture(keep)
    for width, scheme in [(400, "light"), (400, "dark"), (1280, "dark")]:
        other = Page(browser, run.url, width, scheme)
        other.page.wait_for_selector(".status[data-state=live]")
        other.check_looks()
        other.picture(keep)
        other.close()
    return page


def check_server(run):
    status, body = run.get("status.json")
    s = json.loads(body)
    check(status == 200 and s["steps"] == STEPS and s["last"]["step"] == s["step"] and 0 <= s["step_age_s"] < 30, f"status.json: {body[:200]}")
    status, body = run.get("metrics.jsonl")
    check(status == 200 and json.loads(body.splitlines()[0])["step"] == 1, "metrics.jsonl is not served")
    for path, want in {"checkpoint.safetensors": 404, "../config.yaml": 404, "%2e%2e/config.yaml": 404, "parts/..%2fconfig.yaml": 404, "parts/nothing": 404}.items():
        check(run.get(path)[0] == want, f"{path}: {run.get(path)[0]}, expected {want}")
    for method in ("POST", "PUT", "DELETE"):
        check(run.get("", method)[0] == 405, f"{method}: {run.get('', method)[0]}, expected 405")
    check(run.get("", host="example.com")[0] == 403, "a page of another name is answered")
    # Clients that ask and do not read, and clients that do not ask.
    host, port = re.match(r"http://([\d.]+):(\d+)/", run.url).groups()
    idle = []
    for i in range(100):
        c = socket.create_connection((host, int(port)), timeout=5)
        if i % 2:
            c.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        idle.append(c)
    before = len(records(run.out)[0])
    time.sleep(3)
    check(len(records(run.out)[0]) > before, "slow clients stop the run")
    for c in idle:
        c.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", type=pathlib.Path, help="folder for pictures of the pages")
    keep = parser.parse_args().keep
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    chromium = subprocess.run([ROOT / "scripts/python/chromium.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as tmp, sync_playwright() as p:
        tmp = pathlib.Path(tmp)
        draw_images(tmp / "images")
        subprocess.run(["go", "build", "-o", tmp / "train", "./cmd/train"], cwd=ROOT, check=True)
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        run = Run(tmp / "train", tmp / "images", tmp / "out")
        try:
            page = check_live(browser, run, keep)
            check_server(run)
            page.over = True
            page.check_requests()
            for line in run.process.stderr:
                run.lines.append(line)
            check(run.process.wait(timeout=300) == 0, "the run failed:\n" + "".join(run.lines[-20:]))
        finally:
            run.process.kill()
        page.page.wait_for_selector(".status[data-state=gone]", timeout=20000)
        page.context.close()
        steps, evals = records(tmp / "out")
        check(len(steps) == STEPS and len(evals) == STEPS // 20, f"{len(steps)} steps and {len(evals)} evaluations in the record")
        print(f"evaluations every 20 steps took {100 * evals[-2]['share']:.1f} % of the time")
        report = tmp / "out" / "report.html"
        print(f"report.html: {report.stat().st_size / 1e3:.0f} kB")
        check(report.stat().st_size < 2e6, "report.html is large")
        for width in (400, 1280):
            for scheme in ("light", "dark"):
                page = Page(browser, report.as_uri(), width, scheme)
                page.check_looks()
                check_values(page, tmp / "out")
                check_maps(page)
                if width == 1280:
                    plot, before = check_reading(page)
                    plot.dblclick()
                    check(plot.locator(".mean").get_attribute("d") == before, f"{page.name}: all steps are not shown again")
                    page.page.mouse.move(2, 2)
                page.picture(keep)
                page.close()
        browser.close()
    print(f"{len(problems)} problems")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
