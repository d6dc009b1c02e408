// run_cases [FILTER...] [--root DIR]: runs recorded cases whose name contains a filter (conformance archive by default)
// and prints one line each. A development tool; the tests call the same functions.
#include <fmt/core.h>

#include <cstring>

#include "program/cases.h"

int main(int argc, char** argv) {
  using namespace sparsify;
  std::vector<std::string> filters;
  std::filesystem::path root;
  bool only_failures = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--root") == 0 && i + 1 < argc) root = argv[++i];
    else if (std::strcmp(argv[i], "--failures") == 0) only_failures = true;
    else filters.emplace_back(argv[i]);
  }
  if (root.empty()) root = unpacked_conformance_cases();
  if (root.empty()) return 77;
  int passed = 0;
  int failed = 0;
  for (const RecordedCase& recorded : find_cases(root)) {
    bool wanted = filters.empty();
    for (const std::string& filter : filters) wanted = wanted || recorded.name.find(filter) != std::string::npos;
    if (!wanted) continue;
    const std::string problem = run_case(recorded, {});
    problem.empty() ? ++passed : ++failed;
    if (problem.empty() && only_failures) continue;
    fmt::print("{} {} {}\n", problem.empty() ? "pass" : "FAIL", recorded.name,
               problem.empty() ? fmt::format("{:.2g}", last_relative_difference()) : problem);
    std::fflush(stdout);
  }
  fmt::print("{} passed, {} failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
