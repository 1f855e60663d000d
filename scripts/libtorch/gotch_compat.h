// Forced into every C++ file of the build (CGO_CXXFLAGS -include …): overloads with the signatures that
// gotch v0.9.1 was generated for (libtorch 2.1) and that later versions of libtorch changed.
// gojepa calls none of them; they only let gotch's generated wrappers compile, and they throw if ever called.
#pragma once

#ifdef __cplusplus
#include <torch/version.h>

#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR > 1
#include <ATen/core/Tensor.h>

#include <optional>
#include <stdexcept>
#include <tuple>

namespace at {

[[noreturn]] inline void gojepa_changed_op(const char *op) {
  throw std::runtime_error(std::string(op) + " has another signature in this libtorch than gotch v0.9.1 knows");
}

#if TORCH_VERSION_MINOR > 4 || TORCH_VERSION_MAJOR > 2
inline std::tuple<Tensor, Tensor> _scaled_mm(const Tensor &, const Tensor &, const Tensor &,
                                             std::optional<ScalarType>, const Tensor &, const Tensor &,
                                             const Tensor &) {
  gojepa_changed_op("_scaled_mm");
}

inline std::tuple<Tensor, Tensor> _scaled_mm_out(const Tensor &, const Tensor &, const Tensor &, const Tensor &,
                                                 const Tensor &, std::optional<ScalarType>, const Tensor &,
                                                 const Tensor &, const Tensor &) {
  gojepa_changed_op("_scaled_mm_out");
}
#endif

inline Tensor _cslt_sparse_mm(const Tensor &, const Tensor &, const Tensor &, bool) {
  gojepa_changed_op("_cslt_sparse_mm");
}

}  // namespace at
#endif
#endif
