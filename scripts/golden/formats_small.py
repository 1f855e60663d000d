"""Small files of every kind that the readers below vision/images read, for formats.py."""

import gzip
import io
import pathlib
import subprocess
import tempfile
from unittest import mock

import numpy as np


def picture(dtype, *shape):
    """Smooth samples that use the range of their type."""
    y, x, c = np.meshgrid(*(np.arange(n, dtype=np.float64) for n in (*shape[:2], shape[2] if len(shape) > 2 else 1)), indexing="ij")
    a = 0.5 + 0.49 * np.sin(x / 3 + y / 5 + c) * np.cos(y / 4 - x / 9)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        a = (a - 0.3) * 1000
    else:
        # Not the whole range of 64 bits: float64 does not have it.
        low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype.itemsize < 8 else (0, 2**40)
        a = low + a * (high - low)
    return a.astype(dtype).reshape(shape)


def write_tiff(out):
    import tifffile
    from PIL import Image

    def save(name, a, **options):
        tifffile.imwrite(out / f"{name}.tif", a, **{"photometric": "minisblack", "metadata": None, "software": False, **options})

    for t in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"):
        save(f"plain_{t}", picture(t, 7, 9))
    for codec in ("lzw", "zlib", "packbits", "zstd"):
        save(f"{codec}_u1", picture("u1", 12, 10, 3), compression=codec, photometric="rgb", rowsperstrip=5)
    for t in ("u1", "u2", "u4", "u8"):
        save(f"predictor2_{t}", picture(t, 9, 11, 2), compression="zlib", predictor=2, planarconfig="contig")
    for t in ("f2", "f4", "f8"):
        save(f"predictor3_{t}", picture(t, 9, 11, 2), compression="lzw", predictor=3, planarconfig="contig")
        save(f"predictor3_{t}_big", picture(t, 9, 11, 2), compression="zlib", predictor=3, planarconfig="contig", byteorder=">")
    save("predictor2_u2_big", picture("u2", 9, 11), compression="lzw", predictor=2, byteorder=">")
    save("tiled_planar_5", np.moveaxis(picture("u2", 21, 19, 5), -1, 0), tile=(16, 16), planarconfig="separate", compression="zlib", predictor=2)
    save("tiled_chunky_big", picture("i2", 21, 35, 2), tile=(16, 16), planarconfig="contig", byteorder=">")
    save("bigtiff", picture("u2", 5, 6), bigtiff=True)
    save("bigtiff_big", picture("f4", 5, 6, 3), bigtiff=True, byteorder=">", photometric="rgb")
    save("white_is_zero", picture("u1", 5, 6), photometric="miniswhite")
    save("palette", picture("u1", 5, 6), photometric="palette", colormap=picture("u2", 256, 3).T.copy())
    for o in range(2, 9):
        save(f"orientation{o}", picture("u1", 3, 4), extratags=[(274, "H", 1, o, True)])
    a = picture("f4", 5, 6)
    a[1, 2], a[3] = np.nan, -9999
    save("nodata_f4", a, extratags=[(42113, "s", 0, "-9999", True)])
    a = picture("i2", 5, 6)
    a[2] = -32768
    save("nodata_i2", a, extratags=[(42113, "s", 0, "-32768.0", True)])
    for name, sampling in (("jpeg_444", (1, 1)), ("jpeg_422", (2, 1)), ("jpeg_420", (2, 2))):
        save(name, picture("u1", 32, 48, 3), photometric="rgb", compression="jpeg", tile=(16, 32), subsampling=sampling)
    save("jpeg_grey", picture("u1", 20, 30), compression="jpeg")
    with tifffile.TiffWriter(out / "pages.tif") as w:
        options = {"photometric": "minisblack", "metadata": None, "software": False}
        for i, size in enumerate(((5, 6), (3, 4), (7, 2))):
            w.write(picture("u1", *size) // (i + 1), **options)
            w.write(picture("u1", 2, 2), subfiletype=1, **options)
    Image.fromarray(picture("u1", 9, 13) > 128).save(out / "bilevel.tif")
    Image.fromarray(picture("u1", 9, 13) // 16).quantize(16).save(out / "palette_pillow.tif")


def write_fits(out):
    from astropy.io import fits

    def save(name, *hdus):
        fits.HDUList(list(hdus)).writeto(out / name, overwrite=True, output_verify="silentfix")

    save("u1.fits", fits.PrimaryHDU(picture("u1", 5, 6)))
    save("unsigned16.fits", fits.PrimaryHDU(picture("u2", 5, 6)))  # by BZERO
    h = fits.PrimaryHDU(picture("i4", 5, 6))
    h.header["BLANK"] = int(h.data[2, 3])
    save("blank_i4.fits", h)
    h = fits.PrimaryHDU(picture("i8", 5, 6))
    save("i8.fits", h)
    a = picture("f4", 5, 6)
    a[3, 2] = np.nan
    save("nan.fits", fits.PrimaryHDU(a))
    save("rgb.fits", fits.PrimaryHDU(np.moveaxis(picture("f4", 4, 5, 3), -1, 0)))
    save("cube40.fits", fits.PrimaryHDU(np.moveaxis(picture("i2", 3, 4, 40), -1, 0)))
    save("radio.fits", fits.PrimaryHDU(picture("f8", 5, 6)[None, None]))
    table = fits.BinTableHDU.from_columns([fits.Column(name="a", format="J", array=np.arange(3))])
    save("behind_table.fits", fits.PrimaryHDU(), table, fits.ImageHDU(picture("i2", 5, 6)), fits.ImageHDU(picture("f4", 2, 2)))
    b = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(picture("i2", 12, 20))]).writeto(b)
    (out / "gzipped.fits.gz").write_bytes(gzip.compress(b.getvalue(), mtime=0))
    save("bad_tables.fits", fits.PrimaryHDU(), table)
    def tiles(name, a, **options):
        with mock.patch("time.time", return_value=0):  # gzip writes it down
            save(name, fits.PrimaryHDU(), fits.CompImageHDU(a, **options))

    for t in ("u1", "i2", "i4"):
        tiles(f"rice_{t}.fits.fz", picture(t, 9, 40), compression_type="RICE_1")
    tiles("rice_flat.fits.fz", np.repeat(picture("i2", 9, 4), 30, 1), compression_type="RICE_1", tile_shape=(4, 50))
    tiles("rice_unsigned16.fits.fz", picture("u2", 9, 40), compression_type="RICE_1")
    tiles("rice_cube.fits.fz", np.moveaxis(picture("i2", 6, 7, 40) // 256, -1, 0), compression_type="RICE_1", tile_shape=(3, 4, 5))
    tiles("gzip1_i4.fits.fz", picture("i4", 9, 20), compression_type="GZIP_1")
    tiles("gzip2_f4.fits.fz", picture("f4", 9, 20), compression_type="GZIP_2", quantize_level=0)
    noise = picture("f4", 8, 100) + np.random.default_rng(0).normal(0, 30, (8, 100)).astype("f4")
    noise[2, 7] = np.nan
    noise[5] = 0
    for method, name in ((-1, "none"), (1, "dither1"), (2, "dither2")):
        tiles(f"rice_{name}.fits.fz", noise, compression_type="RICE_1", quantize_method=method, dither_seed=9999 if method > 0 else 0)
    tiles("gzip_dither1.fits.fz", noise.astype("f8"), compression_type="GZIP_2", quantize_method=1, dither_seed=3, tile_shape=(8, 100))
    tiles("bad_hcompress.fits.fz", picture("i2", 20, 30), compression_type="HCOMPRESS_1", tile_shape=(20, 30))
    # BSCALE that the data cannot be divided by: astropy's own scaling is in float32.
    h = fits.PrimaryHDU(picture("i2", 5, 6))
    h.header["BSCALE"], h.header["BZERO"] = 0.25, 1000.0
    save("scaled.fits", h)


def write_npy(out):
    for t in ("u1", "i1", "u2", "i4", "u8", "f2", "f4", "f8", "?"):
        a = picture("u1", 4, 5) > 99 if t == "?" else picture(t, 4, 5)
        np.save(out / f"grey_{np.dtype(t).name}.npy", a)
    np.save(out / "last.npy", picture("u2", 5, 6, 3))
    np.save(out / "first.npy", np.ascontiguousarray(np.moveaxis(picture("f4", 7, 6, 5), -1, 0)))
    np.save(out / "fortran_big.npy", np.asfortranarray(picture("u2", 5, 6, 3).astype(">u2")))
    np.save(out / "four.npy", np.stack([picture("i2", 5, 6, 2) // k for k in (1, 2, 3)]))


def write_dicom(out):
    import pydicom
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.sequence import Sequence
    from pydicom.uid import generate_uid

    base = "1.2.840.10008.1.2"

    def save(name, a, syntax=base + ".1", fragments=None, stored=None, raw=None, frames=1, **more):
        """a: [frames,] height, width[, samples] of 8 or 16 bits."""
        d = FileDataset(None, {}, file_meta=FileMetaDataset(), preamble=bytes(128))
        d.file_meta.TransferSyntaxUID = syntax
        d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = "1.2.3"
        shape = a.shape[1:] if frames > 1 else a.shape
        d.Rows, d.Columns = shape[:2]
        d.SamplesPerPixel = shape[2] if len(shape) > 2 else 1
        d.PhotometricInterpretation = "RGB" if d.SamplesPerPixel == 3 else "MONOCHROME2"
        if d.SamplesPerPixel == 3:
            d.PlanarConfiguration = 0
        d.BitsAllocated = 8 * a.dtype.itemsize
        d.BitsStored = stored or d.BitsAllocated
        d.HighBit = d.BitsStored - 1
        d.PixelRepresentation = int(a.dtype.kind == "i")
        if frames > 1:
            d.NumberOfFrames = frames
        for k, v in more.items():
            setattr(d, k, v)
        big = syntax == base + ".2"
        if fragments is not None:
            d.PixelData = encapsulate(fragments)
            d["PixelData"].is_undefined_length = True
            d["PixelData"].VR = "OB"
        else:
            b = raw if raw is not None else a.astype(a.dtype.newbyteorder(">" if big else "<")).tobytes()
            if big and a.dtype.itemsize == 1:  # in words
                b = np.frombuffer(b + b"\0" * (len(b) % 2), "<u2").byteswap().tobytes()
            d.PixelData = b + b"\0" * (len(b) % 2)
            d["PixelData"].VR = "OW" if d.BitsAllocated > 8 or big else "OB"
        pydicom.dcmwrite(out / f"{name}.dcm", d, implicit_vr=syntax == base, little_endian=not big, enforce_file_format=False)

    def item(**values):
        d = Dataset()
        for k, v in values.items():
            setattr(d, k, v)
        return d

    u8, u16, i16, rgb = picture("u1", 6, 8), picture("u2", 6, 8), picture("i2", 6, 8), picture("u1", 6, 8, 3)
    u12, i12 = u16 >> 4, i16 >> 4
    save("implicit", u16, base)
    save("deflated", u16, base + ".1.99")
    save("big_u8_words", u8, base + ".2")
    save("big_i12", i12, base + ".2", stored=12)
    # What lies above the stored bits does not count; pydicom keeps it, so that there is none here.
    save("i12_rescaled", i12, stored=12, RescaleSlope="2", RescaleIntercept="-7")
    save("monochrome1", u12, stored=12, PhotometricInterpretation="MONOCHROME1", WindowCenter="2000", WindowWidth="3000")
    save("window_linear", i12, stored=12, RescaleSlope="1", RescaleIntercept="-1024", WindowCenter=["-1000", "3"], WindowWidth=["700", "4"])
    save("window_exact", u12, stored=12, WindowCenter="2000", WindowWidth="1000", VOILUTFunction="LINEAR_EXACT")
    save("window_sigmoid", u12, stored=12, WindowCenter="2000", WindowWidth="1000", VOILUTFunction="SIGMOID")
    save("padding", u12, stored=12, PixelPaddingValue=int(u12[2, 3]))
    lut = item(LUTDescriptor=[256, 10, 16], ModalityLUTType="US", LUTData=(np.arange(256) ** 2 // 16).astype("<u2").tobytes())
    lut["LUTData"].VR = "OW"
    save("modality_lut", u8, ModalityLUTSequence=Sequence([lut]))
    save("rgb_planar", rgb, raw=np.ascontiguousarray(np.moveaxis(rgb, -1, 0)).tobytes(), PlanarConfiguration=1)
    save("frames_1bit", np.stack([u8 > 50, u8 > 120, u8 > 200]).astype("u1"), frames=3, BitsAllocated=1, BitsStored=1, HighBit=0,
         raw=np.packbits(np.stack([u8 > 50, u8 > 120, u8 > 200]).ravel(), bitorder="little").tobytes())
    palette = {f"{c}PaletteColorLookupTableDescriptor": [256, 0, 16] for c in ("Red", "Green", "Blue")}
    tables = {f"{c}PaletteColorLookupTableData": picture("u2", 256, 3)[:, i].astype("<u2").tobytes() for i, c in enumerate(("Red", "Green", "Blue"))}
    save("palette", u8, PhotometricInterpretation="PALETTE COLOR", **palette, **tables)

    icon = item(Rows=2, Columns=2, SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", BitsAllocated=8, BitsStored=8, HighBit=7,
                PixelRepresentation=0, PixelData=b"\1\2\3\4")
    icon.is_undefined_length_sequence_item = True
    icon["PixelData"].VR = "OB"
    icons = Sequence([icon])
    icons.is_undefined_length = True
    save("icon", u16, IconImageSequence=icons)

    def groups(slope, centre):
        return item(PixelValueTransformationSequence=Sequence([item(RescaleSlope=slope, RescaleIntercept="-3", RescaleType="US")]),
                    FrameVOILUTSequence=Sequence([item(WindowCenter=centre, WindowWidth="2000")]))

    save("functional_groups", np.stack([u12, u12]), stored=12, frames=2,
         PerFrameFunctionalGroupsSequence=Sequence([groups("2", "1000"), groups("0.5", "900")]))

    from pydicom.pixels.encoders import RLELosslessEncoder

    def rle(a, samples, bits):
        return RLELosslessEncoder.encode(
            a.tobytes(), rows=a.shape[0], columns=a.shape[1], samples_per_pixel=samples, bits_allocated=bits, bits_stored=bits,
            pixel_representation=0, photometric_interpretation="RGB" if samples == 3 else "MONOCHROME2", number_of_frames=1,
            planar_configuration=0)

    save("rle_rgb16", picture("u2", 6, 8, 3), base + ".5", [rle(picture("u2", 6, 8, 3), 3, 16)])
    save("rle_frames", np.stack([u16, u16 // 2]), base + ".5", [rle(u16, 1, 16), rle(u16 // 2, 1, 16)], frames=2)

    import imagecodecs
    from PIL import Image

    def jpeg(a, **options):
        b = io.BytesIO()
        Image.fromarray(a).save(b, "JPEG", quality=95, **options)
        return b.getvalue()

    big8, big_rgb = picture("u1", 17, 30), picture("u1", 17, 30, 3)
    save("jpeg_grey", big8, base + ".4.50", [jpeg(big8)])
    save("jpeg_ybr", big_rgb, base + ".4.50", [jpeg(big_rgb, subsampling="4:4:4")], PhotometricInterpretation="YBR_FULL")
    save("jpeg_rgb", big_rgb, base + ".4.50", [jpeg(big_rgb, keep_rgb=True)])
    for near in (0, 3):
        uid = base + (".4.81" if near else ".4.80")
        save(f"ls_u8_near{near}", big8, uid, [imagecodecs.jpegls_encode(big8, level=near)])
        save(f"ls_u12_near{near}", picture("u2", 17, 30) >> 4, uid, [imagecodecs.jpegls_encode(picture("u2", 17, 30) >> 4, level=near)], stored=12)
        save(f"ls_rgb_near{near}", big_rgb, uid, [imagecodecs.jpegls_encode(big_rgb, level=near)])
    flat = np.repeat(np.repeat(big8[:4, :4] // 64, 6, 0), 9, 1)  # runs
    save("ls_flat", flat, base + ".4.80", [imagecodecs.jpegls_encode(flat)])
    save("ls_u16", picture("u2", 17, 30), base + ".4.80", [imagecodecs.jpegls_encode(picture("u2", 17, 30))])
    for predictor in range(1, 8):
        save(f"lossless_{predictor}", u16, base + ".4.57", [lossless(u16, predictor)])
    save("lossless_rgb", rgb, base + ".4.70", [lossless(rgb, 1)])
    save("lossless_restarts", u16, base + ".4.70", [lossless(u16, 1, restart=2)])
    def j2k(a, **options):
        b = io.BytesIO()
        Image.fromarray(a).save(b, "JPEG2000", no_jp2=True, **{"irreversible": False, "num_resolutions": 3, **options})
        return b.getvalue()

    odd, odd_rgb, odd16 = picture("u1", 37, 45), picture("u1", 37, 45, 3), picture("u2", 37, 45)
    whole = base + ".4.90"
    save("j2k_u8", odd, whole, [j2k(odd)])
    save("j2k_u16", odd16, whole, [j2k(odd16)])
    save("j2k_rgb", odd_rgb, whole, [j2k(odd_rgb, mct=1)], PhotometricInterpretation="YBR_RCT")
    save("j2k_tiles", odd, whole, [j2k(odd, tile_size=(16, 20), num_resolutions=4)])
    save("j2k_offset", odd, whole, [j2k(odd, offset=(3, 5), tile_offset=(1, 2), tile_size=(23, 19))])
    for progression in ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL"):
        save(f"j2k_{progression}", odd_rgb & 0xF0, whole, [j2k(odd_rgb & 0xF0, progression=progression, precinct_size=(16, 16), codeblock_size=(8, 8),
             quality_mode="rates", quality_layers=[8, 3, 1], mct=0)])
    save("j2k_no_wavelet", odd, whole, [j2k(odd, num_resolutions=1)])
    save("j2k_lossy", odd, base + ".4.91", [j2k(odd, irreversible=True, quality_mode="rates", quality_layers=[4])])
    save("j2k_lossy_rgb", odd_rgb, base + ".4.91", [j2k(odd_rgb, irreversible=True, mct=1)], PhotometricInterpretation="YBR_ICT")
    save("j2k_cut", odd, base + ".4.91", [j2k(odd, quality_mode="rates", quality_layers=[3])])  # reversible, with fewer planes
    i16 = np.ascontiguousarray(picture("i2", 37, 45))
    for name, mode in (("bypass", 1), ("reset", 2), ("termall", 4), ("causal", 8), ("segments", 32), ("all", 1 + 2 + 4 + 8 + 32)):
        save(f"j2k_mode_{name}", odd16 >> 7, whole, [opj_compress(odd16 >> 7, "-M", str(mode))])
    save("j2k_signed", i16, whole, [opj_compress(i16)])
    save("j2k_sop_eph", odd, whole, [opj_compress(odd, "-SOP", "-EPH", "-n", "3")])
    save("j2k_parts", odd, whole, [opj_compress(odd, "-TP", "R", "-n", "3", "-t", "20,20")])
    save("bad_j2k_poc", odd, whole, [opj_compress(odd, "-n", "3", "-r", "4,1", "-POC", "T1=0,0,1,2,1,RLCP/T1=0,0,2,3,1,CPRL")])
    save("bad_j2k_region", odd, whole, [opj_compress(odd, "-ROI", "c=0,U=7")])

    save("bad_mpeg", u8, base + ".4.102", [b"\0\0\0\1"])


def opj_compress(a, *options):
    """A codestream of OpenJPEG's program (Debian's libopenjp2-tools), for what Pillow has no options for."""
    with tempfile.TemporaryDirectory() as d:
        a.astype(a.dtype.newbyteorder(">")).tofile(f"{d}/a.raw")
        sign = "s" if a.dtype.kind == "i" else "u"
        subprocess.run(["opj_compress", "-i", f"{d}/a.raw", "-o", f"{d}/a.j2k", "-F", f"{a.shape[1]},{a.shape[0]},1,{8 * a.dtype.itemsize},{sign}",
                        *options], check=True, stdout=subprocess.DEVNULL)
        return pathlib.Path(f"{d}/a.j2k").read_bytes()


def lossless(a, predictor, restart=0):
    """A stream of T.81's process 14, which no Python package writes with all predictors. pydicom's reader is the judge."""
    bits, a = 8 * a.dtype.itemsize, a.astype(int)
    if a.ndim == 2:
        a = a[..., None]
    h, w, n = a.shape
    # A table of 17 categories, all of codes of 5 bits.
    table = b"\xff\xc4" + (3 + 16 + 17).to_bytes(2, "big") + b"\0" + bytes([0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17))
    frame = b"\xff\xc3" + (8 + 3 * n).to_bytes(2, "big") + bytes([bits]) + h.to_bytes(2, "big") + w.to_bytes(2, "big") + bytes([n])
    frame += b"".join(bytes([c + 1, 0x11, 0]) for c in range(n))
    scan = b"\xff\xda" + (6 + 2 * n).to_bytes(2, "big") + bytes([n]) + b"".join(bytes([c + 1, 0]) for c in range(n)) + bytes([predictor, 0, 0])
    dri = b"\xff\xdd\0\4" + (restart * w).to_bytes(2, "big") if restart else b""
    out, text = b"", ""

    def flush():
        nonlocal out, text
        text += "1" * (-len(text) % 8)
        out += int("1" + text, 2).to_bytes(len(text) // 8 + 1, "big")[1:].replace(b"\xff", b"\xff\0") if text else b""
        text = ""

    first = True
    for y in range(h):
        if restart and y and y % restart == 0:
            flush()
            out += bytes([0xFF, 0xD0 + (y // restart - 1) % 8])
            first = True
        for x in range(w):
            for c in range(n):
                left, above = (a[y, x - 1, c] if x else 0), (a[y - 1, x, c] if y else 0)
                corner = a[y - 1, x - 1, c] if x and y else 0
                if first:
                    p = left if x else 1 << (bits - 1)
                elif x == 0:
                    p = above
                else:
                    p = [left, above, corner, left + above - corner, left + ((above - corner) >> 1), above + ((left - corner) >> 1),
                         (left + above) >> 1][predictor - 1]
                d = (int(a[y, x, c]) - int(p) + 32768) % 65536 - 32768
                if d == -32768:
                    text += f"{16:05b}"
                    continue
                k = abs(d).bit_length()
                text += f"{k:05b}" + (f"{d if d > 0 else d + (1 << k) - 1:0{k}b}" if k else "")
        first = False
    flush()
    return b"\xff\xd8" + table + frame + dri + scan + out + b"\xff\xd9"


def write(root):
    for name, make in (("tiff", write_tiff), ("fits", write_fits), ("npy", write_npy), ("dicom", write_dicom)):
        (root / name).mkdir(parents=True)
        make(root / name)
