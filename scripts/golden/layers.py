"""In which layer timm has each parameter of the encoders, for layer-wise decay of the learning rate.

    python scripts/golden/layers.py [NAME ...]

Writes vision/testdata/layers.txt, a line for each variant and for each of MORE: name, options, number of layers, and the first
16 digits of the SHA-256 of lines "key layer". With names it prints these lines. Writes also train/testdata/layer_decay.json, the
groups of timm.optim.param_groups_layer_decay for two small models.
"""

import hashlib
import sys

import timm
from timm.models import group_parameters
from timm.optim import param_groups_layer_decay

import encoders
from common import ROOT, save

# Variants with a head, which is a layer of its own: the Spec's fields, and what timm calls them.
MORE = [(name, {"NumClasses": 3}, {"num_classes": 3}) for name in (
    "vit_tiny_patch16_224", "vit_wee_patch16_reg1_gap_256", "vit_small_patch16_dinov3", "resnet18", "convnext_atto",
    "mobilenetv3_small_050", "efficientnet_b0", "regnety_002")]

GROUPS = [("vit_tiny_patch16_224", {"depth": 2, "embed_dim": 16, "num_heads": 2, "img_size": 16, "patch_size": 4, "in_chans": 1}),
          ("resnet18", {"layers": [1] * 4, "channels": [8, 16, 32, 64], "in_chans": 1})]


def layers(name, options):
    model = timm.create_model(name, device="meta", **{"num_classes": 0, **options})
    return group_parameters(model, model.group_matcher(coarse=False), reverse=True)


def line(name, spec, options):
    found = layers(name, options)
    text = "\n".join(f"{key} {found[key]}" for key in sorted(found))
    words = [name, *(f"{k}={v}" for k, v in spec.items()), max(found.values()) + 1, hashlib.sha256(text.encode()).hexdigest()[:16]]
    return " ".join(map(str, words)) + "\n"


def groups(name, options, layer_decay=0.75, weight_decay=0.05):
    model = timm.create_model(name, num_classes=0, **options)
    names = {id(p): key for key, p in model.named_parameters()}
    made = param_groups_layer_decay(model, weight_decay, getattr(model, "no_weight_decay", set)(), layer_decay=layer_decay)
    return {"model": name, "layerDecay": layer_decay, "params": {
        names[id(p)]: {"scale": g["lr_scale"], "decay": g["weight_decay"] > 0} for g in made for p in g["params"]}}


if __name__ == "__main__":
    if sys.argv[1:]:
        for name in sys.argv[1:]:
            for key, layer in sorted(layers(name, {}).items()):
                print(key, layer)
        sys.exit()
    file = ROOT / "vision/testdata/layers.txt"
    file.write_text("".join(line(*m) for m in [(name, {}, {}) for name in encoders.names()] + MORE))
    print(f"{file.name}: {file.stat().st_size} bytes")
    save("train/testdata/layer_decay.json", [groups(*g) for g in GROUPS])
