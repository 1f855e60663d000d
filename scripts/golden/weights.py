"""Makes torch/weights/testdata: files of state dicts, and what is in them.

Run with PyTorch 2.11.0, safetensors 0.8.0, huggingface_hub 2.4.0 and lightning 2.6.6:

    python scripts/golden/weights.py [--checkpoints ../shared/data/checkpoints] [PART ...]

Parts, such as lightning, are made alone; without any, all are.

testdata/expected.json lists, for every file, the tensors that a reader must
find: name, dtype, shape, and the first 16 hex digits of the SHA-256 of the
elements (little endian, C order). testdata/shared.json does so for the checkpoints
beside the repository.
"""

import argparse
import datetime
import enum
import hashlib
import io
import json
import pathlib
import pickle
import pickletools
import struct
import sys
import warnings
import zipfile
from collections import Counter, OrderedDict, defaultdict

import huggingface_hub
import numpy as np
import safetensors.torch
import torch

warnings.filterwarnings("ignore")
torch.set_num_threads(1)

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "torch" / "weights" / "testdata"

PT_DTYPES = """bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 bfloat16 float32
    float64 complex32 complex64 complex128 float8_e5m2 float8_e4m3fn float8_e8m0fnu
    float8_e4m3fnuz float8_e5m2fnuz float4_e2m1fn_x2""".split()
# PyTorch writes the others to a legacy file too, but cannot read them back.
LEGACY_DTYPES = """bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64
    complex64 complex128""".split()
ST_DTYPES = [d for d in PT_DTYPES if d not in ("complex32", "complex128")]

expected = {}


def data(t):
    """The elements of t as bytes: C order, lazy conjugates and negatives resolved."""
    t = t.detach().resolve_conj().resolve_neg()
    if t.numel() == 0:
        return b""
    return t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def describe(sd):
    return [
        {
            "name": name,
            "dtype": str(t.dtype).removeprefix("torch."),
            "shape": list(t.shape),
            "sha256": hashlib.sha256(data(t)).hexdigest()[:16],
        }
        for name, t in sd.items()
    ]


def note(file, sd, key="", skipped=None, metadata=None):
    e = {"key": key, "tensors": describe(sd)}
    if skipped:
        e["skipped"] = skipped
    if metadata:
        e["metadata"] = metadata
    expected[file] = e


def save(file, obj, sd=None, key="", skipped=None, **kw):
    torch.save(obj, OUT / file, **kw)
    # What is written must be what PyTorch reads.
    torch.load(OUT / file, weights_only=False)
    note(file, obj if sd is None else sd, key, skipped)


def bits(dtype, *shape, seed=0):
    """A tensor of random bits, so that NaNs and denormals are among the values."""
    g = torch.Generator().manual_seed(seed)
    dt = getattr(torch, dtype)
    n = int(np.prod(shape)) * dt.itemsize
    raw = torch.randint(0, 256, (n,), generator=g, dtype=torch.uint8)
    if dt == torch.bool:
        return (raw % 2).bool().reshape(shape)
    return raw.view(dt).reshape(shape)


def dtypes(names):
    sd = OrderedDict()
    for i, d in enumerate(names):
        sd[f"{d}.matrix"] = bits(d, 3, 4, seed=i)
        if d != "float4_e2m1fn_x2":
            sd[f"{d}.scalar"] = bits(d, 1, seed=100 + i).reshape(())
        sd[f"{d}.empty"] = bits(d, 0, 2, seed=0)
    return sd


def strides():
    x = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5)
    c = torch.complex(torch.arange(6.0), -torch.arange(6.0)).reshape(2, 3)
    return OrderedDict(
        c=x,
        transposed=x[0, 0].t(),
        channels_last=x.contiguous(memory_format=torch.channels_last),
        fortran=torch.arange(24, dtype=torch.int16).reshape(4, 3, 2).permute(2, 1, 0),
        permuted=x.permute(2, 0, 3, 1),
        row=x[1, 2, 3],
        column=x[0, 0, :, 1],
        steps=x[:, ::2, 1::2, ::3],
        expanded=torch.arange(3, dtype=torch.int64)[:, None].expand(3, 4),
        broadcast_scalar=torch.tensor(2.5).expand(2, 2),
        windows=torch.arange(8, dtype=torch.uint8).as_strided((4, 5), (1, 1)),
        diagonal=torch.arange(25, dtype=torch.float64).reshape(5, 5).diagonal(),
        ones=torch.arange(6.0).reshape(1, 6, 1).transpose(0, 1),
        empty=torch.empty(3, 0, 2).transpose(0, 2),
        conj=c.conj(),
        conj_t=c.t().conj(),
        imag_of_conj=c.clone().conj().imag,
        bf16_t=torch.arange(12).bfloat16().reshape(3, 4).t(),
    )


class Colour(enum.Enum):
    RED = 1


class Config(dict):
    """A dict of one's own, as configuration libraries have it."""


class Thing:
    def __init__(self):
        self.weights = torch.ones(2)
        self.self = self


class Marked(torch.Tensor):
    pass


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 2, 3, bias=False)
        self.bn = torch.nn.BatchNorm2d(2)
        self.blocks = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.ReLU()])
        self.register_buffer("mask", torch.ones(2, dtype=torch.bool))
        self.register_buffer("scratch", torch.ones(3), persistent=False)
        self.register_parameter("none", None)
        self.extra = {"not": torch.ones(1)}

    def forward(self, x):
        return self.blocks(self.bn(self.conv(x)))


def rewrite(source, target, method=zipfile.ZIP_STORED, change=None):
    """Copies a zip record by record, each through change(name, data)."""
    with zipfile.ZipFile(OUT / source) as src, zipfile.ZipFile(OUT / target, "w", method) as dst:
        for i in src.infolist():
            d = src.read(i)
            if change:
                d = change(i.filename, d)
            if d is not None:
                info = zipfile.ZipInfo(i.filename)
                info.compress_type = method
                dst.writestr(info, d)
    expected[target] = expected[source]


def big_endian():
    """dtypes.pt as a big-endian machine would have written it."""
    words = {}
    for i, t in enumerate(dtypes(PT_DTYPES).values()):
        words[f"dtypes/data/{i}"] = t.dtype.itemsize // (2 if t.is_complex() else 1)

    def change(name, d):
        if name.endswith("byteorder"):
            return b"big"
        w = words.get(name, 1)
        return np.frombuffer(d, np.uint8).reshape(-1, w)[:, ::-1].tobytes() if d else d

    rewrite("dtypes.pt", "big_endian.pt", change=change)


def files():
    every = dtypes(PT_DTYPES)
    save("dtypes.pt", every)
    save("dtypes_legacy.pth", dtypes(LEGACY_DTYPES), _use_new_zipfile_serialization=False)
    big_endian()
    rewrite("dtypes.pt", "deflated.pt", zipfile.ZIP_DEFLATED)
    rewrite("dtypes.pt", "no_byteorder.pt", change=lambda n, d: None if n.endswith("byteorder") else d)

    save("strides.pt", strides())
    save("strides_legacy.pth", strides(), _use_new_zipfile_serialization=False)
    rewrite("strides.pt", "strides_deflated.pt", zipfile.ZIP_DEFLATED)

    w = torch.arange(12.0).reshape(3, 4)
    shared = OrderedDict(whole=w, again=w, part=w[1:, 1:3], flat=w.view(-1)[3:9], tied=torch.nn.Parameter(w))
    save("shared.pt", shared)
    save("shared_legacy.pth", shared, _use_new_zipfile_serialization=False)

    small = OrderedDict(weight=torch.arange(4.0).reshape(2, 2), bias=torch.ones(2), steps=torch.tensor(7))
    for p in (3, 4, 5):
        save(f"protocol{p}.pt", small, pickle_protocol=p)
    for p in (1, 4):
        save(f"protocol{p}_legacy.pth", small, pickle_protocol=p, _use_new_zipfile_serialization=False)
    torch.serialization.set_crc32_options(False)
    save("no_crc.pt", small)
    torch.serialization.set_crc32_options(True)
    save("empty.pt", OrderedDict())
    save("plain_dict.pt", {"b": small["bias"], "a": small["weight"]})
    save("int_keys.pt", {0: small["bias"], 1: {"x": small["weight"]}}, {"0": small["bias"], "1.x": small["weight"]})

    # What training scripts put around a state dict.
    args = argparse.Namespace(arch="vit", lr=0.1, betas=(0.9, 0.95), out=pathlib.PurePosixPath("runs"))
    net = Net()
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            p.copy_(torch.arange(p.numel(), dtype=torch.float32).reshape(p.shape) + i)
    opt = torch.optim.AdamW(net.parameters())
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    opt.step()
    sd = net.state_dict()
    rest = dict(
        epoch=3,
        args=args,
        optimizer=opt.state_dict(),
        best_acc1=torch.tensor(0.5),
        when=datetime.datetime(2024, 1, 2, 3, 4, 5),
        score=np.float64(0.25),
        history=[1.5, 2, None, True, -3, 1 << 40, 1 << 90, b"raw", {1, 2}, frozenset({3}), 1j, Colour.RED, slice(1, 2)],
        count=Counter("aab"),
        default=defaultdict(list, a=[1]),
        thing=Thing(),
        rng=np.random.default_rng(0).bit_generator.state,
        array=np.arange(5),
        text="x" * 5000,
        fn=sorted,
        dtype=torch.bfloat16,
        device=torch.device("cpu"),
        size=torch.Size([1, 2]),
    )
    save("lightning.ckpt", {"state_dict": sd, "pytorch-lightning_version": "2", "callbacks": {"c": {"best": torch.ones(1)}}, **rest}, sd, "state_dict")
    save("resumed_legacy.pth", {"model": sd, **rest}, sd, "model", _use_new_zipfile_serialization=False)
    ddp = {f"module.{k}": v for k, v in sd.items()}
    compiled = {f"module._orig_mod.{k.replace('blocks.', 'blocks._orig_mod.')}": v for k, v in sd.items()}
    ema = {k: v * 2 if v.is_floating_point() else v for k, v in sd.items()}
    save("dino.pth", {"student": ddp, "teacher": {f"module.{k}": v for k, v in ema.items()}, **rest}, ema, "teacher")
    save("ijepa.pth.tar", {"encoder": ddp, "predictor": ddp, "target_encoder": {f"module.{k}": v for k, v in ema.items()}, "opt": rest["optimizer"]}, ema, "target_encoder")
    save("ddp.pt", ddp, sd)
    save("compiled.pt", compiled, sd)
    save("config_object.pt", Config(model=Config(state_dict=sd)), sd, "model.state_dict")
    save("ambiguous.pt", {"generator": sd, "discriminator": sd}, {})
    save("whole_module.pt", net, sd)
    # Legacy files quote the source code of modules where Python finds it.
    source, torch.serialization.get_source_lines_and_file = torch.serialization.get_source_lines_and_file, None
    save("whole_module_legacy.pth", net, sd, _use_new_zipfile_serialization=False)
    torch.serialization.get_source_lines_and_file = source
    save("only_numbers.pt", {"epoch": 3, "loss": 0.5}, {})
    save("tensor.pt", torch.ones(2), {})
    save("list.pt", [torch.ones(2)], {})

    attributed = torch.nn.Parameter(torch.ones(2))
    attributed.note = "kept by PyTorch"
    marked = torch.arange(3.0).as_subclass(Marked)
    odd = OrderedDict(
        plain=torch.ones(2),
        buffer=torch.nn.Buffer(torch.ones(1)),
        attributed=attributed,
        marked=marked,
        sparse=torch.eye(3).to_sparse(),
        csr=torch.eye(3).to_sparse_csr(),
        quantized=torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        meta=torch.empty(3, device="meta"),
        number=3,
        nothing=None,
        blob=torch.arange(2.0).untyped_storage(),
    )
    readable = {k: odd[k] for k in ("plain", "buffer", "attributed", "marked")}
    skipped = [k for k in odd if k not in readable]
    save("odd_tensors.pt", odd, readable, skipped=skipped)
    del odd["blob"]  # an untyped storage, see LEGACY_DTYPES
    skipped = skipped[:-1]
    save("odd_tensors_legacy.pth", odd, readable, skipped=skipped, _use_new_zipfile_serialization=False)

    torch.jit.script(torch.nn.Linear(1, 1)).save(OUT / "torchscript.pt")
    note("torchscript.pt", {})
    # The debug records name paths of the machine that wrote them.
    keep = (OUT / "torchscript.pt").rename(OUT / "torchscript_full.pt")
    expected[keep.name] = expected["torchscript.pt"]
    rewrite(keep.name, "torchscript.pt", change=lambda n, d: None if n.endswith(".debug_pkl") else d)
    del expected[keep.name]
    keep.unlink()

    meta = {"format": "pt", "title": 'quotes " \\ and\n\t\x01\x7f', "é": "ü / <&> \u2028"}
    every = dtypes(ST_DTYPES)
    every['odd "name" \\ é\n\x1f'] = torch.ones(1)
    # The reference writer shuffles the metadata; the order to compare with is the sorted one.
    in_file = None
    while in_file is None or list(in_file["__metadata__"]) != sorted(meta):
        safetensors.torch.save_file(every, OUT / "dtypes.safetensors", metadata=meta)
        in_file = json.loads(header(OUT / "dtypes.safetensors"))
    note("dtypes.safetensors", {k: every[k] for k in in_file if k != "__metadata__"}, metadata=meta)
    safetensors.torch.save_file({}, OUT / "empty.safetensors")
    note("empty.safetensors", {})
    safetensors.torch.save_file({f"module.{k}": v.clone() for k, v in small.items()}, OUT / "ddp.safetensors")
    note("ddp.safetensors", {k: small[k] for k in ("steps", "bias", "weight")})


def lightning():
    """A checkpoint that Lightning's trainer saves after a step, with hyperparameters from a command line."""
    from lightning.pytorch import LightningModule, Trainer

    torch.manual_seed(0)

    class Task(LightningModule):
        def __init__(self, args):
            super().__init__()
            self.save_hyperparameters(args)
            self.save_hyperparameters({"args": args})
            self.encoder = Net()
            self.loss = torch.nn.CrossEntropyLoss(weight=torch.ones(2))

        def training_step(self, batch, _):
            return self.loss(self.encoder.conv(batch).mean((2, 3)), torch.zeros(len(batch), dtype=torch.long))

        def configure_optimizers(self):
            optimizer = torch.optim.AdamW(self.parameters())
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]

    task = Task(argparse.Namespace(arch="vit", lr=0.1, betas=(0.9, 0.95), out=pathlib.PurePosixPath("runs")))
    trainer = Trainer(max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
                      enable_model_summary=False, default_root_dir=OUT)
    trainer.fit(task, torch.utils.data.DataLoader(torch.ones(4, 1, 3, 3), batch_size=2))
    trainer.save_checkpoint(OUT / "trainer.ckpt")
    note("trainer.ckpt", torch.load(OUT / "trainer.ckpt", weights_only=False)["state_dict"], "state_dict")


def shards():
    """State dicts in several files, with the index that says which, as the hub's library writes them."""
    sd = dtypes(ST_DTYPES)
    for safe, index in ((True, "model.safetensors.index.json"), (False, "pytorch_model.bin.index.json")):
        huggingface_hub.save_torch_state_dict(sd, OUT, max_shard_size=200, safe_serialization=safe)
        order = json.loads((OUT / index).read_text())["weight_map"]
        note(index, {k: sd[k] for k in order}, metadata={"format": "pt"} if safe else None)


def numbers():
    """What the bits of floats stand for, and how PyTorch rounds: NaN is null, infinities are texts."""

    def plain_number(x):
        return None if x != x else str(x) if abs(x) == float("inf") else x

    every = torch.arange(256, dtype=torch.uint8)
    values = {}
    for d in ("float8_e5m2", "float8_e4m3fn", "float8_e8m0fnu", "float8_e4m3fnuz", "float8_e5m2fnuz"):
        values[d] = every.view(getattr(torch, d)).to(torch.float64).tolist()
    for d in ("float16", "bfloat16", "int16", "uint16"):
        values[d] = (torch.arange(0, 2**16, 61, dtype=torch.int32).to(torch.int16)).view(getattr(torch, d)).to(torch.float64).tolist()
    floats = torch.randint(-(2**31), 2**31, (150,), generator=torch.Generator().manual_seed(1), dtype=torch.int32).view(torch.float32)
    ties = torch.tensor([1 + 2**-11, 1 + 3 * 2**-11, 65519.0, 65520.0, 65504.0, 2**-24, 2**-25, 1.5 * 2**-25, 3 * 2**-25, 2**-14,
                         2**-14 - 2**-26, 1 + 2**-8, 1 + 3 * 2**-8, 3.4e38, float("inf"), 0.0, -0.0, 1e-45, -1.0])
    halves = torch.randn(150, generator=torch.Generator().manual_seed(2)) * 2.0 ** torch.linspace(-26, 17, 150)
    doubles = torch.cat([floats, ties, halves]).double()
    doubles = torch.cat([doubles, doubles * (1 + 2**-30)])
    rounded = {d: doubles.to(getattr(torch, d)).to(torch.float64).tolist() for d in ("float16", "bfloat16", "float32")}
    out = {
        "values": {d: [plain_number(x) for x in v] for d, v in values.items()},
        "doubles": [plain_number(x) for x in doubles.tolist()],
        "rounded": {d: [plain_number(x) for x in v] for d, v in rounded.items()},
    }
    (OUT / "numbers.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


def plain(v):
    """v as JSON: tuples and sets are lists, a dict is a list of pairs."""
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    if isinstance(v, dict):
        return {"dict": [[plain(k), plain(x)] for k, x in v.items()]}
    if isinstance(v, int) and not isinstance(v, bool) and not -(2**63) <= v < 2**63:
        return "big"
    if isinstance(v, bytes):
        return v.decode()
    if isinstance(v, str) and len(v) > 4096:
        return "long"
    return v


def pickles():
    """Values pickled in every protocol, by both of Python's picklers."""
    shared = [1, 2]
    values = [
        None, True, False, 0, 1, -1, 255, 256, 65535, 65536, -129, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, -(2**63),
        2**63, 2**100, -(2**100), 0.0, -1.5, 1e300, "", "plain", "x" * 256, b"", b"bytes",
        (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [None], {}, {"a": 1}, {"a": {"b": ()}, 3: "c"},
        [shared, shared, (shared,)], OrderedDict(a=1, b=[2]),
    ]  # fmt: skip
    out = []
    for v in values:
        seen = set()
        for p in range(6):
            for dumps in (pickle.dumps, pickle._dumps):
                d = dumps(v, p)
                for d in (d, pickletools.optimize(d)):
                    if d not in seen:
                        seen.add(d)
                        out.append([d.hex(), plain(v)])
    for v in ("y" * 4200, [str(i) for i in range(260)]):
        out.append([pickle.dumps(v, 2).hex(), plain(v)])
    (OUT / "pickles.json").write_text(json.dumps(out, separators=(",", ":")).replace("],[\"", "],\n[\"") + "\n")


def header(path):
    b = path.read_bytes()
    return b[8 : 8 + struct.unpack("<Q", b[:8])[0]]


def checkpoints(folder):
    """What PyTorch reads from the checkpoints beside the repository."""
    global expected
    expected = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(("torchscript", "LICENSE")):
            continue
        if path.suffix == ".safetensors":
            sd, key = safetensors.torch.load_file(path), ""
            sd = {k: sd[k] for k in json.loads(header(path)) if k != "__metadata__"}
        else:
            sd, key = torch.load(path, weights_only=True, map_location="cpu"), ""
            for k in ("state_dict", "model_state_dict"):
                if k in sd:
                    sd, key = sd[k], k
        note(path.name, {k.removeprefix("module."): v for k, v in sd.items()}, key)
    write("shared.json")


def write(name):
    (OUT / name).write_text(json.dumps(expected, indent=0, separators=(",", ":")) + "\n")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--checkpoints", type=pathlib.Path, default=ROOT.parent / "shared" / "data" / "checkpoints")
    p.add_argument("parts", nargs="*", metavar="PART")
    a = p.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    parts = {part.__name__: part for part in (files, lightning, shards, numbers, pickles)}
    if a.parts:
        expected.update(json.loads((OUT / "expected.json").read_text()))
    for name in a.parts or parts:
        parts[name]()
    write("expected.json")
    if a.parts:
        return
    if a.checkpoints.is_dir():
        checkpoints(a.checkpoints)
    else:
        print(f"{a.checkpoints} is not there; testdata/shared.json is left as it is", file=sys.stderr)


if __name__ == "__main__":
    main()
