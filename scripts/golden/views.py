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
