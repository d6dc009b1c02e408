#include <chrono>
#include <filesystem>
#include <iostream>

#include "pipeline/groups.h"
#include "support/catch.h"
#include "support/shared.h"

using namespace sparsify;

namespace {

std::vector<std::string> graphs() {
  std::vector<std::string> paths;
  for (const char* folder : {"zoo", "models"}) {
    const std::filesystem::path root = shared_or_skip(folder, "analysis of real graphs");
    if (root.empty()) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      if (entry.path().extension() == ".onnx") paths.push_back(entry.path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

TEST_CASE("every real graph is analysed in a blink, and what stays has a reason", "[structure][zoo]") {
  for (const std::string& path : graphs()) {
    INFO(path);
    const ModelFile file = ModelFile::load(path);
    const auto start = std::chrono::steady_clock::now();
    const Structure structure = Structure::analyse(file);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    CHECK(seconds.count() < 2.0);
    for (const Group& group : structure.groups()) {
      INFO(group.name);
      CHECK(group.units == static_cast<int64_t>(group.unit_frozen.size()));
      if (!group.is_cuttable() && group.units > 1) CHECK_FALSE(group.frozen.empty());
      CHECK_FALSE(group.name.empty());
    }
    CHECK_FALSE(structure.empties(structure.nothing_removed()));
  }
}

TEST_CASE("print what holds the weights of real graphs", "[.print]") {
  const char* only = std::getenv("GRAPH");
  for (const std::string& path : graphs()) {
    if (only != nullptr && path.find(only) == std::string::npos) continue;
    const auto start = std::chrono::steady_clock::now();
    const GroupReport report = report_groups(ModelFile::load(path));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::cout << fmt::format("{} {:.3f} ({} of {}) {:.2f} s\n", path, report.share(), report.cuttable, report.prunable, seconds.count());
    for (const GroupedWeight& weight : report.weights) {
      if (weight.cuttable && only == nullptr) continue;
      std::cout << fmt::format("    {} {} {} {}\n", weight.cuttable ? "ok " : "NOT", weight.tensor.count(), weight.tensor.layer, weight.tensor.initializer);
      for (const int id : weight.groups) {
        const Group& group = report.groups[static_cast<size_t>(id)];
        std::cout << fmt::format("        {} {} units {} free {}\n", group.name, group.kind, group.units, group.free_units());
        for (const Freeze& freeze : group.frozen) std::cout << "            " << to_text(freeze) << "\n";
      }
    }
  }
}
