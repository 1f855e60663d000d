"""Checks that the Python package reads the tokenizers that cmd/tokenize trains, and makes the same ids of texts.

    python scripts/python/check_tokenizer.py

Trains one of every kind, with and without accents and capital letters, on the captions of the golden tests, and encodes those and the
awkward texts by both. Exits with 1 if anything differs.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

ROOT = pathlib.Path(__file__).resolve().parents[2]
problems = []
checked = 0

golden = json.loads((ROOT / "text/tokenize/testdata/golden.json").read_text())
# A line is a text, so that texts with line breaks are left out.
texts = [t for t in golden["texts"] + golden["captions"] if len(t.splitlines()) < 2 and "\r" not in t and "\n" not in t]

with tempfile.TemporaryDirectory() as d:
    d = pathlib.Path(d)
    binary, captions, lines = d / "tokenize", d / "captions.txt", d / "texts.txt"
    subprocess.run(["go", "build", "-o", binary, "./cmd/tokenize"], cwd=ROOT, check=True)
    captions.write_text("\n".join(golden["captions"]) + "\n")
    lines.write_bytes(("\n".join(texts) + "\n").encode())
    for kind in ("wordpiece", "bpe", "bytelevel"):
        for flags in ([], ["--lower=false"], ["--accents=false"], ["--lower=false", "--accents=false"]):
            file = d / "tokenizer.json"
            subprocess.run([binary, "train", "--kind", kind, "--size", "600", "--alphabet", "300", *flags, file, captions], check=True, capture_output=True)
            out = subprocess.run([binary, "encode", file, lines], check=True, capture_output=True, text=True).stdout.splitlines()
            t = Tokenizer.from_file(str(file))
            fast = PreTrainedTokenizerFast(tokenizer_file=str(file))
            if len(out) != len(texts):
                problems.append(f"{kind} {flags}: {len(out)} lines of {len(texts)}")
            for text, ids in zip(texts, out):
                checked += 1
                want, ids = t.encode(text).ids, json.loads(ids)
                if want != ids or fast(text)["input_ids"] != ids:
                    problems.append(f"{kind} {flags}: {text[:40]!r}: {ids[:12]}, expected {want[:12]}")

print(f"{checked} texts, {len(problems)} problems")
print("\n".join(problems[:20]))
sys.exit(bool(problems))
