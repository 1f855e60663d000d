// Resampling by AVX2: products of pairs of 16-bit numbers, summed in 32 bits (pmaddwd), as taps are pairs of a sample and a
// weight. Included by kernels.c.

// finish rounds off two times eight sums, of outputs in the order that the caller says, to bytes: those of the low lanes,
// then those of the high lanes, eight each.
static inline __m256i finish(__m256i a, __m256i b, __m256i round, __m128i shift) {
  a = _mm256_sra_epi32(_mm256_add_epi32(a, round), shift);
  b = _mm256_sra_epi32(_mm256_add_epi32(b, round), shift);
  __m256i words = _mm256_packs_epi32(a, b);
  return _mm256_packus_epi16(words, words);
}

// few makes 16 outputs of at most 4 taps each. The 16 samples from base[g] on hold all taps of outputs 4g to 4g+3; masks
// pick them.
static inline void few(uint8_t *dst, const uint8_t *row, const int32_t *base, const uint8_t *masks, const int16_t *w,
                       __m256i round, __m128i shift) {
  __m256i s[4];
  for (int g = 0; g < 4; g++) {
    __m128i in = _mm_loadu_si128((const __m128i *)(row + base[g]));
    in = _mm_shuffle_epi8(in, _mm_loadu_si128((const __m128i *)(masks + 16 * g)));
    s[g] = _mm256_madd_epi16(_mm256_cvtepu8_epi16(in), _mm256_loadu_si256((const __m256i *)(w + 16 * g)));
  }
  // Outputs 0 1 4 5 8 9 12 13 in the low lanes, the others in the high ones.
  __m256i bytes = finish(_mm256_hadd_epi32(s[0], s[1]), _mm256_hadd_epi32(s[2], s[3]), round, shift);
  _mm_storeu_si128((__m128i *)dst, _mm_unpacklo_epi16(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)));
}

// two is the sums of an even and an odd output's taps, four parts of each.
static inline __m256i two(const uint8_t *row, const int32_t *first, const int16_t *w, long pitch) {
  __m256i sum = _mm256_setzero_si256();
  for (long k = 0; k < pitch; k += 8) {
    __m128i in = _mm_loadl_epi64((const __m128i *)(row + first[0] + k));
    in = _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(in), (const __m64 *)(row + first[1] + k)));
    __m256i weights = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(w + k))),
                                              _mm_loadu_si128((const __m128i *)(w + pitch + k)), 1);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_cvtepu8_epi16(in), weights));
  }
  return sum;
}

// many makes 16 outputs of any number of taps.
static inline void many(uint8_t *dst, const uint8_t *row, const int32_t *first, const int16_t *w, long pitch, __m256i round,
                        __m128i shift) {
  __m256i h[2];
  for (int g = 0; g < 2; g++) {
    const int32_t *f = first + 8 * g;
    const int16_t *v = w + 8 * g * pitch;
    h[g] = _mm256_hadd_epi32(_mm256_hadd_epi32(two(row, f, v, pitch), two(row, f + 2, v + 2 * pitch, pitch)),
                             _mm256_hadd_epi32(two(row, f + 4, v + 4 * pitch, pitch), two(row, f + 6, v + 6 * pitch, pitch)));
  }
  __m256i bytes = finish(h[0], h[1], round, shift); // even outputs, then odd ones
  _mm_storeu_si128((__m128i *)dst, _mm_unpacklo_epi8(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)));
}

// plan works out, for groups of four outputs, where their samples begin and how they are picked. It returns 0 if a group
// needs more than 16 samples.
static int plan(const int32_t *first, long groups, int32_t *base, uint8_t *masks) {
  for (long g = 0; g < groups; g++, first += 4, masks += 16) {
    int32_t lo = first[0] < first[3] ? first[0] : first[3], hi = first[0] < first[3] ? first[3] : first[0];
    if (hi - lo > 12) return 0;
    base[g] = lo;
    for (int i = 0; i < 16; i++) masks[i] = (uint8_t)(first[i / 4] - lo + i % 4);
  }
  return 1;
}

// resample_rows takes at least 16 outputs. So many samples as after may be read behind the rows of src; those that belong to
// no tap have no weight. The scratch is for a row, 16 samples or pitch more, and plan's results for count outputs. It returns 0
// if it cannot do it.
static int resample_rows_avx2(uint8_t *dst, const uint8_t *src, long n, long stride, long after, long count,
                              const int32_t *first, const int16_t *weights, long pitch, int shift, uint8_t *scratch) {
  int planned = pitch == 4;
  long slack = planned ? 16 : pitch; // the first tap may be the last sample of its row
  int32_t *base = (int32_t *)(scratch + ((stride + slack + 31) & ~31L));
  // The last outputs are made in a group of 16 that begins where it must, some of them for the second time.
  long whole = count / 16 * 16, rest = count - 16;
  uint8_t *masks = (uint8_t *)(base + (whole / 4 + 4));
  if (planned && !(plan(first, whole / 4, base, masks) && plan(first + rest, 4, base + whole / 4, masks + 4 * whole))) return 0;
  __m256i round = _mm256_set1_epi32(1 << shift >> 1);
  __m128i by = _mm_cvtsi32_si128(shift);
  for (long y = 0; y < n; y++, dst += count) {
    const uint8_t *row = src + y * stride;
    if ((n - 1 - y) * stride + after < slack) {
      memcpy(scratch, row, (size_t)stride);
      memset(scratch + stride, 0, (size_t)slack);
      row = scratch;
    }
    if (planned) {
      for (long i = 0; i < whole; i += 16) few(dst + i, row, base + i / 4, masks + 4 * i, weights + 4 * i, round, by);
      if (whole < count) few(dst + rest, row, base + whole / 4, masks + 4 * whole, weights + 4 * rest, round, by);
      continue;
    }
    for (long i = 0; i < whole; i += 16) many(dst + i, row, first + i, weights + i * pitch, pitch, round, by);
    if (whole < count) many(dst + rest, row, first + rest, weights + rest * pitch, pitch, round, by);
  }
  return 1;
}

// thirty_two makes 32 columns of a row.
static inline void thirty_two(uint8_t *dst, const uint8_t *in, long width, long taps, const int16_t *w, __m256i round,
                              __m128i shift) {
  const __m256i zero = _mm256_setzero_si256();
  __m256i s0 = round, s1 = round, s2 = round, s3 = round;
  for (long k = 0; k < taps; k += 2, in += 2 * width) {
    int pair = k + 1 < taps;
    __m256i a = _mm256_loadu_si256((const __m256i *)in), b = pair ? _mm256_loadu_si256((const __m256i *)(in + width)) : zero;
    __m256i weights = _mm256_set1_epi32((int32_t)((uint32_t)(uint16_t)w[k] | (pair ? (uint32_t)(uint16_t)w[k + 1] << 16 : 0)));
    __m256i lo = _mm256_unpacklo_epi8(a, b), hi = _mm256_unpackhi_epi8(a, b);
    s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(_mm256_unpacklo_epi8(lo, zero), weights));
    s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(_mm256_unpackhi_epi8(lo, zero), weights));
    s2 = _mm256_add_epi32(s2, _mm256_madd_epi16(_mm256_unpacklo_epi8(hi, zero), weights));
    s3 = _mm256_add_epi32(s3, _mm256_madd_epi16(_mm256_unpackhi_epi8(hi, zero), weights));
  }
  s0 = _mm256_packs_epi32(_mm256_sra_epi32(s0, shift), _mm256_sra_epi32(s1, shift));
  s2 = _mm256_packs_epi32(_mm256_sra_epi32(s2, shift), _mm256_sra_epi32(s3, shift));
  _mm256_storeu_si256((__m256i *)dst, _mm256_packus_epi16(s0, s2));
}

// column_avx2 takes rows of at least 32 columns.
static void column_avx2(uint8_t *dst, const uint8_t *in, long width, long taps, const int16_t *w, int shift) {
  __m256i round = _mm256_set1_epi32(1 << shift >> 1);
  __m128i by = _mm_cvtsi32_si128(shift);
  long x = 0;
  for (; x + 32 <= width; x += 32) thirty_two(dst + x, in + x, width, taps, w, round, by);
  if (x < width) thirty_two(dst + width - 32, in + width - 32, width, taps, w, round, by);
}
