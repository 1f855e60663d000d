"""Makes internal/npy/testdata with NumPy: arrays whose elements count up in C order.

    python scripts/golden/npy.py
"""

import pathlib

import numpy as np

OUT = pathlib.Path(__file__).resolve().parents[2] / "internal" / "npy" / "testdata"


def save(name, a, version=None):
    with open(OUT / f"{name}.npy", "wb") as f:
        np.lib.format.write_array(f, a, version=version, allow_pickle=True)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    x = np.arange(24).reshape(2, 3, 4)
    for t in ("float32", "float64", "uint8", "int64"):
        save(f"{t}_2x3x4", x.astype(t))
        save(f"{t}_2x3x4_fortran", np.asfortranarray(x.astype(t)))
        save(f"{t}_2x3x4_big", x.astype(np.dtype(t).newbyteorder(">")))
        save(f"{t}_5", np.arange(5, dtype=t))
        save(f"{t}_scalar", np.array(0, dtype=t))
        save(f"{t}_3x0x2", np.empty((3, 0, 2), dtype=t))
    save("float32_2x3x4_v2", x.astype("float32"), (2, 0))
    save("float32_2x3x4_v3", x.astype("float32"), (3, 0))
    save("bad_object", np.array([None, {}], dtype=object))
    save("bad_structured", np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]))
    save("bad_text", np.array(["a", "b"]))


if __name__ == "__main__":
    main()
