#include "pipeline/default_solver.h"

#include <fmt/core.h>

#include "base/error.h"
#include "program/model_text.h"
#include "support/catch.h"

using namespace sparsify;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kModel = "configs/quickstart/digits.onnx";
constexpr const char* kTrain = "data: {train: {format: npz, path: configs/quickstart/digits-train.npz, scale: 16, limit: 64}}, ";

struct Chosen {
  std::string solver;
  std::string note;
};

Chosen chosen(const std::string& recipe_text, const std::string& model = kModel, bool rules_apply = true) {
  Recipe recipe = read_recipe(parse_yaml("{" + recipe_text + "}", "r.yaml"), "");
  const std::string note = choose_solver_(recipe, ModelFile::load(model), rules_apply, {});
  return {split_name(recipe.prune[0].solver, "").name, note};
}

}  // namespace

TEST_CASE("the work of the gradual solver is that of its matrices", "[pipeline][solver]") {
  // 10 outputs of 100 inputs, half kept in one step, 8 samples at 5 positions, a network of 1,000 MACs:
  // 3 solves of 10 * 50^3 / 6; 40 columns of 100 * (100 + 10); 2 * 8 * 1,000.
  const SolverWork work = gradual_work({{.rows = 10, .columns = 100, .positions = 5, .density = 0.5, .steps = 1}}, 8, 1000);
  CHECK(work.solving == Approx(3 * 10 * 125000.0 / 6));
  CHECK(work.passing == Approx(40 * 100 * 110 + 16000));
  // In front of Relu half the weights are multiplied twice, 3 times; a quarter of X X^T.
  const SolverWork before_relu = gradual_work({{.rows = 10, .columns = 100, .positions = 5, .density = 0.5, .steps = 1, .gram = 0.25, .convolves = true}}, 8, 1000);
  CHECK(before_relu.passing == Approx(40 * 100 * (25 + 10 + 30) + 16000));
  CHECK(work.bytes == Approx(8 * (3 * 10000.0 + 6 * 1000)));
  CHECK(gradual_work({{.rows = 10, .columns = 100, .density = 0.5, .steps = 12}}, 8, 0).solving > work.solving);
  CHECK(work.cpu_seconds() > 0);
}

TEST_CASE("with unlabelled data and nothing else said, small networks are solved by gradual", "[pipeline][solver]") {
  const Chosen small = chosen(std::string(kTrain) + "prune: {sparsity: 0.8}");
  CHECK(small.solver == "gradual");
  CHECK_THAT(small.note, Contains("gradual, estimated at") && Contains("64 samples") && Contains("15 minutes"));
  CHECK(chosen(std::string(kTrain) + "prune: {sparsity: 0.8, solver: auto}").solver == "gradual");
  CHECK(chosen(std::string(kTrain) + "prune: {pattern: '2:4'}").solver == "gradual");
}

TEST_CASE("what was chosen by name is left alone", "[pipeline][solver]") {
  const auto with = [](const std::string& text) { return chosen(std::string(kTrain) + text); };
  CHECK(with("prune: {sparsity: 0.8, solver: none}").solver == "none");
  CHECK(with("prune: {sparsity: 0.8, solver: obs}").solver == "obs");
  CHECK(with("prune: {sparsity: 0.8, criterion: random}").solver == "none");
  CHECK(with("repair: statistics, prune: {sparsity: 0.8}").solver == "none");
  CHECK(with("train: {epochs: 1}, prune: {sparsity: 0.8}").solver == "none");
  CHECK(with("prune: {pattern: channel, sparsity: 0.5}").solver == "none");
  CHECK(chosen("prune: {sparsity: 0.8}").solver == "none");
  CHECK(chosen("prune: {sparsity: 0.8}").note.empty());
  CHECK(chosen(std::string(kTrain) + "prune: {sparsity: 0.8}", kModel, /*rules_apply=*/false).solver == "auto");
}

TEST_CASE("where gradual would take too long, statistics are repaired, and the run says so", "[pipeline][solver]") {
  CHECK(gradual_work({{.rows = 6000, .columns = 6000, .density = 0.5}}, 2048, 4e7).cpu_seconds() > kSolverBudgetSeconds);
  CHECK(gradual_work({{.rows = 512, .columns = 4608, .positions = 49, .density = 0.1}}, 2048, 2e9).bytes < kSolverBudgetBytes);
  const int64_t wide = 1800;
  std::string numbers = "0.5";
  numbers.reserve(static_cast<size_t>(4 * wide * wide));
  for (int64_t i = 1; i < wide * wide; ++i) numbers += ",0.5";
  std::string edge = "0.5";
  for (int64_t i = 1; i < 4 * wide; ++i) edge += ",0.5";
  const TextModel slow(fmt::format("<ir_version: 8, opset_import: [\"\": 17]> g (float[N,4] x) => (float[N,4] y) <float[4,{0}] a = {{{2}}}, float[{0},{0}] w = {{{1}}}, float[{0},4] b = {{{2}}}>"
                                   " {{ h = MatMul (x, a) k = MatMul (h, w) y = MatMul (k, b) }}",
                                   wide, numbers, edge));
  const Chosen too_slow = chosen("data: {calibration: {format: random, limit: 100}}, prune: {sparsity: 0.01}", slow.path());
  CHECK(too_slow.solver == "none");
  CHECK_THAT(too_slow.note, Contains("statistics repair, because gradual is estimated at") && Contains("--solver gradual"));
  CHECK(chosen("data: {calibration: {format: random, limit: 100}}, prune: {sparsity: 0.95}", slow.path()).solver == "gradual");
}
