#include "pipeline/output_damage.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "pipeline/class_scores.h"

namespace sparsify {
namespace {

/// Elements that belong to the first `count` samples.
size_t elements_of(const HostTensor& tensor, int64_t count) {
  const Shape& shape = tensor.shape();
  if (shape.empty() || shape.front() <= count) return static_cast<size_t>(tensor.count());
  return static_cast<size_t>(tensor.count() / shape.front() * count);
}

/// Natural logarithms of the probabilities that a row of scores means.
std::vector<double> log_probabilities(const std::vector<float>& row, bool probabilities) {
  const auto classes = static_cast<int64_t>(row.size());
  if (!probabilities) return log_softmax(row.data(), classes);
  constexpr double kLeast = 1e-12;  // a probability that was rounded to 0
  std::vector<double> logs;
  for (const float one : row) logs.push_back(std::log(std::max(static_cast<double>(one), kLeast)));
  return logs;
}

}  // namespace

void OutputDamage::add(const std::vector<HostTensor>& dense, const std::vector<HostTensor>& actual, int64_t count) {
  invariant(dense.size() == actual.size(), "both models have the same outputs");
  squares_.resize(dense.size());
  for (size_t i = 0; i < dense.size(); ++i) {
    if (!is_prunable_float(dense[i].type())) continue;
    if (dense[i].shape() != actual[i].shape()) {
      throw ShapeError{{.what = fmt::format("output {} is {}, the dense model's is {}", i, to_text(actual[i].shape()),
                                            to_text(dense[i].shape())),
                        .where = "comparing outputs",
                        .fix = "compare on inputs for which the outputs' shapes do not depend on the weights"}};
    }
    const std::vector<float> want = dense[i].to_floats();
    const std::vector<float> have = actual[i].to_floats();
    const size_t elements = elements_of(dense[i], count);
    for (size_t e = 0; e < elements; ++e) {
      const double gap = static_cast<double>(have[e]) - want[e];
      squares_[i].difference += gap * gap;
      squares_[i].reference += static_cast<double>(want[e]) * want[e];
    }
    if (i == 0) add_divergence(dense[i], actual[i], count);
  }
}

void OutputDamage::add_divergence(const HostTensor& dense, const HostTensor& actual, int64_t count) {
  const Shape& shape = dense.shape();
  if (shape.size() < 2) return;
  const size_t axis = shape.size() == 3 ? 2 : 1;
  const int64_t classes = shape[axis];
  if (classes < 2) return;
  int64_t inner = 1;
  for (size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  const std::vector<float> want = dense.to_floats();
  const std::vector<float> have = actual.to_floats();
  const auto rows = static_cast<int64_t>(elements_of(dense, count)) / classes;
  std::vector<float> p(static_cast<size_t>(classes));
  std::vector<float> q(p.size());
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t first = row / inner * classes * inner + row % inner;
    for (int64_t c = 0; c < classes; ++c) {
      p[static_cast<size_t>(c)] = want[static_cast<size_t>(first + c * inner)];
      q[static_cast<size_t>(c)] = have[static_cast<size_t>(first + c * inner)];
    }
    const bool probabilities = are_probabilities(p.data(), classes) && are_probabilities(q.data(), classes);
    const std::vector<double> log_p = log_probabilities(p, probabilities);
    const std::vector<double> log_q = log_probabilities(q, probabilities);
    double sum = 0;
    for (size_t c = 0; c < log_p.size(); ++c) sum += std::exp(log_p[c]) * (log_p[c] - log_q[c]);
    divergence_ += sum;
    ++positions_;
  }
}

std::optional<double> OutputDamage::divergence() const {
  if (positions_ == 0) return std::nullopt;
  return std::max(0.0, divergence_ / static_cast<double>(positions_));
}

double OutputDamage::relative_error() const {
  double sum = 0;
  int64_t outputs = 0;
  for (const Squares& one : squares_) {
    if (one.reference == 0 && one.difference == 0) continue;
    sum += one.reference > 0 ? one.difference / one.reference : INFINITY;
    ++outputs;
  }
  return outputs == 0 ? 0 : std::sqrt(sum / static_cast<double>(outputs));
}

}  // namespace sparsify
