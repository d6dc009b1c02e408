#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "support/catch.h"

namespace sparsify {

/// The problem that `action` ends in; a missing or other error fails the test.
inline Problem problem_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const ConfigError& e) {
    return e.problem();
  }
  FAIL("no ConfigError was thrown");
  return {};
}

}  // namespace sparsify
