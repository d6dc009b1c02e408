#include "support/catch.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "solvers/backward_elimination.h"
#include "solvers/layer_problem.h"

using namespace sparsify;

namespace {

at::Tensor matrix(const std::vector<std::vector<double>>& rows) {
  at::Tensor out = at::empty({static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows.front().size())}, at::kDouble);
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t j = 0; j < rows[i].size(); ++j) out[static_cast<int64_t>(i)][static_cast<int64_t>(j)] = rows[i][j];
  }
  return out;
}

/// Positive definite, without structure.
at::Tensor gram(int64_t size, double phase) {
  at::Tensor root = at::empty({size, size + 3}, at::kDouble);
  double* values = root.data_ptr<double>();
  for (int64_t i = 0; i < root.numel(); ++i) values[i] = std::sin(phase + 1.7 * static_cast<double>(i));
  return root.mm(root.t()) + 0.1 * at::eye(size, at::kDouble);
}

at::Tensor columns(std::vector<int64_t> unit_of) {
  at::Tensor out = at::empty({1, static_cast<int64_t>(unit_of.size())}, at::kLong);
  std::copy(unit_of.begin(), unit_of.end(), out.data_ptr<int64_t>());
  return out;
}

EliminationGroup group_of(int64_t units) {
  const std::vector<bool> none(static_cast<size_t>(units), false);
  return {.name = "g", .units = units, .frozen = none, .gone = none, .worth = std::vector<double>(static_cast<size_t>(units), 1)};
}

}  // namespace

// H = [2 1; 1 2], W = [1 3]: without the first column the other becomes 3 + 1/2 and 3/2 is lost, W H W^T = 26 with both.
TEST_CASE("Units go in the order of what their removal costs once the others are solved again", "[solvers][elimination]") {
  std::vector<ReaderProblem> problems{{.hessian = matrix({{2, 1}, {1, 2}}).unsqueeze(0),
                                       .weights = matrix({{1, 3}}),
                                       .row_weight = at::ones({1}, at::kDouble),
                                       .unit_of = columns({0, 1})}};
  const Elimination found = eliminate_backward(group_of(2), problems);
  CHECK(found.order == std::vector<int64_t>{0, 1});
  REQUIRE(found.errors.size() == 2);
  CHECK(found.errors[0] == Approx(1.5));
  CHECK(found.errors[1] == Approx(26));
}

TEST_CASE("A unit that saves more may cost more", "[solvers][elimination]") {
  EliminationGroup group = group_of(2);
  group.worth[1] = 10;  // 13.5 / 10 < 1.5 / 1
  std::vector<ReaderProblem> problems{{.hessian = matrix({{2, 1}, {1, 2}}).unsqueeze(0),
                                       .weights = matrix({{1, 3}}),
                                       .row_weight = at::ones({1}, at::kDouble),
                                       .unit_of = columns({0, 1})}};
  const Elimination found = eliminate_backward(group, problems);
  CHECK(found.order == std::vector<int64_t>{1, 0});
  CHECK(found.errors[0] == Approx(13.5));
}

TEST_CASE("The errors of an elimination are those of direct solves on what is left", "[solvers][elimination]") {
  const at::Tensor first = gram(8, 0.3);
  const at::Tensor second = gram(4, 1.1);
  const at::Tensor w1 = gram(8, 2.0).narrow(0, 0, 3).contiguous();
  const at::Tensor w2 = gram(4, 0.7).narrow(0, 0, 2).contiguous();
  const at::Tensor s1 = matrix({{0.5, 1, 2}}).view({-1});
  const at::Tensor s2 = matrix({{3, 0.25}}).view({-1});
  const std::vector<int64_t> u1{0, 0, 1, 1, 2, 2, 3, 3};
  const std::vector<int64_t> u2{0, 1, 2, 3};
  std::vector<ReaderProblem> problems{{first.unsqueeze(0), w1, s1, columns(u1)}, {second.unsqueeze(0), w2, s2, columns(u2)}};
  const Elimination found = eliminate_backward(group_of(4), problems);
  REQUIRE(found.order.size() == 4);
  const auto left = [&](const at::Tensor& h, const at::Tensor& w, const at::Tensor& s, const std::vector<int64_t>& unit_of, size_t removed) {
    at::Tensor mask = at::ones(w.sizes(), at::kBool);
    for (size_t i = 0; i < removed; ++i) {
      for (size_t column = 0; column < unit_of.size(); ++column) {
        if (unit_of[column] == found.order[i]) mask.select(1, static_cast<int64_t>(column)).fill_(false);
      }
    }
    const at::Tensor rest = solve_on_support(h.unsqueeze(0), w.mm(h), mask) - w;
    return ((rest.mm(h) * rest).sum(1) * s).sum().item<double>();
  };
  for (size_t removed = 1; removed <= 4; ++removed) {
    const double direct = left(first, w1, s1, u1, removed) + left(second, w2, s2, u2, removed);
    CHECK(found.errors[removed - 1] == Approx(direct).epsilon(1e-9));
  }
}

TEST_CASE("Frozen units stay, and what is gone already goes first and unasked", "[solvers][elimination]") {
  EliminationGroup group = group_of(3);
  group.frozen[1] = true;
  group.gone[2] = true;
  const at::Tensor h = gram(3, 0.5);
  const at::Tensor w = matrix({{1, 2, 3}});
  std::vector<ReaderProblem> problems{{h.unsqueeze(0), w, at::ones({1}, at::kDouble), columns({0, 1, 2})}};
  const Elimination found = eliminate_backward(group, problems);
  CHECK(found.order == std::vector<int64_t>{0});
  const at::Tensor without = solve_on_support(h.unsqueeze(0), w.mm(h), matrix({{1, 1, 0}}).gt(0.5));
  const at::Tensor both = solve_on_support(h.unsqueeze(0), w.mm(h), matrix({{0, 1, 0}}).gt(0.5));
  const auto error = [&](const at::Tensor& v) { return (v - w).mm(h).mul(v - w).sum().item<double>(); };
  CHECK(found.errors.front() == Approx(error(both) - error(without)));
}

TEST_CASE("Rows that share their support are solved as they are one by one", "[solvers][support]") {
  const at::Tensor h = at::stack({gram(5, 0.2), gram(5, 1.4)});
  const at::Tensor cross = gram(6, 0.9).narrow(1, 0, 5).contiguous();
  at::Tensor mask = at::zeros({6, 5}, at::kBool);
  mask.narrow(0, 0, 3).index_fill_(1, columns({0, 2, 3}).view({-1}), true);
  mask.narrow(0, 3, 3).index_fill_(1, columns({1, 4}).view({-1}), true);
  mask[1].fill_(false);  // a removed output
  const auto shared = solve_on_shared_support(h, cross, mask);
  REQUIRE(shared.has_value());
  for (int64_t row = 0; row < 6; ++row) {
    const at::Tensor support = mask[row].nonzero().view({-1});
    const at::Tensor residual = (h[row / 3].mv((*shared)[row]) - cross[row]).index_select(0, support);
    CHECK(residual.abs().sum().item<double>() < 1e-9);
    CHECK(((*shared)[row] * mask[row].logical_not()).abs().sum().item<double>() == 0);
  }
  mask[0][1] = true;
  CHECK_FALSE(solve_on_shared_support(h, cross, mask).has_value());
}
