"""What timm calls the parameters of the encoders, and what tiny models of every kind of block compute.

    python scripts/golden/encoders.py [NAME ...]

Writes vision/testdata/keys.txt, a line for each variant, and vision/testdata/blocks.safetensors. With names it prints the
keys of these variants instead, to compare with, where the hash in keys.txt says that there is a difference.

Models are built on the meta device, where giants cost nothing. The weights of the tiny ones are made from their index, as
the tests in Go make them, so that only results are stored.
"""

import hashlib
import re
import sys

import timm
import torch
from timm.optim import param_groups_weight_decay

import tiny
from common import ROOT

torch.set_num_threads(1)

# Variants with options: the Spec's fields, and what timm calls them. Their keys are written out, in few blocks.
WRITTEN_OUT = [
    ("vit_tiny_patch16_224", {"ImageSize": 128, "PatchSize": 8, "Channels": 1, "NumClasses": 512, "Depth": 2},
     {"img_size": 128, "patch_size": 8, "in_chans": 1, "num_classes": 512, "depth": 2}),
    ("vit_tiny_patch16_224", {"Depth": 1, "Pool": "avg", "Registers": 2, "LayerScale": 1, "QKNorm": 1},
     {"depth": 1, "global_pool": "avg", "reg_tokens": 2, "init_values": 1.0, "qk_norm": True}),
    ("vit_medium_patch16_gap_240", {"Depth": 1}, {"depth": 1}),
    ("vit_wee_patch16_reg1_gap_256", {"Depth": 1, "NumClasses": 3}, {"depth": 1, "num_classes": 3}),
    ("vit_xsmall_patch16_clip_224", {"Depth": 1}, {"depth": 1}),
    ("vit_giant_patch14_reg4_dinov2", {"Depth": 1}, {"depth": 1}),
    ("vit_small_patch16_dinov3", {"Depth": 1, "Pool": "token"}, {"depth": 1, "global_pool": "token"}),
    ("vit_small_plus_patch16_dinov3_qkvb", {"Depth": 1, "NumClasses": 3}, {"depth": 1, "num_classes": 3}),
    ("resnet18", {"Channels": 5, "NumClasses": 512, "Depth": 1}, {"in_chans": 5, "num_classes": 512, "layers": [1] * 4}),
    ("resnet50d", {"Depth": 1}, {"layers": [1] * 4}),
    ("convnext_atto_ols", {"Depth": 1}, {"depths": [1] * 4}),
    ("convnext_large_mlp", {"Depth": 1, "NumClasses": 3}, {"depths": [1] * 4, "num_classes": 3}),
    ("convnextv2_tiny", {"Depth": 1}, {"depths": [1] * 4}),
    ("swin_tiny_patch4_window7_224", {"ImageSize": 80, "Channels": 1, "NumClasses": 3, "Depth": 1},
     {"img_size": 80, "in_chans": 1, "num_classes": 3, "depths": [1] * 4}),
    ("swinv2_tiny_window8_256", {"ImageSize": 96, "Depth": 1}, {"img_size": 96, "depths": [1] * 4}),
    ("swin_s3_tiny_224", {"Depth": 1, "PatchSize": 8}, {"depths": [1] * 4, "patch_size": 8}),
]


def names():
    """The variants that vision/variants.go lists, but for our own."""
    found = re.findall(r'^\t\{"(\w+)", \d+, ', (ROOT / "vision/variants.go").read_text(), re.M)
    return [n for n in found if not n.startswith(tiny.OWN)]


def listing(name, options):
    """Lines "key shape kind", the kind being decay, nodecay or buffer."""
    model = timm.create_model(name, device="meta", **{"num_classes": 0, **options})
    decay = param_groups_weight_decay(model, 1.0, no_weight_decay_list=getattr(model, "no_weight_decay", set)())
    decayed = {id(p) for g in decay if g["weight_decay"] for p in g["params"]}
    params = dict(model.named_parameters())
    for key, v in model.state_dict().items():
        kind = "buffer" if key not in params else "decay" if id(params[key]) in decayed else "nodecay"
        yield f"{key} {'x'.join(map(str, v.shape)) or '-'} {kind}"


def keys():
    """A line for each variant: name, image size, number of keys, and the first 16 digits of the SHA-256 of their lines. Then
    the models written out: name and options, and indented lines."""
    for name in names():
        lines = list(listing(name, {}))
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
        yield f"{name} {timm.get_pretrained_cfg(name).input_size[1]} {len(lines)} {digest}"
    for name, spec, options in WRITTEN_OUT:
        yield " ".join([name, *(f"{k}={v}" for k, v in spec.items())])
        yield from (" " + line for line in listing(name, options))


if __name__ == "__main__":
    if sys.argv[1:]:
        for name in sys.argv[1:]:
            print(*listing(name, {}), sep="\n")
        sys.exit()
    tiny.write()
    file = ROOT / "vision/testdata/keys.txt"
    file.write_text("".join(line + "\n" for line in keys()))
    print(f"{file.name}: {file.stat().st_size} bytes")
