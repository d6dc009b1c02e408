#include "pipeline/permute_stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "base/error.h"
#include "pipeline/cut.h"
#include "pipeline/decide.h"
#include "pipeline/plan_file.h"
#include "pipeline/prune.h"
#include "pipeline/random_graph.h"
#include "program/model_text.h"
#include "support/catch.h"
#include "support/shared.h"

using namespace sparsify;
using Catch::Matchers::Contains;

namespace {

/// Weights of their own, without any order in their sizes.
std::string weights(const std::string& name, const Shape& shape, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::string> numbers;
  std::vector<std::string> sizes;
  for (const int64_t size : shape) sizes.push_back(std::to_string(size));
  for (int64_t i = 0; i < element_count(shape); ++i) numbers.push_back(fmt::format("{:.4f}", std::uniform_real_distribution<float>(-1, 1)(random)));
  return fmt::format("float[{}] {} = {{{}}}", fmt::join(sizes, ","), name, fmt::join(numbers, ","));
}

/// A stem, a block around a shortcut with BatchNormalization inside, a concatenation with two readers, a flattened end:
/// the 16 channels of the sum are read by `a`, `left` and `right`.
std::string residual_model() {
  const std::vector<std::string> stored = {
      weights("stem", {16, 3, 1, 1}, 1),  weights("stem_b", {16}, 2),      weights("a", {12, 16, 1, 1}, 3), weights("gamma", {12}, 4),
      weights("beta", {12}, 5),           weights("mean", {12}, 6),        "float[12] var = {1, 2, 1, 3, 1, 2, 1, 1, 2, 1, 1, 3}",
      weights("b", {16, 12, 1, 1}, 7),    weights("left", {8, 16, 1, 1}, 8), weights("right", {8, 16, 1, 1}, 9),
      weights("tail", {8, 16, 1, 1}, 10), weights("fc", {5, 32}, 11)};
  return "<ir_version: 8, opset_import: [\"\": 17]> graph (float[1,3,2,2] x) => (float[1,5] y) <" + fmt::format("{}", fmt::join(stored, ", ")) +
         "> { s = Conv (x, stem, stem_b) r = Relu (s) h = Conv (r, a) n = BatchNormalization (h, gamma, beta, mean, var) g = Sigmoid (n)"
         " f = Conv (g, b) z = Add (f, r) l = Conv (z, left) p = Conv (z, right) c = Concat <axis = 1> (l, p) t = Conv (c, tail)"
         " flat = Flatten (t) y = Gemm <transB = 1> (flat, fc) }";
}

Recipe recipe_of(const std::string& rule) { return read_recipe(parse_yaml("prune: [" + rule + "]", "recipe.yaml"), ""); }

const char* const kRule = "{pattern: '2:4', permute: true, select: {first_last: true}}";

int id_of(const ModelFile& file, const std::string& name) {
  for (int id = 0; id < file.tensor_count(); ++id) {
    if (file.tensor(id).name == name) return id;
  }
  FAIL("no tensor " << name);
  return -1;
}

bool all_passed(const PermutedModel& model) {
  for (const VerificationResult& check : model.checks) {
    INFO(check.check << ": " << check.detail);
    CHECK(check.passed);
  }
  return std::all_of(model.checks.begin(), model.checks.end(), [](const auto& check) { return check.passed; });
}

}  // namespace

TEST_CASE("a residual network's channels are reordered, it computes the same, and its layers keep more", "[pipeline][permute]") {
  const TextModel text(residual_model());
  const ModelFile file = text.load();
  const Recipe recipe = recipe_of(kRule);
  const std::vector<GroupOrder> orders = find_permutation(file, recipe, {});
  CHECK(orders.size() >= 3);  // the stem's channels with the sum's, those inside the block, and a half or both of the concatenation
  const PermutedModel model = permute(file, orders, text.path() + ".out.onnx", {});
  REQUIRE(all_passed(model));
  REQUIRE(model.checks.size() == 2);
  CHECK(model.checks[0].check == "permutation_exact");
  CHECK(model.checks[1].check == "permutation_equal");
  CHECK(model.warnings.empty());
  for (const char* moved : {"stem", "stem_b", "a", "b", "left", "right", "gamma", "beta", "mean", "var"}) {
    INFO(moved);
    const int id = id_of(file, moved);
    CHECK(file.tensor_data(id).to_floats() != model.file->tensor_data(id).to_floats());
  }
  // All readers of the sum see one order.
  const auto column = [&](const ModelFile& from, const std::string& name, int64_t index) {
    const std::vector<float> values = from.tensor_data(id_of(from, name)).to_floats();
    std::vector<float> out;
    for (size_t i = static_cast<size_t>(index); i < values.size(); i += 16) out.push_back(values[i]);
    std::sort(out.begin(), out.end());  // the rows have an order of their own
    return out;
  };
  for (int64_t i = 0; i < 16; ++i) {
    int64_t old = 0;
    while (old < 16 && column(file, "a", old) != column(*model.file, "a", i)) ++old;
    REQUIRE(old < 16);
    CHECK(column(file, "left", old) == column(*model.file, "left", i));
    CHECK(column(file, "right", old) == column(*model.file, "right", i));
  }
  const std::vector<KeptMagnitude> kept = kept_magnitudes(file, recipe, model.orders, {});
  double before = 0;
  double after = 0;
  for (const KeptMagnitude& layer : kept) {
    CHECK(layer.before > 0.5);
    CHECK(layer.after < 1);
    before += layer.before;
    after += layer.after;
  }
  CHECK(kept.size() >= 4);
  CHECK(after > before + 0.01);
}

TEST_CASE("inputs and outputs of a model never change places", "[pipeline][permute]") {
  const TextModel text("<ir_version: 8, opset_import: [\"\": 17]> graph (float[1,16] x) => (float[1,16] y) <" + weights("one", {16, 16}, 1) + ", " +
                       weights("two", {16, 16}, 2) + "> { h = MatMul (x, one) y = MatMul (h, two) }");
  const ModelFile file = text.load();
  const std::vector<GroupOrder> orders = find_permutation(file, recipe_of(kRule), {});
  REQUIRE(orders.size() == 1);  // only what lies between them
  const PermutedModel model = permute(file, orders, text.path() + ".out.onnx", {});
  CHECK(all_passed(model));
  const Structure structure = Structure::analyse(file);
  for (const Group& group : structure.groups()) {
    const bool is_outer = std::any_of(group.unit_frozen.begin(), group.unit_frozen.end(), [](bool frozen) { return frozen; });
    if (!is_outer) continue;
    CHECK(interchangeable_units(structure, group).empty());
    std::vector<int64_t> turned(16);
    for (size_t i = 0; i < turned.size(); ++i) turned[i] = 15 - static_cast<int64_t>(i);
    CHECK_THROWS_WITH(permute(file, {{group.name, turned}}, text.path() + ".out.onnx", {}), Contains("does not fit the model"));
  }
}

TEST_CASE("channels that a split tells apart do not mix", "[pipeline][permute]") {
  const TextModel text("<ir_version: 8, opset_import: [\"\": 17]> graph (float[1,3,2,2] x) => (float[1,4,2,2] y) <" + weights("stem", {16, 3, 1, 1}, 1) + ", " +
                       weights("a", {4, 8, 1, 1}, 2) + ", " + weights("b", {4, 8, 1, 1}, 3) +
                       "> { s = Conv (x, stem) l, r = Split <axis = 1> (s) c = Conv (l, a) d = Conv (r, b) y = Add (c, d) }");
  const ModelFile file = text.load();
  const Structure structure = Structure::analyse(file);
  for (const Group& group : structure.groups()) {
    for (const std::vector<int64_t>& units : interchangeable_units(structure, group)) CHECK(units.size() <= 8);
  }
  const PermutedModel model = permute(file, find_permutation(file, recipe_of(kRule), {}), text.path() + ".out.onnx", {});
  CHECK(all_passed(model));
}

TEST_CASE("an order that no label forbids but that changes the outputs is found and put back", "[pipeline][permute]") {
  // z = (h0 + h1, h1 + h2, h2 + h0, h3 + h5, h4 + h3, h5 + h4): two rings of three that run in opposite senses, which no label says.
  const TextModel text("<ir_version: 8, opset_import: [\"\": 17]> graph (float[1,3] x) => (float[1,4] y) <" + weights("one", {3, 6}, 1) + ", " +
                       weights("two", {6, 4}, 2) + ", int64[6] ring = {1, 2, 0, 5, 3, 4}> { h = MatMul (x, one) g = Gather <axis = 1> (h, ring) z = Add (h, g) y = MatMul (z, two) }");
  const ModelFile file = text.load();
  const Structure structure = Structure::analyse(file);
  const auto rings = std::find_if(structure.groups().begin(), structure.groups().end(), [](const Group& group) { return group.units == 2; });
  REQUIRE(rings != structure.groups().end());
  REQUIRE(interchangeable_units(structure, *rings) == std::vector<std::vector<int64_t>>{{0, 1}});
  const PermutedModel model = permute(file, {{rings->name, {1, 0}}}, text.path() + ".out.onnx", {});
  CHECK(all_passed(model));
  CHECK(model.orders.empty());
  REQUIRE(model.warnings.size() == 1);
  CHECK_THAT(model.warnings[0], Contains("keep their order"));
}

TEST_CASE("any order of interchangeable units of random graphs leaves the outputs as they are", "[pipeline][permute][property]") {
  int moved = 0;
  for (unsigned run = 0; run < 40; ++run) {
    const RandomGraph graph(run);
    INFO("graph " << run << ": " << graph.text());
    const TextModel text(graph.text());
    const ModelFile file = text.load();
    const Structure structure = Structure::analyse(file, {});
    std::mt19937 random(run);
    std::vector<GroupOrder> orders;
    for (const Group& group : structure.groups()) {
      std::vector<int64_t> order(static_cast<size_t>(group.units));
      for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
      for (const std::vector<int64_t>& units : interchangeable_units(structure, group)) {
        std::vector<int64_t> mixed = units;
        std::shuffle(mixed.begin(), mixed.end(), random);
        for (size_t i = 0; i < units.size(); ++i) order[static_cast<size_t>(units[i])] = mixed[i];
      }
      if (!std::is_sorted(order.begin(), order.end())) orders.push_back({group.name, order});
    }
    const PermutedModel model = permute(file, orders, text.path() + ".out.onnx", {.seed = run});
    CHECK(all_passed(model));
    CHECK(model.orders.size() == orders.size());
    moved += orders.empty() ? 0 : 1;
  }
  CHECK(moved > 30);
}

TEST_CASE("graphs of the zoo compute the same with their channels reordered", "[pipeline][permute][zoo]") {
  const char* all = std::getenv("SPARSIFY_PERMUTE_ALL");
  for (const char* name : {"resnet18_slim_bn", "densenet_slim", "shufflenetv2_slim", "bert_slim", "resnext_slim", "mobilenetv2_slim", "gpt2_slim", "unet_slim"}) {
    const std::filesystem::path folder = shared_or_skip(std::string("zoo/") + name, "permutation of real graphs");
    if (folder.empty()) continue;
    const std::filesystem::path path = folder / (std::string(name) + ".onnx");
    REQUIRE(std::filesystem::exists(path));
    INFO(path);
    if (all == nullptr && std::filesystem::file_size(path) > 1'500'000) continue;
    const ModelFile file = ModelFile::load(path.string());
    const Structure structure = Structure::analyse(file, {});
    std::vector<GroupOrder> orders;
    for (const Group& group : structure.groups()) {
      std::vector<int64_t> order(static_cast<size_t>(group.units));
      for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
      for (const std::vector<int64_t>& units : interchangeable_units(structure, group)) {
        for (size_t i = 0; i < units.size(); ++i) order[static_cast<size_t>(units[i])] = units[units.size() - 1 - i];
      }
      if (!std::is_sorted(order.begin(), order.end())) orders.push_back({group.name, order});
    }
    const std::string scratch = (std::filesystem::temp_directory_path() / (std::string("sparsify-permute-") + name)).string();
    const PermutedModel model = permute(file, orders, scratch, {});
    CHECK(all_passed(model));
    CHECK(model.orders.size() == orders.size());
    CHECK_FALSE(orders.empty());
  }
}

TEST_CASE("permute without N:M is refused, and a run reports what it gained and replays its plan", "[pipeline][permute]") {
  CHECK_THROWS_WITH(permutes(recipe_of("{sparsity: 0.5, permute: true}")), Contains("permute reorders channels for groups of N:M") && Contains("unstructured"));
  CHECK_THROWS_WITH(permutes(recipe_of("{pattern: '64:128', permute: true}")), Contains("at most 64 channels") && Contains("64:128"));
  CHECK_FALSE(permutes(recipe_of("{pattern: '2:4'}")));
  // What the rules cannot do is said before the search for an order.
  const TextModel refused(residual_model());
  for (const auto& [rule, reason] : {std::pair{"criterion: apoz", "one score"}, {"allocation: lamp", "leaves nothing to allocate"}, {"sparsity: {macs: 0.5}", "fixes the sparsity itself"},
                                     {"criterion: wanda", "wanda needs calibration data"}}) {
    CHECK_THROWS_WITH(require_decidable(refused.load(), recipe_of(fmt::format("{{pattern: '2:4', permute: true, {}}}", rule))), Contains(reason));
  }
  CHECK_NOTHROW(require_decidable(refused.load(), recipe_of("{pattern: '2:4', permute: true}")));

  const TextModel text(residual_model());
  const std::string output = text.path() + ".slim.onnx";
  PruneRequest request;
  request.recipe = read_recipe(parse_yaml(fmt::format("{{model: '{}', output: '{}', report: {{formats: [json]}}, prune: [{}]}}", text.path(), output, kRule), "r.yaml"), "");
  const PruneOutcome outcome = prune(request);
  CHECK(outcome.passed);
  CHECK(outcome.report.model.path == text.path());
  CHECK(outcome.report.model.sha256 == text.load().sha256());
  CHECK_FALSE(std::filesystem::exists(output + ".permuted"));
  double gain = 0;
  for (const LayerRow& row : outcome.report.layers) {
    if (row.kept_magnitude) gain += *row.kept_magnitude - *row.kept_magnitude_before;
  }
  CHECK(gain > 0.01);
  const auto ran = [](const RunReport& report, const std::string& check) {
    return std::any_of(report.verification.begin(), report.verification.end(), [&](const VerificationResult& one) { return one.check == check && one.passed; });
  };
  CHECK(ran(outcome.report, "permutation_equal"));

  PruneRequest replay;
  replay.plan = (std::filesystem::path(outcome.folder) / "plan.json").string();
  const std::string again = text.path() + ".again.onnx";
  replay.recipe = read_recipe(parse_yaml(fmt::format("{{model: '{}', output: '{}', report: {{formats: [json]}}}}", text.path(), again), "r.yaml"), "");
  const PruneOutcome replayed = prune(replay);
  CHECK(replayed.passed);
  CHECK(ran(replayed.report, "permutation_equal"));
  CHECK(replayed.report.result->sha256 == outcome.report.result->sha256);
  for (const std::string& path : {output, again}) {
    std::filesystem::remove(path);
    std::filesystem::remove_all(evidence_folder(path));
  }
}
