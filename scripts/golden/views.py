"""Golden images of torchvision.transforms.v2 on uint8 tensors, for vision/views. Writes vision/views/testdata/golden.json.

Sources are synthetic: gradients, waves, flat patches, noise and saturated corners, so that every branch of the
arithmetic is met. Versions: torch 2.11.0, torchvision 0.26.0, CPU with AVX2 or AVX-512.
"""

import base64

import numpy as np
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from common import save

torch.set_num_threads(1)
KINDS = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}


def source(channels, height, width, seed):
    r = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for c in range(channels):
        a, b, phase = r.uniform(-3, 3), r.uniform(-3, 3), r.uniform(0, 6.3)
        p = 128 + 90 * np.sin(a * x / width * 3 + b * y / height * 3 + phase) + 40 * (x / width - 0.5)
        p += r.normal(0, 12, p.shape)
        planes.append(p)
    img = np.clip(np.stack(planes), 0, 255).astype(np.uint8)
    h, w = height // 5, width // 5
    img[:, :h, :w] = r.integers(0, 256, (channels, 1, 1))  # flat
    img[:, -h:, :w] = 0
    img[:, :h, -w:] = 255
    img[:, -h:, -w:] = r.integers(0, 256, (channels, h, w))  # noise
    img[:, 2 * h : 3 * h, 2 * w : 3 * w] = 77  # grey
    return torch.from_numpy(img)


def pack(t):
    c, h, w = t.shape
    return {"c": c, "h": h, "w": w, "pix": base64.b64encode(t.contiguous().numpy().tobytes()).decode()}


SOURCES = {
    "rgb": source(3, 47, 61, 1), "grey": source(1, 47, 61, 2), "five": source(5, 18, 21, 3),
    "square": source(3, 32, 32, 4), "tall": source(3, 90, 40, 5),
}
cases = []


def case(op, src, out, **params):
    cases.append({"op": op, "src": src, "out": pack(out), **params})


def plane(img, f):
    """Applies f, for 1 or 3 channels, to any number: others are stacked to one tall grey image."""
    if img.shape[0] in (1, 3):
        return f(img)
    return f(img.reshape(1, -1, img.shape[-1])).reshape(img.shape)


def crop(src, kind, top, left, height, width, size, flip_h=False, flip_v=False):
    out = F.resized_crop(SOURCES[src], top, left, height, width, [size, size], interpolation=KINDS[kind], antialias=True)
    if flip_h:
        out = F.horizontal_flip(out)
    if flip_v:
        out = F.vertical_flip(out)
    case("crop", src, out, kind=kind, rect=[top, left, height, width], size=size, flipH=flip_h, flipV=flip_v)


for kind in KINDS:
    crop("rgb", kind, 0, 0, 47, 61, 32)
    crop("rgb", kind, 5, 7, 33, 29, 24, flip_h=True)
    crop("rgb", kind, 5, 7, 33, 29, 24, flip_v=True)
    crop("rgb", kind, 3, 2, 11, 13, 27, flip_h=True, flip_v=True)  # larger
    crop("rgb", kind, 1, 20, 40, 9, 24)  # smaller down, larger across
    crop("rgb", kind, 0, 1, 24, 24, 24)  # as it is
    crop("rgb", kind, 0, 1, 24, 24, 24, flip_h=True)
    crop("rgb", kind, 10, 0, 20, 31, 20)  # across only
    crop("rgb", kind, 10, 30, 31, 20, 20)  # down only
    crop("rgb", kind, 46, 60, 1, 1, 5)
    crop("tall", kind, 0, 0, 90, 40, 9)  # much smaller
    crop("tall", kind, 0, 0, 90, 40, 2)
    for src in ("grey", "five"):
        crop(src, kind, 2, 3, 15, 17, 11)
        crop(src, kind, 2, 3, 8, 9, 20, flip_h=True)

for src in ("square", "grey", "five"):
    img = SOURCES[src]
    for f in (0.0, 0.2, 0.6, 0.999, 1.4, 1.8):
        case("brightness", src, plane(img, lambda t: F.adjust_brightness(t, f)), x=f)
        case("contrast", src, plane(img, lambda t: F.adjust_contrast(t, f)), x=f)
    for t in (0, 100, 128, 255):
        case("solarize", src, F.solarize(img, t), x=t)
    for kernel, sigma in ((3, 0.1), (7, 0.3), (7, 1.0), (7, 2.0), (23, 1.3), (1, 1.0)):
        side = min(img.shape[1:])
        case("blur", src, F.gaussian_blur(img[:, :side, :side], [kernel, kernel], [sigma, sigma]), x=sigma, kernel=kernel)
for f in (0.0, 0.3, 0.8, 1.2, 1.8):
    case("saturation", "square", F.adjust_saturation(SOURCES["square"], f), x=f)
for f in (-0.5, -0.2, -0.03, 0.1, 0.25, 0.5):
    case("hue", "square", F.adjust_hue(SOURCES["square"], f), x=f)
case("grey", "square", F.rgb_to_grayscale(SOURCES["square"], 3))


def whole(src, kind, rect, size, order, factors, grey, sigma, threshold):
    """A view with everything, its parameters fixed."""
    t = F.resized_crop(SOURCES[src], *rect, [size, size], interpolation=KINDS[kind], antialias=True)
    t = F.horizontal_flip(t)
    jitter = [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue]
    for i in order:
        t = jitter[i](t, factors[i])
    if grey:
        t = F.rgb_to_grayscale(t, t.shape[0])
    if sigma > 0:
        t = F.gaussian_blur(t, [7, 7], [sigma, sigma])
    if threshold is not None:
        t = F.solarize(t, threshold)
    case("view", src, t, kind=kind, rect=rect, size=size, order=order, factors=factors, grey=grey, x=sigma,
         solarize=threshold is not None)


whole("rgb", "bilinear", [4, 6, 40, 44], 32, [2, 0, 3, 1], [1.3, 0.7, 1.2, 0.08], False, 0.9, None)
whole("rgb", "bicubic", [4, 6, 40, 44], 32, [3, 2, 1, 0], [0.7, 1.3, 0.8, -0.1], False, 0.0, 128)
whole("rgb", "bilinear", [4, 6, 12, 11], 24, [0, 1, 2, 3], [1.1, 1.3, 1.6, -0.2], True, 1.7, 128)
whole("grey", "bilinear", [4, 6, 12, 11], 24, [1, 0, 2, 3], [1.1, 1.3, 1.6, -0.2], True, 1.7, 128)

for src, resize, size, kind in (
    ("rgb", 32, 32, "bilinear"), ("rgb", 37, 32, "bicubic"), ("tall", 24, 17, "bilinear"), ("square", 32, 25, "bilinear"),
    ("square", 40, 40, "bilinear"), ("grey", 28, 28, "bicubic"), ("five", 21, 20, "bilinear"),
):
    t = F.resize(SOURCES[src], [resize], interpolation=KINDS[kind], antialias=True)
    case("centre", src, F.center_crop(t, [size, size]), kind=kind, resize=resize, size=size)

save("vision/views/testdata/golden.json", {"sources": {k: pack(v) for k, v in SOURCES.items()}, "cases": cases})


def crops(height, width, scale, ratio, n=20000):
    """How often each height, width, top and left of RandomResizedCrop is at most 0, 1, 2, …"""
    torch.manual_seed(0)
    transform, img = v2.RandomResizedCrop(1, scale, ratio), torch.empty(1, height, width)
    drawn = [transform.make_params([img]) for _ in range(n)]
    out = {"height": height, "width": width, "scale": scale, "ratio": ratio, "n": n}
    for key in ("height", "width", "top", "left"):
        values = np.bincount([d[key] for d in drawn], minlength=max(height, width) + 1)
        out["at_most_" + key] = np.cumsum(values).tolist()
    return out


save("vision/views/testdata/crops.json", [
    crops(60, 80, (0.3, 1.0), (3 / 4, 4 / 3)),
    crops(64, 64, (0.05, 0.3), (3 / 4, 4 / 3)),
    crops(28, 28, (0.08, 1.0), (3 / 4, 4 / 3)),
    crops(20, 70, (0.3, 1.0), (3 / 4, 4 / 3)),  # often no crop fits
    crops(40, 40, (0.5, 0.5), (0.5, 1.5)),
])


# Every augmentation alone, on floats, and on bytes those that are not above. Numbers are stored in 16 bits, as
# (v + 1) · 20000.
def numbers(t):
    c, h, w = t.shape
    values = ((t.double() + 1) * 20000).round()
    assert values.min() >= 0 and values.max() < 65536
    return {"c": c, "h": h, "w": w, "pix": base64.b64encode(values.numpy().astype("<u2").tobytes()).decode()}


def deep(channels, height, width, seed):
    """An image of floats in [0, 1] with both ends, all of them of the kind that is stored."""
    fine = source(channels, height, width, seed).double() / 255
    fine += torch.from_numpy(np.random.default_rng(seed).uniform(-0.002, 0.002, fine.shape))
    return ((fine.clamp(0, 1) * 20000).round() / 20000).float()


BYTES = {"rgb": source(3, 14, 14, 6), "five": source(5, 11, 11, 7)}
FLOATS = {"rgb": deep(3, 14, 14, 8), "five": deep(5, 11, 11, 9), "wide": deep(3, 17, 25, 10)}
alone = []


def both(op, f, sources=("rgb", "five"), floats=FLOATS, bytes_=BYTES, **params):
    for dtype, images in (("float", floats), ("uint8", bytes_)):
        for name in sources if images is not None else ():
            out = f(images[name])
            alone.append({"op": op, "src": name, "type": dtype, "out": numbers(out) if dtype == "float" else pack(out), **params})


def float_only(op, f, sources=("rgb", "five"), **params):
    both(op, f, sources, bytes_=None, **params)


for angle in (-170.0, -33.3, 7.5, 90.0, 121.0, 180.0):
    for smooth, fill in ((False, 0.2), (True, 0.0), (True, 0.6)):
        def turn(t):
            mode = InterpolationMode.BILINEAR if smooth else InterpolationMode.NEAREST
            return F.rotate(t, angle, interpolation=mode, fill=fill if t.is_floating_point() else 255 * fill)

        if smooth or abs(angle) < 150:
            both("rotate", turn, ("rgb",) if smooth else ("five",), x=angle, fill=fill, smooth=smooth)
for quarters in range(4):
    for mirror in (False, True):
        both("turn", lambda t: F.horizontal_flip(t.rot90(quarters, (1, 2))) if mirror else t.rot90(quarters, (1, 2)), ("five",),
             quarters=quarters, mirror=mirror)
for mean, sigma in ((0.0, 0.05), (0.1, 0.4)):
    draws = torch.from_numpy(np.random.default_rng(11).normal(size=3 * 14 * 14)).float()
    draws = (draws * 1024).round() / 1024
    real, torch.randn_like = torch.randn_like, lambda t, dtype=None: draws.reshape(t.shape)
    both("noise", lambda t: F.gaussian_noise(t, mean, sigma), ("rgb",), x=sigma, mean=mean, normals=(draws * 1024).int().tolist())
    torch.randn_like = real

for kind in KINDS:
    for rect, size in (([0, 0, 17, 25], 9), ([3, 2, 7, 8], 13), ([2, 4, 12, 12], 12)):
        out = F.resized_crop(FLOATS["wide"], *rect, [size, size], interpolation=KINDS[kind], antialias=True)
        alone.append({"op": "crop", "src": "wide", "type": "float", "kind": kind, "rect": rect, "size": size, "out": numbers(out)})
float_only("flip", F.horizontal_flip, ("five",), flipH=True)
float_only("flip", F.vertical_flip, ("five",), flipV=True)
for f in (0.0, 0.6, 1.4):
    float_only("brightness", lambda t: plane(t, lambda p: F.adjust_brightness(p, f)), x=f)
    float_only("contrast", lambda t: plane(t, lambda p: F.adjust_contrast(p, f)), x=f)
    float_only("saturation", lambda t: F.adjust_saturation(t, f), ("rgb",), x=f)
for f in (-0.5, -0.1, 0.25):
    float_only("hue", lambda t: F.adjust_hue(t, f), ("rgb",), x=f)
float_only("grey", lambda t: F.rgb_to_grayscale(t, 3), ("rgb",))
float_only("solarize", lambda t: F.solarize(t, 128 / 255), ("rgb",), x=128)
for kernel, sigma in ((7, 0.5), (7, 2.0), (5, 1.0)):
    float_only("blur", lambda t: F.gaussian_blur(t, [kernel, kernel], [sigma, sigma]), x=sigma, kernel=kernel)
save("vision/views/testdata/alone.json", {
    "floats": {k: numbers(v) for k, v in FLOATS.items()}, "bytes": {k: pack(v) for k, v in BYTES.items()}, "cases": alone,
})
