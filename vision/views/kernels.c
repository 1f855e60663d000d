// Each function of kernels_body.h is compiled twice on x86: for any processor, and for those with AVX2 and FMA, where some
// are written out by hand. Compilers must not fuse a product and a sum, as results would then depend on the machine.

#include "kernels.h"

#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("fp-contract=off")
#endif

#define PIXELS 256 // samples that a function keeps on the stack between two loops

#define LUMA_R 40117680
#define LUMA_G 78785808
#define LUMA_B 15300821

#define FN(name) name##_any
#include "kernels_body.h"
#undef FN

#if defined(__x86_64__)
#define HAVE_AVX2 1
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define FN(name) name##_avx2
#include "kernels_body.h"
#include "kernels_avx2.h"
#undef FN
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#define CHOOSE(name, ...) (level ? name##_avx2(__VA_ARGS__) : name##_any(__VA_ARGS__))
// BULK is how many of n samples are made 16 at a time, by functions whose names end so; the rest are left to the plain loop.
#define BULK(n) (level ? (n) & ~15L : 0)
#else
#define CHOOSE(name, ...) ((void)level, name##_any(__VA_ARGS__))
#define BULK(n) 0
#define scale16(...) ((void)0)
#define luma_sum16(...) 0
#define saturation16(...) ((void)0)
#define hue16(...) ((void)0)
#endif

int views_level(void) {
#ifdef HAVE_AVX2
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return 0;
#endif
}

void views_rows(int level, uint8_t *dst, const uint8_t *src, long n, long stride, long after, long count, const int32_t *first,
                const int16_t *weights, long pitch, int shift, uint8_t *scratch) {
#ifdef HAVE_AVX2
  if (level && count >= 16 && resample_rows_avx2(dst, src, n, stride, after, count, first, weights, pitch, shift, scratch)) return;
#endif
  (void)after, (void)scratch;
  CHOOSE(rows, dst, src, n, stride, count, first, weights, pitch, shift);
}

void views_columns(int level, uint8_t *dst, const uint8_t *src, long lo, long n, long width, const int32_t *first,
                   const int32_t *size, const int16_t *weights, long pitch, int shift) {
  for (long i = 0; i < n; i++, dst += width) {
    const uint8_t *in = src + (first[i] - lo) * width;
#ifdef HAVE_AVX2
    if (level && width >= 32) {
      column_avx2(dst, in, width, size[i], weights + i * pitch, shift);
      continue;
    }
#endif
    CHOOSE(column_plain, dst, in, width, size[i], weights + i * pitch, shift);
  }
}

void views_scale(int level, uint8_t *pix, long n, float factor, float offset) {
  long done = BULK(n);
  if (done) scale16(pix, done, factor, offset);
  CHOOSE(scale, pix + done, n - done, factor, offset);
}

uint64_t views_luma_sum(int level, const uint8_t *r, const uint8_t *g, const uint8_t *b, long n) {
  long done = BULK(n);
  uint64_t sum = 0;
  if (done) sum = luma_sum16(r, g, b, done);
  return sum + CHOOSE(luma_sum, r + done, g + done, b + done, n - done);
}

void views_saturation(int level, uint8_t *r, uint8_t *g, uint8_t *b, long n, float factor, float rest) {
  long done = BULK(n);
  if (done) saturation16(r, g, b, done, factor, rest);
  CHOOSE(saturation, r + done, g + done, b + done, n - done, factor, rest);
}

void views_grey(int level, uint8_t *r, uint8_t *g, uint8_t *b, long n) { CHOOSE(grey, r, g, b, n); }

void views_hue(int level, uint8_t *r, uint8_t *g, uint8_t *b, long n, float turn) {
  long done = BULK(n);
  if (done) hue16(r, g, b, done, turn);
  CHOOSE(hue, r + done, g + done, b + done, n - done, turn);
}

void views_solarize(int level, uint8_t *pix, long n, int threshold) { CHOOSE(solarize, pix, n, threshold); }

void views_normals(int level, float *dst, long n, uint64_t seed, uint32_t from, const float *quantiles) {
  CHOOSE(normals, dst, n, seed, from, quantiles);
}

void views_add_noise(int level, uint8_t *pix, const float *z, long n, float mean, float sigma) {
  CHOOSE(add_noise, pix, z, n, mean, sigma);
}

void views_rotate(int level, uint8_t *dst, const uint8_t *src, long channels, long side, double sin, double cos, int smooth, float fill) {
  CHOOSE(rotate, dst, src, channels, side, sin, cos, smooth, fill);
}

void views_blur(int level, uint8_t *pix, long side, const float *weights, long radius, float *rows, float *padded, float *sum) {
  CHOOSE(blur, pix, side, weights, radius, rows, padded, sum);
}
