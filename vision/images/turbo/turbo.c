// The library is opened at run time, so that programs start on machines that lack it, and its interface is declared here, so
// that they build without its headers: the part of its structures that every version has in common. The library itself
// checks version and size when a decompressor is made. Whatever it dislikes ends in a longjmp; no Go code is between.

#include "turbo.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct errors {
  void (*error_exit)(void *);
  void (*emit_message)(void *, int level);
  void (*output_message)(void *);
  void (*format_message)(void *, char *text); // of at most 200 bytes
  void (*reset)(void *);
  int code;
  char parameters[80];
  int trace_level;
  long warnings;
  const void *texts;
  int last_text;
  const void *more_texts;
  int first_more, last_more;
} errors;

// decompressor is struct jpeg_decompress_struct up to output_scanline.
typedef struct decompressor {
  errors *err;
  void *memory, *progress, *client;
  int is_decompressor, state;
  void *source;
  unsigned width, height;
  int components, file_space, out_space;
  unsigned scale_num, scale_denom;
  double gamma;
  int buffered, raw, dct, fancy_upsampling, block_smoothing;
  int quantize, dither, two_pass, colours, one_pass, external, two_pass_later;
  unsigned out_width, out_height;
  int out_space_components, out_components, rows_at_once, map_size;
  uint8_t **map;
  unsigned scanline;
  char rest[1024];
} decompressor;

enum { GREY = 1, RGB = 2, YCBCR = 3 };

struct turbo_library {
  errors *(*std_error)(errors *);
  void (*create)(decompressor *, int version, size_t size);
  void (*destroy)(decompressor *);
  void (*mem_src)(decompressor *, const uint8_t *, unsigned long);
  int (*read_header)(decompressor *, int require_image);
  int (*start)(decompressor *);
  unsigned (*read_scanlines)(decompressor *, uint8_t **rows, unsigned n);
  int (*finish)(decompressor *);
  int version; // of the interface: that of libjpeg 6.2, 7 or 8
  size_t size; // of its jpeg_decompress_struct
};

// work is a decompressor, and where errors go.
typedef struct work {
  decompressor d; // first, so that a pointer to it is one to work
  errors err;
  jmp_buf back;
  char *message;
  uint8_t *rows;
} work;

static void fail(void *d) {
  work *w = d;
  char text[256] = "";
  w->err.format_message(d, text);
  snprintf(w->message, TURBO_MESSAGE, "%s", text);
  longjmp(w->back, 1);
}

// warn ends decoding too: the library would go on, and make pixels up.
static void warn(void *d, int level) {
  if (level < 0) fail(d);
}

static void silent(void *d) { (void)d; }

static void prepare(const turbo_library *lib, work *w, char *message) {
  memset(w, 0, sizeof *w);
  w->d.err = lib->std_error(&w->err);
  w->err.error_exit = fail;
  w->err.emit_message = warn;
  w->err.output_message = silent;
  w->message = message;
}

// refused is what the library would have in place of a version or a size that it refuses; 0 if it does not.
static int refused(const turbo_library *lib, work *w, int version, size_t size, char *message) {
  int own;
  prepare(lib, w, message);
  if (setjmp(w->back)) {
    memcpy(&own, w->err.parameters, sizeof own);
    return own;
  }
  lib->create(&w->d, version, size);
  lib->destroy(&w->d);
  return 0;
}

turbo_library *turbo_load(const char *name, char *message) {
  void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    snprintf(message, TURBO_MESSAGE, "%s", dlerror());
    return NULL;
  }
  turbo_library *lib = calloc(1, sizeof *lib);
  work *w = malloc(sizeof *w);
  struct {
    const char *name;
    void **to;
  } symbols[] = {
      {"jpeg_std_error", (void **)&lib->std_error},           {"jpeg_CreateDecompress", (void **)&lib->create},
      {"jpeg_destroy_decompress", (void **)&lib->destroy},    {"jpeg_mem_src", (void **)&lib->mem_src},
      {"jpeg_read_header", (void **)&lib->read_header},       {"jpeg_start_decompress", (void **)&lib->start},
      {"jpeg_read_scanlines", (void **)&lib->read_scanlines}, {"jpeg_finish_decompress", (void **)&lib->finish},
  };
  if (!lib || !w) goto no;
  if (!dlsym(handle, "jpeg_skip_scanlines")) { // which libjpeg-turbo alone has
    snprintf(message, TURBO_MESSAGE, "%s is not libjpeg-turbo", name);
    goto no;
  }
  for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
    if (!(*symbols[i].to = dlsym(handle, symbols[i].name))) {
      snprintf(message, TURBO_MESSAGE, "%s lacks %s", name, symbols[i].name);
      goto no;
    }
  }
  // A version and a size that cannot be make the library tell its own.
  lib->version = refused(lib, w, 0, 0, message);
  lib->size = (size_t)refused(lib, w, lib->version, 0, message);
  if ((lib->version == 62 || lib->version == 70 || lib->version == 80) && lib->size >= offsetof(decompressor, rest) &&
      lib->size <= sizeof(decompressor)) {
    free(w);
    return lib;
  }
  snprintf(message, TURBO_MESSAGE, "%s has an interface that is not known: version %d, %zu bytes", name, lib->version, lib->size);
no:
  free(w);
  free(lib);
  dlclose(handle);
  return NULL;
}

static inline __attribute__((always_inline)) void spread_body(const uint8_t *restrict row, long n, uint8_t *restrict r,
                                                              uint8_t *restrict g, uint8_t *restrict b) {
  for (long x = 0; x < n; x++) {
    r[x] = row[3 * x];
    g[x] = row[3 * x + 1];
    b[x] = row[3 * x + 2];
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void spread_avx2(const uint8_t *row, long n, uint8_t *r, uint8_t *g, uint8_t *b) {
  spread_body(row, n, r, g, b);
}
#endif

// spread makes planes of a row of pixels.
static void spread(const uint8_t *row, long n, uint8_t *r, uint8_t *g, uint8_t *b) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) {
    spread_avx2(row, n, r, g, b);
    return;
  }
#endif
  spread_body(row, n, r, g, b);
}

enum { ROWS = 16 }; // handed over at once

int turbo_decode(const turbo_library *lib, const uint8_t *data, size_t length, long width, long height, int reduce,
                 uint8_t *planes, int channels, char *message) {
  work *w = malloc(sizeof *w);
  if (!w) {
    snprintf(message, TURBO_MESSAGE, "out of memory");
    return 1;
  }
  prepare(lib, w, message);
  if (setjmp(w->back)) {
    lib->destroy(&w->d);
    free(w->rows);
    free(w);
    return 1;
  }
  decompressor *d = &w->d;
  lib->create(d, lib->version, lib->size);
  lib->mem_src(d, data, length);
  lib->read_header(d, 1);
  const char *odd = NULL;
  if (d->width != (unsigned long)width || d->height != (unsigned long)height) odd = "its header gives another size than its frame";
  if (d->file_space != GREY && d->file_space != RGB && d->file_space != YCBCR) odd = "its colours are neither grey, RGB nor YCbCr";
  if (odd) {
    snprintf(message, TURBO_MESSAGE, "%s", odd);
    longjmp(w->back, 1);
  }
  d->out_space = d->file_space == GREY ? GREY : RGB;
  d->scale_num = 1;
  d->scale_denom = (unsigned)reduce;
  lib->start(d);
  const long wide = (width + reduce - 1) / reduce, high = (height + reduce - 1) / reduce, n = wide * high;
  const int grey = d->out_space == GREY;
  w->rows = malloc((size_t)(ROWS * wide * 3));
  if (!w->rows || d->out_width != (unsigned long)wide || d->out_height != (unsigned long)high || d->out_components != (grey ? 1 : 3)) {
    snprintf(message, TURBO_MESSAGE, w->rows ? "the library gives another size than was asked for" : "out of memory");
    longjmp(w->back, 1);
  }
  while (d->scanline < d->out_height) {
    uint8_t *rows[ROWS], *to = planes + (long)d->scanline * wide;
    for (int i = 0; i < ROWS; i++) rows[i] = w->rows + i * wide * 3;
    unsigned got = lib->read_scanlines(d, rows, ROWS);
    for (unsigned i = 0; i < got; i++, to += wide) {
      if (grey) {
        for (int c = 0; c < channels; c++) memcpy(to + c * n, rows[i], (size_t)wide);
      } else if (channels == 3) {
        spread(rows[i], wide, to, to + n, to + 2 * n);
      } else {
        for (long x = 0; x < wide; x++) { // as Pillow makes grey of colours
          const uint8_t *p = rows[i] + 3 * x;
          to[x] = (uint8_t)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
        }
      }
    }
  }
  lib->finish(d);
  lib->destroy(d);
  free(w->rows);
  free(w);
  return 0;
}
