// The gold examples of the literature: Hessians and weights given, so that only the solver's mathematics is at work.
#include "support/catch.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>

#include "solvers/layer_problem.h"
#include "solvers/n_of_m_steps.h"

using namespace sparsify;

namespace {

/// One output or several: minimise (w - w0) H (w - w0)^T.
struct RowProblem {
  LinearSite site;
  std::unique_ptr<Pattern> pattern;
  LayerProblem problem;

  RowProblem(const at::Tensor& hessian, const at::Tensor& weights, const std::string& pattern_text, int64_t keep)
      : RowProblem(hessian, weights, Setting(pattern_text), keep) {}

  RowProblem(const at::Tensor& hessian, const at::Tensor& weights, const Setting& pattern_setting, int64_t keep) {
    const int64_t columns = hessian.size(0);
    const int64_t rows = weights.numel() / columns;
    site.tensor.shape = {rows, columns};
    site.tensor.output_axis = 0;
    site.tensor.input_axis = 1;
    site.tensor.initializer = "w";
    site.rows = rows;
    site.columns = columns;
    pattern = make_pattern(pattern_setting, "pattern");
    problem.site = &site;
    problem.pattern = pattern.get();
    problem.keep = keep;
    problem.mask = BitMask(weights.numel());
    problem.weights = weights.view({rows, columns});
    problem.hessian = hessian.unsqueeze(0);
    problem.cross = at::mm(problem.weights, hessian);
    problem.row_scale = at::ones({rows}, at::kDouble);
  }

  LayerSolution solve(const std::string& solver) const { return make_solver(Setting(solver), "solver")->solve(problem); }
  /// (w - w0) H (w - w0)^T / 2
  double loss(const at::Tensor& weights) const {
    const at::Tensor difference = weights - problem.weights;
    return (at::mm(difference, problem.hessian[0]) * difference).sum().item<double>() / 2;
  }
};

at::Tensor matrix(const std::vector<double>& values) {
  const auto n = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(values.size()))));
  return at::tensor(values, at::kDouble).view({n, n});
}

at::Tensor row(const std::vector<double>& values) { return at::tensor(values, at::kDouble); }

void require_row(const at::Tensor& weights, const std::vector<double>& expected) {
  REQUIRE(weights.numel() == static_cast<int64_t>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) {
    REQUIRE(weights.view({-1})[static_cast<int64_t>(i)].item<double>() == Approx(expected[i]).margin(1e-12));
  }
}

const std::vector<double> kFourInputs = {4, 2, 1, 0, 2, 3, 1, 1, 1, 1, 3, 1, 0, 1, 1, 2};

}  // namespace

TEST_CASE("OBS removes the weight with the least w^2 / [H^-1]_pp and moves the other", "[solvers][gold]") {
  const RowProblem two(matrix({2, 1, 1, 1}), row({1, 1}), "unstructured", 1);  // E1: H^-1 = [[1, -1], [-1, 2]]
  const LayerSolution solution = two.solve("obs");
  require_row(solution.weights, {1.5, 0});
  REQUIRE(two.loss(solution.weights) == Approx(0.25));
}

TEST_CASE("Where magnitude, OBD and OBS disagree, OBS takes the first of three weights", "[solvers][gold]") {
  const RowProblem three(matrix({1, -2, 0, -2, 5, 0, 0, 0, 1}), row({4, 2, 3}), "unstructured", 2);  // E2
  const LayerSolution solution = three.solve("obs");
  require_row(solution.weights, {0, 0.4, 3});
  REQUIRE(three.loss(solution.weights) == Approx(1.6));
}

TEST_CASE("SparseGPT's 2:4 on one row is as computed by hand", "[solvers][gold]") {
  const RowProblem four(matrix(kFourInputs), row({1, -2, 2, 1}), "2:4", 2);  // E3
  const LayerSolution solution = four.solve("sparsegpt");
  require_row(solution.weights, {0, -1.25, 2.25, 0});
  REQUIRE(four.loss(solution.weights) == Approx(11.0 / 8));
}

TEST_CASE("ExactOBS finds the best 2:4 of the same row, not the sum of single updates", "[solvers][gold]") {
  const RowProblem four(matrix(kFourInputs), row({1, -2, 2, 1}), "2:4", 2);  // E4
  const LayerSolution solution = four.solve("obs");
  require_row(solution.weights, {0, -1.125, 2.375, 0});
  REQUIRE(four.loss(solution.weights) == Approx(21.0 / 16));
  REQUIRE(four.loss(row({0, -0.821429, 2.535714, 0}).view({1, 4})) == Approx(1.538265).epsilon(1e-5));
  for (int64_t a = 0; a < 4; ++a) {  // brute force over the masks
    for (int64_t b = a + 1; b < 4; ++b) {
      at::Tensor kept = at::zeros({1, 4}, at::kBool);
      kept[0][a] = true;
      kept[0][b] = true;
      REQUIRE(four.loss(solve_on_support(four.problem.hessian, four.problem.cross, kept)) >= 21.0 / 16 - 1e-12);
    }
  }
}

TEST_CASE("ExactOBS in blocks is ExactOBS where the blocks of the Hessian do not touch", "[solvers][obs]") {
  const std::vector<double> two = {1, -2, 0, 0, 0, 0, -2, 5, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 1, 0, 0, 0, 0, 1, 2, 0.5, 0, 0, 0, 0, 0.5, 1};
  for (const char* pattern : {"unstructured", "2:3"}) {
    const RowProblem six(matrix(two), row({4, 2, 3, 1, 2, -1}), pattern, 3);
    Setting blocks{Setting::Map{}};
    blocks.set("name", Setting("obs"));
    blocks.set("block", Setting(3));
    const LayerSolution in_blocks = make_solver(blocks, "solver")->solve(six.problem);
    const LayerSolution at_once = six.solve("obs");
    REQUIRE(in_blocks.mask == at_once.mask);
    REQUIRE((in_blocks.weights - at_once.weights).abs().max().item<double>() < 1e-12);
  }
  // Blocks that touch: still as many weights as asked for, and no better than all at once.
  const RowProblem four(matrix(kFourInputs), row({1, -2, 2, 1}), "unstructured", 2);
  Setting halves{Setting::Map{}};
  halves.set("name", Setting("obs"));
  halves.set("block", Setting(2));
  const LayerSolution apart = make_solver(halves, "solver")->solve(four.problem);
  REQUIRE(apart.mask.kept() == 2);
  REQUIRE(four.loss(apart.weights) >= 21.0 / 16 - 1e-12);
}

TEST_CASE("OBS and SparseGPT remove blocks by the sum of what their rows lose", "[solvers][obs][sparsegpt]") {
  const at::Tensor hessian = matrix({2, 1, 1, 1});  // H^-1 = [[1, -1], [-1, 2]] = U^T U with U = [[1, -1], [0, 1]]
  const Setting two_rows = parse_yaml("{block: [2, 1]}", "test");
  // Column 0 costs (1 + 9) / 1, column 1 (1 + 0) / 2: w -= H^-1[:, 1] w_1 / 2. Alone, the second row's 0 would be all that goes.
  const RowProblem pair(hessian, row({1, 1, 3, 0}), two_rows, 1);
  require_row(pair.solve("obs").weights, {1.5, 0, 3, 0});
  require_row(pair.solve("sparsegpt").weights, {1, 0, 3, 0});  // no column is left to take over
  // (0.01 + 0.04) / 1 against 5 / 1: column 0 goes, column 1 takes over: w -= w_0 U[0, :].
  const RowProblem small(hessian, row({0.1, 1, 0.2, 2}), two_rows, 1);
  require_row(small.solve("sparsegpt").weights, {0, 1.1, 0, 2.2});
  require_row(small.solve("obs").weights, {0, 1.1, 0, 2.2});
}

TEST_CASE("OBS takes the block whose loss is least of all, at edges as well", "[solvers][obs]") {
  at::manual_seed(3);
  const at::Tensor inputs = at::randn({7, 30}, at::kDouble);
  const at::Tensor hessian = at::mm(inputs, inputs.t());
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{2, 2}, {3, 1}, {1, 4}}) {
    INFO(height << "x" << width);
    const Setting setting = parse_yaml("{block: [" + std::to_string(height) + ", " + std::to_string(width) + "]}", "test");
    RowProblem all(hessian, at::randn({5 * 7}, at::kDouble), setting, 0);
    all.problem.row_scale = at::tensor(std::vector<double>{1, 2, 0.5, 1, 3}, at::kDouble);
    const int64_t units = all.pattern->units(all.site.tensor);
    all.problem.keep = units - 1;
    const LayerSolution solution = all.solve("obs");
    const auto loss = [&](const at::Tensor& weights) {
      const at::Tensor difference = (weights - all.problem.weights) * all.problem.row_scale.unsqueeze(1);
      return (at::mm(difference, hessian) * difference).sum().item<double>();
    };
    double best = std::numeric_limits<double>::infinity();
    for (int64_t gone = 0; gone < units; ++gone) {  // every block alone
      const int64_t across = (7 + width - 1) / width;
      const int64_t top = gone / across * height;
      const int64_t left = gone % across * width;
      at::Tensor kept = at::ones({5, 7}, at::kBool);
      kept.narrow(0, top, std::min(height, 5 - top)).narrow(1, left, std::min(width, 7 - left)).fill_(false);
      best = std::min(best, loss(solve_on_support(all.problem.hessian, all.problem.cross, kept)));
    }
    CHECK(loss(solution.weights) == Approx(best));
    CHECK(all.pattern->violation(all.site.tensor, solution.mask) == "");
    for (const int64_t keep : {int64_t{1}, units / 2}) {  // exact counts, whatever the windows
      all.problem.keep = keep;
      for (const char* solver : {"obs", "sparsegpt", "{name: obs, block: 3}"}) {
        INFO(solver << ", keep " << keep);
        const LayerSolution other = make_solver(parse_yaml(solver, "test"), "solver")->solve(all.problem);
        CHECK(all.pattern->violation(all.site.tensor, other.mask) == "");
        std::vector<float> buffer;
        const at::Tensor stays = all.problem.as_matrix(other.mask).to(at::kFloat).contiguous();
        const ScoreView sums = all.pattern->unit_scores(all.site.tensor, std::span<const float>(stays.data_ptr<float>(), 35), buffer);
        int64_t blocks = 0;
        for (int64_t i = 0; i < sums.size(); ++i) blocks += sums[i] > 0 ? 1 : 0;
        CHECK(blocks == keep);
      }
    }
  }
}

TEST_CASE("Least squares keeps the given mask and solves the rest jointly", "[solvers][gold]") {
  RowProblem fisher(matrix({2, .5, .5, 1.5}), row({1, 2}), "unstructured", 1);  // E5: WoodFisher's F, index 0 pruned
  fisher.problem.mask.prune(0);
  require_row(fisher.solve("least_squares").weights, {0, 7.0 / 3});

  // E6, CHITA: X^T X + 2 lambda I for X = [[1, 2, 0], [0, 1, 1]], lambda = 1/2
  RowProblem chita(matrix({2, 2, 0, 2, 6, 1, 0, 1, 2}), row({1, -1, 2}), "unstructured", 2);
  chita.problem.mask.prune(0);
  const at::Tensor solved = chita.solve("least_squares").weights;
  require_row(solved, {0, -7.0 / 11, 20.0 / 11});
  REQUIRE(chita.loss(solved) == Approx(7.0 / 11));

  RowProblem alps(matrix({2, 1, 1, 2}), row({1, .9}), "unstructured", 1);  // E30: the support {0} solved
  alps.problem.mask.prune(1);
  require_row(alps.solve("least_squares").weights, {1.45, 0});
}

TEST_CASE("Solving on all weights gives M-FAC's product with the inverse Fisher matrix", "[solvers][gold]") {
  const at::Tensor fisher = matrix({2, .5, .5, 1.5}).unsqueeze(0);  // E5: F^-1 = [[6/11, -2/11], [-2/11, 8/11]]
  require_row(solve_on_support(fisher, row({1, 2}).view({1, 2}), at::ones({1, 2}, at::kBool)), {2.0 / 11, 14.0 / 11});
}

// ALPS (arXiv:2406.07831) is none of the solvers: issue C names four others, of which `gradual` ends in the same exact solve on its support. Its two steps are
// ours as well, a damped solve and a selection of the largest; only V += rho (W - D) is computed by the test.
TEST_CASE("The solve and the selection give the iterates of ALPS", "[solvers][gold]") {
  const RowProblem alps(matrix({2, 1, 1, 2}), row({1, .9}), "unstructured", 1);  // E30: rho = 1
  const at::Tensor damped = alps.problem.hessian + at::eye(2, at::kDouble);
  const auto solved = [&](const at::Tensor& d, const at::Tensor& v) {  // (H + rho I)^-1 (H W0 - V + rho D)
    return solve_on_support(damped, alps.problem.cross - v + d, at::ones({1, 2}, at::kBool));
  };
  const auto selected = [&](const at::Tensor& w) {  // the k largest of |W + V / rho|
    return w * alps.problem.as_matrix(alps.problem.select(*alps.pattern, w.abs(), 1));
  };
  const at::Tensor none = at::zeros({1, 2}, at::kDouble);
  const at::Tensor w1 = solved(alps.problem.weights, none);
  require_row(w1, {1, .9});
  const at::Tensor d1 = selected(w1);
  require_row(d1, {1, 0});
  const at::Tensor v1 = w1 - d1;
  require_row(v1, {0, .9});
  const at::Tensor w2 = solved(d1, v1);
  require_row(w2, {1.225, .225});
  require_row(selected(w2 + v1), {1.225, 0});
}

TEST_CASE("The gradual solver in one step is least squares on the magnitude mask", "[solvers][gradual]") {
  RowProblem four(matrix(kFourInputs), row({1, -2, 2.5, .5}), "unstructured", 2);
  four.problem.mask.prune(0);
  four.problem.mask.prune(3);
  Setting one_step{Setting::Map{}};
  one_step.set("name", Setting("gradual"));
  one_step.set("steps", Setting(1));
  const LayerSolution gradual = make_solver(one_step, "solver")->solve(four.problem);
  REQUIRE(gradual.mask == four.problem.mask);
  REQUIRE(gradual.weights.equal(four.solve("least_squares").weights));
  REQUIRE(four.loss(four.solve("gradual").weights) <= four.loss(gradual.weights) + 1e-12);
}

TEST_CASE("N:M goes one weight of M at a time, long groups in at most 63 steps", "[solvers][gradual]") {
  const auto steps_of = [](const NOfMNumbers& target) {
    std::vector<std::string> steps;
    for (const auto& step : n_of_m_steps(target)) steps.push_back(step->describe());
    REQUIRE(static_cast<int64_t>(steps.size()) == n_of_m_step_count(target));
    return steps;
  };
  REQUIRE(steps_of({2, 4}) == std::vector<std::string>{"3:4", "2:4"});
  REQUIRE(steps_of({1, 64}).size() == 63);
  const auto wide = steps_of({64, 1024});  // 960 weights go, 16 a step
  REQUIRE(wide.size() == 60);
  REQUIRE(wide.front() == "1008:1024");
  REQUIRE(wide.back() == "64:1024");
}

TEST_CASE("A singular Hessian is an error that says what to do", "[solvers]") {
  const RowProblem singular(matrix({1, 1, 1, 1}), row({1, 1}), "unstructured", 2);
  REQUIRE_THROWS_WITH(singular.solve("least_squares"), Catch::Contains("singular") && Catch::Contains("more calibration samples"));
}

TEST_CASE("Unknown solvers and options name the closest", "[solvers]") {
  REQUIRE_THROWS_WITH(make_solver(Setting("sparsgpt"), "prune.0.solver"), Catch::Contains("sparsegpt"));
  Setting misspelt{Setting::Map{}};
  misspelt.set("name", Setting("gradual"));
  misspelt.set("step", Setting(3));
  REQUIRE_THROWS_WITH(make_solver(misspelt, "prune.0.solver"), Catch::Contains("steps"));
}

TEST_CASE("A system of 200 unknowns is solved on its support as by a general solver", "[solvers]") {
  const at::Tensor x = at::arange(200 * 260, at::kDouble).sin().view({200, 260});
  const at::Tensor hessian = at::mm(x, x.t()) + at::eye(200, at::kDouble);
  const at::Tensor cross = at::arange(400, at::kDouble).cos().view({2, 200});
  at::Tensor kept = at::ones({2, 200}, at::kBool);
  kept[1].slice(0, 0, 140) = false;  // 200 and 60 unknowns: both ways of factoring
  const at::Tensor solved = solve_on_support(hessian.unsqueeze(0), cross, kept);
  REQUIRE((at::mm(hessian, solved[0].unsqueeze(1)).squeeze(1) - cross[0]).abs().max().item<double>() < 1e-9);
  const at::Tensor part = at::mm(hessian, solved[1].unsqueeze(1)).squeeze(1) - cross[1];
  REQUIRE(part.slice(0, 140, 200).abs().max().item<double>() < 1e-9);
  REQUIRE(solved[1].slice(0, 0, 140).count_nonzero().item<int64_t>() == 0);
}
