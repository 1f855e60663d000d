"""What a ViT and ResNets compute, and how encoders begin, according to timm. encoders.py has the other encoders.

Writes vision/testdata/{vit,resnet,resnetd,bottleneck}.safetensors: the weights of tiny models, outputs in float32 and float64,
gradients and running statistics in float64; and vision/testdata/init.json: statistics of initial weights.
"""

import json

import timm
import torch
from safetensors.torch import save as serialize
from timm.layers import SwiGLUPacked
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from timm.models.vision_transformer import VisionTransformer

from common import ROOT, values

torch.set_num_threads(1)
torch.manual_seed(0)


def tensor(seed, *shape):
    return torch.tensor(values(seed, *shape))


def perturb(model):
    """Moves every value away from its initial one, so that none is 0 or 1 by accident."""
    with torch.no_grad():
        for i, (name, v) in enumerate(model.state_dict().items()):
            if name.endswith("running_var"):
                v.copy_(1 + 0.5 * tensor(1000 + i, *v.shape) / 3**0.5)
            elif v.is_floating_point():
                v.add_(0.1 * tensor(1000 + i, *v.shape))
    return model


def record(model, cases, train):
    """Outputs for cases, {name: shape of the input}; gradients of sum(output * c), with batch statistics if train."""
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    out = {"weights/" + k: v for k, v in weights.items()}
    for i, (name, shape) in enumerate(cases.items()):
        x = tensor(10 + i, *shape)
        model.load_state_dict(weights)
        with torch.no_grad():
            out[f"{name}/out32"] = model.float().eval()(x.float())
            out[f"{name}/out64"] = model.double()(x)
        x.requires_grad_()
        y = model.train(train)(x)
        if train:
            out[f"{name}/train"] = y.detach()
            out |= {f"{name}/buffer/{k}": b.clone() for k, b in model.named_buffers()}
            if name == "odd":
                continue
        model.zero_grad()
        (y * tensor(20 + i, *y.shape)).sum().backward()
        out |= {f"{name}/grad/{k}": p.grad.clone() for k, p in model.named_parameters()}
        if not train:
            out[f"{name}/grad/x"] = x.grad
    return {k: v.contiguous() for k, v in out.items()}


def save(name, tensors):
    file = ROOT / "vision/testdata" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(serialize(tensors))
    print(f"{name}: {file.stat().st_size} bytes")


def tiny_models():
    vit = VisionTransformer(img_size=16, patch_size=4, in_chans=2, num_classes=5, embed_dim=24, depth=2, num_heads=2,
                            dynamic_img_size=True)
    save("vit.safetensors", record(perturb(vit), {"native": (3, 2, 16, 16), "odd": (2, 2, 12, 20)}, train=False))
    sizes = {"native": (4, 1, 64, 64), "odd": (2, 1, 45, 70)}
    resnet = ResNet(BasicBlock, (1, 2, 1, 1), num_classes=0, in_chans=1, channels=(3, 6, 12, 24))
    save("resnet.safetensors", record(perturb(resnet), sizes, train=True))
    resnetd = ResNet(BasicBlock, (1, 1, 1, 1), num_classes=0, in_chans=1, channels=(4, 8, 16, 32), stem_type="deep",
                     stem_width=2, avg_down=True)
    save("resnetd.safetensors", record(perturb(resnetd), sizes, train=True))
    sizes = {"native": (4, 3, 64, 64), "odd": (2, 3, 45, 70)}
    bottleneck = ResNet(Bottleneck, (1, 1, 1, 1), num_classes=3, in_chans=3, channels=(2, 4, 8, 16))
    save("bottleneck.safetensors", record(perturb(bottleneck), sizes, train=True))


# Models and their options, and what timm calls them.
BEGINNINGS = {
    "vit_tiny_patch16_224": {},
    "vit_tiny_patch16_224 Depth=1 SwiGLU=1 LayerScale=1 Registers=4": {
        "depth": 1, "mlp_layer": SwiGLUPacked, "mlp_ratio": 2.66667 * 2, "init_values": 1.0, "reg_tokens": 4},
    "vit_small_plus_patch16_dinov3_qkvb Depth=2": {"depth": 2},
    "resnet18": {},
    "resnet50": {},
    "convnext_atto_ols Depth=1": {"depths": [1] * 4},
    "convnextv2_atto Depth=1": {"depths": [1] * 4},
    "mobilenetv3_small_050": {},
    "regnety_002": {},
    "swin_tiny_patch4_window7_224 Depth=1": {"depths": [1] * 4},
    "swinv2_tiny_window8_256 Depth=1": {"depths": [1] * 4},
}


def init():
    """Per key: mean, standard deviation and kurtosis of timm's initial values."""
    torch.manual_seed(0)  # in float32, timm's truncated normal returns the bound itself once in 2^25 draws: not here
    out = {}
    for label, options in BEGINNINGS.items():
        out[label] = {}
        for key, p in timm.create_model(label.split()[0], num_classes=64, **options).named_parameters():
            v = p.detach().double()
            if (v != v.flatten()[0]).any():
                v = v[v.abs() < 1.99]  # once in 2^25 values timm's trunc_normal_ returns its limit, 100 deviations out
            mean, std = v.mean().item(), v.std(correction=0).item()
            if std < 1e-9 * abs(mean):
                std = 0.0
            kurtosis = ((v - mean) ** 4).mean().item() / std**4 if std else 0.0
            out[label][key] = [mean, std, kurtosis]
    return out


if __name__ == "__main__":
    tiny_models()
    data = ROOT / "vision/testdata"
    (data / "init.json").write_text(json.dumps(init(), separators=(",", ":")) + "\n")
