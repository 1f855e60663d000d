#include "graph.h"

#include <ATen/ATen.h>

#include "guarded.h"

extern "C" char *gojepa_backward(void *self, void *grad) {
  return guarded([&] { static_cast<at::Tensor *>(self)->backward(*static_cast<at::Tensor *>(grad)); });
}
