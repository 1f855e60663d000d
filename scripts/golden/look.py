"""Golden numbers of eval/look: principal components by NumPy's SVD, with scikit-learn's rule for the sign, and attention of timm.

Writes eval/look/testdata/pca.json and vit.safetensors (a small ViT's weights) with attention.json: the class token's attention to
patches in the last block, scaled to a sum of 1.
"""

import json

import numpy as np
import timm
import torch
from safetensors.torch import save_file

from common import ROOT, values

torch.set_num_threads(1)
OUT = ROOT / "eval/look/testdata"


def pca(n, d, k):
    x = (values(1, n, d) * (1 + np.arange(d)) + np.arange(d)).astype(np.float32).astype(np.float64)
    centred = x - x.mean(0)
    _, s, v = np.linalg.svd(centred, full_matrices=False)
    v = v[:k] * np.sign(v[np.arange(k), np.abs(v[:k]).argmax(1)])[:, None]
    return {"n": n, "d": d, "mean": x.mean(0).tolist(), "components": v.tolist(), "variance": (s[:k] ** 2 / (n - 1)).tolist(),
            "projected": (centred @ v.T).ravel().tolist()}


def attention():
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", img_size=16, patch_size=4, embed_dim=12, depth=2, num_heads=2, num_classes=0, in_chans=1)
    with torch.no_grad():
        for i, v in enumerate(model.state_dict().values()):
            v.add_(0.2 * torch.tensor(values(100 + i, *v.shape)))
    model.eval()
    save_file(model.state_dict(), OUT / "vit.safetensors")
    seen = []
    attn = model.blocks[-1].attn
    attn.fused_attn = False
    attn.attn_drop.register_forward_hook(lambda _, __, y: seen.append(y))
    with torch.no_grad():
        model(torch.tensor(values(7, 3, 1, 16, 16)).float())
    rows = seen[0][:, :, 0, 1:]
    return (rows / rows.sum(-1, keepdim=True)).double().ravel().tolist()


OUT.mkdir(parents=True, exist_ok=True)
(OUT / "pca.json").write_text(json.dumps([pca(40, 6, 3), pca(4, 7, 3)]))
(OUT / "attention.json").write_text(json.dumps(attention()))
