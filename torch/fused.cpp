#include "fused.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "guarded.h"
#include "profile.h"

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Rows of tokens that are worked on at once: few enough that what they need on the way through a branch stays in the
// processor's cache, and enough that matrix products do not spend their time on laying out the weights.
constexpr int64_t kRows = 1024;

// One operation on one thread, without graph and without autocast.
struct Plain {
  at::AutoDispatchBelowADInplaceOrView below;
  c10::impl::ExcludeDispatchKeyGuard autocast{c10::autocast_dispatch_keyset};
};

// Samples [0, n) in chunks of about kRows tokens, which lanes take in turn. What a lane works on depends on n, tokens and the
// number of lanes, so that sums over lanes are the same in every run.
struct Chunks {
  int64_t samples, size, lanes;

  Chunks(int64_t n, int64_t tokens)
      : samples(n),
        size(std::clamp<int64_t>(kRows / tokens, 1, std::max<int64_t>(n, 1))),
        lanes(std::clamp<int64_t>((n + size - 1) / size, 1, at::get_num_threads())) {}

  // f(lane, from, to) for every chunk of every lane.
  template <typename F>
  void each(F f) const {
    gojepa::Followed followed;
    at::parallel_for(0, lanes, 1, [&](int64_t first, int64_t last) {
      gojepa::Followed::Worker worker(followed);
      Plain plain;
      for (int64_t lane = first; lane < last; lane++) {
        for (int64_t from = lane * size; from < samples; from += lanes * size) {
          f(lane, from, std::min(from + size, samples));
        }
      }
    });
  }
};

// The tensors of a branch, in the order in which autograd has them.
struct Branch {
  Tensor x, norm_weight, norm_bias, weight1, bias1, weight2, bias2, keep;
  double eps;
  at::ScalarType dtype;

  bool dropped() const { return keep.numel() > 0; }
  int64_t samples() const { return x.size(0); }
  int64_t tokens() const { return x.size(1); }
  int64_t width() const { return x.size(2); }

  // Weights in the type that is computed in.
  Branch cast() const {
    Branch b = *this;
    for (Tensor *t : {&b.weight1, &b.bias1, &b.weight2, &b.bias2}) *t = t->to(dtype);
    return b;
  }

  // Rows of x, and their normalisation with its mean and inverse deviation.
  Tensor rows(const Tensor &t, int64_t from, int64_t to) const { return t.slice(0, from, to).reshape({-1, t.size(-1)}); }
  std::tuple<Tensor, Tensor, Tensor> normalised(const Tensor &rows) const {
    return at::native_layer_norm(rows, {width()}, norm_weight, norm_bias, eps);
  }

  // Multiplies rows of samples [from, to) by their factors.
  void drop(Tensor &rows, int64_t from, int64_t to) const {
    if (!dropped()) return;
    rows.view({to - from, -1}).mul_(keep.slice(0, from, to).to(rows.scalar_type()).unsqueeze(1));
  }
};

// Gradients of a branch's parameters, summed up by one lane in float32, or float64 where that is computed in.
struct Sums {
  Tensor norm_weight, norm_bias, weight1, bias1, weight2, bias2;

  explicit Sums(const Branch &b) {
    auto zeros = [](const Tensor &t) { return at::zeros_like(t, at::MemoryFormat::Contiguous); };
    norm_weight = zeros(b.norm_weight), norm_bias = zeros(b.norm_bias);
    weight1 = zeros(b.weight1), bias1 = zeros(b.bias1), weight2 = zeros(b.weight2), bias2 = zeros(b.bias2);
  }

  // Adds those of a linear layer, of which gradients and inputs are rows.
  static void add(Tensor &weight, Tensor &bias, const Tensor &gradient, const Tensor &input) {
    if (gradient.scalar_type() == weight.scalar_type()) {
      weight.addmm_(gradient.t(), input);
    } else {
      weight.add_(at::mm(gradient.t(), input));
    }
    bias.add_(gradient.sum({0}, false, bias.scalar_type()));
  }

  void add(const Sums &o) {
    norm_weight.add_(o.norm_weight), norm_bias.add_(o.norm_bias);
    weight1.add_(o.weight1), bias1.add_(o.bias1), weight2.add_(o.weight2), bias2.add_(o.bias2);
  }
};

// What the backward pass of a branch begins and ends with, of samples [from, to).
struct Arrival {
  const Branch &b;
  const Tensor &grad_out;
  int64_t from, to;
  Tensor rows, y, mean, rstd;  // of x: its rows, and their normalisation
  Tensor grad;                 // that arrives on linear2, in the type that is computed in

  Arrival(const Branch &b, const Tensor &grad_out, int64_t from, int64_t to)
      : b(b), grad_out(grad_out), from(from), to(to), rows(b.rows(b.x, from, to)) {
    std::tie(y, mean, rstd) = b.normalised(rows);
    y = y.to(b.dtype);
    grad = b.rows(grad_out, from, to).to(b.dtype, false, b.dropped());
    b.drop(grad, from, to);
  }

  // The gradient of the normalised rows goes through the normalisation and joins that of the shortcut.
  void through_norm(Sums &sums, const Tensor &grad_x, const Tensor &grad_y) const {
    auto grads = at::native_layer_norm_backward(grad_y.to(rows.scalar_type()), rows, {b.width()}, mean, rstd, b.norm_weight,
                                                b.norm_bias, {true, true, true});
    auto out = b.rows(grad_x, from, to);
    at::add_out(out, b.rows(grad_out, from, to), std::get<0>(grads));
    sums.norm_weight.add_(std::get<1>(grads));
    sums.norm_bias.add_(std::get<2>(grads));
  }
};

void remember(AutogradContext *ctx, const Branch &b, const Tensor &inner) {
  ctx->save_for_backward({b.x, b.norm_weight, b.norm_bias, b.weight1, b.bias1, b.weight2, b.bias2, b.keep, inner});
  ctx->saved_data["eps"] = b.eps;
  ctx->saved_data["dtype"] = static_cast<int64_t>(b.dtype);
}

Branch recall(AutogradContext *ctx, Tensor &inner) {
  auto v = ctx->get_saved_variables();
  inner = v[8];
  return {v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], ctx->saved_data["eps"].toDouble(),
          static_cast<at::ScalarType>(ctx->saved_data["dtype"].toInt())};
}

// Runs f(sums, from, to) on all chunks and returns the gradients of the branch's tensors.
template <typename F>
variable_list backward_of(const Branch &b, const Tensor &grad_x, F f) {
  Chunks chunks(b.samples(), b.tokens());
  std::vector<Sums> sums;
  for (int64_t i = 0; i < chunks.lanes; i++) sums.emplace_back(b);
  chunks.each([&](int64_t lane, int64_t from, int64_t to) { f(sums[lane], from, to); });
  Sums &s = sums[0];
  for (size_t i = 1; i < sums.size(); i++) s.add(sums[i]);
  return {grad_x, s.norm_weight, s.norm_bias, s.weight1, s.bias1, s.weight2, s.bias2, Tensor()};
}

struct MLPBranch : torch::autograd::Function<MLPBranch> {
  static Tensor forward(AutogradContext *ctx, const Tensor &x, const Tensor &norm_weight, const Tensor &norm_bias,
                        const Tensor &weight1, const Tensor &bias1, const Tensor &weight2, const Tensor &bias2,
                        const Tensor &keep, double eps, int64_t dtype, bool graph) {
    Plain plain;
    Branch b{x.contiguous(), norm_weight, norm_bias, weight1, bias1, weight2, bias2, keep, eps, static_cast<at::ScalarType>(dtype)};
    Branch c = b.cast();
    auto out = at::empty_like(b.x);
    // Before the activation; all that the backward pass needs besides x.
    Tensor inner = graph ? at::empty({b.samples(), b.tokens(), weight1.size(0)}, c.weight1.options()) : Tensor();
    Chunks(b.samples(), b.tokens()).each([&](int64_t, int64_t from, int64_t to) {
      auto rows = b.rows(b.x, from, to);
      auto y = std::get<0>(b.normalised(rows)).to(b.dtype);
      Tensor h;
      if (graph) {
        h = b.rows(inner, from, to);
        at::addmm_out(h, c.bias1, y, c.weight1.t());
      } else {
        h = at::addmm(c.bias1, y, c.weight1.t());
      }
      auto z = at::addmm(c.bias2, at::gelu(h), c.weight2.t());
      b.drop(z, from, to);
      auto o = b.rows(out, from, to);
      at::add_out(o, rows, z);
    });
    if (graph) remember(ctx, b, inner);
    return out;
  }

  static variable_list backward(AutogradContext *ctx, variable_list upstream) {
    Plain plain;
    Tensor inner;
    Branch b = recall(ctx, inner), c = b.cast();
    auto grad_out = upstream[0].contiguous();
    auto grad_x = at::empty_like(b.x);
    auto grads = backward_of(b, grad_x, [&](Sums &sums, int64_t from, int64_t to) {
      Arrival a(b, grad_out, from, to);
      auto h = b.rows(inner, from, to);
      Sums::add(sums.weight2, sums.bias2, a.grad, at::gelu(h));
      auto grad_h = at::mm(a.grad, c.weight2);
      at::gelu_backward_out(grad_h, grad_h, h);
      Sums::add(sums.weight1, sums.bias1, grad_h, a.y);
      a.through_norm(sums, grad_x, at::mm(grad_h, c.weight1));
    });
    grads.resize(11);
    return grads;
  }
};

// Queries, keys and values of n samples, each [n·heads, T, d], in one piece of memory.
struct Heads {
  int64_t n, tokens, heads, d;
  Tensor all;  // [3, n, heads, T, d]

  Tensor part(int64_t i) const { return all[i].view({n * heads, tokens, d}); }
  double scale() const { return 1 / std::sqrt(static_cast<double>(d)); }

  // softmax(q·kᵀ/√d) [n·heads, T, T]
  Tensor weights() const {
    auto k = part(1).transpose(1, 2);
    auto w = at::empty({n * heads, tokens, tokens}, all.options());
    at::baddbmm_out(w, w, part(0), k, 0, scale());
    at::_softmax_out(w, w, -1, false);
    return w;
  }

  // Rows [n·T, heads·d] of what is [n·heads, T, d], and back.
  Tensor joined(const Tensor &t) const { return t.view({n, heads, tokens, d}).transpose(1, 2).reshape({n * tokens, heads * d}); }
  Tensor split(const Tensor &rows) const { return rows.view({n, tokens, heads, d}).transpose(1, 2).reshape({n * heads, tokens, d}); }
};

struct AttentionBranch : torch::autograd::Function<AttentionBranch> {
  // What is kept of samples [from, to).
  static Heads at_samples(const Branch &b, const Tensor &inner, int64_t heads, int64_t from, int64_t to) {
    int64_t d = b.weight2.size(1) / heads, n = to - from;
    auto all = inner.slice(0, from, to).view({3, n, heads, b.tokens(), d});
    return {n, b.tokens(), heads, d, all};
  }

  static Tensor forward(AutogradContext *ctx, const Tensor &x, const Tensor &norm_weight, const Tensor &norm_bias,
                        const Tensor &weight1, const Tensor &bias1, const Tensor &weight2, const Tensor &bias2,
                        const Tensor &keep, double eps, int64_t dtype, bool graph, int64_t heads) {
    Plain plain;
    Branch b{x.contiguous(), norm_weight, norm_bias, weight1, bias1, weight2, bias2, keep, eps, static_cast<at::ScalarType>(dtype)};
    Branch c = b.cast();
    auto out = at::empty_like(b.x);
    int64_t inside = 3 * b.tokens() * weight2.size(1);
    // Queries, keys and values, in the order of Heads within a chunk; all that the backward pass needs besides x.
    Tensor inner = graph ? at::empty({b.samples(), inside}, c.weight1.options()) : Tensor();
    Chunks(b.samples(), b.tokens()).each([&](int64_t, int64_t from, int64_t to) {
      auto rows = b.rows(b.x, from, to);
      auto y = std::get<0>(b.normalised(rows)).to(b.dtype);
      auto qkv = at::addmm(c.bias1, y, c.weight1.t());
      Heads h = graph ? at_samples(b, inner, heads, from, to)
                      : at_samples(b, at::empty({to - from, inside}, qkv.options()), heads, 0, to - from);
      h.all.copy_(qkv.view({h.n, h.tokens, 3, heads, h.d}).permute({2, 0, 3, 1, 4}));
      auto z = at::addmm(c.bias2, h.joined(at::bmm(h.weights(), h.part(2))), c.weight2.t());
      b.drop(z, from, to);
      auto o = b.rows(out, from, to);
      at::add_out(o, rows, z);
    });
    if (graph) {
      remember(ctx, b, inner);
      ctx->saved_data["heads"] = heads;
    }
    return out;
  }

  static variable_list backward(AutogradContext *ctx, variable_list upstream) {
    Plain plain;
    Tensor inner;
    Branch b = recall(ctx, inner), c = b.cast();
    int64_t heads = ctx->saved_data["heads"].toInt();
    auto grad_out = upstream[0].contiguous();
    auto grad_x = at::empty_like(b.x);
    auto grads = backward_of(b, grad_x, [&](Sums &sums, int64_t from, int64_t to) {
      Arrival a(b, grad_out, from, to);
      Heads h = at_samples(b, inner, heads, from, to);
      auto q = h.part(0), k = h.part(1), v = h.part(2);
      auto w = h.weights();
      Sums::add(sums.weight2, sums.bias2, a.grad, h.joined(at::bmm(w, v)));
      auto grad_o = h.split(at::mm(a.grad, c.weight2));
      Heads grad{h.n, h.tokens, h.heads, h.d, at::empty_like(h.all, at::MemoryFormat::Contiguous)};
      auto grad_q = grad.part(0), grad_k = grad.part(1), grad_v = grad.part(2);
      at::bmm_out(grad_v, w.transpose(1, 2), grad_o);
      auto grad_w = at::bmm(grad_o, v.transpose(1, 2));
      at::_softmax_backward_data_out(grad_w, grad_w, w, -1, w.scalar_type());
      at::baddbmm_out(grad_q, grad_q, grad_w, k, 0, h.scale());
      at::baddbmm_out(grad_k, grad_k, grad_w.transpose(1, 2), q, 0, h.scale());

      auto grad_qkv = grad.all.permute({1, 3, 0, 2, 4}).reshape({a.rows.size(0), -1});
      Sums::add(sums.weight1, sums.bias1, grad_qkv, a.y);
      a.through_norm(sums, grad_x, at::mm(grad_qkv, c.weight1));
    });
    grads.resize(12);
    return grads;
  }
};

const Tensor &ref(void *t) { return *static_cast<Tensor *>(t); }

// autograd's functions do not take undefined tensors: no factors are an empty one.
Tensor keep_of(const gojepa_branch *b) { return b->keep ? ref(b->keep) : at::empty({0}); }

bool wants_graph(const gojepa_branch *b) {
  if (!at::GradMode::is_enabled()) return false;
  for (void *t : {b->x, b->norm_weight, b->norm_bias, b->weight1, b->bias1, b->weight2, b->bias2}) {
    if (ref(t).requires_grad()) return true;
  }
  return false;
}

}  // namespace

extern "C" {

char *gojepa_mlp_branch(void **out, const gojepa_branch *b) {
  return guarded([&] {
    RECORD_FUNCTION("gojepa::mlp_branch", c10::ArrayRef<const c10::IValue>{});
    *out = new Tensor(MLPBranch::apply(ref(b->x), ref(b->norm_weight), ref(b->norm_bias), ref(b->weight1), ref(b->bias1),
                                       ref(b->weight2), ref(b->bias2), keep_of(b), b->eps,
                                       static_cast<int64_t>(b->dtype), wants_graph(b)));
  });
}

char *gojepa_attention_branch(void **out, const gojepa_branch *b, int64_t heads) {
  return guarded([&] {
    RECORD_FUNCTION("gojepa::attention_branch", c10::ArrayRef<const c10::IValue>{});
    *out = new Tensor(AttentionBranch::apply(ref(b->x), ref(b->norm_weight), ref(b->norm_bias), ref(b->weight1), ref(b->bias1),
                                             ref(b->weight2), ref(b->bias2), keep_of(b), b->eps,
                                             static_cast<int64_t>(b->dtype), wants_graph(b), heads));
  });
}

}  // extern "C"
