#include "script.h"

#include <ATen/TracerMode.h>
#include <ATen/core/jit_type.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstring>
#include <string>
#include <unordered_set>
#include <vector>

#include "guarded.h"

extern "C" void *gojepaTrace(uintptr_t job, void *x);  // script.go

namespace {

using torch::jit::Module;

struct Entry {
  std::string name;
  at::Tensor tensor;
  bool buffer;
};

struct Script {
  Module module;
  std::vector<Entry> entries;
};

Script &script(void *s) { return *static_cast<Script *>(s); }

// Parameters and buffers in the order of PyTorch's state_dict: a module's own, then those of its children. A tensor that is
// there twice counts once, under its first name.
void collect(const Module &m, const std::string &prefix, std::unordered_set<void *> &seen, std::vector<Entry> &out) {
  auto type = m.type();
  for (bool buffer : {false, true}) {
    for (size_t i = 0; i < type->numAttributes(); i++) {
      if (!(buffer ? type->is_buffer(i) : type->is_parameter(i))) continue;
      auto v = m._ivalue()->getSlot(i);
      if (!v.isTensor() || !v.toTensor().defined() || !seen.insert(v.toTensor().unsafeGetTensorImpl()).second) continue;
      out.push_back({prefix + type->getAttributeName(i), v.toTensor(), buffer});
    }
  }
  for (const auto &child : m.named_children()) collect(child.value, prefix + child.name + ".", seen, out);
}

void *finish(Module m) {
  auto s = std::make_unique<Script>();
  std::unordered_set<void *> seen;
  collect(m, "", seen, s->entries);
  s->module = std::move(m);
  return s.release();
}

// A tree of modules under construction. Their types are made from the leaves up, as a type is complete once it is used.
struct Node {
  std::vector<std::pair<std::string, Node>> children;
  std::vector<Entry> own;

  Node &child(const std::string &name) {
    for (auto &c : children) {
      if (c.first == name) return c.second;
    }
    children.emplace_back(name, Node());
    return children.back().second;
  }

  Module build(const std::shared_ptr<torch::jit::CompilationUnit> &cu) const {
    Module m("__torch__.gojepa.Module", cu, /*shouldMangle=*/true);
    m.register_attribute("training", c10::BoolType::get(), false);
    for (const auto &e : own) m.register_parameter(e.name, e.tensor, e.buffer);
    for (const auto &c : children) m.register_module(c.first, c.second.build(cu));
    return m;
  }

  // Copies keep a module from sharing memory with what it was traced from.
  void detach(Module m) const {
    for (const auto &e : own) {
      m._ivalue()->setAttr(e.name, e.tensor.detach().clone().requires_grad_(!e.buffer));
    }
    for (const auto &c : children) c.second.detach(m.attr(c.first).toModule());
  }
};

}  // namespace

extern "C" {

char *gojepa_script_load(void **out, const char *path, int device, const char *extra_name, char **extra, size_t *extra_size) {
  return guarded([&] {
    torch::jit::ExtraFilesMap files{{extra_name, ""}};
    auto where = device < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device));
    Module m = torch::jit::load(std::string(path), where, files);
    const std::string &text = files[extra_name];
    *extra = static_cast<char *>(malloc(text.size() + 1));
    memcpy(*extra, text.data(), text.size());
    *extra_size = text.size();
    *out = finish(std::move(m));
  });
}

char *gojepa_script_save(void *s, const char *path, const char *extra_name, const char *extra, size_t extra_size) {
  return guarded([&] {
    torch::jit::ExtraFilesMap files;
    if (extra_size > 0) files[extra_name] = std::string(extra, extra_size);
    script(s).module.save(std::string(path), files);
  });
}

void gojepa_script_free(void *s) { delete static_cast<Script *>(s); }

// Without the optimiser of graphs: it changes the arithmetic after the first runs, so that no run would equal another.
char *gojepa_script_forward(void **out, void *s, void *x, int train) {
  return guarded([&] {
    Module &m = script(s).module;
    torch::jit::GraphOptimizerEnabledGuard plain(false);
    m.train(train != 0);
    auto y = m.forward({*static_cast<at::Tensor *>(x)});
    if (y.isTuple() && !y.toTupleRef().elements().empty()) y = y.toTupleRef().elements()[0];
    TORCH_CHECK(y.isTensor(), "the module returns ", y.tagKind(), ", expected a tensor");
    *out = new at::Tensor(y.toTensor());
  });
}

size_t gojepa_script_size(void *s) { return script(s).entries.size(); }

void gojepa_script_entry_at(void *s, size_t i, gojepa_script_entry *out) {
  const Entry &e = script(s).entries[i];
  *out = {e.name.c_str(), new at::Tensor(e.tensor), e.buffer};
}

char *gojepa_script_trace(void **out, size_t n, const char *const *names, void *const *tensors, const int *buffers, void *x,
                          uintptr_t job) {
  return guarded([&] {
    Node root;
    for (size_t i = 0; i < n; i++) {
      Node *at = &root;
      std::string name = names[i];
      for (size_t dot; (dot = name.find('.')) != std::string::npos; name = name.substr(dot + 1)) {
        at = &at->child(name.substr(0, dot));
      }
      at->own.push_back({name, *static_cast<at::Tensor *>(tensors[i]), buffers[i] != 0});
    }
    auto cu = std::make_shared<torch::jit::CompilationUnit>();
    Module m = root.build(cu);
    auto forward = [&](torch::jit::Stack in) -> torch::jit::Stack {
      auto *y = static_cast<at::Tensor *>(gojepaTrace(job, new at::Tensor(in[0].toTensor())));
      TORCH_CHECK(y, "the traced function failed");
      at::Tensor result = *y;
      delete y;
      return {result};
    };
    auto traced = torch::jit::tracer::trace({*static_cast<at::Tensor *>(x)}, forward, [](const at::Tensor &) { return ""; },
                                            /*strict=*/true, /*force_outplace=*/false, &m, {"x"});
    auto graph = traced.first->graph;
    torch::jit::EliminateDeadCode(graph);
    auto *method = cu->create_function(c10::QualifiedName(*m.type()->name(), "forward"), graph);
    m.type()->addMethod(method);
    root.detach(m);
    *out = finish(std::move(m));
  });
}

// The size of the batch is like's, whatever it is when the trace is run.
char *gojepa_expand_batch(void **out, void *self, void *like) {
  return guarded([&] {
    const auto &t = *static_cast<at::Tensor *>(self), &x = *static_cast<at::Tensor *>(like);
    auto size = t.sizes().vec();
    TORCH_CHECK(!size.empty() && x.dim() > 0, "expected tensors with a dimension for the batch");
    size[0] = x.size(0);
    if (torch::jit::tracer::isTracing()) {
      torch::jit::tracer::ArgumentStash::stashIntArrayRefElem("size", size.size(), 0, torch::jit::tracer::getSizeOf(x, 0));
    }
    *out = new at::Tensor(t.expand(size));
  });
}

void gojepa_script_pause(int paused) {
  at::tracer::impl::set_dispatch_enabled(!paused);
}

}  // extern "C"
