// A CUDA device that the CPU plays. Its tensors have CUDA's dispatch keys, and so go through libtorch as on a GPU:
// autocast's rules for CUDA, autograd's threads, the choices that ask where a tensor is. What then would be a kernel is the
// CPU's operation on the same memory. On the way down here operations that mix devices fail, as they do on a GPU, and those
// that make the host wait for the device are counted.
#include "simcuda.h"

#include <torch/version.h>

#include <cstring>

#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 11
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/FakeGuardImpl.h>
#include <torch/library.h>

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "../../guarded.h"

namespace {

using at::Tensor;
using c10::IValue;

const c10::Device kSimulated(c10::DeviceType::CUDA, 0);

// Which of these libtorch asks for, and which it declares, changes from version to version: hence no override.
struct Hooks : at::CUDAHooksInterface {
  void init() const {}
  bool hasCUDA() const { return true; }
  bool isBuilt() const { return true; }
  bool isAvailable() const { return true; }
  bool isPinnedPtr(const void *) const { return false; }
  at::Allocator *getPinnedMemoryAllocator() const { return c10::GetCPUAllocator(); }
  c10::DeviceIndex deviceCount() const { return 1; }
  int getNumGPUs() const { return 1; }
  c10::DeviceIndex current_device() const { return 0; }
  c10::DeviceIndex getCurrentDevice() const { return 0; }
  bool hasPrimaryContext(c10::DeviceIndex) const { return true; }
  void deviceSynchronize(c10::DeviceIndex) const {}
};

std::mutex mutex;  // of what follows
bool counting = false;
std::map<std::string, int64_t> counts;

void count(const std::string &what) {
  std::lock_guard<std::mutex> lock(mutex);
  if (counting) counts[what]++;
}

// Storages of the device, each with the CPU's of the same memory, which it owns.
struct Owned {
  c10::Storage cpu;
};

c10::Storage device_storage(const c10::Storage &cpu) {
  auto *owned = new Owned{cpu};
  c10::DataPtr data(const_cast<void *>(cpu.data()), owned, [](void *p) { delete static_cast<Owned *>(p); }, kSimulated);
  return c10::Storage(c10::Storage::use_byte_size_t(), cpu.nbytes(), std::move(data), nullptr, false);
}

c10::Storage cpu_storage(const c10::Storage &device) {
  return static_cast<Owned *>(device.data_ptr().get_context())->cpu;
}

Tensor like(const Tensor &t, c10::Storage storage, c10::DispatchKey key) {
  auto made = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(key), t.dtype());
  made.unsafeGetTensorImpl()->set_sizes_and_strides(t.sizes(), t.strides(), t.storage_offset());
  if (t.unsafeGetTensorImpl()->is_wrapped_number()) made.unsafeGetTensorImpl()->set_wrapped_number(true);
  return made;
}

// One call of an operation: its tensors on the device, and their twins on the CPU.
struct Call {
  std::vector<std::pair<Tensor, Tensor>> twins;  // device, CPU
  std::vector<Tensor> hosts;                     // the CPU's own, which an operation may return

  Tensor down(const Tensor &t) {
    if (!t.defined()) return t;
    if (!t.is_cuda()) {
      hosts.push_back(t);
      return t;
    }
    for (auto &[device, cpu] : twins) {
      if (device.is_same(t)) return cpu;
    }
    Tensor cpu = like(t, cpu_storage(t.storage()), c10::DispatchKey::CPU);
    twins.emplace_back(t, cpu);
    return cpu;
  }

  Tensor up(const Tensor &t) {
    if (!t.defined() || !t.is_cpu()) return t;
    for (auto &host : hosts) {
      if (host.is_same(t)) return t;
    }
    for (auto &[device, cpu] : twins) {
      if (cpu.is_same(t)) return device;
    }
    for (auto &[device, cpu] : twins) {  // a view
      if (cpu.storage().unsafeGetStorageImpl() == t.storage().unsafeGetStorageImpl()) {
        return like(t, device.storage(), c10::DispatchKey::CUDA);
      }
    }
    return like(t, device_storage(t.storage()), c10::DispatchKey::CUDA);
  }

  // Operations may have given their results another shape or memory.
  void settle() {
    for (auto &[device, cpu] : twins) {
      auto *impl = device.unsafeGetTensorImpl();
      if (cpu_storage(device.storage()).unsafeGetStorageImpl() != cpu.storage().unsafeGetStorageImpl()) {
        impl->set_storage_keep_dtype(device_storage(cpu.storage()));
      } else if (device.storage().nbytes() != cpu.storage().nbytes()) {
        auto same = cpu.storage();
        impl->set_storage_keep_dtype(device_storage(same));
      }
      if (device.sizes() != cpu.sizes() || device.strides() != cpu.strides()) {
        impl->set_sizes_and_strides(cpu.sizes(), cpu.strides(), cpu.storage_offset());
      }
    }
  }
};

template <typename F>
IValue each_tensor(const IValue &v, F f) {
  if (v.isTensor()) return f(v.toTensor());
  if (v.isTensorList()) {
    c10::List<Tensor> out;
    for (const Tensor &t : v.toTensorVector()) out.push_back(f(t));
    return out;
  }
  if (v.isOptionalTensorList()) {
    c10::List<std::optional<Tensor>> out;
    for (const std::optional<Tensor> &t : v.toOptionalTensorVector()) {
      out.push_back(t.has_value() ? std::optional<Tensor>(f(*t)) : std::nullopt);
    }
    return out;
  }
  return v;
}

// Operations whose result's shape depends on values, or which are a value.
const std::set<std::string> waiting = {
    "aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal", "aten::is_nonzero", "aten::_unique2",
    "aten::unique_dim", "aten::unique_consecutive", "aten::bincount", "aten::repeat_interleave", "aten::_linalg_eigh",
    "aten::_linalg_svd", "aten::linalg_qr", "aten::_assert_async"};

void operation(const c10::OperatorHandle &op, torch::jit::Stack *stack) {
  const auto &schema = op.schema();
  const std::string &name = schema.name();
  const size_t n = schema.arguments().size(), m = schema.returns().size();
  const size_t first = stack->size() - n;
  at::AutoDispatchBelowADInplaceOrView below;

  const bool copies = name == "aten::copy_";
  if (copies) {
    const Tensor &to = (*stack)[first].toTensor(), &from = (*stack)[first + 1].toTensor();
    const bool blocking = !(*stack)[first + 2].toBool();
    if (to.is_cpu()) count("copy to the host");
    // A host's scalar goes with the kernel's arguments.
    if (from.is_cpu() && to.is_cuda() && blocking && from.dim() > 0) count("blocking copy to the device");
  } else if (waiting.count(name)) {
    count(name);
  }
  Call call;
  for (size_t i = first; i < stack->size(); i++) {
    IValue &v = (*stack)[i];
    if (v.isDevice()) {
      v = c10::Device(c10::kCPU);
      continue;
    }
    v = each_tensor(v, [&](const Tensor &t) {
      // Numbers, and index tensors' lists, may come from the host; so does what is copied.
      if (t.defined() && t.is_cpu() && t.dim() > 0 && !copies) {
        count("mixed devices: " + name);
        TORCH_CHECK(false, "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu, in ", name);
      }
      return call.down(t);
    });
  }
  op.callBoxed(stack);
  call.settle();
  const bool value = name == "aten::_local_scalar_dense";
  if (value) return;
  for (size_t i = stack->size() - m; i < stack->size(); i++) {
    (*stack)[i] = each_tensor((*stack)[i], [&](const Tensor &t) { return call.up(t); });
  }
}


}  // namespace

char *gojepa_simcuda_register(void) {
  return guarded([] {
    TORCH_CHECK(!c10::impl::hasDeviceGuardImpl(c10::DeviceType::CUDA), "CUDA is there already, real or simulated");
    at::CUDAHooksRegistry()->Register("CUDAHooks", [](at::CUDAHooksArgs) -> std::unique_ptr<at::CUDAHooksInterface> {
      return std::make_unique<Hooks>();
    });
    TORCH_CHECK(at::detail::getCUDAHooks().hasCUDA(), "libtorch has looked for CUDA already: simulate it before anything is computed");
    static c10::impl::FakeGuardImpl<c10::DeviceType::CUDA> guard;
    c10::impl::registerDeviceGuard(c10::DeviceType::CUDA, &guard);
    static torch::Library all(torch::Library::IMPL, "_", c10::DispatchKey::CUDA, __FILE__, __LINE__);
    all.fallback(torch::CppFunction::makeFromBoxedFunction<&operation>());
    // These have kernels for any device that are made of others, some of them by asking for a device's own parts.
    static torch::Library some(torch::Library::IMPL, "aten", c10::DispatchKey::CUDA, __FILE__, __LINE__);
    for (const char *name : {"copy_", "convolution", "convolution_backward", "native_layer_norm", "native_batch_norm",
                             "native_batch_norm_backward", "_local_scalar_dense"}) {
      some.impl(name, torch::CppFunction::makeFromBoxedFunction<&operation>());
    }
  });
}

void gojepa_simcuda_start(void) {
  std::lock_guard<std::mutex> lock(mutex);
  counts.clear();
  counting = true;
}

char *gojepa_simcuda_stop(void) {
  std::lock_guard<std::mutex> lock(mutex);
  counting = false;
  std::string text;
  for (auto &[what, n] : counts) text += what + "\t" + std::to_string(n) + "\n";
  return strdup(text.c_str());
}

#else  // What libtorch asks of a device was another thing before.

char *gojepa_simcuda_register(void) { return strdup("expected libtorch 2.11 or later, this is " TORCH_VERSION); }
void gojepa_simcuda_start(void) {}
char *gojepa_simcuda_stop(void) { return strdup(""); }

#endif
