"""Ranges and curves of astropy and numpy for vision/images. Writes vision/images/testdata/stretch.json.

Samples are float32 of common.values, cubed so that they have tails; every 17th of the last is missing.
"""

import numpy as np
from astropy.visualization import AsinhStretch, ManualInterval, ZScaleInterval

from common import save, values

out = []
for seed, n, scale, offset, missing in ((1, 37, 1, 0, 0), (2, 2500, 100, 1000, 0), (3, 12345, 1e-3, -5, 0), (4, 3000, 7, 3, 17)):
    a = (values(seed, n) ** 3 * scale + offset).astype(np.float32)
    if missing:
        a[::missing] = np.nan
    known = a[np.isfinite(a)].astype(np.float64)
    low, high = ZScaleInterval().get_limits(known)
    ranges = [[p, q, *np.percentile(known, [p, q])] for p, q in ((0, 100), (1, 99), (0.25, 99.9), (33, 66.6))]
    shown = ManualInterval(low, high)(a.astype(np.float64))
    shown = np.where(np.isnan(shown), 0, shown)
    out.append({
        "seed": seed, "n": n, "scale": scale, "offset": offset, "missing": missing,
        "zscale": [float(low), float(high)], "percentiles": [[float(v) for v in r] for r in ranges],
        "shown": [round(float(v), 8) for v in shown[:40]],
        "asinh": [[s, [round(float(v), 8) for v in AsinhStretch(s)(shown[:40])]] for s in (0.1, 0.02)],
    })
save("vision/images/testdata/stretch.json", out)
