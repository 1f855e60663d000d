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

// group is four outputs whose first samples are within 12 of each other, so that any four successive taps of theirs are
// among 16 samples.
typedef struct {
  int32_t base;      // the first sample
  uint8_t picks[16]; // of four taps of each output, from base on
} group;

// plan works out a group, and arranges its weights: of the four outputs' first four taps, then of their next four, and so
// on. It returns 0 if the samples are too far apart.
static int plan(group *g, const int32_t *first, const int16_t *w, long pitch, int16_t *weights) {
  int32_t lo = first[0] < first[3] ? first[0] : first[3], hi = first[0] < first[3] ? first[3] : first[0];
  if (hi - lo > 12) return 0;
  g->base = lo;
  for (int i = 0; i < 16; i++) g->picks[i] = (uint8_t)(first[i / 4] - lo + i % 4);
  for (long k = 0; k < pitch; k += 4)
    for (int i = 0; i < 16; i++) *weights++ = w[i / 4 * pitch + k + i % 4];
  return 1;
}

// near makes 16 outputs in four groups.
static inline void near(uint8_t *dst, const uint8_t *row, const group *g, const int16_t *w, long pitch, __m256i round, __m128i shift) {
  __m256i s[4];
  for (int i = 0; i < 4; i++) {
    const __m128i picks = _mm_loadu_si128((const __m128i *)g[i].picks);
    const uint8_t *in = row + g[i].base;
    s[i] = _mm256_setzero_si256();
    for (long k = 0; k < pitch; k += 4) {
      __m256i taps = _mm256_cvtepu8_epi16(_mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(in + k)), picks));
      s[i] = _mm256_add_epi32(s[i], _mm256_madd_epi16(taps, _mm256_loadu_si256((const __m256i *)(w + i * 4 * pitch + 4 * k))));
    }
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

// far makes 16 outputs that may be anywhere. pitch is a multiple of 8.
static inline void far(uint8_t *dst, const uint8_t *row, const int32_t *first, const int16_t *w, long pitch, __m256i round,
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

// resample_rows takes at least 16 outputs. So many samples as after may be read behind the rows of src; those that belong to
// no tap have no weight. It returns 0 if it cannot do it.
static int resample_rows_avx2(uint8_t *dst, const uint8_t *src, long n, long stride, long after, long count,
                              const int32_t *first, const int16_t *weights, long pitch, int shift, uint8_t *scratch) {
  const long slack = pitch + 12; // the first tap may be the last sample of its row
  // The last outputs are made in a group of 16 that begins where it must, some of them for the second time.
  const long whole = count / 16 * 16, rest = count - 16;
  int16_t *arranged = (int16_t *)(scratch + ((stride + slack + 31) & ~31L));
  group *groups = (group *)(arranged + (whole + 16) * pitch);
  int close = 1;
  for (long i = 0; i < whole + 16 && close; i += 4) {
    long from = i < whole ? i : rest + i - whole;
    close = plan(groups + i / 4, first + from, weights + from * pitch, pitch, arranged + i * pitch);
  }
  if (!close && pitch == 4) return 0;
  __m256i round = _mm256_set1_epi32(1 << shift >> 1);
  __m128i by = _mm_cvtsi32_si128(shift);
  for (long y = 0; y < n; y++, dst += count) {
    const uint8_t *row = src + y * stride;
    if ((n - 1 - y) * stride + after < slack) {
      memcpy(scratch, row, (size_t)stride);
      memset(scratch + stride, 0, (size_t)slack);
      row = scratch;
    }
    if (close && pitch == 4) { // the compiler makes better code where it knows the number of taps
      for (long i = 0; i < whole; i += 16) near(dst + i, row, groups + i / 4, arranged + i * 4, 4, round, by);
      if (whole < count) near(dst + rest, row, groups + whole / 4, arranged + whole * 4, 4, round, by);
    } else if (close && pitch == 8) {
      for (long i = 0; i < whole; i += 16) near(dst + i, row, groups + i / 4, arranged + i * 8, 8, round, by);
      if (whole < count) near(dst + rest, row, groups + whole / 4, arranged + whole * 8, 8, round, by);
    } else if (close) {
      for (long i = 0; i < whole; i += 16) near(dst + i, row, groups + i / 4, arranged + i * pitch, pitch, round, by);
      if (whole < count) near(dst + rest, row, groups + whole / 4, arranged + whole * pitch, pitch, round, by);
    } else {
      for (long i = 0; i < whole; i += 16) far(dst + i, row, first + i, weights + i * pitch, pitch, round, by);
      if (whole < count) far(dst + rest, row, first + rest, weights + rest * pitch, pitch, round, by);
    }
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

// cut16 makes bytes of two times eight numbers, rounded down, what is out of range to the nearer end.
static inline __m128i cut16(__m256 a, __m256 b) {
  __m256i words = _mm256_packs_epi32(_mm256_cvttps_epi32(a), _mm256_cvttps_epi32(b));
  __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(words, words), 0x08); // quarters in the order a, b, a, b
  return _mm_shuffle_epi32(_mm256_castsi256_si128(bytes), 0xd8);
}

// samples8 is eight samples as numbers.
static inline __m256 samples8(const uint8_t *p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

static void scale16(uint8_t *pix, long n, float factor, float offset) {
  __m256 f = _mm256_set1_ps(factor), o = _mm256_set1_ps(offset);
  for (long i = 0; i < n; i += 16) {
    __m256 a = _mm256_add_ps(_mm256_mul_ps(samples8(pix + i), f), o);
    __m256 b = _mm256_add_ps(_mm256_mul_ps(samples8(pix + i + 8), f), o);
    _mm_storeu_si128((__m128i *)(pix + i), cut16(a, b));
  }
}

// luma16 is the luma of 16 pixels, as words.
static inline __m256i luma16(const uint8_t *r, const uint8_t *g, const uint8_t *b) {
  const __m256i zero = _mm256_setzero_si256();
  __m256i rs = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)r)), gs = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)g));
  __m256i bs = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)b));
  const __m256i high_rg = _mm256_set1_epi32((LUMA_R >> 13) | (LUMA_G >> 13) << 16), high_b = _mm256_set1_epi32(LUMA_B >> 13);
  const __m256i low_rg = _mm256_set1_epi32((LUMA_R & 8191) | (LUMA_G & 8191) << 16), low_b = _mm256_set1_epi32(LUMA_B & 8191);
  __m256i sum[2];
  for (int i = 0; i < 2; i++) {
    __m256i rg = i ? _mm256_unpackhi_epi16(rs, gs) : _mm256_unpacklo_epi16(rs, gs);
    __m256i b0 = i ? _mm256_unpackhi_epi16(bs, zero) : _mm256_unpacklo_epi16(bs, zero);
    __m256i low = _mm256_add_epi32(_mm256_madd_epi16(rg, low_rg), _mm256_madd_epi16(b0, low_b));
    __m256i high = _mm256_add_epi32(_mm256_madd_epi16(rg, high_rg), _mm256_madd_epi16(b0, high_b));
    sum[i] = _mm256_srli_epi32(_mm256_add_epi32(high, _mm256_srli_epi32(low, 13)), 14);
  }
  return _mm256_packus_epi32(sum[0], sum[1]);
}

static uint64_t luma_sum16(const uint8_t *r, const uint8_t *g, const uint8_t *b, long n) {
  __m256i sum = _mm256_setzero_si256(); // of bytes, in four parts of 64 bits
  for (long i = 0; i < n; i += 16) sum = _mm256_add_epi64(sum, _mm256_sad_epu8(luma16(r + i, g + i, b + i), _mm256_setzero_si256()));
  uint64_t parts[4];
  _mm256_storeu_si256((__m256i *)parts, sum);
  return parts[0] + parts[1] + parts[2] + parts[3];
}

static inline void saturate16(uint8_t *p, __m256 l0, __m256 l1, __m256 factor, __m256 rest) {
  __m256 a = _mm256_fmadd_ps(l0, rest, _mm256_mul_ps(samples8(p), factor));
  __m256 b = _mm256_fmadd_ps(l1, rest, _mm256_mul_ps(samples8(p + 8), factor));
  _mm_storeu_si128((__m128i *)p, cut16(a, b));
}

static void saturation16(uint8_t *r, uint8_t *g, uint8_t *b, long n, float factor, float rest) {
  __m256 f = _mm256_set1_ps(factor), o = _mm256_set1_ps(rest);
  for (long i = 0; i < n; i += 16) {
    __m256i l = luma16(r + i, g + i, b + i);
    __m256 l0 = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_castsi256_si128(l)));
    __m256 l1 = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_extracti128_si256(l, 1)));
    saturate16(r + i, l0, l1, f, o);
    saturate16(g + i, l0, l1, f, o);
    saturate16(b + i, l0, l1, f, o);
  }
}

// hue8 turns the hue of eight pixels. The result has a pixel in 32 bits: red lowest, then green and blue.
static inline __m256i hue8(__m256 r, __m256 g, __m256 b, __m256 turn) {
  const __m256 six = _mm256_set1_ps(6), none = _mm256_setzero_ps();
  __m256 most = _mm256_max_ps(_mm256_max_ps(r, g), b), least = _mm256_min_ps(_mm256_min_ps(r, g), b);
  __m256 chroma = _mm256_sub_ps(most, least), grey = _mm256_cmp_ps(chroma, none, _CMP_EQ_OQ);
  __m256 over = _mm256_div_ps(_mm256_set1_ps(1), _mm256_blendv_ps(chroma, _mm256_set1_ps(1), grey));
  __m256 is_r = _mm256_cmp_ps(most, r, _CMP_EQ_OQ), is_g = _mm256_cmp_ps(most, g, _CMP_EQ_OQ);
  __m256 x = _mm256_blendv_ps(_mm256_blendv_ps(_mm256_sub_ps(r, g), _mm256_sub_ps(b, r), is_g), _mm256_sub_ps(g, b), is_r);
  __m256 sixth = _mm256_andnot_ps(is_r, _mm256_blendv_ps(_mm256_set1_ps(4), _mm256_set1_ps(2), is_g));
  __m256 h = _mm256_add_ps(_mm256_add_ps(sixth, _mm256_mul_ps(x, over)), turn);
  h = _mm256_add_ps(h, _mm256_and_ps(_mm256_cmp_ps(h, none, _CMP_LT_OQ), six));
  h = _mm256_sub_ps(h, _mm256_and_ps(_mm256_cmp_ps(h, six, _CMP_GE_OQ), six));
  __m256i sector = _mm256_cvttps_epi32(h);
  __m256 part = _mm256_mul_ps(chroma, _mm256_sub_ps(h, _mm256_cvtepi32_ps(sector)));
  __m256 odd = _mm256_castsi256_ps(_mm256_slli_epi32(sector, 31));
  __m256 raw = _mm256_blendv_ps(_mm256_add_ps(least, part), _mm256_sub_ps(most, part), odd);
  __m256i third = _mm256_cvttps_epi32(_mm256_mul_ps(raw, _mm256_set1_ps((float)(255.999 / 255))));
  third = _mm256_max_epi32(_mm256_min_epi32(third, _mm256_set1_epi32(255)), _mm256_setzero_si256());
  __m256i high = _mm256_cvttps_epi32(most), low = _mm256_cvttps_epi32(least);
  third = _mm256_blendv_epi8(third, high, _mm256_castps_si256(grey));
  // Bytes most, third, least; those that red, green and blue get, by sector, 0x80 being none.
  __m256i three = _mm256_or_si256(high, _mm256_or_si256(_mm256_slli_epi32(third, 8), _mm256_slli_epi32(low, 16)));
  const __m256i picks = _mm256_setr_epi32((int)0x80020100, (int)0x80020001, (int)0x80010002, (int)0x80000102, (int)0x80000201,
                                          (int)0x80010200, (int)0x80020100, (int)0x80020100);
  const __m256i lanes = _mm256_setr_epi32(0, 0x040404, 0x080808, 0x0c0c0c, 0, 0x040404, 0x080808, 0x0c0c0c);
  return _mm256_shuffle_epi8(three, _mm256_or_si256(_mm256_permutevar8x32_epi32(picks, sector), lanes));
}

static void hue16(uint8_t *r, uint8_t *g, uint8_t *b, long n, float turn) {
  __m256 t = _mm256_set1_ps(turn);
  const __m256i byte = _mm256_set1_epi32(255);
  for (long i = 0; i < n; i += 16) {
    __m256i p = hue8(samples8(r + i), samples8(g + i), samples8(b + i), t);
    __m256i q = hue8(samples8(r + i + 8), samples8(g + i + 8), samples8(b + i + 8), t);
    uint8_t *planes[3] = {r + i, g + i, b + i};
    for (int c = 0; c < 3; c++, p = _mm256_srli_epi32(p, 8), q = _mm256_srli_epi32(q, 8)) {
      __m256i words = _mm256_packs_epi32(_mm256_and_si256(p, byte), _mm256_and_si256(q, byte));
      __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(words, words), 0x08);
      _mm_storeu_si128((__m128i *)planes[c], _mm_shuffle_epi32(_mm256_castsi256_si128(bytes), 0xd8));
    }
  }
}
