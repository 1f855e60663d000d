"""Checks gojepa on a GPU, beside the PyTorch of the Python that runs this: device tests, parity of 50 training steps, and
the training step's speed and memory. It ends with one table, and with exit status 1 if anything failed."""

import argparse
import importlib.util
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# What a benchmark does: on the CPU, only that it runs.
BENCH = {
    "cuda": ["--rounds", "2", "--steps", "20", "--compiled"],
    "cpu": ["--rounds", "1", "--steps", "1", "--threads", "1", "--images", "2"],
}
VERDICTS = {True: "pass", False: "FAIL", None: ""}  # a figure is neither
MODELS = {"cuda": "vit_small_16,vit_base_16", "cpu": "vit_128_6"}


def stop(message):
    sys.exit(f"run.sh: {message}")


def prepare(device):
    """The environment of everything that runs, and what the table calls the device."""
    want = (HERE / "torch-version").read_text().strip()
    missing = [name for name in ("torch", "torchvision", "numpy", "safetensors") if importlib.util.find_spec(name) is None]
    if missing:
        stop(f"{sys.executable} has no {', '.join(missing)}: install them (torch=={want}), or set PYTHON to a Python that has them")
    import torch

    if torch.__version__.split("+")[0] != want:
        stop(f"PyTorch {torch.__version__} is not the version that this was built for: install torch=={want}")
    libs = pathlib.Path(torch.__file__).parent / "lib"
    if not (libs / "libtorch_cpu.so").exists():
        stop(f"{libs} has no libtorch_cpu.so: install PyTorch from its wheel, torch=={want}")
    if device == "cuda":
        if torch.version.cuda is None:
            stop(f"PyTorch {torch.__version__} is for the CPU: install one with CUDA, torch=={want}")
        if not torch.cuda.is_available():
            stop("PyTorch sees no GPU: look at nvidia-smi and CUDA_VISIBLE_DEVICES, or try --device cpu")
    path = str(libs) + (":" + os.environ["LD_LIBRARY_PATH"] if os.environ.get("LD_LIBRARY_PATH") else "")
    environment = os.environ | {
        "LD_LIBRARY_PATH": path,
        "PYTHONPATH": str(HERE / "python"),  # timm
        "GOJEPA_TEST_DEVICE": "cuda" if device == "cuda" else "simulated",
        "PYTHONUNBUFFERED": "1",
        "NVIDIA_TF32_OVERRIDE": "0",  # float32 is to be float32; the benchmark is bf16
    }
    loaded = subprocess.run(["ldd", HERE / "train/train.test"], env=environment, capture_output=True, text=True)
    found = re.search(r"libtorch_cpu\.so => (\S+)", loaded.stdout)
    if not found or pathlib.Path(found[1]).resolve() != (libs / "libtorch_cpu.so").resolve() or "not found" in loaded.stdout + loaded.stderr:
        stop(f"the programs do not load with the libraries of {libs}:\n{loaded.stdout}{loaded.stderr}")
    name = torch.cuda.get_device_name(0) if device == "cuda" else "CPU, which plays a GPU in the tests"
    return environment, f"{name}, PyTorch {torch.__version__}"


def run(command, environment, folder=HERE):
    """The output of a command, which is printed too, and whether it succeeded."""
    print("\n$", *command, flush=True)
    process = subprocess.Popen([str(c) for c in command], cwd=folder, env=environment, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = []
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line)
    return "".join(lines), process.wait() == 0


def tests(environment):
    out, ok = run(["./train.test", "-test.v", "-test.timeout", "20m", "-test.run", "^TestDevice"], environment, HERE / "train")
    results = {verdict: re.findall(rf"--- {verdict}: (\S+)", out) for verdict in ("PASS", "FAIL", "SKIP")}
    ok = ok and bool(results["PASS"]) and not results["FAIL"] and not results["SKIP"]
    figures = f"{len(results['PASS'])} passed"
    for verdict, word in (("FAIL", "failed"), ("SKIP", "skipped")):
        if results[verdict]:
            figures += f"; {word}: {', '.join(results[verdict])}"
    return [("device tests", ok, figures)]


def parity(environment, device):
    _, ok = run([sys.executable, "scripts/golden/parity.py", "--device", device], environment)
    if not ok:
        return [("parity", False, "PyTorch's own run failed: see above")]
    out, ok = run(["./train.test", "-test.v", "-test.run", "^TestParity$"], environment, HERE / "train")
    rows = [(f"parity, {what.strip()}", verdict == "ok", f"{got}, bound {bound}")
            for what, got, bound, verdict in re.findall(r"^  (\S.*?)\s+(\S+)  bound\s+(\S+)  (ok|FAILS)$", out, re.M)]
    if not rows or not ok and all(r[1] for r in rows):
        rows.append(("parity", False, "the test failed: see above"))
    return rows


def bench(environment, device, images):
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for model in MODELS[device].split(","):
            found = pathlib.Path(folder) / "rows.json"
            found.unlink(missing_ok=True)
            command = [sys.executable, "scripts/bench/step.py", "--device", device, "--models", model, "--precisions", "bf16",
                       "--binaries", HERE / "train", "--json", found, *BENCH[device]]
            if images:
                command += ["--images", str(images)]
            _, ok = run(command, environment | {"GOJEPA_TEST_DEVICE": ""})
            if not ok or not found.exists():
                rows.append((f"step of {model}", False, "did not run: see above"))
                continue
            measured = json.loads(found.read_text())  # gojepa first
            for r in measured:
                if math.isnan(r["images/s"]):
                    rows.append((f"step of {r['model']}, {r['precision']}: {r['rival']}", False, "did not run: see above"))
                    continue
                figures = f"{r['images/s']:.1f} images/s ({r['images/s'] / measured[0]['images/s']:.2f} ×), {r['MB']:.0f} MB"
                rows.append((f"step of {r['model']}, {r['precision']}: {r['rival']}", None, figures))
    return rows


def main(o):
    environment, name = prepare(o.device)
    rows = []
    if "tests" in o.only:
        rows += tests(environment)
    if "parity" in o.only:
        rows += parity(environment, o.device)
    if "bench" in o.only:
        rows += bench(environment, o.device, o.images)
    print(f"\ngojepa on {name}\n\n| what | | figures |\n| --- | --- | --- |")
    for what, ok, figures in rows:
        print(f"| {what} | {VERDICTS[ok]} | {figures} |")
    failed = sum(ok is False for _, ok, _ in rows)
    print(f"\n{failed} failed" if failed else "\nnone failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    p = argparse.ArgumentParser(prog="run.sh", description=__doc__)
    p.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu tries this script itself, on tiny sizes")
    p.add_argument("--only", nargs="+", choices=["tests", "parity", "bench"], default=["tests", "parity", "bench"])
    p.add_argument("--images", type=int, help="of a step in the benchmark (64; fewer need less memory)")
    main(p.parse_args())
