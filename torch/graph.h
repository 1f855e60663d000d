// Parts of a backward pass. Tensors are gotch's handles, that is at::Tensor*. Functions return NULL, or a message that the
// caller frees.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

// Runs the backward pass of a tensor on which the gradient grad, of its shape, arrives.
char *gojepa_backward(void *self, void *grad);

#ifdef __cplusplus
}
#endif
