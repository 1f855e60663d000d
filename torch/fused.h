// The residual branches of a transformer's block, each as one operation of autograd. Tensors are gotch's handles, that is
// at::Tensor*. Functions return NULL, or a message that the caller frees.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// What the two branches have in common: x [N, T, C] and its normalisation, two linear layers, and an optional factor of
// each of the N samples, float32 [N]. Linear layers compute in the given type of ATen.
typedef struct {
  void *x, *norm_weight, *norm_bias;
  double eps;
  void *weight1, *bias1, *weight2, *bias2;
  void *keep;  // NULL: none
  int dtype;
} gojepa_branch;

// x + keep · (gelu(norm(x)·weight1ᵀ + bias1)·weight2ᵀ + bias2)
char *gojepa_mlp_branch(void **out, const gojepa_branch *b);
// x + keep · (attention(norm(x)·weight1ᵀ + bias1)·weight2ᵀ + bias2), of so many heads
char *gojepa_attention_branch(void **out, const gojepa_branch *b, int64_t heads);

#ifdef __cplusplus
}
#endif
