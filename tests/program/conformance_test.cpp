#include <fmt/core.h>

#include <fstream>
#include <map>

#include "program/cases.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

/// `name: reason` a line; empty lines and lines that begin with # say nothing.
std::map<std::string, std::string> known_failures(const std::string& path) {
  std::ifstream in(path);
  REQUIRE(in.good());
  std::map<std::string, std::string> known;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line.front() == '#') continue;
    const size_t colon = line.find(": ");
    INFO("line without a reason: " << line);
    REQUIRE(colon != std::string::npos);
    known.emplace(line.substr(0, colon), line.substr(colon + 2));
  }
  return known;
}

}  // namespace

TEST_CASE("every ONNX conformance case passes unless the list of known failures explains it", "[program][conformance]") {
  const auto root = unpacked_conformance_cases();
  if (root.empty()) return;
  std::map<std::string, std::string> known = known_failures("tests/program/conformance_known_failures.txt");
  int passed = 0;
  int failed = 0;
  for (const RecordedCase& recorded : find_cases(root)) {
    const std::string problem = run_case(recorded, {});
    problem.empty() ? ++passed : ++failed;
    const bool listed = known.erase(recorded.name) > 0;
    INFO(recorded.name << (listed ? " passes now: take it off the list" : " fails: " + problem));
    CHECK(problem.empty() != listed);
  }
  for (const auto& [name, reason] : known) {
    INFO("the list names a case that does not exist: " << name);
    CHECK(name.empty());
  }
  fmt::print("ONNX conformance: {} cases pass, {} fail as listed\n", passed, failed);
  CHECK(passed + failed > 1900);
}
