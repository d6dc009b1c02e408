#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "base/error.h"
#include "mask/scores.h"
#include "pipeline/decide.h"
#include "pipeline/figures.h"
#include "support/catch.h"
#include "support/shared.h"

using namespace sparsify;

namespace {

const ModelFile& digits() {
  static const auto* file = new ModelFile(ModelFile::load("configs/quickstart/digits.onnx"));
  return *file;
}

Decisions decide_by(const std::string& rule, const std::string& more = "") {
  return decide(digits(), read_recipe(parse_yaml("model: configs/quickstart/digits.onnx\nprune: " + rule + "\n" + more, "test"), ""));
}

constexpr const char* kTrain = "data: {train: {format: npz, path: configs/quickstart/digits-train.npz, scale: 16, limit: 300}}";

int64_t kept_of(const Decisions& decisions) {
  return std::accumulate(decisions.decided.begin(), decisions.decided.end(), int64_t{0},
                         [](int64_t sum, const Decision& one) { return sum + one.mask.kept(); });
}

int64_t nonzero_of(const std::vector<PrunableTensor>& tensors) {
  const auto zeros = count_all_zeros(digits(), tensors);
  int64_t sum = 0;
  for (const PrunableTensor& tensor : tensors) sum += tensor.count() - zeros.at(tensor.id);
  return sum;
}

bool mentions(const std::vector<std::string>& texts, const std::string& part) {
  return std::any_of(texts.begin(), texts.end(), [&](const std::string& text) { return text.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("a budget of params is met to the weight, over all weights of the model", "[pipeline][allocation]") {
  const int64_t whole = nonzero_of(find_tensors(digits()));
  for (const char* allocation : {"global", "erk", "lamp"}) {
    INFO(allocation);
    const Decisions decisions = decide_by(std::string("{sparsity: {params: 0.5}, allocation: ") + allocation + "}");
    std::vector<PrunableTensor> others;
    for (const Skipped& skipped : decisions.skipped) others.push_back(skipped.tensor);
    CHECK(kept_of(decisions) + nonzero_of(others) == whole / 2);
    CHECK(mentions(decisions.notes, "budget {params: 0.5}"));
  }
}

TEST_CASE("a budget of MACs counts products with weights that stay", "[pipeline][allocation]") {
  const Decisions decisions = decide_by("{sparsity: {macs: 0.4}, allocation: global}");
  const auto macs = count_macs(digits()).by_node;
  double left = 0;
  double whole = 0;
  double coarsest = 0;  // of one weight
  for (const auto& [layer, count] : macs) whole += static_cast<double>(count);
  left = whole;
  for (const Decision& one : decisions.decided) {
    const double each = static_cast<double>(macs.at(one.tensor.layer)) / static_cast<double>(one.tensor.count());
    left -= each * static_cast<double>(one.mask.pruned());
    coarsest = std::max(coarsest, each);
  }
  CHECK(left <= 0.4 * whole);
  CHECK(left > 0.4 * whole - coarsest);
}

TEST_CASE("a budget of bytes stores each tensor in the smallest way", "[pipeline][allocation]") {
  const Decisions decisions = decide_by("{sparsity: {bytes: 0.3}, allocation: uniform}");
  double left = 0;
  double whole = 0;
  for (const PrunableTensor& tensor : find_tensors(digits())) {
    int64_t nonzero = nonzero_of({tensor});
    const auto stored = [&] {
      return static_cast<double>(std::min({tensor.count() * 4, nonzero * 4 + (tensor.count() + 7) / 8, nonzero * 8 + (tensor.output_channels() + 1) * 4}));
    };
    whole += stored();
    for (const Decision& one : decisions.decided) {
      if (one.tensor.id == tensor.id) nonzero = one.mask.kept();
    }
    left += stored();
  }
  CHECK(left <= 0.3 * whole);
  CHECK(left > 0.29 * whole);  // the next unit is one weight in each of seven layers
  CHECK(mentions(decisions.notes, "budget {bytes: 0.3}"));
}

TEST_CASE("budgets work with blocks, and those that cannot be met are refused", "[pipeline][allocation]") {
  const int64_t whole = nonzero_of(find_tensors(digits()));
  const Decisions blocks = decide_by("{sparsity: {params: 0.5}, pattern: {block: [4, 1]}, allocation: global}");
  std::vector<PrunableTensor> others;
  for (const Skipped& skipped : blocks.skipped) others.push_back(skipped.tensor);
  const int64_t left = kept_of(blocks) + nonzero_of(others);
  CHECK(left <= whole / 2);
  CHECK(left > whole / 2 - 4);
  CHECK_THROWS_WITH(decide_by("{sparsity: {params: 0.001}}"), Catch::Contains("cannot be met"));
  CHECK_THROWS_WITH(decide_by("{sparsity: {latency: 0.5}}"), Catch::Contains("removes channels"));
  CHECK_THROWS_WITH(decide_by("{sparsity: {memory: 0.5}}"), Catch::Contains("a budget of memory needs a pattern that removes channels"));
  CHECK_THROWS_WITH(decide_by("{sparsity: {macs: 0.5}, pattern: '2:4'}"), Catch::Contains("fixes the sparsity itself"));
  CHECK(kept_of(decide_by("{sparsity: {params: 1}}")) == kept_of(decide_by("{sparsity: 0}")));
}

TEST_CASE("ceilings and limits by layer hold, and are said where they move the target", "[pipeline][allocation]") {
  const Decisions capped = decide_by("{sparsity: 0.5, allocation: global, max_density: 0.6}");
  int64_t units = 0;
  for (const Decision& one : capped.decided) {
    CHECK(one.mask.kept() <= static_cast<int64_t>(0.6 * static_cast<double>(one.tensor.count())));
    units += one.tensor.count();
  }
  CHECK(kept_of(capped) == units - std::llround(0.5 * static_cast<double>(units)));

  const Decisions limited = decide_by("{sparsity: 0.9, allocation: global, density_limits: {'block1*': [0.5, 1], 'block1.conv2*': [0, 0.25]}}");
  for (const Decision& one : limited.decided) {
    const double density = static_cast<double>(one.mask.kept()) / static_cast<double>(one.tensor.count());
    if (one.tensor.layer == "block1.conv1") CHECK(density >= 0.5);
    if (one.tensor.layer == "block1.conv2") CHECK(density <= 0.25);
  }
  CHECK(mentions(decide_by("{sparsity: 0.2, max_density: 0.5}").warnings, "the ceilings keep"));
  CHECK(mentions(decide_by("{sparsity: 0.999, allocation: global}").warnings, "held at its floor"));
  CHECK(mentions(decide_by("{sparsity: 0.9999, allocation: global, min_density: 0}").warnings, "keeps nothing"));
}

TEST_CASE("scores that an allocation cannot take are refused before any data is asked for", "[pipeline][allocation]") {
  for (const char* criterion : {"grasp", "hessian_trace", "{name: obd, curvature: hessian}"}) {
    INFO(criterion);
    CHECK_THROWS_WITH(decide_by(std::string("{sparsity: 0.5, allocation: lamp, criterion: ") + criterion + "}"),
                      Catch::Contains("scores below zero too, and the allocation lamp") && Catch::Contains("(prune.0.allocation)"));
  }
  CHECK_THROWS_WITH(decide_by("{sparsity: 0.5, allocation: lamp, criterion: obd}"), !Catch::Contains("below zero"));  // for want of data
}

TEST_CASE("layers that the sensitivity table does not reach are named", "[pipeline][allocation]") {
  const std::string path = (std::filesystem::temp_directory_path() / ("sparsify-beyond-" + std::to_string(::getpid()) + ".json")).string();
  std::ofstream out(path);
  out << R"({"schema_version": 1, "kind": "sensitivity", "layers": [)";
  std::string comma;
  for (const PrunableTensor& tensor : find_tensors(digits())) {
    if (tensor.kind != "weight") continue;
    out << comma << R"({"initializer": ")" << tensor.initializer << R"(", "weights": )" << tensor.count() << R"(, "points": [)";
    for (const double at : {0.1, 0.2, 0.3, 0.4, 0.5}) {
      out << (at > 0.1 ? ", " : "") << R"({"pattern": "unstructured", "sparsity": )" << at << R"(, "divergence": )" << at * at << "}";
    }
    out << "]}";
    comma = ", ";
  }
  out << "]}";
  out.close();
  const auto beyond = [&](const char* sparsity) {
    return mentions(decide_by(std::string("{allocation: {name: sensitivity, table: ") + path + "}, sparsity: " + sparsity + "}").warnings,
                    "%, measured up to 50 %)");
  };
  CHECK(beyond("0.95"));
  CHECK_FALSE(beyond("0.1"));
  std::filesystem::remove(path);
}

TEST_CASE("layers on another scale are named in one warning, where magnitudes are ranked over all layers", "[pipeline][allocation]") {
  const auto zoo = shared_or_skip("zoo", "a network whose layers differ in scale");
  if (zoo.empty()) return;
  const std::string path = (zoo / "resnet18_slim" / "resnet18_slim.onnx").string();
  const ModelFile file = ModelFile::load(path);
  const auto count = [&](const std::string& rule, const std::string& part = "one global ranking") {
    const Decisions decisions = decide(file, read_recipe(parse_yaml("model: " + path + "\nprune: {solver: none, " + rule + "}\n", "test"), ""));
    return std::count_if(decisions.warnings.begin(), decisions.warnings.end(),
                         [&](const std::string& text) { return text.find(part) != std::string::npos; });
  };
  CHECK(count("sparsity: 0.5, allocation: global", "one global ranking takes most of them") == 1);
  CHECK(count("pattern: '2:4'") == 0);
  CHECK(count("sparsity: 0.5, allocation: uniform") == 0);
  CHECK(count("sparsity: 0.5, allocation: global, criterion: {name: magnitude, normalise: layer}") == 0);
}

TEST_CASE("uniform says when limits of single layers move the sparsity, which no other layer makes up for", "[pipeline][allocation]") {
  const Decisions held = decide_by("{sparsity: 0.5, allocation: uniform, density_limits: {\"block*\": [0.1, 0.3]}}");
  int64_t wanted = 0;
  int64_t layers = 0;
  for (const Decision& one : held.decided) {
    wanted += kept_count(one.mask.size(), 0.5);
    layers += one.tensor.layer.starts_with("block") ? 1 : 0;
  }
  REQUIRE(layers > 1);
  REQUIRE(kept_of(held) < wanted);
  CHECK(mentions(held.warnings, "the floors and ceilings of " + std::to_string(layers) + " layers keep " + std::to_string(kept_of(held)) + " instead of " +
                                    std::to_string(wanted) + ": more sparsity than asked for"));
  CHECK(mentions(decide_by("{sparsity: 0.5, allocation: uniform, density_limits: {\"block1*\": [0.9, 1]}}").warnings, "less sparsity than asked for"));
  CHECK_FALSE(mentions(decide_by("{sparsity: 0.5, allocation: uniform}").warnings, "than asked for"));
  CHECK_FALSE(mentions(decide_by("{sparsity: 0.5, allocation: uniform, density_limits: {\"block*\": [0.1, 0.6]}}").warnings, "than asked for"));
}

TEST_CASE("auto tries on calibration data and says why it chose", "[pipeline][allocation]") {
  const Decisions decisions = decide_by("{sparsity: 0.8, allocation: auto}", kTrain);
  REQUIRE(decisions.notes.size() == 1);
  CHECK(mentions(decisions.notes, "was chosen because it has the least divergence from the dense outputs"));
  for (const char* name : {"uniform", "global", "erk", "lamp"}) CHECK(mentions(decisions.notes, name));
  CHECK_THROWS_WITH(decide_by("{sparsity: 0.8, allocation: auto}"), Catch::Contains("tries on calibration data, and none is given"));
}

TEST_CASE("auto with a budget fits every candidate to it", "[pipeline][allocation]") {
  const int64_t whole = nonzero_of(find_tensors(digits()));
  const Decisions decisions = decide_by("{sparsity: {params: 0.3}, allocation: {name: auto, candidates: [global, erk]}}", kTrain);
  std::vector<PrunableTensor> others;
  for (const Skipped& skipped : decisions.skipped) others.push_back(skipped.tensor);
  CHECK(kept_of(decisions) + nonzero_of(others) == whole * 3 / 10);
  CHECK(decisions.notes.size() == 2);
}
