"""What pydicom, tifffile, rasterio and astropy read in ../shared/data/formats, for the readers below vision/images.

    python scripts/golden/formats.py ../shared/data/formats

Writes vision/images/testdata/formats.json: for every image of every file its shape (channels, height, width), the sum of
its samples as float32, how many have no value, and the SHA-256 of all of them (little-endian, planar, NaN as 0x7fc00000).
Of images that are compressed with loss it has samples at even steps instead of the hash. A file that is refused has the
reason that our error must name.
"""

import gzip
import hashlib
import json
import pathlib
import sys
import warnings

import numpy as np

from common import save

warnings.simplefilter("ignore")


def entry(a, low=None, high=None, lossy=False):
    """a: channels, height, width."""
    a = np.ascontiguousarray(a, dtype="<f4").copy()
    bad = np.isnan(a)
    a.view("<u4")[bad] = 0x7FC00000
    e = {"shape": list(a.shape), "sum": float(np.nansum(a.astype(np.float64))), "nan": int(bad.sum())}
    if low is not None:
        e["low"], e["high"] = float(low), float(high)
    if lossy:
        step = a.size // 499 + 1
        e["step"], e["samples"] = step, a.ravel()[::step].astype(int).tolist()
    else:
        e["sha256"] = hashlib.sha256(a.tobytes()).hexdigest()
    return e


def limits(dtype):
    if dtype.kind == "f":
        return 0, 0
    return np.iinfo(dtype).min, np.iinfo(dtype).max


def read_tiff(path):
    import rasterio
    import tifffile

    try:
        with tifffile.TiffFile(path) as t:
            page = t.pages[0]
            lossy = page.compression == 7
            nodata = page.tags["GDAL_NODATA"].value if "GDAL_NODATA" in page.tags else None
            a = page.asarray()
            if a.ndim == 2:
                a = a[None]
            elif page.planarconfig == 1:
                a = np.moveaxis(a, -1, 0)
    except Exception as e:
        size = path.stat().st_size
        if any(o + n > size for o, n in zip(page.dataoffsets, page.databytecounts)):
            return {"error": "beyond the file's end"}
        raise e
    with rasterio.open(path) as r:  # the other reader agrees
        b = r.read()
        assert a.shape == b.shape and (lossy or np.array_equal(a, b, equal_nan=a.dtype.kind == "f")), path
        if lossy:
            print(path.name, "tifffile and rasterio differ by", np.abs(a.astype(int) - b).mean())
            a = b
    low, high = limits(a.dtype)
    a = a.astype(np.float32)
    if nodata is not None:
        a[a == np.float32(nodata)] = np.nan
    return {"images": [entry(a, low, high, lossy)]}


def read_fits(path):
    from astropy.io import fits

    with fits.open(path) as h:
        a = next(x for x in h if x.data is not None and x.data.ndim >= 2).data
    return {"images": [entry(a[None], 0, 0)]}


def read_npy(path):
    a = np.load(path)
    return {"images": [entry(np.moveaxis(x, -1, 0), 0, 0) for x in a]}


# Transfer syntaxes that are refused: JPEG 2000.
REFUSED = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")


def read_dicom(path):
    import pydicom
    from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

    d = pydicom.dcmread(path, force=True)
    if "TransferSyntaxUID" not in d.file_meta:  # as old files, without a preamble
        d.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian if d.original_encoding[0] else pydicom.uid.ExplicitVRLittleEndian
    if "PixelData" not in d:
        return {"error": "the file ends"}
    if d.file_meta.TransferSyntaxUID in REFUSED:
        return {"error": f"transfer syntax {d.file_meta.TransferSyntaxUID} ("}
    frames = d.pixel_array
    if int(d.get("NumberOfFrames") or 1) == 1:
        frames = frames[None]
    images = []
    for a in frames:
        if d.PhotometricInterpretation == "PALETTE COLOR":
            a = apply_color_lut(a, d)
            images.append(entry(np.moveaxis(a, -1, 0), 0, 2 ** d.RedPaletteColorLookupTableDescriptor[2] - 1))
            continue
        bits = d.BitsStored
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if d.PixelRepresentation else (0, 2**bits - 1)
        if d.SamplesPerPixel == 3:
            images.append(entry(np.moveaxis(a, -1, 0), low, high))
            continue
        slope, intercept = float(d.get("RescaleSlope", 1)), float(d.get("RescaleIntercept", 0))
        units = apply_modality_lut(a, d).astype(np.float64)
        shown = apply_voi_lut(apply_modality_lut(a, d), d).astype(np.float64)
        low, high = low * slope + intercept, high * slope + intercept
        if d.get("VOILUTSequence"):
            top = 2 ** d.VOILUTSequence[0].LUTDescriptor[2] - 1
            shown = shown / top
        elif "WindowWidth" in d:
            shown = (shown - low) / (high - low)
        else:
            shown = None
        if "PixelPaddingValue" in d:
            units[a == d.PixelPaddingValue] = np.nan
            if shown is not None:
                shown[a == d.PixelPaddingValue] = 0
        if d.PhotometricInterpretation == "MONOCHROME1":
            low, high = high, low
            shown = 1 - shown
        e = entry(units[None], low, high)
        if shown is not None:
            e["step"] = shown.size // 97 + 1
            e["shown"] = [round(float(v), 6) for v in shown.ravel()[:: e["step"]]]
        images.append(e)
    return {"images": images}


def main(root):
    out = {}
    for path in sorted(root.rglob("*")):
        if path.name == "LICENSE" or not path.is_file():
            continue
        name = path.relative_to(root).as_posix()
        out[name] = {"tiff": read_tiff, "fits": read_fits, "npy": read_npy, "dicom": read_dicom}[path.parent.name](path)
        print(name, str(out[name])[:150])
    save("vision/images/testdata/formats.json", out)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
