"""Checks that numpy, safetensors, pyarrow and datasets read what cmd/embed writes, in one file and in shards.

    python scripts/python/check_embeddings.py

Makes a small ViT in timm and a few images, one of them broken, has cmd/embed write their features in every format, and
compares files, names, labels, checksums and Parquet's schema. Exits with 1 if anything differs.
"""

import hashlib
import json
import pathlib
import subprocess
import tempfile

import datasets
import numpy
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import safetensors.numpy
import timm
import torch
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIM, IMAGES = 24, 11


def embed(tmp, out, *flags):
    subprocess.run(
        ["go", "run", "./cmd/embed", "--weights", tmp / "w.pt", "--model", "vit_tiny_patch16_224", "--width", str(DIM), "--depth", "1",
         "--heads", "2", "--image-size", "32", "--data", tmp / "images", "--labels", "--device", "cpu", "--out", out, *flags],
        cwd=ROOT, check=True, capture_output=True)
    index = json.loads((out.parent / (out.stem + ".index.json")).read_text())
    for s in index["shards"]:
        data = (out.parent / s["file"]).read_bytes()
        assert len(data) == s["bytes"] and hashlib.sha256(data).hexdigest() == s["sha256"], s
    return index


def main():
    with tempfile.TemporaryDirectory() as name:
        tmp = pathlib.Path(name)
        torch.manual_seed(0)
        model = timm.create_model("vit_tiny_patch16_224", img_size=32, embed_dim=DIM, depth=1, num_heads=2, num_classes=0)
        torch.save(model.state_dict(), tmp / "w.pt")
        rng = numpy.random.default_rng(0)
        files = []
        for i in range(IMAGES):
            file = tmp / "images" / ("cat" if i < 6 else "dog") / f"{i:02}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            if i == 2:
                file.write_bytes(b"\x89PNG\r\n\x1a\nbroken")
                continue
            Image.fromarray(rng.integers(0, 255, (40, 32, 3), dtype=numpy.uint8)).save(file)
            files.append(f"{file.parent.name}/{file.name}")
        labels = [0] * 5 + [1] * 5

        whole = tmp / "whole" / "e.npy"
        whole.parent.mkdir()
        index = embed(tmp, whole)
        want = numpy.load(whole)
        assert want.shape == (10, DIM) and want.dtype == numpy.float32 and index["rows"] == 10, want.shape
        assert (whole.parent / "e.files.txt").read_text().splitlines() == files
        assert numpy.load(whole.parent / "e.labels.npy").tolist() == labels
        assert index["classes"] == ["cat", "dog"] and index["shards"][0]["left_out"][0]["name"] == "cat/02.png", index

        def same(got, what):
            assert numpy.abs(got - want).max() < 1e-5, what

        for ext in "npy", "safetensors", "parquet":
            for shard in "100", "4":
                out = tmp / (ext + shard) / ("e." + ext)
                out.parent.mkdir()
                index = embed(tmp, out, "--shard-rows", shard)
                paths = [out.parent / s["file"] for s in index["shards"]]
                assert len(paths) == (1 if shard == "100" else 3)
                if ext == "npy":
                    same(numpy.concatenate([numpy.load(p) for p in paths]), out)
                elif ext == "safetensors":
                    tensors = [safetensors.numpy.load_file(p) for p in paths]
                    same(numpy.concatenate([t["features"] for t in tensors]), out)
                    assert numpy.concatenate([t["labels"] for t in tensors]).tolist() == labels
                else:
                    table = pyarrow.concat_tables([pyarrow.parquet.read_table(p) for p in paths])
                    assert table.schema.field("embedding").type == pyarrow.list_(pyarrow.field("element", pyarrow.float32(), False), DIM), table.schema
                    same(numpy.stack(table["embedding"].to_numpy()), out)
                    assert table["file"].to_pylist() == files and table["label"].to_pylist() == labels
                    same(pyarrow.dataset.dataset(paths).to_table(columns=["embedding"])["embedding"].combine_chunks().flatten().to_numpy().reshape(10, DIM), out)
                    read_by_datasets(paths, files, labels, same)
        print("numpy, safetensors, pyarrow and datasets read all formats, in one file and in shards")


def read_by_datasets(paths, files, labels, same):
    with tempfile.TemporaryDirectory() as cache:
        d = datasets.load_dataset("parquet", data_files=[str(p) for p in paths], split="train", cache_dir=cache)
        assert d.features["label"].names == ["cat", "dog"] and d.features["embedding"].length == DIM, d.features
        assert d["file"][:] == files and d["label"][:] == labels
        same(numpy.asarray(d.with_format("numpy")["embedding"][:]), "datasets")


if __name__ == "__main__":
    main()
