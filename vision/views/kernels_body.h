// Loops that compilers turn into vector code. Included by kernels.c, once for each kind of processor, with FN naming them.

static inline uint8_t FN(cut)(float v) {
  v = v > 0 ? v : 0;
  v = v < 255 ? v : 255;
  return (uint8_t)(int32_t)v;
}

static inline uint8_t FN(clamp)(int32_t v) { return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v; }

// luma is (r·LUMA_R + g·LUMA_G + b·LUMA_B) >> 27, the weights cut in two so that 32 bits do.
static inline int32_t FN(luma)(int32_t r, int32_t g, int32_t b) {
  int32_t low = r * (LUMA_R & 8191) + g * (LUMA_G & 8191) + b * (LUMA_B & 8191);
  return (r * (LUMA_R >> 13) + g * (LUMA_G >> 13) + b * (LUMA_B >> 13) + (low >> 13)) >> 14;
}

static void FN(rows)(uint8_t *dst, const uint8_t *src, long n, long stride, long count, const int32_t *first,
                     const int16_t *weights, long pitch, int shift) {
  for (long y = 0; y < n; y++, dst += count, src += stride) {
    for (long i = 0; i < count; i++) {
      const int16_t *w = weights + i * pitch;
      long taps = pitch < stride - first[i] ? pitch : stride - first[i];
      int32_t sum = 1 << shift >> 1;
      for (long k = 0; k < taps; k++) sum += w[k] * src[first[i] + k];
      dst[i] = FN(clamp)(sum >> shift);
    }
  }
}

static void FN(column_plain)(uint8_t *dst, const uint8_t *in, long width, long taps, const int16_t *w, int shift) {
  for (long x = 0; x < width; x += PIXELS) {
    int32_t sum[PIXELS];
    long n = width - x < PIXELS ? width - x : PIXELS;
    for (long i = 0; i < n; i++) sum[i] = 1 << shift >> 1;
    for (long k = 0; k < taps; k++) {
      const uint8_t *row = in + k * width + x;
      for (long i = 0; i < n; i++) sum[i] += w[k] * row[i];
    }
    for (long i = 0; i < n; i++) dst[x + i] = FN(clamp)(sum[i] >> shift);
  }
}

static void FN(scale)(uint8_t *pix, long n, float factor, float offset) {
  for (long i = 0; i < n; i++) {
    float v = pix[i] * factor;
    pix[i] = FN(cut)(v + offset);
  }
}

static uint64_t FN(luma_sum)(const uint8_t *r, const uint8_t *g, const uint8_t *b, long n) {
  uint64_t total = 0;
  while (n > 0) {
    long part = n < 1 << 20 ? n : 1 << 20;
    uint32_t sum = 0;
    for (long i = 0; i < part; i++) sum += (uint32_t)FN(luma)(r[i], g[i], b[i]);
    total += sum;
    r += part, g += part, b += part, n -= part;
  }
  return total;
}

// fused is a·b + c, rounded once: the product of a whole number below 256 and a float fits a double.
static inline float FN(fused)(float a, float b, float c) {
#ifdef __FMA__
  return __builtin_fmaf(a, b, c);
#else
  return (float)((double)c + (double)a * (double)b);
#endif
}

static void FN(saturation)(uint8_t *restrict r, uint8_t *restrict g, uint8_t *restrict b, long n, float factor, float rest) {
  for (long i = 0; i < n; i++) {
    float l = (float)FN(luma)(r[i], g[i], b[i]);
    r[i] = FN(cut)(FN(fused)(l, rest, r[i] * factor));
    g[i] = FN(cut)(FN(fused)(l, rest, g[i] * factor));
    b[i] = FN(cut)(FN(fused)(l, rest, b[i] * factor));
  }
}

static void FN(grey)(uint8_t *restrict r, uint8_t *restrict g, uint8_t *restrict b, long n) {
  for (long i = 0; i < n; i++) r[i] = g[i] = b[i] = (uint8_t)FN(luma)(r[i], g[i], b[i]);
}

// A pixel without chroma keeps its colour by having a chroma of 0: the third sample is then the others' too.
static void FN(hue)(uint8_t *restrict rs, uint8_t *restrict gs, uint8_t *restrict bs, long n, float turn) {
  const float stretch = (float)(255.999 / 255);
  for (long i = 0; i < n; i++) {
    float r = rs[i], g = gs[i], b = bs[i];
    float most = r > g ? r : g, least = r < g ? r : g;
    most = most > b ? most : b;
    least = least < b ? least : b;
    float chroma = most - least;
    float over = 1.0f / (chroma > 0 ? chroma : 1);
    float x = most == r ? g - b : most == g ? b - r : r - g;
    float sixth = most == r ? 0.0f : most == g ? 2.0f : 4.0f;
    float h = sixth + x * over;
    h += turn;
    h = h < 0 ? h + 6 : h;
    h = h >= 6 ? h - 6 : h;
    int32_t sector = (int32_t)h;
    float part = chroma * (h - (float)sector);
    float raw = sector & 1 ? most - part : least + part;
    float third = raw * stretch;
    third = third < 255 ? third : 255;
    third = (float)(int32_t)third;
    third = chroma > 0 ? third : most;
    rs[i] = (uint8_t)(int32_t)(sector == 0 || sector == 5 ? most : sector == 1 || sector == 4 ? third : least);
    gs[i] = (uint8_t)(int32_t)(sector == 1 || sector == 2 ? most : sector == 0 || sector == 3 ? third : least);
    bs[i] = (uint8_t)(int32_t)(sector == 3 || sector == 4 ? most : sector == 2 || sector == 5 ? third : least);
  }
}

static void FN(solarize)(uint8_t *pix, long n, int threshold) {
  if (threshold > 255) return;
  uint8_t t = (uint8_t)(threshold < 0 ? 0 : threshold);
  for (long i = 0; i < n; i++) pix[i] = pix[i] >= t ? (uint8_t)(255 - pix[i]) : pix[i];
}

static inline uint8_t FN(nearest)(float v) {
  uint32_t bits;
  v += 8388608.0f; // 2^23 leaves no bits after the point
  memcpy(&bits, &v, 4);
  return (uint8_t)bits;
}

static inline uint32_t FN(mixed)(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  return x ^ x >> 16;
}

// See normals in noise.go.
static void FN(normals)(float *restrict dst, long n, uint64_t seed, uint32_t from, const float *quantiles) {
  const uint32_t low = (uint32_t)seed, high = (uint32_t)(seed >> 32);
  for (long i = 0; i < n; i++) {
    uint32_t x = (from + (uint32_t)i) * 0x9e3779b9u + low;
    x = FN(mixed)(FN(mixed)(x) ^ high);
    uint32_t half = x & 0x7fffffff;
    uint32_t tail = half < 1u << 20; // the first of 2048 cells, cut in 256 of its own
    uint32_t cell = tail ? 2049 + (half >> 12) : half >> 20;
    uint32_t rest = tail ? (half & 0xfff) << 8 : half & 0xfffff;
    float a = quantiles[cell], b = quantiles[cell + 1];
    float z = a + (float)(int32_t)rest * (1.0f / (1 << 20)) * (b - a);
    dst[i] = x >> 31 ? -z : z;
  }
}

static void FN(add_noise)(uint8_t *restrict pix, const float *restrict z, long n, float mean, float sigma) {
  for (long i = 0; i < n; i++) {
    float noise = mean + z[i] * sigma;
    noise = noise > -1000 ? noise : -1000;
    noise = noise < 1000 ? noise : 1000;
    pix[i] = FN(clamp)(pix[i] + (int32_t)noise);
  }
}

static void FN(rotate)(uint8_t *restrict dst, const uint8_t *restrict src, long channels, long side, double sin, double cos,
                       int smooth, float fill) {
  const double half = (double)(side - 1) / 2;
  const long plane = side * side;
  const float clamped = fill > 255 ? 255 : fill > 0 ? fill : 0;
  const uint8_t outside = FN(nearest)(clamped);
  for (long y = 0; y < side; y++) {
    const double v = (double)y - half;
    for (long x = 0; x < side; x++, dst++) {
      const double u = (double)x - half;
      const double sx = cos * u - sin * v + half, sy = sin * u + cos * v + half;
      if (!smooth) {
        long nx = lrint(sx), ny = lrint(sy);
        int inside = (unsigned long)nx < (unsigned long)side && (unsigned long)ny < (unsigned long)side;
        for (long c = 0; c < channels; c++) dst[c * plane] = inside ? src[c * plane + ny * side + nx] : outside;
        continue;
      }
      long ix = (long)sx, iy = (long)sy;
      ix -= sx < (double)ix, iy -= sy < (double)iy;
      const float px = (float)(sx - (double)ix), py = (float)(sy - (double)iy);
      const long at = iy * side + ix;
      long from[4] = {at, at + 1, at + side, at + side + 1};
      float w[4] = {(1 - py) * (1 - px), (1 - py) * px, py * (1 - px), py * px}, mask = 0;
      if ((unsigned long)ix < (unsigned long)(side - 1) && (unsigned long)iy < (unsigned long)(side - 1)) {
        mask = w[0] + w[1] + w[2] + w[3];
      } else {
        for (int k = 0; k < 4; k++) {
          const long ky = iy + k / 2, kx = ix + k % 2;
          const int there = (unsigned long)ky < (unsigned long)side && (unsigned long)kx < (unsigned long)side;
          from[k] = there ? ky * side + kx : 0;
          w[k] = there ? w[k] : 0;
          mask += w[k];
        }
      }
      for (long c = 0; c < channels; c++) {
        const uint8_t *p = src + c * plane;
        float sum = w[0] * p[from[0]] + w[1] * p[from[1]] + w[2] * p[from[2]] + w[3] * p[from[3]];
        float r = mask * (sum - fill) + fill;
        r = r > 0 ? r : 0;
        r = r < 255 ? r : 255;
        dst[c * plane] = FN(nearest)(r);
      }
    }
  }
}

static void FN(across)(float *restrict dst, const float *restrict p, long n, const float *w, long radius) {
  if (radius == 3) {
    float w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3];
    for (long x = 0; x < n; x++)
      dst[x] = w0 * p[x + 3] + w1 * (p[x + 2] + p[x + 4]) + w2 * (p[x + 1] + p[x + 5]) + w3 * (p[x] + p[x + 6]);
    return;
  }
  for (long x = 0; x < n; x++) dst[x] = w[0] * p[radius + x];
  for (long k = 1; k <= radius; k++)
    for (long x = 0; x < n; x++) dst[x] += w[k] * (p[radius - k + x] + p[radius + k + x]);
}

static void FN(down)(uint8_t *restrict dst, const float *restrict c, long n, const float *w, long radius, float *restrict sum) {
  if (radius == 3) {
    float w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3];
    for (long x = 0; x < n; x++)
      dst[x] = FN(nearest)(w0 * c[x] + w1 * (c[x - n] + c[x + n]) + w2 * (c[x - 2 * n] + c[x + 2 * n]) +
                           w3 * (c[x - 3 * n] + c[x + 3 * n]));
    return;
  }
  for (long x = 0; x < n; x++) sum[x] = w[0] * c[x];
  for (long k = 1; k <= radius; k++)
    for (long x = 0; x < n; x++) sum[x] += w[k] * (c[x - k * n] + c[x + k * n]);
  for (long x = 0; x < n; x++) dst[x] = FN(nearest)(sum[x]);
}

static void FN(blur)(uint8_t *pix, long side, const float *weights, long radius, float *rows, float *padded, float *sum) {
  float *p = padded + radius;
  for (long y = 0; y < side; y++) {
    const uint8_t *row = pix + y * side;
    for (long x = 0; x < side; x++) p[x] = row[x];
    for (long k = 1; k <= radius; k++) {
      p[-k] = p[k];
      p[side - 1 + k] = p[side - 1 - k];
    }
    FN(across)(rows + (y + radius) * side, padded, side, weights, radius);
  }
  for (long k = 1; k <= radius; k++) {
    memcpy(rows + (radius - k) * side, rows + (radius + k) * side, (size_t)side * sizeof *rows);
    memcpy(rows + (radius + side - 1 + k) * side, rows + (radius + side - 1 - k) * side, (size_t)side * sizeof *rows);
  }
  for (long y = 0; y < side; y++) FN(down)(pix + y * side, rows + (y + radius) * side, side, weights, radius, sum);
}
