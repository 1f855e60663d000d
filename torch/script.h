// TorchScript modules: loading, running, and making them by libtorch's tracer. Functions that can fail return NULL, or a
// message that the caller frees.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// An entry of a module's state dict. name belongs to the module, tensor to the caller.
typedef struct {
  const char *name;
  void *tensor;
  int buffer;
} gojepa_script_entry;

char *gojepa_script_load(void **out, const char *path, int device, const char *extra_name, char **extra, size_t *extra_size);
char *gojepa_script_save(void *script, const char *path, const char *extra_name, const char *extra, size_t extra_size);
void gojepa_script_free(void *script);
char *gojepa_script_forward(void **out, void *script, void *x, int train);
size_t gojepa_script_size(void *script);
void gojepa_script_entry_at(void *script, size_t i, gojepa_script_entry *out);
// Traces gojepaTrace(job, x), which takes over x and gives its result to the caller, and returns NULL if it failed.
char *gojepa_script_trace(void **out, size_t n, const char *const *names, void *const *tensors, const int *buffers, void *x,
                          uintptr_t job);
// Whether operations on this thread are traced, while a trace is under way.
void gojepa_script_pause(int paused);

char *gojepa_expand_batch(void **out, void *self, void *like);

#ifdef __cplusplus
}
#endif
