#include "solvers/layer_problem.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_cholesky_ex.h>

#include "base/error.h"
#include "config/option_check.h"
#include "patterns/checked_mask.h"

namespace sparsify {

std::string Solver::refuses(const Pattern&) const { return ""; }

namespace {

double read_relu(const Options& options, double otherwise) {
  constexpr const char* kHelp = "share of the error between two negative values in front of Relu that is forgiven; true is 1, false 0";
  const Setting given = options.value("relu", kHelp);
  if (given.is_flag()) return given.flag() ? 1 : 0;
  return options.number("relu", otherwise, {.min = 0, .max = 1}, kHelp);
}

}  // namespace

TargetOptions read_target(const Options& options, const TargetOptions& otherwise) {
  TargetOptions target;
  target.dense_target = options.choice("target", otherwise.dense_target ? "dense" : "own", {"dense", "own"},
                                       "match the dense network's values, or what the dense weights make of the pruned input") == "dense";
  target.shortcut = options.flag("shortcut", otherwise.shortcut, "the error of a residual shortcut is corrected by the layer that is added to it");
  target.bias = options.flag("bias", otherwise.bias, "fit biases or BatchNormalization's shift with the weights");
  target.relu = read_relu(options, otherwise.relu);
  target.damping = options.number("damping", otherwise.damping, {.min = 0, .max = 1}, "pull towards the dense weights, times mean(diag H)");
  return target;
}

BitMask LayerProblem::select(const Pattern& by, const at::Tensor& scores, int64_t count) const {
  const at::Tensor stored = from_matrix(*site, scores.to(at::kFloat));
  const std::span<const float> view(stored.data_ptr<float>(), static_cast<size_t>(stored.numel()));
  std::vector<float> buffer;
  return checked_mask(by, pattern_name, site->tensor, view, count);
}

at::Tensor LayerProblem::as_matrix(const BitMask& stored) const {
  at::Tensor bytes = at::empty({stored.size()}, at::kByte);
  stored.unpack(0, {bytes.data_ptr<uint8_t>(), static_cast<size_t>(stored.size())});
  return to_matrix(*site, bytes.reshape(at::IntArrayRef(site->tensor.shape))).gt(0.5);
}

BitMask LayerProblem::as_mask(const at::Tensor& matrix) const {
  const at::Tensor bytes = from_matrix(*site, matrix.to(at::kByte));
  return BitMask::from_bytes({bytes.data_ptr<uint8_t>(), static_cast<size_t>(bytes.numel())});
}

at::Tensor cholesky_factor(const at::Tensor& hessian) {
  const auto [lower, info] = at::linalg_cholesky_ex(hessian);
  if (info.item<int>() == 0) return lower;
  throw ResourceError{{.what = "the inputs of the layer do not determine its weights (singular Hessian)",
                       .where = "solver",
                       .fix = "use more calibration samples, or a larger damping"}};
}

double quadratic_objective(const LayerProblem& problem, const at::Tensor& weights) {
  const int64_t groups = problem.hessian.size(0);
  const at::Tensor rows = weights.view({groups, -1, weights.size(1)});
  const at::Tensor quadratic = (at::bmm(rows, problem.hessian) * rows).sum(-1).view({-1});
  const at::Tensor linear = (weights * problem.cross).sum(-1);
  return (problem.row_scale.square() * (quadratic - 2 * linear)).sum().item<double>();
}

}  // namespace sparsify
