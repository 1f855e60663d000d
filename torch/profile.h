// Where the time goes, by libtorch's profiler. Functions that can fail return NULL, or a message that the caller frees.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

// Has the profiler follow this thread and those that work for it, and, if cuda, the device. There is one at a time.
char *gojepa_profile_start(int cuda);
// Ends it, on the thread that started it, and writes what was seen as a Chrome trace.
char *gojepa_profile_stop(const char *path);

// A named span of this thread, until it is ended.
void *gojepa_span_begin(const char *name);
void gojepa_span_end(void *span);

#ifdef __cplusplus
}

#include <ATen/record_function.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <torch/csrc/profiler/api.h>

#include <memory>
#include <optional>

namespace gojepa {

// Has the profiler that follows the thread which makes it follow others, too, that work for that thread. Where there is none it
// does nothing. Of a thread's state only the profiler's is changed.
class Followed {
 public:
  Followed() {
    if (!torch::profiler::impl::profilerEnabled()) return;
    info_ = c10::ThreadLocalDebugInfo::current();
    callbacks_ = at::get_record_function_tls_();
  }

  // A thread is followed while it has one.
  class Worker {
   public:
    explicit Worker(const Followed &by) {
      if (!by.callbacks_ || torch::profiler::impl::profilerEnabled()) return; // or followed already
      before_ = at::get_record_function_tls_();
      info_.emplace(by.info_);
      at::set_record_function_tls_(*by.callbacks_);
    }
    ~Worker() {
      if (before_) at::set_record_function_tls_(*before_);
    }
    Worker(const Worker &) = delete;
    Worker &operator=(const Worker &) = delete;

   private:
    std::optional<c10::DebugInfoGuard> info_;
    std::optional<at::RecordFunctionTLS> before_;
  };

 private:
  std::shared_ptr<c10::ThreadLocalDebugInfo> info_;
  std::optional<at::RecordFunctionTLS> callbacks_;
};

}  // namespace gojepa
#endif
