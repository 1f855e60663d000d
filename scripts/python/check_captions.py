"""Checks that transformers, tokenizers, torchvision and timm read what a run on captions leaves, and that it is what they make of it.

    python scripts/python/check_captions.py

Has cmd/train learn from made-up pictures and their captions, a third of which are missing, loads encoders, tokenizer and projectors
strictly, and finds the caption of each picture in the space of projections. Exits with 1 if keys do not fit or captions are not found.
"""

import json
import pathlib
import random
import subprocess
import sys
import tempfile

import numpy
import safetensors
import timm
import torch
import torchvision
from PIL import Image, ImageDraw
from safetensors.torch import load_file
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 220), "yellow": (230, 220, 30)}
SIZE, COUNT, WIDTH, HIDDEN, DIM = 32, 320, 48, 64, 16


def draw(rng, colour):
    picture = Image.new("RGB", (SIZE, SIZE), tuple(rng.randrange(60) for _ in range(3)))
    x, y = rng.randrange(10), rng.randrange(10)
    ImageDraw.Draw(picture).rectangle((x, y, x + 20, y + 20), fill=COLOURS[colour])
    return picture


def projector(weights, kind, width):
    mlp = torchvision.ops.MLP(width, [HIDDEN, DIM], norm_layer=torch.nn.BatchNorm1d)
    own = {k.removeprefix(kind + "."): v for k, v in weights.items() if k.startswith(kind + ".")}
    mlp.load_state_dict(own, strict=True)
    return mlp.eval()


def main():
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        tmp = pathlib.Path(name)
        rows, captions = ["file,caption"], []
        names = sorted(COLOURS)
        for i in range(COUNT):
            colour = names[i % 4]
            draw(rng, colour).save(tmp / f"{i:03}.png")
            caption = rng.choice(["A {} square.", "The square is {}.", "Something {} on a dark ground."]).format(colour)
            captions.append(caption)
            rows.append(f"{i:03}.png,{caption if i % 3 else ''}")
        (tmp / "list.csv").write_text("\n".join(rows) + "\n")
        (tmp / "captions.txt").write_text("\n".join(captions) + "\n")
        go = ["go", "run"]
        subprocess.run([*go, "./cmd/tokenize", "train", "--size", "300", "--alphabet", "100", tmp / "tokenizer.json", tmp / "captions.txt"],
                       cwd=ROOT, check=True, capture_output=True)
        out = tmp / "run"
        subprocess.run([*go, "./cmd/train", "--data", tmp / "list.csv", "--text-column", "caption", "--tokenizer", tmp / "tokenizer.json", "--out", out,
                        "--model", "vit_tiny_patch16_224", "--image-size", str(SIZE), "--patch-size", "8", "--width", "32", "--depth", "2", "--heads", "2",
                        "--text.width", str(WIDTH), "--text.depth", "2", "--text.heads", "2", "--max-tokens", "24", "--projector.hidden", str(HIDDEN),
                        "--proj-dim", str(DIM), "--views.jitter.p", "0", "--views.grayscale", "0", "--views.solarize.p", "0", "--lambda", "0.05",
                        "--slices", "128", "--batch-size", "64", "--steps", "200", "--lr", "2e-3", "--device", "cpu", "--seed", "1"],
                       cwd=ROOT, check=True, capture_output=True)

        with safetensors.safe_open(out / "text_encoder.safetensors", "pt") as f:
            spec = json.loads(f.metadata()["gojepa.text.spec"])
        bert = BertModel(BertConfig(vocab_size=spec["Vocab"], hidden_size=spec["Width"], num_hidden_layers=spec["Depth"], num_attention_heads=spec["Heads"],
                                    intermediate_size=spec["Hidden"], max_position_embeddings=spec["MaxTokens"]), add_pooling_layer=False)
        bert.load_state_dict(load_file(out / "text_encoder.safetensors"), strict=True)
        same = torch.load(out / "text_encoder.pt", weights_only=True)
        assert all(torch.equal(v, same[k]) for k, v in bert.state_dict().items())
        vit = timm.create_model("vit_tiny_patch16_224", img_size=SIZE, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=0)
        vit.load_state_dict(load_file(out / "encoder.safetensors"), strict=True)
        bert, vit = bert.eval(), vit.eval()
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(out / "tokenizer.json"), pad_token="[PAD]")
        weights = load_file(out / "projectors.safetensors")
        image, text = projector(weights, "image", 32), projector(weights, "text", WIDTH)

        with torch.no_grad():
            batch = tokenizer([f"A {c} square." for c in names], padding=True, return_tensors="pt")
            mask = batch["attention_mask"].unsqueeze(2)
            tokens = bert(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
            prompts = text((tokens * mask).sum(1) / mask.sum(1))
            fresh = random.Random(1)
            pictures = numpy.stack([numpy.asarray(draw(fresh, names[i % 4])) for i in range(100)])
            x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
            mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
            z = image(vit((x - mean[:, None, None]) / std[:, None, None]))
            found = torch.nn.functional.normalize(z) @ torch.nn.functional.normalize(prompts).T
            right = (found.argmax(1) == torch.arange(100) % 4).float().mean().item()
        print(f"captions found for pictures that were not trained on: {right:.0%}, of 25% by chance")
        return right < 0.8


if __name__ == "__main__":
    sys.exit(main())
