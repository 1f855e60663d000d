"""What pydicom, tifffile, rasterio and astropy read in ../shared/data/formats, for the readers below vision/images.

    python scripts/golden/formats.py ../shared/data/formats

Writes vision/images/testdata/formats.json and, of small files that it makes for what those lack (formats_small.py, kept in
formats_small.zip), formats_small.json: for every image of every file its shape (channels, height, width), the sum of
its samples as float32, how many have no value, and the first 8 bytes of the SHA-256 of all of them (little-endian, planar, NaN as 0x7fc00000).
Of images that are compressed with loss it has samples at even steps instead of the hash. A file that is refused has the
reason that our error must name.
"""

import hashlib
import json
import pathlib
import sys
import tempfile
import warnings
import zipfile

import numpy as np

import formats_small
from common import ROOT, save

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
        e["sha256"] = hashlib.sha256(a.tobytes()).hexdigest()[:16]
    return e


def limits(dtype):
    if dtype.kind == "f":
        return 0, 0
    return np.iinfo(dtype).min, np.iinfo(dtype).max


def read_tiff(path):
    import rasterio
    import tifffile

    images = []
    with tifffile.TiffFile(path) as t:
        for page in t.pages:
            if page.subfiletype & 5:
                continue
            lossy = page.compression == 7
            nodata = page.tags["GDAL_NODATA"].value if "GDAL_NODATA" in page.tags else None
            try:
                a = page.asarray()
            except Exception as e:
                size = path.stat().st_size
                if any(o + n > size for o, n in zip(page.dataoffsets, page.databytecounts)):
                    return {"error": "beyond the file's end"}
                raise e
            if a.dtype == bool:
                a = a.astype(np.uint8)
            if a.ndim == 2:
                a = a[None]
            elif page.planarconfig == 1:
                a = np.moveaxis(a, -1, 0)
            if len(t.pages) == 1 or len(images) == 0 and page.subfiletype == 0 and lossy:
                with rasterio.open(path) as r:  # the other reader agrees
                    b = r.read()
                    assert a.shape == b.shape, path
                    assert lossy or np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), path
                    if lossy:
                        # tifffile decodes as Pillow does, and so do we; GDAL does not smooth chroma.
                        print(path.name, "tifffile and rasterio differ by", np.abs(a.astype(int) - b).mean())
            low, high = limits(a.dtype)
            if page.bitspersample < 8:
                high = 2**page.bitspersample - 1
            if page.photometric == 3:
                a, low, high = (page.colormap >> 8)[:, a[0]], 0, 255
            if page.photometric == 0:
                low, high = high, low
            a = a.astype(np.float32)
            if nodata is not None:
                a[a == np.float32(nodata)] = np.nan
            turn = page.tags["Orientation"].value if "Orientation" in page.tags else 1
            if turn >= 5:
                a = a.swapaxes(1, 2)
            if turn in (2, 3, 6, 7):
                a = a[:, :, ::-1]
            if turn in (3, 4, 7, 8):
                a = a[:, ::-1]
            images.append(entry(a, low, high, lossy))
    return {"images": images}


def read_fits(path):
    from astropy.io import fits
    from astropy.visualization import ZScaleInterval

    with fits.open(path) as h:
        if path.name.startswith("bad_hcompress"):
            return {"error": "compressed by tiles with HCOMPRESS_1 is not supported"}
        hdus = [x for x in h if x.data is not None and getattr(x.data, "ndim", 0) >= 2]
        if not hdus:
            return {"error": "no image of two or more dimensions"}
        a, byte = hdus[0].data, hdus[0].header["BITPIX"] == 8
        byte = byte and a.dtype == np.uint8
        axes = [n for n in a.shape[:-2] if n > 1]
        channels = axes.pop() if axes and axes[-1] <= 32 else 1
        a = a.reshape(-1, channels, *a.shape[-2:])
        images = []
        for x in a:
            e = entry(x, 0, 255 if byte else 0)
            if x.size > 1000:
                e["zscale"] = [float(v) for v in ZScaleInterval().get_limits(x.astype(np.float32).astype(np.float64))]
            images.append(e)
    return {"images": images}


def read_npy(path):
    a = np.load(path)
    if a.ndim < 4:
        a = a[None]
    if a.ndim < 4:
        a = a[..., None]
    if a.shape[-1] <= 32 and a.shape[-1] <= a.shape[1]:
        a = np.moveaxis(a, -1, 1)
    low, high = limits(a.dtype) if a.dtype != bool else (0, 1)
    return {"images": [entry(x, low, high) for x in a]}


# What is refused: a transfer syntax, and codestreams.
REFUSED_SYNTAX = "1.2.840.10008.1.2.4.102"
REFUSED = {"bad_j2k_poc.dcm": "progression changes are not supported", "bad_j2k_region.dcm": "regions of interest are not supported"}


def read_dicom(path):
    import pydicom
    from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

    d = pydicom.dcmread(path, force=True)
    if "TransferSyntaxUID" not in d.file_meta:  # as old files, without a preamble
        d.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian if d.original_encoding[0] else pydicom.uid.ExplicitVRLittleEndian
    if "PixelData" not in d:
        return {"error": "the file ends"}
    if path.name in REFUSED:
        return {"error": REFUSED[path.name]}
    if d.file_meta.TransferSyntaxUID == REFUSED_SYNTAX:
        return {"error": f"transfer syntax {d.file_meta.TransferSyntaxUID} ("}
    if path.name == "j2k_offset.dcm":  # whose offset pylibjpeg takes for pixels; what was written is known
        frames = formats_small.picture("u1", 37, 45)
    else:
        frames = d.pixel_array
    if int(d.get("NumberOfFrames") or 1) == 1:
        frames = frames[None]
    images, lossy = [], d.file_meta.TransferSyntaxUID in ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.91")
    for i, a in enumerate(frames):
        if "PerFrameFunctionalGroupsSequence" in d:  # which pydicom leaves to its caller
            for group in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
                for e in d.PerFrameFunctionalGroupsSequence[i].get(group, [{}])[0]:
                    d[e.tag] = e
        if d.PhotometricInterpretation == "PALETTE COLOR":
            a = apply_color_lut(a, d)
            images.append(entry(np.moveaxis(a, -1, 0), 0, 2 ** d.RedPaletteColorLookupTableDescriptor[2] - 1))
            continue
        bits = d.BitsStored
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if d.PixelRepresentation else (0, 2**bits - 1)
        if d.SamplesPerPixel == 3:
            images.append(entry(np.moveaxis(a, -1, 0), low, high, lossy))
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
        if "ModalityLUTSequence" in d:
            low, high = 0, 65535
        e = entry(units[None], low, high, lossy)
        if shown is not None:
            e["step"] = shown.size // 97 + 1
            e["shown"] = [round(float(v), 6) for v in shown.ravel()[:: e["step"]]]
        images.append(e)
    return {"images": images}


def read(root, target):
    out = {}
    for path in sorted(root.rglob("*")):
        if path.name == "LICENSE" or not path.is_file():
            continue
        name = path.relative_to(root).as_posix()
        out[name] = {"tiff": read_tiff, "fits": read_fits, "npy": read_npy, "dicom": read_dicom}[path.parent.name](path)
        print(name, str(out[name])[:150])
    save(target, out)


def main(root):
    read(root, "vision/images/testdata/formats.json")
    with tempfile.TemporaryDirectory() as d:
        formats_small.write(pathlib.Path(d))
        read(pathlib.Path(d), "vision/images/testdata/formats_small.json")
        with zipfile.ZipFile(ROOT / "vision/images/testdata/formats_small.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
            for path in sorted(pathlib.Path(d).rglob("*.*")):
                z.writestr(zipfile.ZipInfo(path.relative_to(d).as_posix()), path.read_bytes(), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
