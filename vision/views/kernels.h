// The arithmetic of views on samples of 8 bits, for kernels_cgo.go: kernels.go has the same in Go, byte for byte, and says
// what each function does. A level is 0 for what any processor does, 1 for AVX2 with FMA.

#include <stdint.h>

int views_level(void);

void views_rows(int level, uint8_t *dst, const uint8_t *src, long n, long stride, long after, long count, const int32_t *first,
                const int16_t *weights, long pitch, int shift, uint8_t *scratch);
void views_columns(int level, uint8_t *dst, const uint8_t *src, long lo, long n, long width, const int32_t *first,
                   const int32_t *size, const int16_t *weights, long pitch, int shift);
void views_scale(int level, uint8_t *pix, long n, float factor, float offset);
uint64_t views_luma_sum(int level, const uint8_t *r, const uint8_t *g, const uint8_t *b, long n);
void views_saturation(int level, uint8_t *r, uint8_t *g, uint8_t *b, long n, float factor, float rest);
void views_grey(int level, uint8_t *r, uint8_t *g, uint8_t *b, long n);
void views_hue(int level, uint8_t *r, uint8_t *g, uint8_t *b, long n, float turn);
void views_solarize(int level, uint8_t *pix, long n, int threshold);
void views_normals(int level, float *dst, long n, uint64_t seed, uint32_t from, const float *quantiles);
void views_add_noise(int level, uint8_t *pix, const float *z, long n, float mean, float sigma);
void views_rotate(int level, uint8_t *dst, const uint8_t *src, long channels, long side, double sin, double cos, int smooth, float fill);
void views_blur(int level, uint8_t *pix, long side, const float *weights, long radius, float *rows, float *padded, float *sum);
