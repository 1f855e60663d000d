"""Steps of fine-tuning in PyTorch with timm's models and groups, for eval. Writes eval/testdata/finetune.json.

A small ViT and a small ResNet are trained on one batch, which is all images, by torch.optim.AdamW over
timm.optim.param_groups_layer_decay, with label smoothing, a limit on the gradient's norm, and a linear warm-up before half a
cosine. Weights and images are made from numbers that Go makes too. Recorded are the loss of each step, a digest of each tensor
afterwards (its projection on fixed numbers, and its norm, both over the root of its size), and the logits in evaluation mode.
Biases of keys count as 0: no loss depends on them, and AdamW makes steps of the rounding in their gradients.
"""

import math

import timm
import torch
from timm.optim import param_groups_layer_decay

from common import save, values

CLASSES, IMAGES, SIZE = 3, 8, 16
OPTIONS = {"lr": 2e-3, "weightDecay": 0.05, "layerDecay": 0.7, "smoothing": 0.1, "clip": 1.0, "warmup": 0.25, "steps": 8}
MODELS = [
    ("vit_tiny_patch16_224", {"img_size": SIZE, "patch_size": 4, "embed_dim": 16, "depth": 3, "num_heads": 2}),
    ("resnet18", {"layers": [1] * 4, "channels": [8, 16, 32, 64]}),
]


def start(model):
    with torch.no_grad():
        for i, (key, v) in enumerate(model.state_dict().items()):
            if not v.is_floating_point() or "running" in key:
                continue
            scale = 0.3 if v.dim() == 1 else 1 / math.sqrt(v[0].numel())
            noise = scale * torch.tensor(values(100 + i, *v.shape)).float()
            v.copy_(1 + noise if v.dim() == 1 and key.endswith("weight") else noise)
    return model


def images():
    """Bytes, and what is made of them: ImageNet's normalisation of one channel is 0.5 and 0.5."""
    raw = (128 + 60 * torch.tensor(values(1, IMAGES, 1, SIZE, SIZE))).floor().clamp(0, 255)
    return (raw / 255 - 0.5).float() / 0.5, torch.arange(IMAGES) % CLASSES


def rate(o, step):
    warm, steps = int(o["warmup"] * o["steps"]), o["steps"] + 1
    if step < warm:
        return o["lr"] * (step + 1) / warm
    return o["lr"] * (1 + math.cos(math.pi * (step - warm) / (steps - 1 - warm))) / 2


def digest(state):
    rows = []
    for i, (key, v) in enumerate(state.items()):
        v = v.detach().double().flatten()
        if key.endswith("qkv.bias"):
            v[len(v) // 3:2 * len(v) // 3] = 0
        u = torch.tensor(values(5000 + i, v.numel()))
        rows += [float(u @ v) / math.sqrt(v.numel()), float(v.norm()) / math.sqrt(v.numel())]
    return rows


def tune(name, more, o):
    model = start(timm.create_model(name, num_classes=CLASSES, in_chans=1, **more)).train()
    groups = param_groups_layer_decay(model, o["weightDecay"], getattr(model, "no_weight_decay", set)(), layer_decay=o["layerDecay"])
    optimiser = torch.optim.AdamW(groups, lr=o["lr"])
    x, y = images()
    losses = []
    for step in range(o["steps"]):
        for g in optimiser.param_groups:
            g["lr"] = rate(o, step) * g["lr_scale"]
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y, label_smoothing=o["smoothing"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), o["clip"])
        optimiser.step()
        losses.append(loss.item())
    with torch.no_grad():
        logits = model.eval()(x)
    state = model.state_dict()
    return {"model": name, "losses": losses, "keys": list(state), "digest": digest(state), "logits": logits.flatten().tolist()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    save("eval/testdata/finetune.json", {"options": OPTIONS, "runs": [tune(*m, OPTIONS) for m in MODELS]})
