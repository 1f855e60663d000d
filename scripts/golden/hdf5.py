"""Small HDF5 files, and what h5py reads in them. Writes vision/images/hdf5/testdata/{golden.json,files.zip}."""

import hashlib
import pathlib
import shutil
import tempfile
import zipfile

import h5py
import numpy as np

from common import ROOT, save
from formats_small import picture

OUT = pathlib.Path(tempfile.mkdtemp())

pictures = np.stack([picture("u1", 10, 12, 3) // k for k in (1, 2, 3, 4, 5)])
with h5py.File(OUT / "galaxies.h5", "w") as f:  # as Galaxy10_DECals: images, and labels in "ans"
    f.create_dataset("images", data=pictures, chunks=(2, 7, 5, 3), compression="gzip", shuffle=True)
    f["ans"] = np.array([3, 0, 1, 1, 2], "u1")
    f["redshift"] = np.linspace(0, 1, 5)

with h5py.File(OUT / "types.h5", "w") as f:
    for t in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", ">u2", ">f4", "?"):
        a = picture("u1", 4, 6) > 99 if t == "?" else picture(t.lstrip(">"), 4, 6).astype(t)
        f[f"plain/{np.dtype(t).str[1:] if t[0] != '>' else 'big_' + t[1:]}"] = a
    f.create_dataset("chunked/shuffle", data=picture("i4", 9, 7), chunks=(4, 3), shuffle=True)
    f.create_dataset("chunked/fletcher", data=picture("f4", 9, 7), chunks=(4, 3), fletcher32=True, compression="gzip")
    f.create_dataset("chunked/one", data=np.arange(100, dtype="i2"), chunks=(7,))
    d = f.create_dataset("chunked/gaps", (8, 6), "i4", chunks=(2, 2))
    d[3, 4], d[7, 0] = 77, -5
    f.create_dataset("chunked/shrunk", data=picture("u1", 9, 9), chunks=(2, 2), maxshape=(None, None)).resize((5, 4))
    f.create_dataset("chunked/many", data=picture("u2", 64, 40), chunks=(1, 4))
    space = h5py.h5s.create_simple((3, 4))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.COMPACT)
    plist.set_obj_track_times(False)
    d = h5py.h5d.create(f.id, b"compact", h5py.h5t.NATIVE_INT16, space, plist)
    d.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(12, dtype="i2").reshape(3, 4))
    for i in range(40):
        f[f"wide/of/groups/{i:02}"] = np.full((1, 2), i, "u1")
    f["soft"] = h5py.SoftLink("/compact")

with h5py.File(OUT / "user_block.h5", "w", userblock_size=512) as f:
    f["a"] = picture("f4", 3, 5)

with h5py.File(OUT / "track_order.h5", "w", track_order=True) as f:  # object headers of version 2 and links in them
    f.create_dataset("z", data=picture("u1", 3, 5), track_order=True)
    f.create_dataset("a", data=picture("u2", 3, 5))

with h5py.File(OUT / "refused.h5", "w") as f:
    f.create_dataset("lzf", data=picture("u1", 8, 8), compression="lzf")
    f["text"] = np.array([b"ab", b"c"])
    f["complex"] = np.zeros((2, 2), "c8")
    f["scalar"] = 3
with h5py.File(OUT / "latest.h5", "w", libver="latest") as f:
    f.create_dataset("chunked", data=picture("u1", 8, 8), chunks=(4, 4))
    f["contiguous"] = picture("u1", 3, 5)

golden = {}
for path in sorted(OUT.glob("*.h5")):
    if path.name == "refused.h5":
        continue
    with h5py.File(path) as f:
        found = {}
        f.visititems(lambda n, o: found.__setitem__(n, o) if isinstance(o, h5py.Dataset) else None)
        golden[path.name] = {
            n: {"shape": list(o.shape), "sha256": hashlib.sha256(np.ascontiguousarray(o[()]).tobytes()).hexdigest()} for n, o in found.items()
        }
save("vision/images/hdf5/testdata/golden.json", golden)
target = ROOT / "vision/images/hdf5/testdata/files.zip"
with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
    for path in sorted(OUT.glob("*.h5")):
        z.writestr(zipfile.ZipInfo(path.name), path.read_bytes(), zipfile.ZIP_DEFLATED)
print(target.name, target.stat().st_size)
shutil.rmtree(OUT)
