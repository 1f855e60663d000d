"""Tiny models of every kind of block, and what they compute: see encoders.py."""

from collections import OrderedDict
from functools import partial

import timm
import torch
from safetensors.torch import save as serialize
from timm.layers import LayerNorm, SwiGLUPacked
from timm.layers.pos_embed_rel import resize_rel_pos_bias_table
from timm.models._efficientnet_blocks import SqueezeExcite
from timm.models._efficientnet_builder import decode_arch_def, round_channels
from timm.models._manipulate import adapt_input_conv
from timm.models.convnext import ConvNeXt
from timm.models.efficientnet import EfficientNet
from timm.models.eva import Eva
from timm.models.mobilenetv3 import MobileNetV3
from timm.models.regnet import RegNet, RegNetCfg
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from timm.models.swin_transformer import SwinTransformer, checkpoint_filter_fn
from timm.models.swin_transformer_v2 import SwinTransformerV2
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from common import ROOT, values

OWN = ("wren_", "cifar_")  # variants that timm does not have

CASES = {"native": (3, 2, 64, 64), "odd": (2, 2, 40, 72)}  # shapes of the inputs
SEEDS = {"native": 15, "odd": 11}  # such that no value is so near a corner of ReLU that float32 takes the other side



class ConvNorm(nn.Sequential):
    def __init__(self, chans, out, kernel, stride, act=True):
        super().__init__(OrderedDict(conv=nn.Conv2d(chans, out, kernel, stride, kernel // 2, bias=False),
                                     norm=nn.BatchNorm2d(out), act=nn.ReLU() if act else nn.Identity()))


class Wren(nn.Module):
    """Our own family: see vision/wren.go."""

    def __init__(self, width, depths):
        super().__init__()
        self.stem = ConvNorm(2, width // 2, 3, 2)
        self.stages = nn.ModuleList()
        for i, depth in enumerate(depths):
            out = width << i
            blocks = [nn.Sequential(OrderedDict(spread=ConvNorm(out, out, 3, 1), mix=ConvNorm(out, out, 1, 1, act=False)))
                      for _ in range(depth)]
            self.stages.append(nn.ModuleDict({"reduce": ConvNorm(max(out // 2, width // 2), out, 3, 2),
                                              "blocks": nn.ModuleList(blocks)}))
        self.head = nn.Linear(out, 3)

    def forward_intermediates(self, x, intermediates_only):
        levels = [self.stem(x)]
        for stage in self.stages:
            x = stage["reduce"](levels[-1])
            for block in stage["blocks"]:
                x = x + block(x)
            levels.append(x)
        return levels

    def forward_features(self, x):
        return self.forward_intermediates(x, True)[-1]

    def forward(self, x):
        return self.head(self.forward_features(x).mean((2, 3)))


class CIFARBlock(nn.Module):
    def __init__(self, chans, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(chans, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.reduces, self.pad = stride > 1, (out - chans) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.reduces:
            x = torch.nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return torch.relu(y + x)


class CIFARResNet(nn.Module):
    """He et al., arXiv 1512.03385, section 4.2, with shortcuts of option A."""

    def __init__(self, blocks, width=16, chans=3, classes=10):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(chans, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        for i in range(3):
            out = width << i
            first = CIFARBlock(out // 2, out, 2) if i else CIFARBlock(out, out, 1)
            setattr(self, f"layer{i + 1}", nn.Sequential(first, *(CIFARBlock(out, out, 1) for _ in range(blocks - 1))))
        self.fc = nn.Linear(out, classes)

    def forward_intermediates(self, x, intermediates_only):
        levels = [torch.relu(self.bn1(self.conv1(x)))]
        for stage in (self.layer1, self.layer2, self.layer3):
            levels.append(stage(levels[-1]))
        return levels

    def forward_features(self, x):
        return self.forward_intermediates(x, True)[-1]

    def forward(self, x):
        return self.fc(self.forward_features(x).mean((2, 3)))


vit = partial(VisionTransformer, img_size=64, patch_size=8, in_chans=2, num_classes=0, embed_dim=24, depth=2, num_heads=2,
              dynamic_img_size=True)
gap = partial(vit, class_token=False, global_pool="avg")
dinov3 = partial(Eva, img_size=64, patch_size=8, in_chans=2, num_classes=0, embed_dim=24, depth=2, num_heads=2,
                 init_values=1e-5, rope_type="dinov3", rope_temperature=100, rope_rotate_half=True, use_rot_pos_emb=True,
                 use_abs_pos_emb=False, num_reg_tokens=4, use_fc_norm=False, norm_layer=partial(LayerNorm, eps=1e-5),
                 dynamic_img_size=True)
resnet = partial(ResNet, num_classes=0, in_chans=2, layers=(1, 2, 1, 1))
convnext = partial(ConvNeXt, in_chans=2, num_classes=3, depths=(1, 2, 1, 1), dims=(8, 16, 32, 64))
swin_options = dict(img_size=64, in_chans=2, num_classes=3, embed_dim=8, depths=(2, 2, 1, 2),
                    num_heads=(1, 2, 4, 8), drop_path_rate=0.0, dynamic_img_size=True)
swin = partial(SwinTransformer, **swin_options)
swinv2 = partial(SwinTransformerV2, **swin_options)

MODELS = {
    "vit-registers": lambda: vit(reg_tokens=2, init_values=0.5, qk_norm=True, num_classes=3),
    "vit-avg": lambda: vit(global_pool="avg"),
    "vit-gap": lambda: gap(fc_norm=False, qkv_bias=False, init_values=1e-6),
    "vit-reg-gap": lambda: gap(no_embed_class=True, reg_tokens=1, init_values=1e-5, mlp_ratio=5.6),
    "vit-clip": lambda: vit(pre_norm=True, norm_layer=partial(LayerNorm, eps=1e-5), act_layer="quick_gelu"),
    "vit-gated": lambda: vit(reg_tokens=4, no_embed_class=True, init_values=1e-5, mlp_layer=SwiGLUPacked,
                             act_layer=nn.SiLU, mlp_ratio=2.66667 * 2),
    "dinov3": lambda: dinov3(qkv_bias=False),
    "dinov3-gated": lambda: dinov3(qkv_bias=True, swiglu_mlp=True, swiglu_align_to=64, global_pool="token"),
    "resnet": lambda: resnet(BasicBlock, channels=(4, 8, 16, 32)),
    "resnet-wide": lambda: resnet(Bottleneck, base_width=128, channels=(2, 4, 8, 16)),
    "resnext": lambda: resnet(Bottleneck, channels=(8, 16, 32, 64), cardinality=4, base_width=16, stem_type="deep",
                              stem_width=4, avg_down=True, num_classes=3),
    "convnext": lambda: convnext(),
    "convnext-ols": lambda: convnext(conv_mlp=True, stem_type="overlap_tiered", head_norm_first=True),
    "convnext-mlp": lambda: convnext(conv_mlp=True, stem_type="overlap", head_hidden_size=5, norm_eps=1e-5),
    "convnextv2": lambda: convnext(use_grn=True, ls_init_value=None),
    "swin": lambda: swin(window_size=4),
    "swin-s3": lambda: swin(window_size=(5, 3, 3, 7)),  # at their own size too, maps are no whole number of windows
    "swinv2": lambda: swinv2(window_size=(5, 3, 3, 7)),
    "swinv2-trained": lambda: swinv2(window_size=4, pretrained_window_sizes=(2, 2, 3, 2)),
    "mobilenet": lambda: MobileNetV3(
        decode_arch_def([["ds_r1_k3_s2_e1_c8_se0.25_nre"], ["ir_r1_k3_s2_e4_c16_nre", "ir_r2_k5_s1_e3_c16_se0.25"],
                         ["cn_r1_k1_s1_c24"]]),
        num_classes=3, in_chans=2, stem_size=8, num_features=20, act_layer=nn.Hardswish, round_chs_fn=round_channels,
        se_layer=partial(SqueezeExcite, gate_layer="hard_sigmoid", force_act_layer=nn.ReLU, rd_round_fn=round_channels)),
    "efficientnet": lambda: EfficientNet(
        decode_arch_def([["ds_r1_k3_s1_e1_c8_se0.25"], ["ir_r2_k3_s2_e4_c16_se0.25"], ["ir_r1_k5_s2_e6_c24_se0.25"]]),
        num_classes=3, in_chans=2, stem_size=8, num_features=32, act_layer=nn.SiLU),
    "regnet": lambda: RegNet(RegNetCfg(w0=8, wa=8.0, wm=2.0, group_size=4, depth=6, se_ratio=0.25), in_chans=2, num_classes=3),
    "cifar-resnet": lambda: CIFARResNet(2, width=4, chans=2, classes=3),
    "wren": lambda: Wren(8, (1, 2, 1)),
}


def tensor(seed, *shape):
    return torch.tensor(values(seed, *shape))


def weight(name, index, shape):
    """The value of the index-th entry of a state dict."""
    v = tensor(1000 + index, *shape)
    if name.endswith("running_var"):
        return 1 + 0.25 * v
    if len(shape) < 2:
        return 0.1 * v + (name.endswith("weight") or "gamma" in name)
    if shape[0] == 1:  # tokens and positions
        return 0.5 * v
    return v / (v.numel() / shape[0]) ** 0.5


def digest(tensors):
    """For each tensor a projection on fixed numbers and the norm, both over the root of its size: [n, 2]."""
    rows = []
    for i, t in enumerate(tensors):
        t = t.detach().double().contiguous().flatten()
        rows.append([tensor(5000 + i, t.numel()) @ t, t.norm()])
        rows[-1] = [v / t.numel() ** 0.5 for v in rows[-1]]
    return torch.tensor(rows, dtype=torch.float64)


def fill(model):
    """Gives a model its weights, and returns its state dict."""
    state = model.double().state_dict()
    for i, (name, v) in enumerate(state.items()):
        if v.is_floating_point():
            v.copy_(weight(name, i, v.shape))
    return state


def smaller(name, size, **options):
    """What a Swin of smaller images computes with the weights of one of its own size, whose windows are larger."""
    make = partial(timm.create_model, name, in_chans=2, num_classes=0, drop_path_rate=0.0, **options)
    model = make(img_size=size)
    model.load_state_dict(checkpoint_filter_fn(fill(make()), model))
    with torch.no_grad():
        return model.double().eval()(tensor(SEEDS["native"], 2, 2, size, size))


def record(model):
    """Outputs, tokens and levels in inference; output, gradients and buffers in training."""
    state = fill(model)
    start = {k: v.clone() for k, v in state.items()}
    out = {}
    for case, shape in CASES.items():
        model.load_state_dict(start)
        x = tensor(SEEDS[case], *shape)
        with torch.no_grad():
            model.eval()
            out[f"{case}/out"] = model(x)
            tokens = model.forward_features(x)
            if tokens.ndim == 4:
                tokens = tokens.flatten(1, 2) if getattr(model, "output_fmt", "") == "NHWC" else tokens.flatten(2).transpose(1, 2)
            out[f"{case}/tokens"] = digest([tokens])
            levels = model.forward_intermediates(x, intermediates_only=True)
            out[f"{case}/levels"] = digest(levels)
            if getattr(model, "cls_token", None) is not None:
                last = model.forward_intermediates(x, indices=2, norm=True, return_prefix_tokens=True, intermediates_only=True)
                out[f"{case}/class"] = torch.cat([prefix[:, 0] for _, prefix in last], dim=1)
        x.requires_grad_()
        model.zero_grad()
        y = model.train()(x)
        (y * tensor(10 + SEEDS[case], *y.shape)).sum().backward()
        out[f"{case}/train"] = y.detach()
        out[f"{case}/grads"] = digest([x.grad, *(p.grad for p in model.parameters())])
        buffers = [b for b in model.buffers() if b.is_floating_point() and b.shape != ()]
        if any(k.endswith("running_var") for k in start):
            out[f"{case}/buffers"] = digest(buffers)
    return {k: v.contiguous() for k, v in out.items()}


def write():
    torch.set_num_threads(1)
    results = {f"{name}/{k}": v for name, make in MODELS.items() for k, v in record(make()).items()}
    for n in (1, 2, 3, 4, 7):  # channels
        results[f"channels/{n}"] = adapt_input_conv(n, tensor(1, 2, 3, 2, 2).float())
    for a, b in ((1, 2), (2, 3), (3, 2), (7, 4), (4, 7)):  # sides of windows
        table = tensor(1, (2 * a - 1) ** 2, 2).float()
        results[f"tables/{a}-{b}"] = resize_rel_pos_bias_table(table, (b, b), ((2 * b - 1) ** 2, 2))
    results["tables/out"] = smaller("swin_tiny_patch4_window7_224", 96, embed_dim=6, depths=[2] * 4)
    file = ROOT / "vision/testdata/blocks.safetensors"
    file.write_bytes(serialize({k: v.contiguous() for k, v in results.items()}))
    print(f"{file.name}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    write()
