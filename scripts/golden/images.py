"""Small JPEG and PNG files and what Pillow makes of them, for vision/images. Writes vision/images/testdata/.

Each file NAME has NAME.rgb.png and NAME.l.png beside it: Image.open(NAME), turned as EXIF says for JPEG, then
convert("RGB") and convert("L"). Version: Pillow 13.0.0 with libjpeg-turbo.
"""

import io

import numpy as np
from PIL import Image, ImageOps

from common import ROOT

OUT = ROOT / "vision/images/testdata"
OUT.mkdir(parents=True, exist_ok=True)


def picture(height, width, seed=0):
    """Smooth colours, with edges of colour, as photographs have."""
    r = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    p = np.stack([128 + 110 * np.sin(x / (5 + 2 * c) + y / (9 - 2 * c) + r.uniform(0, 6)) for c in range(3)], -1)
    p[height // 3 : height // 2, width // 4 : width // 2] = (230, 30, 40)
    p[height // 2 :, width // 2 : width // 2 + 5] = (20, 60, 210)
    return Image.fromarray(np.clip(p + r.normal(0, 4, p.shape), 0, 255).astype(np.uint8))


def save(name, data):
    (OUT / name).write_bytes(data)
    img = Image.open(io.BytesIO(data))
    if name.endswith(".jpg"):
        img = ImageOps.exif_transpose(img)
    for mode in ("RGB", "L"):
        out = img.convert(mode)
        out.info.pop("transparency", None)
        out.save(OUT / f"{name}.{mode.lower()}.png", optimize=True)


def encoded(img, kind, **options):
    b = io.BytesIO()
    img.save(b, kind, **options)
    return b.getvalue()


img = picture(37, 45)
for name, sampling in (("444", "4:4:4"), ("422", "4:2:2"), ("420", "4:2:0")):
    save(f"{name}.jpg", encoded(img, "JPEG", quality=90, subsampling=sampling))


def resampled(sampling, old, new, size):
    """A file whose blocks are read as another subsampling with as many blocks to a unit, and units to an image.

    Pillow cannot write those; the picture is a shuffled one, which is as good.
    """
    data = bytearray(encoded(picture(32, 96, 2), "JPEG", quality=90, subsampling=sampling))
    sof = data.index(b"\xff\xc0")
    assert data[sof + 11] == old
    data[sof + 5 : sof + 9] = size[1].to_bytes(2, "big") + size[0].to_bytes(2, "big")
    data[sof + 11] = new
    return bytes(data)


save("440.jpg", resampled("4:2:2", 0x21, 0x12, (46, 63)))  # 6×4 units of 16×8, then of 8×16
save("411.jpg", resampled("4:2:0", 0x22, 0x41, (94, 31)))  # 6×2 units of 16×16, then 3×4 of 32×8
save("progressive.jpg", encoded(img, "JPEG", quality=80, progressive=True))
save("narrow.jpg", encoded(img.crop((0, 0, 4, 19)), "JPEG", quality=90))
save("one.jpg", encoded(img.crop((20, 13, 21, 14)), "JPEG", quality=90))
save("grey.jpg", encoded(img.convert("L"), "JPEG", quality=90))
save("cmyk.jpg", encoded(img.convert("CMYK"), "JPEG", quality=90))
save("keep_rgb.jpg", encoded(img, "JPEG", quality=90, keep_rgb=True))
for o in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = o
    save(f"orientation{o}.jpg", encoded(picture(12, 20, 1), "JPEG", quality=95, subsampling="4:4:4", exif=exif))

save("rgb.png", encoded(img, "PNG"))
rgba = img.convert("RGBA")
rgba.putalpha(Image.linear_gradient("L").resize(img.size))
save("rgba.png", encoded(rgba, "PNG"))
save("la.png", encoded(rgba.convert("LA"), "PNG"))
save("l.png", encoded(img.convert("L"), "PNG"))
save("bilevel.png", encoded(img.convert("1"), "PNG"))
save("palette.png", encoded(img.quantize(16), "PNG"))
save("palette_transparent.png", encoded(img.quantize(200), "PNG", transparency=bytes(range(0, 200))))
save("rgb_transparent.png", encoded(img, "PNG", transparency=(230, 30, 40)))

# 16 bits a channel: refused, or their upper bytes; what Pillow makes of them is not the model.
wide = np.linspace(0, 65535, 7 * 9).reshape(7, 9).astype(np.uint16)
(OUT / "grey16.png").write_bytes(encoded(Image.fromarray(wide), "PNG"))
