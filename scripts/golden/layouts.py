"""How other libraries name and compute what timm's vision transformers do.

Writes torch/weights/layout/testdata: a small random model of each layout under its own keys, and expected.json, which says
what timm calls its tensors, how they are to be loaded, and what the model makes of values(1, 2, 3, 6, 6). torchvision's and
Hugging Face's models are the libraries' own. Those of OpenAI and Meta are made of timm's, and timm must turn their keys
back. dinov3.json has the keys of DINOv3 in Hugging Face's library at its real sizes. Needs transformers==5.24.0 besides
scripts/python/requirements.txt. Arguments, such as dinov3, make those parts alone.
"""

import hashlib
import json
import sys
import tempfile
from collections import OrderedDict
from functools import partial

import safetensors.torch
import torch
import torchvision
import transformers
from timm.layers import SwiGLUPacked, get_act_layer
from timm.models import eva
from timm.models.resnet import BasicBlock, ResNet
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import nn

from common import ROOT, values

torch.set_num_threads(1)
OUT = ROOT / "torch/weights/layout/testdata"
SIZES = dict(img_size=6, patch_size=2, embed_dim=8, depth=2, num_heads=2)
SPEC = dict(ImageSize=6, PatchSize=2, Channels=3, Width=8, Depth=2, Heads=2)
HF = dict(hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=6, patch_size=2,
          layer_norm_eps=1e-6)
expected = {}


def perturb(model):
    """Moves every value away from its initial one, so that none is 0 or 1 by accident."""
    with torch.no_grad():
        for i, (name, v) in enumerate(model.state_dict().items()):
            if v.is_floating_point():
                noise = torch.tensor(values(3000 + i, *v.shape)).to(v.dtype)
                v.copy_(1 + 0.3 * noise if name.endswith("running_var") else v + 0.3 * noise)
    return model.eval()


def timm_vit(**options):
    return perturb(VisionTransformer(**SIZES, **{"num_classes": 0, **options}))


def images():
    return torch.tensor(values(1, 2, 3, 6, 6)).float()


def digest(v):
    return hashlib.sha256(v.contiguous().numpy().tobytes()).hexdigest()[:16]


def note(name, layout, foreign, timm_state, output, hashed, **spec):
    """foreign becomes a file. timm_state gives the names and shapes of timm, and the values too where hashed."""
    OUT.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file({k: v.contiguous().clone() for k, v in foreign.items()}, OUT / f"{name}.safetensors")
    tensors = {k: [list(v.shape), digest(v) if hashed else ""] for k, v in timm_state.items()}
    expected[name] = {"Layout": layout, "Spec": spec, "Tensors": tensors, "Output": output.reshape(-1).tolist()}


def of_library(name, layout, model, run, timm_model, **spec):
    with torch.no_grad():
        y = run(model, images())
    files = {name: model.state_dict()}
    if hasattr(model, "save_pretrained"):  # which has other names than the model in memory
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            files = {name: safetensors.torch.load_file(f"{folder}/model.safetensors")}
        if set(files[name]) != set(model.state_dict()):
            files[name + "-memory"] = model.state_dict()
    for name, state in files.items():
        note(name, layout, state, timm_model.state_dict(), y, False, **{**SPEC, **spec})


def of_timm(name, layout, model, foreign, convert=checkpoint_filter_fn, **spec):
    """foreign is a state dict that timm, too, must be able to turn back."""
    foreign = {k: v.clone() for k, v in foreign.items()}
    model.load_state_dict(convert(dict(foreign), model), strict=True)
    with torch.no_grad():
        y = model(images())
    note(name, layout, foreign, model.state_dict(), y, True, **{**SPEC, **spec})


def libraries():
    tv = torchvision.models.VisionTransformer(image_size=6, patch_size=2, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=32,
                                              num_classes=5)
    of_library("torchvision", "torchvision", perturb(tv), lambda m, x: m(x), timm_vit(num_classes=5),
               Name="vit_tiny_patch16_224", NumClasses=5)

    text = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=5,
                max_position_embeddings=4)
    clip = transformers.CLIPModel(transformers.CLIPConfig(
        text_config=text, vision_config={**HF, "layer_norm_eps": 1e-5, "hidden_act": "quick_gelu"}, projection_dim=6))
    of_library("hf-clip", "hf-clip", perturb(clip), lambda m, x: m.visual_projection(m.vision_model(x).pooler_output),
               timm_vit(pre_norm=True, num_classes=6), Name="vit_base_patch32_clip_quickgelu_224", NumClasses=6)

    vit = transformers.ViTForImageClassification(transformers.ViTConfig(**HF, num_labels=5))
    of_library("hf-vit", "hf-vit", perturb(vit), lambda m, x: m(x).logits, timm_vit(num_classes=5),
               Name="vit_tiny_patch16_224", NumClasses=5)
    mae = transformers.ViTMAEForPreTraining(transformers.ViTMAEConfig(
        **HF, mask_ratio=0.0, decoder_hidden_size=8, decoder_num_hidden_layers=1, decoder_num_attention_heads=2,
        decoder_intermediate_size=8))
    of_library("hf-mae", "hf-vit", perturb(mae), lambda m, x: m.vit(x).last_hidden_state[:, 0], timm_vit(),
               Name="vit_tiny_patch16_224")
    dinov2 = dict(HF, mlp_ratio=4)
    del dinov2["intermediate_size"]
    of_library("hf-dinov2", "hf-vit", perturb(transformers.Dinov2Model(transformers.Dinov2Config(**dinov2))),
               lambda m, x: m(x).pooler_output, timm_vit(init_values=1e-5), Name="vit_small_patch14_dinov2")
    of_library("hf-dinov2-reg", "hf-vit",
               perturb(transformers.Dinov2WithRegistersModel(transformers.Dinov2WithRegistersConfig(**dinov2, num_register_tokens=4))),
               lambda m, x: m(x).pooler_output, timm_vit(init_values=1e-5, reg_tokens=4, no_embed_class=True),
               Name="vit_small_patch14_reg4_dinov2", Registers=4)
    of_library("hf-ijepa", "hf-vit", perturb(transformers.IJepaModel(transformers.IJepaConfig(**HF))),
               lambda m, x: m(x).last_hidden_state.mean(1), timm_vit(class_token=False, global_pool="avg", fc_norm=False),
               Name="vit_huge_patch14_gap_224")


def openai_clip():
    model = timm_vit(pre_norm=True, num_classes=6, norm_layer=partial(nn.LayerNorm, eps=1e-5),
                     act_layer=get_act_layer("quick_gelu"))
    with torch.no_grad():
        model.head.bias.zero_()  # there is none
    sd = model.state_dict()
    names = (("patch_embed.proj", "conv1"), ("blocks.", "transformer.resblocks."), (".norm1.", ".ln_1."), (".norm2.", ".ln_2."),
             ("norm_pre.", "ln_pre."), ("attn.qkv.", "attn.in_proj_"), ("attn.proj.", "attn.out_proj."), ("mlp.fc1", "mlp.c_fc"),
             ("mlp.fc2", "mlp.c_proj"))
    foreign = OrderedDict(positional_embedding=torch.ones(4, 8), logit_scale=torch.tensor(1.0))
    foreign["transformer.resblocks.0.ln_1.weight"] = torch.ones(8)  # the text encoder's
    for k, v in sd.items():
        if k == "cls_token":
            k, v = "class_embedding", v[0, 0]
        elif k == "pos_embed":
            k, v = "positional_embedding", v[0]
        elif k == "head.weight":
            k, v = "proj", v.t()
        elif k.startswith("norm."):
            k = k.replace("norm.", "ln_post.")
        elif k == "head.bias":
            continue
        for a, b in names:
            k = k.replace(a, b)
        foreign["visual." + k] = v
    of_timm("clip", "clip", model, foreign, Name="vit_base_patch32_clip_quickgelu_224", NumClasses=6)


def meta():
    vit = timm_vit()
    sd = vit.state_dict()
    heads = {"head.mlp.0.weight": torch.ones(2), "head.last_layer.weight_v": torch.ones(2)}
    under = lambda prefix: lambda d, _: {k.removeprefix(prefix): v for k, v in d.items() if k.startswith(prefix)}
    of_timm("dino", "dino", vit, {"backbone." + k: v for k, v in sd.items()} | heads, under("backbone."),
            Name="vit_tiny_patch16_224")
    of_timm("mae", "mae", vit, sd | {"mask_token": torch.ones(1, 1, 4), "decoder_embed.weight": torch.ones(4, 8),
                                     "decoder_blocks.0.norm1.weight": torch.ones(4), "decoder_pos_embed": torch.ones(1, 10, 4)},
            lambda d, _: {k: v for k, v in d.items() if not k.startswith(("decoder_", "mask_token"))}, Name="vit_tiny_patch16_224")
    of_timm("openclip-timm", "openclip-timm", vit, {"visual.trunk." + k: v for k, v in sd.items()} | {"logit_scale": torch.tensor(1.0)},
            Name="vit_tiny_patch16_224")
    gap = timm_vit(class_token=False, global_pool="avg", fc_norm=False)
    of_timm("ijepa", "ijepa", gap, gap.state_dict(), Name="vit_huge_patch14_gap_224")

    dinov2 = timm_vit(init_values=1e-5)
    of_timm("dinov2", "dinov2", dinov2, dinov2.state_dict() | {"mask_token": torch.ones(1, 8)}, Name="vit_small_patch14_dinov2")
    chunked = {k.replace("blocks.0.", "blocks.0.0.").replace("blocks.1.", "blocks.1.1."): v for k, v in dinov2.state_dict().items()}
    foreign = {"backbone." + k: v for k, v in chunked.items()} | {"backbone.mask_token": torch.ones(1, 8), "dino_head.mlp.0.weight": torch.ones(2)}
    of_timm("dinov2-training", "dinov2", dinov2, foreign, lambda d, _: dinov2.state_dict(), Name="vit_small_patch14_dinov2")
    giant = timm_vit(init_values=1e-5, reg_tokens=4, no_embed_class=True, mlp_ratio=2.66667 * 2, mlp_layer=SwiGLUPacked,
                     act_layer=nn.SiLU)
    foreign = {"mask_token": torch.ones(1, 8)}
    for k, v in giant.state_dict().items():
        k = k.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3").replace("reg_token", "register_tokens")
        foreign[k] = torch.cat([torch.tensor(values(9, 1, 1, 8)).float(), v], 1) if k == "pos_embed" else v
    of_timm("dinov2-giant-reg", "dinov2", giant, foreign, Name="vit_giant_patch14_reg4_dinov2", Registers=4)

    resnet = perturb(ResNet(BasicBlock, (1, 1, 1, 1), num_classes=0, channels=(2, 4, 8, 16)))
    with torch.no_grad():
        y = resnet(images())
    note("dino-resnet", "dino-resnet", {"backbone." + k: v for k, v in resnet.state_dict().items()} | heads, resnet.state_dict(), y, True,
         Name="resnet18", ImageSize=6, Channels=3, Width=2, Depth=1)


def timm_dinov3(**options):
    """A small DINOv3, as timm builds its own."""
    sizes = {**SIZES, "num_heads": 1, **options}
    return perturb(eva.Eva(
        **sizes, num_classes=0, global_pool="token", qkv_bias=True, init_values=1e-5, rope_type="dinov3", rope_temperature=100,
        rope_rotate_half=True, use_rot_pos_emb=True, use_abs_pos_emb=False, use_fc_norm=False, dynamic_img_size=True,
        num_reg_tokens=3, norm_layer=partial(nn.LayerNorm, eps=1e-5)))


# How Meta builds its DINOv3s, by timm's names: width, blocks, heads, hidden width of the MLPs, whether those are gated, and
# whether queries and values have biases.
DINOV3 = {
    "vit_small_patch16_dinov3_qkvb": (384, 12, 6, 1536, False, True),
    "vit_small_plus_patch16_dinov3_qkvb": (384, 12, 6, 1536, True, True),
    "vit_base_patch16_dinov3_qkvb": (768, 12, 12, 3072, False, True),
    "vit_large_patch16_dinov3_qkvb": (1024, 24, 16, 4096, False, True),
    "vit_huge_plus_patch16_dinov3_qkvb": (1280, 32, 20, 5120, True, True),
    "vit_7b_patch16_dinov3": (4096, 40, 32, 8192, True, False),
}


def dinov3():
    torch.manual_seed(0)
    # The patch size and the number of registers are for the file to tell.
    spec = dict(PatchSize=0, NumClasses=0)
    plain = dict(HF, layer_norm_eps=1e-5, num_register_tokens=3)
    model = transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(**plain))
    of_library("hf-dinov3", "hf-dinov3", perturb(model), lambda m, x: m(x).pooler_output, timm_dinov3(num_heads=2),
               Name="vit_small_patch16_dinov3_qkvb", Pool="token", **spec)
    gated = dict(plain, num_attention_heads=1, use_gated_mlp=True, hidden_act="silu")
    model = transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(**gated))
    of_library("hf-dinov3-plus", "hf-dinov3", perturb(model), lambda m, x: m(x).last_hidden_state[:, 4:].mean(1),
               timm_dinov3(swiglu_mlp=True, swiglu_align_to=8), Name="vit_huge_plus_patch16_dinov3_qkvb", **{**spec, "Heads": 1})

    for name, variant, options in (
        ("dinov3", "vit_base_patch16_dinov3_qkvb", {}),
        ("dinov3-plus", "vit_small_plus_patch16_dinov3_qkvb", dict(swiglu_mlp=True, swiglu_align_to=8)),
    ):
        ours = timm_dinov3(**options)
        foreign = {"mask_token": torch.ones(1, 8), "rope_embed.periods": torch.tensor([1.0, 10.0]),
                   "local_cls_norm.weight": torch.ones(8), "local_cls_norm.bias": torch.ones(8)}
        for k, v in ours.state_dict().items():
            if k.endswith("v_bias"):
                continue
            if k.endswith("q_bias"):  # that of keys is there, and masked
                k, other = k.replace("q_bias", "qkv.bias"), ours.state_dict()[k.replace("q_bias", "v_bias")]
                foreign[k + "_mask"] = torch.tensor([1.0] * 8 + [0.0] * 8 + [1.0] * 8)
                v = torch.cat([v, torch.tensor(values(8, 8)).float(), other])
            for a, b in (("reg_token", "storage_tokens"), ("gamma_1", "ls1.gamma"), ("gamma_2", "ls2.gamma"),
                         *((("mlp.fc1_g", "mlp.w1"), ("mlp.fc1_x", "mlp.w2"), ("mlp.fc2", "mlp.w3")) if options else ())):
                k = k.replace(a, b)
            foreign[k] = v
        if options:  # as training saves it
            foreign = {"backbone." + k: v for k, v in foreign.items()} | {"dino_head.mlp.0.weight": torch.ones(2),
                                                                          "ibot_head.mlp.0.weight": torch.ones(2)}
        of_timm(name, "dinov3", ours, foreign,
                lambda d, m: eva.checkpoint_filter_fn({k.removeprefix("backbone."): v for k, v in d.items() if "_head." not in k}, m),
                Name=variant, Pool="token", **{**spec, "Heads": 1})

    keys = {}
    with torch.device("meta"):
        for name, (width, blocks, heads, hidden, gates, biases) in DINOV3.items():
            model = transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(
                hidden_size=width, num_hidden_layers=1, num_attention_heads=heads, intermediate_size=hidden, image_size=224,
                use_gated_mlp=gates, query_bias=biases, value_bias=biases, num_register_tokens=4))
            with tempfile.TemporaryDirectory() as folder:
                model.to_empty(device="cpu").save_pretrained(folder)
                saved = safetensors.torch.load_file(f"{folder}/model.safetensors")
            # The blocks are alike: those after the first are left to whoever reads this.
            keys[name] = {"Blocks": blocks, "Tensors": {k: list(v.shape) for k, v in saved.items()}}
    (OUT / "dinov3.json").write_text(json.dumps(keys, separators=(",", ":")).replace('}},"', '}},\n"') + "\n")


PARTS = (libraries, openai_clip, meta, dinov3)

if __name__ == "__main__":
    if sys.argv[1:]:
        expected.update(json.loads((OUT / "expected.json").read_text()))
    for part in PARTS:
        if part.__name__ in sys.argv[1:] or not sys.argv[1:]:
            part()
    (OUT / "expected.json").write_text(json.dumps(expected, separators=(",", ":")).replace('},"', '},\n"') + "\n")
