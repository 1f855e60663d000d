// What gotch's C API lacks and gojepa needs. Tensors are gotch's handles, that is at::Tensor*.
// Functions that can fail return NULL, or a message that the caller frees.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

char *gojepa_add_(void *self, void *other, double alpha);
char *gojepa_addcmul_(void *self, void *a, void *b, double value);
char *gojepa_addcdiv_(void *self, void *a, void *b, double value);
char *gojepa_addcmul_out(void *out, void *self, void *a, void *b, double value);
char *gojepa_addmm(void **out, void *self, void *a, void *b, double beta, double alpha);
char *gojepa_attention(void **out, void *q, void *k, void *v);
char *gojepa_unbind(void **outs, int slots, void *self, int64_t dim);
char *gojepa_channels_last(void **out, void *self);
// What gotch has too, but with an argument that is text, of which it never frees its copy.
char *gojepa_gelu(void **out, void *self, int tanh);
char *gojepa_qr(void **outs, void *self);
char *gojepa_eigh(void **outs, void *self);
char *gojepa_with_gradient(void **out, void *self, void *x, void *grad);
char *gojepa_set_data(void *self, void *data);
char *gojepa_set_grad(void *self, void *grad);
// The memory of a tensor that is on the CPU and in C order, NULL for another. To be written to, if write is not 0: a
// backward that needs the values of before then fails, as after any operation in place.
char *gojepa_memory(void **out, void *self, int write);
// A tensor on a CUDA device of values of the host, or of a tensor of the CPU. They are copied into page-locked memory, and on from
// there by the device in the order of its work: neither waits for the other.
char *gojepa_from_host(void **out, const void *data, const int64_t *dims, int n, int dtype, int device);
char *gojepa_upload(void **out, void *self, int device);
// Makes a CUDA device this OS thread's own.
char *gojepa_set_device(int device);
void *gojepa_scalar_new(void);
void gojepa_scalar_set_double(void *scalar, double v);
void gojepa_scalar_set_int(void *scalar, int64_t v);
void gojepa_scalar_free(void *scalar);
// The state of autocast on one device type (0 CPU, 1 CUDA); nesting is counted so that the cache of cast weights is
// dropped when the outermost region ends.
void gojepa_autocast_get(int device_type, int *enabled, int *dtype);
void gojepa_autocast_set(int device_type, int enabled, int dtype);
void gojepa_autocast_enter(void);
void gojepa_autocast_leave(void);
int gojepa_grad_enabled(void);
void gojepa_set_num_threads(int n);
// Whether the system gives this process as many threads at once as libtorch will start for n.
int gojepa_threads_fit(int n);
int gojepa_get_num_threads(void);
// Calls gojepaParallelWorker(job, id), id = 0 … n-1, on n threads of the OpenMP team that libtorch works with, the
// calling one among them, and returns when all have. 0 where there is no such team: nothing was called.
int gojepa_parallel(uintptr_t job, int n);
const char *gojepa_version(void);
// Loads libtorch_cuda.so from the loader's path, unless CUDA is in the process. NULL when it is there, else a message that the caller frees.
char *gojepa_dlopen_cuda(void);

#ifdef __cplusplus
}
#endif
