#include "native.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <dlfcn.h>
#include <pthread.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/version.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "guarded.h"
#include "profile.h"

namespace {

at::Tensor &ref(void *t) { return *static_cast<at::Tensor *>(t); }

// Memory of the host that a device copies from by itself, while the host goes on. libtorch keeps it for reuse, and gives it out
// again when the copies that were begun from it are done. Where the system does not lock so much, any memory: the copy then waits.
at::Tensor page_locked(at::IntArrayRef shape, at::TensorOptions options) {
  options = options.device(at::kCPU);
  try {
    return at::empty(shape, options.pinned_memory(true));
  } catch (const c10::Error &) {
    return at::empty(shape, options);
  }
}

// A value with a gradient that is known already. A backward that frees the graph may have the gradient's memory.
struct WithGradient : torch::autograd::Function<WithGradient> {
  static at::Tensor forward(torch::autograd::AutogradContext *ctx, const at::Tensor &, const at::Tensor &value,
                            const at::Tensor &grad) {
    ctx->saved_data["grad"] = grad;
    return value.detach();
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *ctx,
                                                 torch::autograd::variable_list upstream) {
    auto saved = ctx->saved_data.find("grad");
    TORCH_CHECK(saved != ctx->saved_data.end(), "backward through a graph that an earlier backward has freed");
    at::Tensor grad = saved->second.toTensor();
    if (!torch::autograd::get_current_graph_task_keep_graph()) {
      ctx->saved_data.erase(saved);
      if (grad.use_count() == 1 && grad.storage().use_count() == 1) {
        return {grad.mul_(upstream[0]), at::Tensor(), at::Tensor()};
      }
    }
    return {grad * upstream[0], at::Tensor(), at::Tensor()};
  }
};

}  // namespace

// The OpenMP runtime that libtorch brings, by the entry point that every runtime for GCC's code has. Weak: found in what
// libtorch loads, whatever its file is called, so that no second runtime is linked in beside it.
extern "C" __attribute__((weak)) void GOMP_parallel(void (*)(void *), void *, unsigned, unsigned);

extern "C" {

void gojepaParallelWorker(uintptr_t job, int id);  // parallel.go

char *gojepa_add_(void *self, void *other, double alpha) {
  return guarded([&] { ref(self).add_(ref(other), alpha); });
}

char *gojepa_addcmul_(void *self, void *a, void *b, double value) {
  return guarded([&] { ref(self).addcmul_(ref(a), ref(b), value); });
}

char *gojepa_addcdiv_(void *self, void *a, void *b, double value) {
  return guarded([&] { ref(self).addcdiv_(ref(a), ref(b), value); });
}

char *gojepa_addcmul_out(void *out, void *self, void *a, void *b, double value) {
  return guarded([&] { at::addcmul_out(ref(out), ref(self), ref(a), ref(b), value); });
}

char *gojepa_addmm(void **out, void *self, void *a, void *b, double beta, double alpha) {
  return guarded([&] { *out = new at::Tensor(at::addmm(ref(self), ref(a), ref(b), beta, alpha)); });
}

// gotch hands on an undefined tensor as the mask, which libtorch refuses.
char *gojepa_attention(void **out, void *q, void *k, void *v) {
  return guarded([&] { *out = new at::Tensor(at::scaled_dot_product_attention(ref(q), ref(k), ref(v))); });
}

// gotch returns a list allocated for the call.
char *gojepa_unbind(void **outs, int slots, void *self, int64_t dim) {
  return guarded([&] {
    auto parts = ref(self).unbind(dim);
    TORCH_CHECK(parts.size() <= static_cast<size_t>(slots), "unbind into ", parts.size(), " tensors: at most ", slots);
    for (size_t i = 0; i < parts.size(); i++) outs[i] = new at::Tensor(std::move(parts[i]));
  });
}

char *gojepa_channels_last(void **out, void *self) {
  return guarded([&] { *out = new at::Tensor(ref(self).contiguous(at::MemoryFormat::ChannelsLast)); });
}

char *gojepa_gelu(void **out, void *self, int tanh) {
  return guarded([&] { *out = new at::Tensor(at::gelu(ref(self), tanh ? "tanh" : "none")); });
}

char *gojepa_qr(void **outs, void *self) {
  return guarded([&] {
    auto [q, r] = at::linalg_qr(ref(self), "reduced");
    outs[0] = new at::Tensor(std::move(q));
    outs[1] = new at::Tensor(std::move(r));
  });
}

char *gojepa_eigh(void **outs, void *self) {
  return guarded([&] {
    auto [values, vectors] = at::linalg_eigh(ref(self), "L");
    outs[0] = new at::Tensor(std::move(values));
    outs[1] = new at::Tensor(std::move(vectors));
  });
}

char *gojepa_with_gradient(void **out, void *self, void *x, void *grad) {
  return guarded([&] { *out = new at::Tensor(WithGradient::apply(ref(x), ref(self), ref(grad))); });
}

char *gojepa_set_data(void *self, void *data) {
  return guarded([&] { ref(self).set_data(ref(data)); });
}

char *gojepa_set_grad(void *self, void *grad) {
  return guarded([&] { ref(self).mutable_grad() = grad ? ref(grad) : at::Tensor(); });
}

char *gojepa_memory(void **out, void *self, int write) {
  return guarded([&] {
    at::Tensor &t = ref(self);
    *out = nullptr;
    if (!t.device().is_cpu() || t.layout() != at::kStrided || !t.is_contiguous() || t.is_conj() || t.is_neg()) return;
    if (write) t.unsafeGetTensorImpl()->bump_version();
    *out = t.data_ptr();
  });
}

char *gojepa_from_host(void **out, const void *data, const int64_t *dims, int n, int dtype, int device) {
  return guarded([&] {
    at::IntArrayRef shape(dims, n);
    auto options = at::TensorOptions(static_cast<at::ScalarType>(dtype));
    at::Tensor host = page_locked(shape, options);
    if (host.numel() > 0) memcpy(host.data_ptr(), data, host.nbytes());
    *out = new at::Tensor(host.to(at::Device(at::kCUDA, device), /*non_blocking=*/true));
  });
}

char *gojepa_upload(void **out, void *self, int device) {
  return guarded([&] {
    at::Tensor &t = ref(self);
    at::Tensor host = page_locked(t.sizes(), t.options());
    host.copy_(t);
    *out = new at::Tensor(host.to(at::Device(at::kCUDA, device), /*non_blocking=*/true));
  });
}

char *gojepa_set_device(int device) {
  return guarded([&] { c10::impl::getDeviceGuardImpl(at::kCUDA)->setDevice(at::Device(at::kCUDA, device)); });
}

void *gojepa_scalar_new(void) { return new at::Scalar(0.0); }
void gojepa_scalar_set_double(void *scalar, double v) { *static_cast<at::Scalar *>(scalar) = v; }
void gojepa_scalar_set_int(void *scalar, int64_t v) { *static_cast<at::Scalar *>(scalar) = v; }
void gojepa_scalar_free(void *scalar) { delete static_cast<at::Scalar *>(scalar); }

#if TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR < 5
void gojepa_autocast_get(int device_type, int *enabled, int *dtype) {
  *enabled = device_type == 0 ? at::autocast::is_cpu_enabled() : at::autocast::is_enabled();
  *dtype = static_cast<int>(device_type == 0 ? at::autocast::get_autocast_cpu_dtype()
                                             : at::autocast::get_autocast_gpu_dtype());
}

void gojepa_autocast_set(int device_type, int enabled, int dtype) {
  auto type = static_cast<at::ScalarType>(dtype);
  if (device_type == 0) {
    at::autocast::set_cpu_enabled(enabled);
    at::autocast::set_autocast_cpu_dtype(type);
  } else {
    at::autocast::set_enabled(enabled);
    at::autocast::set_autocast_gpu_dtype(type);
  }
}
#else
void gojepa_autocast_get(int device_type, int *enabled, int *dtype) {
  auto d = device_type == 0 ? at::kCPU : at::kCUDA;
  *enabled = at::autocast::is_autocast_enabled(d);
  *dtype = static_cast<int>(at::autocast::get_autocast_dtype(d));
}

void gojepa_autocast_set(int device_type, int enabled, int dtype) {
  auto d = device_type == 0 ? at::kCPU : at::kCUDA;
  at::autocast::set_autocast_enabled(d, enabled);
  at::autocast::set_autocast_dtype(d, static_cast<at::ScalarType>(dtype));
}
#endif

void gojepa_autocast_enter(void) { at::autocast::increment_nesting(); }

void gojepa_autocast_leave(void) {
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
}

int gojepa_grad_enabled(void) { return c10::GradMode::is_enabled(); }

void gojepa_set_num_threads(int n) { at::set_num_threads(n); }
int gojepa_get_num_threads(void) { return at::get_num_threads(); }

int gojepa_threads_fit(int n) {
  n = std::max(n, static_cast<int>(std::thread::hardware_concurrency()));
  std::mutex together;
  std::vector<pthread_t> made;
  made.reserve(n);
  together.lock();
  for (int i = 1; i < n; i++) {
    pthread_t thread;
    auto wait = [](void *p) -> void * {
      std::lock_guard<std::mutex> lock(*static_cast<std::mutex *>(p));
      return nullptr;
    };
    if (pthread_create(&thread, nullptr, wait, &together) != 0) break;
    made.push_back(thread);
  }
  together.unlock();
  for (pthread_t thread : made) pthread_join(thread, nullptr);
  return static_cast<int>(made.size()) == n - 1;
}

int gojepa_parallel(uintptr_t job, int n) {
  if (!GOMP_parallel) return 0;
  struct Work {
    uintptr_t job;
    std::atomic<int> next;
    gojepa::Followed followed;
  } work{job, {0}, {}};
  GOMP_parallel(
      [](void *p) {
        auto w = static_cast<Work *>(p);
        gojepa::Followed::Worker worker(w->followed);
        gojepaParallelWorker(w->job, w->next++);
      },
      &work, static_cast<unsigned>(n), 0);
  return 1;
}

const char *gojepa_version(void) { return TORCH_VERSION; }

char *gojepa_dlopen_cuda(void) {
  if (c10::impl::hasDeviceGuardImpl(at::kCUDA)) return nullptr;  // it is here already
  if (!dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) {
    const char *why = dlerror();
    return strdup(why ? why : "libtorch_cuda.so cannot be loaded");
  }
  // libtorch looks for CUDA once, and remembers.
  if (at::detail::getCUDAHooks().hasCUDART()) return nullptr;
  return strdup("this process has computed on the CPU before CUDA was asked for: start the thread of the CUDA device first");
}

}  // extern "C"
