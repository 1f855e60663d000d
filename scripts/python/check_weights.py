"""Checks that timm takes the weights that gojepa writes, and gojepa those that timm writes.

    python scripts/python/check_weights.py [RUN ...]

Has scripts/python/timmweights write models; timm.create_model(...) loads them with strict=True, from safetensors and from
.pt, and must make of the same images what Go made. Then timm writes models, and Go loads them. Outputs may differ by 1e-5
of the largest. Folders of runs that are given are checked too: their encoder.safetensors must load with strict=True.
Exits with 1 if anything differs.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import safetensors
import safetensors.torch
import timm
import torch
from timm.layers import SwiGLUPacked

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOLERANCE = 1e-5

torch.set_num_threads(1)
problems = []


def go(*args):
    subprocess.run(["go", "run", "./scripts/python/timmweights", *map(str, args)], cwd=ROOT, check=True)


def compare(what, got, want):
    worst = np.abs(got - want).max() / np.abs(want).max() if got.shape == want.shape else np.inf
    print(f"{what}: differs by {worst:.1e}")
    if not worst <= TOLERANCE:
        problems.append(what)


def read_state(file):
    if file.suffix == ".safetensors":
        return safetensors.torch.load_file(file)
    return torch.load(file, weights_only=True)


def load(spec, file):
    model = timm.create_model(spec["model"], **spec["options"])
    model.load_state_dict(read_state(file), strict=True)
    return model.eval()


def check_written_by_go(folder):
    spec = json.loads((folder / "spec.json").read_text())
    x, want = (np.load(folder / name) for name in ("input.npy", "output.npy"))
    for file in ("encoder.safetensors", "encoder.pt"):
        with torch.no_grad():
            got = load(spec, folder / file)(torch.from_numpy(x)).numpy()
        compare(f"Go to timm: {folder.name}/{file}", got, want)
    order = list(torch.load(folder / "encoder.pt", weights_only=True))
    if order != list(load(spec, folder / "encoder.pt").state_dict()):
        problems.append(f"{folder.name}/encoder.pt: keys are in another order than timm's")


def write_by_timm(folder, seed):
    spec = json.loads((folder / "spec.json").read_text())
    torch.manual_seed(seed)
    model = timm.create_model(spec["model"], **spec["options"])
    x = torch.randn(np.load(folder / "input.npy").shape)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.02 * torch.randn_like(p))
        model.train()(x)
        y = model.eval()(x)
    safetensors.torch.save_file(model.state_dict(), folder / "encoder.safetensors")
    torch.save(model.state_dict(), folder / "encoder.pt")
    np.save(folder / "input.npy", x.numpy())
    np.save(folder / "output.npy", y.numpy())


def vit_options(spec):
    """What a ViT may have besides, as timm says it; of DINOv3s, which timm builds in another way, the pool alone."""
    options = {"global_pool": spec["Pool"]}
    if "dinov3" in spec["Name"]:
        return options
    if spec["Pool"] == "token":
        options["class_token"] = True
    if spec["Registers"]:
        options["reg_tokens"] = spec["Registers"]
    if spec["LayerScale"]:
        options["init_values"] = spec["LayerScale"]
    if spec["QKNorm"]:
        options["qk_norm"] = True
    if spec["SwiGLU"]:
        options |= {"mlp_layer": SwiGLUPacked, "mlp_ratio": 2 * 2.66667, "act_layer": torch.nn.SiLU}
    return options


def check_run(folder):
    file = pathlib.Path(folder) / "encoder.safetensors"
    with safetensors.safe_open(file, "np") as f:
        meta = f.metadata()
    spec = json.loads(meta["gojepa.spec"])
    options = {"in_chans": spec["Channels"], "num_classes": spec["NumClasses"]}
    width, depth = spec["Width"], spec["Depth"]
    if spec["Name"].startswith("swin"):
        options |= {"img_size": spec["ImageSize"], "patch_size": spec["PatchSize"], "embed_dim": width}
        if depth:
            options |= {"depths": [depth] * 4}
    elif spec["PatchSize"]:
        options |= {"img_size": spec["ImageSize"], "patch_size": spec["PatchSize"], "embed_dim": width, "depth": depth,
                    "num_heads": spec["Heads"], **vit_options(spec)}
    elif spec["Name"].startswith("convnext"):
        options |= {"dims": [width << stage for stage in range(4)]}
        if depth:
            options |= {"depths": [depth] * 4}
    elif width:
        options |= {"channels": [width << stage for stage in range(4)]}
        if spec["Name"].endswith("d"):
            options |= {"stem_width": width // 2}
        if depth:
            options |= {"layers": [depth] * 4}
    load({"model": meta["gojepa.model"], "options": options}, file)
    checkpoint = safetensors.torch.load_file(file.parent / "checkpoint.safetensors")  # its checksums are in the metadata
    if not any(key.startswith("encoder.") for key in checkpoint):
        problems.append(f"{file.parent}/checkpoint.safetensors")
    print(f"{file}: {meta['gojepa.model']} {options} loads with strict=True")


def main():
    with tempfile.TemporaryDirectory() as tmp:
        go("write", tmp)
        folders = sorted(path.parent for path in pathlib.Path(tmp).glob("*/spec.json"))
        for folder in folders:
            check_written_by_go(folder)
        for seed, folder in enumerate(folders):
            write_by_timm(folder, seed)
        go("read", tmp)
        for folder in folders:
            for ext in ("safetensors", "pt"):
                compare(f"timm to Go: {folder.name}/encoder.{ext}",
                        np.load(folder / f"answer_{ext}.npy"), np.load(folder / "output.npy"))
    for run in sys.argv[1:]:
        check_run(run)
    for problem in problems:
        print("differs:", problem, file=sys.stderr)
    return bool(problems) or not folders


if __name__ == "__main__":
    sys.exit(main())
