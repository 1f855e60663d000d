// C++ exceptions as messages, for functions that Go calls.
#pragma once
#include <c10/util/Exception.h>

#include <cstring>
#include <exception>

// NULL, or the message of what f threw, which the caller frees.
template <typename F>
char *guarded(F f) {
  try {
    f();
    return nullptr;
  } catch (const c10::Error &e) {
    return strdup(e.what_without_backtrace());
  } catch (const std::exception &e) {
    return strdup(e.what());
  }
}
