"""What BERT computes according to Hugging Face's transformers, weights being values of the parameters' indices.

Writes text/testdata/golden.json: for some shapes, tokens and both poolings in float64, gradients of a weighted sum; and the keys and
shapes of the variants, as digests.
"""

import hashlib

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

from common import ROOT, save, values

torch.set_num_threads(1)

CONFIGS = {
    "plain": dict(vocab_size=37, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, max_position_embeddings=19),
    "one": dict(vocab_size=11, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=32, max_position_embeddings=6),
}
VARIANTS = {
    "bert_tiny": dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512),
    "bert_mini": dict(hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024),
    "bert_small": dict(hidden_size=512, num_hidden_layers=4, num_attention_heads=8, intermediate_size=2048),
    "bert_medium": dict(hidden_size=512, num_hidden_layers=8, num_attention_heads=8, intermediate_size=2048),
    "bert_base": {},
    "bert_large": dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096),
    "minilm_l6_h384": dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536),
    "minilm_l12_h384": dict(hidden_size=384, num_hidden_layers=12, num_attention_heads=12, intermediate_size=1536),
}
# Lengths of the texts, of which the longest is T.
BATCHES = {"full": [5, 5, 5], "padded": [6, 1, 4, 2]}


def fill(model):
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(torch.tensor(values(1000 + i, *p.shape)) * 0.3)
            if p.dim() == 1 and i % 2 == 0:
                p.add_(1)
    return model


def model(config):
    # Without a padding id: its row would get no gradient, and here every id is a token.
    return fill(BertModel(BertConfig(**config, pad_token_id=None), add_pooling_layer=False).double().eval())


def ids(seed, lengths, vocab):
    t = max(lengths)
    x = (torch.tensor(values(seed, len(lengths), t)).abs() * 1000).long() % vocab
    mask = torch.arange(t)[None] < torch.tensor(lengths)[:, None]
    return x, mask.long()


def record(name, config):
    out = {}
    for b, (batch, lengths) in enumerate(BATCHES.items()):
        m = model(config)
        x, mask = ids(7 + b, lengths, config["vocab_size"])
        y = m(input_ids=x, attention_mask=mask).last_hidden_state
        there = mask[..., None].double()
        mean = (y * there).sum(1) / there.sum(1).clamp(min=1e-9)
        cls = y[:, 0]
        (mean * torch.tensor(values(20, *mean.shape))).sum().backward()
        out[batch] = {
            "ids": torch.where(mask.bool(), x, -1).tolist(), "tokens": (y * there).flatten().tolist(), "mean": mean.flatten().tolist(), "cls": cls.flatten().tolist(),
            "grads": {k: [p.grad.norm().item(), (p.grad * torch.tensor(values(30, *p.shape))).sum().item()] for k, p in m.named_parameters()},
        }
    return {"config": config, "batches": out}


def keys(config):
    with torch.device("meta"):
        m = BertModel(BertConfig(**config), add_pooling_layer=False)
    lines = [f"{k} {list(v.shape)}" for k, v in m.named_parameters()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


if __name__ == "__main__":
    golden = {"models": {k: record(k, c) for k, c in CONFIGS.items()}, "keys": {k: keys(c) for k, c in VARIANTS.items()}}
    save("text/testdata/golden.json", golden)
    # A file as transformers writes it, with a pooler and under a prefix, and an old one.
    m = fill(BertModel(BertConfig(**CONFIGS["one"])))
    state = {k: v.float().contiguous() for k, v in m.state_dict().items()}
    save_file({"bert." + k: v for k, v in state.items()} | {"cls.predictions.bias": torch.zeros(3)}, ROOT / "text/testdata/prefixed.safetensors")
    old = {k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v for k, v in state.items()}
    torch.save(old | {"embeddings.position_ids": torch.arange(6)[None]}, ROOT / "text/testdata/pytorch_model.bin")
