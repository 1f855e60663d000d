"""Small collections of every kind, and what Pillow makes of their images, for vision/images.

Writes vision/images/testdata/sources/. want.npy is uint8 [N, 3, H, W]: Image.open(image n).convert("RGB"). All images are PNG,
so that every decoder gives the same, but for the last, which is a JPEG. Versions: Pillow 13.0.0, pyarrow 26.0.1.
"""

import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from common import ROOT

OUT = ROOT / "vision/images/testdata/sources"
OUT.mkdir(parents=True, exist_ok=True)
N, H, W = 7, 10, 12
LABELS = [2, 0, 1, 1, 0, 2, 1]
NAMES = ["cat", "dog", "fish"]
CAPTIONS = [f"picture {i}, ünïcode" if i != 3 else "" for i in range(N)]

r = np.random.default_rng(5)
y, x = np.mgrid[0:H, 0:W]
pixels = np.stack([np.stack([(x * (3 + i) + y * (7 - c) * (i + 1) + 40 * c) % 256 for c in range(3)], -1) for i in range(N)]).astype(np.uint8)


def encoded(i):
    b = io.BytesIO()
    if i == N - 1:
        Image.fromarray(pixels[i]).save(b, "JPEG", quality=95, subsampling="4:4:4")
    else:
        Image.fromarray(pixels[i]).save(b, "PNG", optimize=True)
    return b.getvalue()


FILES = [encoded(i) for i in range(N)]
want = np.stack([np.asarray(Image.open(io.BytesIO(f)).convert("RGB")).transpose(2, 0, 1) for f in FILES])
np.save(OUT / "want.npy", want)


# WebDataset: two shards, with a folder in their keys; GNU and PAX headers; a sample without an image.
def shard(name, members, form):
    with tarfile.open(OUT / name, "w", format=form) as t:
        for member, data in members:
            info = tarfile.TarInfo(member)
            info.size, info.mtime = len(data), 0
            t.addfile(info, io.BytesIO(data))


def members(i, key, ext):
    yield f"{key}.{ext}", FILES[i]
    yield f"{key}.cls", str(LABELS[i]).encode()
    if CAPTIONS[i]:
        yield f"{key}.txt", CAPTIONS[i].encode()
    yield f"{key}.json", json.dumps({"label": NAMES[LABELS[i]], "caption": "json " + CAPTIONS[i]}).encode()


long = "part/" + "very-" * 30 + "long"  # more than the 100 bytes of a header
first = [m for i in range(4) for m in members(i, f"part/sample{i}" if i != 2 else long, "png")]
first.insert(4, ("part/lonely.txt", b"no image"))
shard("shard-000000.tar", first, tarfile.PAX_FORMAT)
shard("shard-000001.tar", [m for i in range(4, N) for m in members(i, f"part/sample{i}", "png" if i < N - 1 else "jpg")], tarfile.GNU_FORMAT)

# Parquet as the datasets library writes it: a struct of bytes and path, types in the schema's metadata.
features = {"image": {"_type": "Image"}, "label": {"names": NAMES, "_type": "ClassLabel"}, "text": {"dtype": "string", "_type": "Value"}}
image = pa.array([{"bytes": f, "path": f"{i}.png"} for i, f in enumerate(FILES)], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
table = pa.table({"image": image, "label": pa.array(LABELS, pa.int64()), "text": pa.array([c or None for c in CAPTIONS])})
table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
pq.write_table(table.slice(0, 5), OUT / "train-00000-of-00002.parquet", row_group_size=3, compression="snappy")
pq.write_table(
    table.slice(5), OUT / "train-00001-of-00002.parquet", compression="zstd", use_dictionary=False, write_page_index=True, data_page_version="2.0"
)
# Plain bytes, in pages of a row or two, some of them behind a dictionary; one image is null, and labels are texts.
plain = pa.table(
    {
        "name": [f"n{i}" for i in range(N)],
        "photo": pa.array([None if i == 2 else f for i, f in enumerate(FILES)], pa.binary()),
        "species": pa.array([NAMES[c] if i != 4 else None for i, c in enumerate(LABELS)]),
    }
)
pq.write_table(plain, OUT / "plain.parquet", compression="gzip", data_page_size=1, write_batch_size=2, dictionary_pagesize_limit=400)

# NumPy.
np.savez(OUT / "stored.npz", images=want.transpose(0, 2, 3, 1), labels=np.array(LABELS, np.uint8)[:, None])
np.savez_compressed(
    OUT / "packed.npz", x_train=want[:5], y_train=np.array(LABELS[:5]), x_test=want[5:], y_test=np.array(LABELS[5:])
)
deep = (want[:3].astype(np.uint16) << 8 | want[2:5]).astype(np.uint16)
np.save(OUT / "u2_nchw.npy", deep)
np.save(OUT / "u2_big_nhwc.npy", deep.transpose(0, 2, 3, 1).astype(">u2").copy())
np.save(OUT / "f4_nhw.npy", (want[:3, 0] / 255).astype(np.float32))
np.save(OUT / "f2_nhw.npy", (want[:3, 0] / 255).astype(np.float16))
np.save(OUT / "deep_want.npy", (deep / 65535).astype(np.float32))

# CIFAR: records of labels and planes.
planes = r.integers(0, 256, (3, 3, 32, 32), np.uint8)
planes[:, :, 2:, :] = 7  # packs better
(OUT / "cifar10").mkdir(exist_ok=True)
(OUT / "cifar10/data_batch_1.bin").write_bytes(b"".join(bytes([c]) + p.tobytes() for c, p in zip((9, 0, 3), planes)))
(OUT / "cifar10/batches.meta.txt").write_text("\n".join("airplane automobile bird cat deer dog frog horse ship truck".split()) + "\n\n")
print(sum(f.stat().st_size for f in OUT.rglob("*") if f.is_file()), "bytes")
