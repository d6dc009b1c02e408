#include "pipeline/cut.h"

#include <filesystem>

#include "base/error.h"
#include "config/recipe.h"
#include "pipeline/cut_stage.h"
#include "program/model_text.h"
#include "support/catch.h"
#include "support/shared.h"

using namespace sparsify;
using Catch::Matchers::Contains;

namespace {

const std::string kHead = "<ir_version: 8, opset_import: [\"\": 17]> graph ";

/// Conv(2 -> 2), BatchNormalization, Conv(2 -> 2) with the weights of algorithms.md, E28.
std::string group_norm_model() {
  return kHead +
         "(float[1,2,1,1] x) => (float[1,2,1,1] y)"
         "<float[2,2,1,1] w1 = {1, 2, 3, 0}, float[2] gamma = {0.5, 2}, float[2] beta = {0.25, -1}, float[2] mean = {0, 0}, float[2] var = {1, 1},"
         " float[2,2,1,1] w2 = {1, 1, 2, 0}>"
         "{ h = Conv (x, w1) n = BatchNormalization (h, gamma, beta, mean, var) y = Conv (n, w2) }";
}

/// Conv 1 -> 4, a block of two convolutions with 4 inner channels around a shortcut, Conv 4 -> 1.
std::string residual_model() {
  const auto values = [](int count, double first) {
    std::string text;
    for (int i = 0; i < count; ++i) text += (i > 0 ? ", " : "") + std::to_string(first + 0.125 * ((i * 7) % 11) - 0.5);
    return "{" + text + "}";
  };
  return kHead + "(float[1,1,4,4] x) => (float[1,1,4,4] y) <float[4,1,1,1] stem = " + values(4, 0.3) + ", float[4,4,1,1] a = " + values(16, 0.1) +
         ", float[4] ab = " + values(4, 0.2) + ", float[4,4,1,1] b = " + values(16, -0.2) + ", float[4] bb = " + values(4, 0.6) + ", float[1,4,1,1] last = " +
         values(4, 0.4) + ">{ s = Conv (x, stem) r = Relu (s) h = Conv (r, a, ab) g = Sigmoid (h) f = Conv (g, b, bb) z = Add (f, r) y = Conv (z, last) }";
}

Recipe recipe_of(const std::string& rule) { return read_recipe(parse_yaml("prune: [" + rule + "]", "recipe.yaml"), ""); }

struct Result {
  CutPlan plan;
  std::vector<VerificationResult> checks;
  std::vector<std::pair<std::string, Shape>> tensors;
};

Result carried_out(const std::string& model, const std::string& rule) {
  const TextModel text(model);
  ModelFile file = text.load();
  Result result{.plan = plan_cut(file, recipe_of(rule)), .checks = {}, .tensors = {}};
  const CutOutput output = write_cut(file, result.plan, {}, text.path() + ".cut.onnx", true);
  const ModelFile written = output.writer->reopen();
  result.checks = verify_cut(*output.masked, written, result.plan, {});
  for (const StoredTensor& tensor : written.model().graph.initializers) result.tensors.emplace_back(tensor.name, tensor.shape);
  return result;
}

void require_sound(const Result& result) {
  for (const VerificationResult& check : result.checks) {
    INFO(check.check << ": " << check.detail);
    CHECK(check.passed);
  }
  CHECK(result.checks.back().check == "outputs_equal");
}

Shape shape_of(const Result& result, const std::string& tensor) {
  for (const auto& [name, shape] : result.tensors) {
    if (name == tensor) return shape;
  }
  return {};
}

}  // namespace

TEST_CASE("the group norm of a unit is that of all its slices, normalised over the group", "[pipeline][cut]") {
  const TextModel text(group_norm_model());
  const ModelFile file = text.load();
  const Structure structure = Structure::analyse(file);
  const auto group = std::find_if(structure.groups().begin(), structure.groups().end(), [](const Group& one) { return one.is_cuttable(); });
  REQUIRE(group != structure.groups().end());
  HostTensor held;
  const auto weights = [&](const PrunableTensor& tensor, std::vector<float>& buffer) {
    held = file.tensor_data(tensor.id);
    buffer = held.to_floats();
    return ScoreView(buffer);
  };
  const auto index = static_cast<size_t>(group->id);
  const auto scores_with = [&](const std::string& aggregate, const std::string& normalise) {
    StructuredOptions options;
    options.power = 2;
    options.aggregate = aggregate;
    options.normalise = normalise;
    return GroupScorer(file, structure, "magnitude", options, 0, weights).score({index}, structure.nothing_removed()).at(index);
  };
  // Members (5, 9), (.25, 4), (5, 1): means 10.25 / 3 and 14 / 3; over the group 4.0416667.
  const std::vector<double> plain = scores_with("mean", "none");
  CHECK(plain[0] == Approx(3.416667).epsilon(1e-6));
  CHECK(plain[1] == Approx(4.666667).epsilon(1e-6));
  const std::vector<double> normal = scores_with("mean", "mean");
  CHECK(normal[0] == Approx(0.845361).epsilon(1e-6));
  CHECK(normal[1] == Approx(1.154639).epsilon(1e-6));
  CHECK(scores_with("max", "none") == std::vector<double>{5, 9});
  CHECK(scores_with("sum", "none") == std::vector<double>{10.25, 14});
  StructuredOptions options;
  options.normalise = "none";
  options.power = 1;
  CHECK(GroupScorer(file, structure, "batchnorm_scale", options, 0, weights).score({index}, structure.nothing_removed()).at(index) == std::vector<double>{0.5, 2});
  // ||(1, 2) - (3, 0)|| = sqrt(8), for both.
  CHECK(GroupScorer(file, structure, "geometric_median", options, 0, weights).score({index}, structure.nothing_removed()).at(index)[1] == Approx(2.828427).epsilon(1e-6));
}

TEST_CASE("a removed channel goes from all its members, and the rest computes the same", "[pipeline][cut]") {
  const Result result = carried_out(group_norm_model(), "{pattern: channel, sparsity: 0.5}");
  require_sound(result);
  CHECK(shape_of(result, "w1") == Shape{1, 2, 1, 1});
  CHECK(shape_of(result, "w2") == Shape{2, 1, 1, 1});
  CHECK(shape_of(result, "var") == Shape{1});
  CHECK(kept_units(result.plan).at(0).kept == std::vector<int64_t>{1});  // 3.42 goes, 4.67 stays
  CHECK(result.plan.before.macs == 8);
  CHECK(result.plan.after.macs == 4);
}

TEST_CASE("a difference between masked and shrunk model is found and named", "[pipeline][cut]") {
  const TextModel text(group_norm_model());
  const ModelFile file = text.load();
  const ModelFile other = TextModel(group_norm_model()).load();
  const Structure structure = Structure::analyse(file);
  const ProofInputs inputs = random_inputs(file, structure, 0);
  CHECK(prove_equal(file, other, inputs, 1e-6, {}).passed);
  const TextModel changed(kHead + "(float[1,2,1,1] x) => (float[1,2,1,1] y) <float[2,2,1,1] w1 = {1, 2, 3, 0.5}> { y = Conv (x, w1) }");
  const VerificationResult result = prove_equal(file, changed.load(), inputs, 1e-6, {});
  CHECK_FALSE(result.passed);
  CHECK_THAT(result.detail, Contains("output \"y\", element 0") && Contains("masked model gives"));
}

TEST_CASE("a budget is met within one unit, or the least possible is said", "[pipeline][cut]") {
  // 16 (stem 4 + a 16 + b 16 + last 4) = 640 MACs with all 4 inner channels; each inner channel is 16 x (4 + 4) = 128.
  const std::string inner = "select: {include: [a]}, pattern: channel, sparsity: ";
  Result result = carried_out(residual_model(), "{" + inner + "{macs: 0.7}}");
  require_sound(result);
  CHECK(result.plan.before.macs == 640);
  CHECK(result.plan.after.macs == 384);  // 512 is more than 448
  CHECK(shape_of(result, "a") == Shape{2, 4, 1, 1});
  CHECK(shape_of(result, "b") == Shape{4, 2, 1, 1});
  result = carried_out(residual_model(), "{" + inner + "{params: 0.9}}");
  CHECK(result.plan.before.params == 48);
  CHECK(result.plan.after.params == 39);  // 43 is the limit, a channel has 9
  CHECK_THROWS_WITH(carried_out(residual_model(), "{" + inner + "{macs: 0.1}}"), Contains("least possible is 256 (0.4000 of the input's 640)"));
  CHECK_THROWS_WITH(carried_out(residual_model(), "{" + inner + "0.9}"), Contains("at most 0.75"));
  CHECK_THROWS_WITH(carried_out(residual_model(), "{select: {include: [stm]}, pattern: channel, sparsity: 0.5}"), Contains("selects no group"));
  CHECK_THROWS_WITH(carried_out(residual_model(), "{select: {include: [last]}, pattern: channel, sparsity: 0.5}"), Contains("it has a single unit"));
}

TEST_CASE("a budget of memory removes only what is alive at the peak", "[pipeline][cut][memory]") {
  // Bytes alive at each node: 64 + 512, 512 + 128, 128 + 128, 128 + 16. A channel of h is 64 + 16 at the peak: 640, 560, 480.
  const auto same = [](int count, const std::string& value) {
    std::string text = value;
    for (int i = 1; i < count; ++i) text += ", " + value;
    return "{" + text + "}";
  };
  std::string small = "{";  // half of what b makes is next to nothing, and would go first
  for (int i = 0; i < 64; ++i) small += std::string(i > 0 ? ", " : "") + (i < 32 ? "0.001" : "1");
  small += "}";
  const std::string model = kHead + "(float[1,1,4,4] x) => (float[1,1,2,2] y) <float[8,1,1,1] a = " + same(8, "1") + ", float[8,8,1,1] b = " + small +
                            ", float[1,8,1,1] last = " + same(8, "0.5") +
                            ">{ h = Conv (x, a) p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (h) q = Conv (p, b) y = Conv (q, last) }";
  const Result result = carried_out(model, "{pattern: channel, sparsity: {memory: 0.8}}");
  require_sound(result);
  CHECK(result.plan.before.memory == 640);
  CHECK(result.plan.after.memory == 480);  // 560 is more than 512
  CHECK(shape_of(result, "a") == Shape{6, 1, 1, 1});
  CHECK(shape_of(result, "b") == Shape{8, 6, 1, 1});
}

TEST_CASE("what one peak asked for comes back when another one made it needless", "[pipeline][cut][memory]") {
  // With R channels of the residual sum and I inner ones, of 64 bytes: R + 2 I at the Sigmoid, 2 R + I at the convolution behind it, 3 R at the Add; 768 in all.
  Result result = carried_out(residual_model(), "{pattern: channel, sparsity: {memory: 0.75}}");
  require_sound(result);
  CHECK(result.plan.before.memory == 768);
  CHECK(result.plan.after.memory == 576);
  CHECK(shape_of(result, "a") == Shape{3, 3, 1, 1});
  // Without the block: 64 + 256, 256 + 256, and the shortcut ends with its last reader.
  result = carried_out(residual_model(), "{pattern: layer, sparsity: {memory: 0.7}}");
  require_sound(result);
  CHECK(result.plan.blocks.size() == 1);
  CHECK(result.plan.after.memory == 512);
  CHECK_THROWS_WITH(carried_out(residual_model(), "{pattern: layer, sparsity: {memory: 0.5}}"), Contains("512 are left"));
  CHECK_THROWS_WITH(carried_out(residual_model(), "{pattern: channel, sparsity: {memory: 0.1}}"), Contains("least possible is"));
}

TEST_CASE("of a real graph no unit more goes than its memory asks for", "[pipeline][cut][memory]") {
  const auto path = shared_or_skip("zoo/resnet18_slim/resnet18_slim.onnx", "a cut to a budget of memory");
  if (path.empty()) return;
  const ModelFile file = ModelFile::load(path.string());
  const CutPlan plan = plan_cut(file, recipe_of("{pattern: channel, sparsity: {memory: 0.8}}"));
  const CutCosts costs(file, *plan.structure);
  const auto limit = static_cast<int64_t>(0.8 * static_cast<double>(plan.before.memory));
  CHECK(plan.after.memory <= limit);
  CHECK(costs.cost("memory", plan.removed) == plan.after.memory);
  int cut_groups = 0;
  for (size_t group = 0; group < plan.removed.size(); ++group) {
    const auto unit = std::find(plan.removed[group].begin(), plan.removed[group].end(), true);
    if (unit == plan.removed[group].end()) continue;
    ++cut_groups;
    Removed less = plan.removed;
    less[group][static_cast<size_t>(unit - plan.removed[group].begin())] = false;
    INFO(plan.structure->groups()[group].name);
    CHECK(costs.cost("memory", less) > limit);
  }
  CHECK(cut_groups > 0);
  CHECK(plan.after.params > plan.before.params * 9 / 10);  // the peak is where few of the weights are
}

TEST_CASE("widths keep to round_to and min_width, and steps end where one shot does", "[pipeline][cut]") {
  const auto width = [](const std::string& options, const std::string& sparsity) {
    const Result result = carried_out(residual_model(), "{select: {include: [a]}, pattern: {channel: {" + options + "}}, sparsity: " + sparsity + "}");
    require_sound(result);
    return shape_of(result, "a").at(0);
  };
  CHECK(width("min_width: 1", "0.75") == 1);
  CHECK(width("round_to: 2", "0.75") == 2);
  CHECK(width("round_to: 8", "0.75") == 4);  // never removes more than asked
  CHECK(width("steps: 3", "0.75") == 1);
  CHECK(width("scope: layer", "0.5") == 2);
  CHECK_THROWS_WITH(width("min_width: 3", "0.5"), Contains("at most 0.25"));
  CHECK_THROWS_WITH(width("round: 8", "0.5"), Contains("round_to"));
}

TEST_CASE("a residual block is replaced by its shortcut", "[pipeline][cut]") {
  const Result result = carried_out(residual_model(), "{pattern: layer, sparsity: {macs: 0.5}}");
  require_sound(result);
  CHECK(result.plan.blocks.size() == 1);
  CHECK(result.plan.after.macs == 128);
  REQUIRE(result.tensors.size() == 2);
  CHECK(result.tensors[0].first == "stem");
  CHECK(result.tensors[1].first == "last");
}

TEST_CASE("two rules of blocks remove the blocks of both, and a block goes once", "[pipeline][cut]") {
  const std::string model = kHead +
                            "(float[1,1,4,4] x) => (float[1,1,4,4] y) <float[2,1,1,1] stem = {0.5, 1}, float[2,2,1,1] a = {1, 2, 3, 4},"
                            " float[2,2,1,1] b = {2, 1, 0.5, 3}, float[1,2,1,1] last = {1, -1}>"
                            "{ s = Conv (x, stem) f = Conv (s, a) z = Add (f, s) g = Conv (z, b) w = Add (g, z) y = Conv (w, last) }";
  const std::string one = "{select: {include: [a]}, pattern: layer, sparsity: 0.6}";
  const std::string other = "{select: {include: [b]}, pattern: layer, sparsity: 0.6}";

  const Result both = carried_out(model, one + ", " + other);
  require_sound(both);
  CHECK(both.plan.blocks.size() == 2);
  REQUIRE(both.tensors.size() == 2);
  CHECK(both.tensors[0].first == "stem");
  CHECK(both.tensors[1].first == "last");

  const Result once = carried_out(model, one + ", " + one);
  CHECK(once.plan.blocks.size() == 1);
  REQUIRE(once.plan.warnings.size() == 1);
  CHECK_THAT(once.plan.warnings[0], Contains("prune.0") && Contains("a later rule selects all"));
}

TEST_CASE("what a later rule selects is no longer an earlier rule's", "[pipeline][cut]") {
  const Result result = carried_out(residual_model(), "{pattern: channel, sparsity: 0.5}, {select: {include: [a]}, pattern: channel, sparsity: 0}");
  require_sound(result);
  CHECK(shape_of(result, "a").at(0) == 4);
  CHECK(shape_of(result, "stem").at(0) == 2);
}

TEST_CASE("a block that is needed takes the blocks inside it along", "[pipeline][cut]") {
  const std::string model = kHead +
                            "(float[1,1,4,4] x) => (float[1,1,4,4] y) <float[2,1,1,1] stem = {0.5, 1}, float[2,2,1,1] a = {1, 2, 3, 4},"
                            " float[2,2,1,1] b = {0.1, 0.2, 0.1, 0.3}, float[2,2,1,1] c = {2, 1, 0.5, 3}, float[1,2,1,1] last = {1, -1}>"
                            "{ s = Conv (x, stem) t = Conv (s, a) u = Conv (t, b) v = Add (u, t) w = Conv (v, c) z = Add (w, s) y = Conv (z, last) }";
  // The inner block goes first and saves a quarter of the MACs, the outer one three quarters.
  const Result inner = carried_out(model, "{pattern: layer, sparsity: {macs: 0.8}}");
  require_sound(inner);
  CHECK(inner.plan.after.macs == 192);
  const Result outer = carried_out(model, "{pattern: layer, sparsity: {macs: 0.3}}");
  require_sound(outer);
  CHECK(outer.plan.blocks.size() == 1);
  CHECK(outer.plan.after.macs == 64);
  CHECK(carried_out(model, "{pattern: layer, sparsity: 0.9}").plan.after.macs == 64);
}

TEST_CASE("branches that gate themselves, run in parallel, are concatenated or summed by Sum are blocks", "[pipeline][cut]") {
  const std::string weights = " <float[4,4] a = {1, 2, 0.5, 1, -1, 1, 2, 0.1, 0.3, 1, 1, -2, 1, 0.7, 1, 1}, float[4,4] b = {0.2, 1, -1, 1, 1, 2, 1, 0.4, 1, 1, 0.6, 1, -1, 1, 1, 0.5},"
                              " float[4,2] c = {1, 0.5, -1, 2, 1, 1, 0.3, 1}, float[4,2] d = {0.6, -1, 1, 1, 2, 0.4, 1, 1}, float[4,1] last = {1, -1, 0.5, 2}>";
  const std::map<std::string, std::pair<std::string, size_t>> bodies = {
      {"a gate", {"f = MatMul (s, a) g = Sigmoid (f) h = Mul (f, g) z = Add (s, h)", 1}},
      {"in parallel, summed first", {"n = Tanh (s) f = MatMul (n, a) g = MatMul (n, b) h = Add (f, g) z = Add (s, h)", 1}},
      {"in parallel, added one by one", {"n = Tanh (s) f = MatMul (n, a) t = Add (s, f) g = MatMul (n, b) z = Add (t, g)", 2}},
      {"concatenated", {"f = MatMul (s, c) g = MatMul (s, d) h = Concat <axis = 1> (f, g) z = Add (s, h)", 1}},
      {"Sum", {"f = MatMul (s, a) g = Relu (f) z = Sum (s, g)", 1}}};
  for (const auto& [name, body] : bodies) {
    INFO(name);
    const std::string model = kHead + "(float[1,4] x) => (float[1,1] y)" + weights + " { s = Sigmoid (x) " + body.first + " y = MatMul (z, last) }";
    const Result result = carried_out(model, "{pattern: layer, sparsity: 0.9}");
    require_sound(result);
    CHECK(result.plan.blocks.size() == body.second);
    CHECK(shape_of(result, name == "concatenated" ? "c" : "a").empty());
  }
}

TEST_CASE("blocks whose weights are transposed, reshaped, cast or quantised are blocks", "[pipeline][cut]") {
  const std::string floats = " <float[2,8] a = {1, 2, 0.5, 1, -1, 1, 2, 0.1, 0.3, 1, 1, -2, 1, 0.7, 1, 1}, int64[2] square = {4, 4}, float[4,1] last = {1, -1, 0.5, 2}>";
  const std::string codes = " <uint8[4,4] a = {130, 120, 140, 128, 99, 128, 131, 160, 128, 127, 129, 140, 150, 128, 110, 125}, uint8 a_zero = {128}, float a_scale = {0.05},"
                            " int32[4] b = {30, -20, 10, 5}, float b_scale = {0.02}, float[4,1] last = {1, -1, 0.5, 2}>";
  const std::map<std::string, std::pair<std::string, std::string>> bodies = {
      {"transposed", {floats, "w = Reshape (a, square) v = Transpose (w) u = Cast <to = 1> (v) g = MatMul (s, u) z = Add (s, g)"}},
      {"quantised", {codes, "w = DequantizeLinear (a, a_scale, a_zero) c = DequantizeLinear (b, b_scale) g = Gemm (s, w, c) z = Add (g, s)"}}};
  for (const auto& [name, body] : bodies) {
    INFO(name);
    const std::string model = kHead + "(float[1,4] x) => (float[1,1] y)" + body.first + " { s = Sigmoid (x) " + body.second + " y = MatMul (z, last) }";
    const Result result = carried_out(model, "{pattern: layer, sparsity: 0.9}");
    require_sound(result);
    REQUIRE(result.plan.blocks.size() == 1);
    CHECK(shape_of(result, "a").empty());
    CHECK(shape_of(result, "b").empty());
  }
  const std::string shared = kHead + "(float[1,4] x) => (float[1,1] y)" + floats + " { s = Sigmoid (x) w = Reshape (a, square) v = Transpose (w) g = MatMul (s, v) z = Add (s, g) h = MatMul (z, v) "
                             "y = MatMul (h, last) }";
  CHECK_THROWS_WITH(carried_out(shared, "{pattern: layer, sparsity: 0.9}"), Contains("no weights of its last layer"));
}

TEST_CASE("every sum that a rule selects and that is no block is named with its reason, and no other", "[pipeline][cut]") {
  std::string nodes = "n0 = Identity (x)";
  for (int i = 1; i < 7; ++i) nodes += fmt::format(" e{0} = Exp (n{1}) n{0} = Add (n{1}, e{0})", i, i - 1);
  const std::string model = kHead + "(float[1,4] x) => (float[1,1] y) <float[4,1] last = {1, -1, 0.5, 2}> { " + nodes + " y = MatMul (n6, last) }";
  const TextModel text(model);
  const ModelFile file = text.load();
  const auto fix_of = [&](const std::string& select) -> std::string {
    try {
      plan_cut(file, recipe_of("{select: " + select + ", pattern: layer, sparsity: 0.5}"));
    } catch (const ConfigError& error) {
      return error.problem().fix;
    }
    return "";
  };
  const std::string all = fix_of("{}");
  for (int i = 1; i < 7; ++i) CHECK_THAT(all, Contains(fmt::format("n{}\"", i)));
  CHECK_THAT(all, !Contains("more"));
  const std::string some = fix_of("{include: [\"*n2*\", \"*n6*\"], exclude: [\"*n6*\"]}");
  CHECK_THAT(some, Contains("n2\"\": ") && !Contains("n3\"") && !Contains("n6\""));
}

TEST_CASE("a sum that cannot be replaced by its shortcut is no block, and the run says why", "[pipeline][cut]") {
  const std::string weights = " <float[4,4] a = {1, 2, 0.5, 1, -1, 1, 2, 0.1, 0.3, 1, 1, -2, 1, 0.7, 1, 1}, int64[1] rows = {0}, float[4,1] last = {1, -1, 0.5, 2}>";
  const std::map<std::string, std::string> bodies = {
      {"another shape", "m = ReduceMean <axes = [0], keepdims = 1> (x) k = Mul (m, x) f = MatMul (k, a) z = Add (m, f) y = MatMul (z, last)"},
      {"a loop or branch reads it",
       "f = MatMul (x, a) z = Add (x, f) total = ReduceSum <keepdims = 0> (x) yes = Cast <to = 9> (total)"
       " w = If (yes) <then_branch = t () => (float[3,4] p) { p = Relu (z) }, else_branch = e () => (float[3,4] q) { q = Neg (z) }> y = MatMul (w, last)"},
      {"no weights of its last layer", "f = MatMul (x, a) g = Exp (f) z = Add (x, g) y = MatMul (z, last)"},
      {"does not begin at the shortcut", "k = Neg (x) f = MatMul (x, a) z = Add (k, f) y = MatMul (z, last)"}};
  for (const auto& [why, body] : bodies) {
    INFO(why);
    const std::string model = "<ir_version: 8, opset_import: [\"\": 12]> g (float[3,4] x) => (float[3,1] y)" + weights + " { " + body + " }";
    CHECK_THROWS_WITH(carried_out(model, "{pattern: layer, sparsity: 0.5}"), Contains("no residual block") && Contains(why));
  }
}

TEST_CASE("a model that reads texts is proven on texts that it knows", "[pipeline][cut]") {
  const std::string model = "<ir_version: 8, opset_import: [\"\": 17, \"ai.onnx.ml\": 2]> g (string[N,3] x) => (float[N,1] y)"
                            " <float[3,4] table = {1, 2, 0.5, 1, -1, 1, 2, 0.1, 0.3, 1, 1, -2}, float[4,6] a = {1, 2, 3, 4, 5, 6, 1, 1, 2, 1, 3, 1, 0, 1, 0.5, 1, 2, 1, 1, -1, 1, 2, 1, 1},"
                            " float[6,1] last = {1, -1, 0.5, 2, 1, 1}>"
                            " { i = ai.onnx.ml.LabelEncoder <keys_strings = [\"red\", \"green\"], values_int64s = [1, 2], default_int64 = 0> (x)"
                            " e = Gather (table, i) m = ReduceMean <axes = [1], keepdims = 0> (e) f = MatMul (m, a) g = Tanh (f) y = MatMul (g, last) }";
  const Result result = carried_out(model, "{pattern: {channel: {scope: layer}}, sparsity: 0.5}");
  for (const VerificationResult& check : result.checks) CHECK(check.passed);
  CHECK(shape_of(result, "last") == Shape{3, 1});
}

TEST_CASE("round_to counts channels, also where a unit is a group of a convolution", "[pipeline][cut]") {
  const auto ramp = [](int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += (i > 0 ? ", " : "") + std::to_string(0.1 + 0.05 * ((i * 5) % 13));
    return "{" + text + "}";
  };
  const std::string model = kHead + "(float[1,1,2,2] x) => (float[1,1,2,2] y) <float[8,1,1,1] stem = " + ramp(8) + ", float[8,2,1,1] grouped = " + ramp(16) +
                            ", float[1,8,1,1] last = " + ramp(8) + ">{ s = Conv (x, stem) g = Conv <group = 4> (s, grouped) y = Conv (g, last) }";
  const auto width = [&](const std::string& options) {
    const Result result = carried_out(model, "{pattern: {channel: {scope: layer, " + options + "}}, sparsity: 0.5}");
    require_sound(result);
    return shape_of(result, "grouped").at(0);
  };
  // min_width keeps both channels of a group, so that whole groups go.
  CHECK(width("min_width: 2") == 4);
  CHECK(width("min_width: 2, round_to: 4") == 4);
  CHECK(width("min_width: 2, round_to: 8") == 8);
}

TEST_CASE("half of the heads of grouped queries is half of the query heads", "[pipeline][cut]") {
  const auto ramp = [](int rows, int columns) {
    std::string text;
    for (int i = 0; i < rows * columns; ++i) text += (i > 0 ? ", " : "") + std::to_string(0.1 + 0.05 * ((i * 7) % 17));
    return fmt::format("float[{},{}] {{}} = {{{{{}}}}}", rows, columns, text);
  };
  const auto weight = [&](const std::string& name, int rows, int columns) { return fmt::format(fmt::runtime(ramp(rows, columns)), name); };
  const std::string model = "<ir_version: 10, opset_import: [\"\": 23]> g (float[1,3,4] x) => (float[1,3,4] y) <" + weight("q", 4, 8) + ", " + weight("k", 4, 4) + ", " +
                            weight("v", 4, 4) + ", " + weight("o", 8, 4) +
                            ">{ a = MatMul (x, q) b = MatMul (x, k) c = MatMul (x, v) h = Attention <q_num_heads = 4, kv_num_heads = 2> (a, b, c) y = MatMul (h, o) }";
  const Result result = carried_out(model, "{pattern: head, sparsity: 0.5}");
  require_sound(result);
  CHECK(shape_of(result, "q").at(1) == 4);
  CHECK(shape_of(result, "k").at(1) == 2);
}

TEST_CASE("what a rule selects counts whether it is cut or not, and nothing else does", "[pipeline][cut][scope]") {
  const auto counted = [](const std::string& rule) {
    const TextModel text(residual_model());
    const ModelFile file = text.load();
    const Decisions decisions = decide_cut(file, recipe_of(rule), {});
    int64_t all = 0;
    int64_t pruned = 0;
    for (const Decision& decision : decisions.decided) {
      all += decision.mask.size();
      pruned += decision.mask.pruned();
    }
    return std::pair(all, pruned);
  };
  // Of the 48 weights, a channel inside the block has 9 and one outside, of stem, a, b, its bias and last, 1 + 4 + 4 + 1 + 1.
  CHECK(counted("{select: {include: [a]}, pattern: channel, sparsity: 0.25}") == std::pair<int64_t, int64_t>(36, 9));
  CHECK(counted("{select: {include: [stem]}, pattern: channel, sparsity: 0.25}") == std::pair<int64_t, int64_t>(44, 11));
  CHECK(counted("{pattern: {channel: {round_to: 8}}, sparsity: 0.5}") == std::pair<int64_t, int64_t>(48, 0));
  CHECK(counted("{pattern: layer, sparsity: 0.6}") == std::pair<int64_t, int64_t>(40, 40));
  CHECK(counted("{pattern: layer, sparsity: 0.1}") == std::pair<int64_t, int64_t>(40, 0));
}

TEST_CASE("a budget that depends on open sizes says which were assumed", "[pipeline][cut][sizes]") {
  const TextModel text(kHead + "(float[n,t,2] x) => (float[n,t,1] y) <float[2,4] a = {1, 2, 3, 4, 5, 6, 7, 8}, float[4,1] b = {1, 2, 3, 4}>"
                               "{ h = MatMul (x, a) r = Relu (h) y = MatMul (r, b) }");
  const ModelFile file = text.load();
  const Recipe recipe = recipe_of("{pattern: channel, sparsity: {macs: 0.5}}");
  const Decisions assumed = decide_cut(file, recipe, {});
  REQUIRE(assumed.warnings.size() == 1);
  // Of t = 8: 8 x (2 x 4 + 4) = 96 MACs.
  CHECK_THAT(assumed.warnings[0], Contains("budget {macs: 0.5}") && Contains("x:1,8,2") && Contains("48 of 96 MACs stay (0.5000)") && Contains("--input"));
  CHECK(decide_cut(file, recipe, {.inputs = {{"x", {1, 16, 2}}}}).warnings.empty());
  CHECK(decide_cut(file, recipe_of("{pattern: channel, sparsity: 0.5}"), {}).warnings.empty());
  CHECK_THAT(decide_cut(file, recipe_of("{pattern: channel, sparsity: {memory: 0.8}}"), {}).warnings.at(0), Contains("x:1,8,2") && Contains("bytes of activations"));
}

TEST_CASE("a plan cuts the same units again", "[pipeline][cut]") {
  const TextModel text(residual_model());
  const ModelFile file = text.load();
  const CutPlan plan = plan_cut(file, recipe_of("{pattern: channel, sparsity: 0.4}"));
  CHECK(plan.after.macs < plan.before.macs);
  const CutPlan again = replay_cut(file, kept_units(plan), {});
  CHECK(again.removed == plan.removed);
  CHECK(again.after.macs == plan.after.macs);
  CHECK_THROWS_WITH(replay_cut(file, {{"nobody", 4, {0}}}, {}), Contains("another graph"));
}

TEST_CASE("heads of a transformer whose batch is open go, and the rest computes the same", "[pipeline][cut]") {
  const std::string path = shared_or_skip("zoo/torch_transformer_encoder/torch_transformer_encoder.onnx", "heads with an open batch");
  if (path.empty()) return;
  const std::string copy = std::filesystem::temp_directory_path() / "heads_with_an_open_batch.cut.onnx";
  for (const char* sparsity : {"0.25", "0.5"}) {
    ModelFile file = ModelFile::load(path);
    const CutPlan plan = plan_cut(file, recipe_of(std::string("{pattern: head, sparsity: ") + sparsity + "}"));
    CHECK_FALSE(plan.cut.tensors.empty());
    const CutOutput output = write_cut(file, plan, {}, copy, true);
    const ModelFile written = output.writer->reopen();
    const std::vector<VerificationResult> checks = verify_cut(*output.masked, written, plan, {});
    CHECK(checks.back().check == "outputs_equal_batch");
    for (const VerificationResult& check : checks) {
      INFO(sparsity << " " << check.check << ": " << check.detail);
      CHECK(check.passed);
    }
  }
}
