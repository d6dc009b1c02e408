#include "base/error.h"

#include <fmt/core.h>

namespace sparsify {

Error::Error(Problem problem, int exit_code)
    : std::runtime_error(problem.what), problem_(std::move(problem)), exit_code_(exit_code) {
  render();
}

void Error::add_context(std::string_view context) {
  context_ += context_.empty() ? "" : ", ";
  context_ += context;
  render();
}

void Error::set_where(std::string where) {
  problem_.where = std::move(where);
  render();
}

void Error::render() {
  text_ = fmt::format("error: {}\n   at: {}{}\n  fix: {}", problem_.what, problem_.where,
                      context_.empty() ? "" : " (" + context_ + ")", problem_.fix);
}

void invariant(bool holds, const char* claim, const char* file, int line) {
  if (!holds) throw std::logic_error(fmt::format("invariant broken: {} ({}:{})", claim, file, line));
}

}  // namespace sparsify
