"""Runs the code of every notebook on a small run that is made for it. Called by `make check-python`."""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]


def make_run(folder: pathlib.Path) -> pathlib.Path:
    """A run of two steps on 40 images of noise."""
    images, run = folder / "images", folder / "run"
    images.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    for i, pixels in enumerate(noise):
        Image.fromarray(pixels).save(images / f"{i:02}.png")
    go = ["go", "run"]
    subprocess.run([*go, "./cmd/train", "--data", images, "--out", run, "--steps", "2", "--batch-size", "8", "--threads", "1"],
                   cwd=ROOT, check=True)
    subprocess.run([*go, "./cmd/embed", "--weights", run / "encoder.safetensors", "--data", images, "--out", run / "features.npy"],
                   cwd=ROOT, check=True)
    return run


def execute(notebook: pathlib.Path) -> str:
    """What the notebook's code prints."""
    scope: dict = {}
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        for cell in json.loads(notebook.read_text())["cells"]:
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), str(notebook), "exec"), scope)
    return out.getvalue()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(pathlib.Path(folder))
        os.environ["GOJEPA_RUN"] = str(run)
        for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
            said = execute(notebook)
            print(said)
            if "participation ratio" not in said or "1.000  " not in said:
                sys.exit(f"{notebook.name}: its output is not as expected")


if __name__ == "__main__":
    main()
