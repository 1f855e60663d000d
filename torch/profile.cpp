#include "profile.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

#include "guarded.h"

namespace profiler = torch::autograd::profiler;
namespace impl = torch::profiler::impl;

namespace {

struct Span {
  std::string name;
  at::RecordFunction record{at::RecordScope::USER_SCOPE};

  explicit Span(const char *of) : name(of) {
    if (record.isActive()) record.before(name.c_str());
  }
};

// Keeps what C prints to stderr to itself: kineto complains that another thread has loaded it, which matters only to a part
// of it that is not used here.
struct Quiet {
#ifdef __GLIBC__
  FILE *before = stderr, *nowhere = fopen("/dev/null", "w");

  Quiet() {
    if (nowhere) stderr = nowhere;
  }
  ~Quiet() {
    stderr = before;
    if (nowhere) fclose(nowhere);
  }
#endif
};

}  // namespace

extern "C" {

char *gojepa_profile_start(int cuda) {
  return guarded([&] {
    TORCH_CHECK(!impl::profilerEnabled(), "a profile of this thread is under way");
    impl::ProfilerConfig config(impl::ProfilerState::KINETO);
    std::set<impl::ActivityType> activities{impl::ActivityType::CPU};
    if (cuda) {
      activities.insert(impl::ActivityType::CUDA);
    } else {
      setenv("KINETO_LOG_LEVEL", "5", /*overwrite=*/0);  // it would complain that there is no GPU
    }
    {
      Quiet quiet;
      profiler::prepareProfiler(config, activities);
    }
    profiler::enableProfiler(config, activities,
                             {at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION, at::RecordScope::USER_SCOPE});
  });
}

char *gojepa_profile_stop(const char *path) {
  return guarded([&] {
    TORCH_CHECK(impl::profilerEnabled(), "this thread is not profiled");
    profiler::disableProfiler()->save(path);
  });
}

void *gojepa_span_begin(const char *name) { return new Span(name); }

void gojepa_span_end(void *span) { delete static_cast<Span *>(span); }

}  // extern "C"
