#include "pipeline/class_scores.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace sparsify {
namespace {

Shape without_ones(const Shape& shape, size_t left_out) {
  Shape rest;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (axis != left_out && shape[axis] != 1) rest.push_back(shape[axis]);
  }
  return rest;
}

/// 0 if there is none: the first axis counts samples.
size_t find_class_axis(const Shape& scores, const Shape& labels) {
  if (scores.size() < 2) return 0;
  const Shape wanted = without_ones(labels, labels.size());
  for (const size_t axis : {size_t{1}, scores.size() - 1}) {
    if (without_ones(scores, axis) == wanted) return axis;
  }
  return 0;
}

}  // namespace

ClassScores class_scores(const HostTensor& scores, const HostTensor& labels, int64_t count,
                         int64_t first) {
  const Shape& shape = scores.shape();
  const size_t axis = find_class_axis(shape, labels.shape());
  if (axis == 0) {
    throw ShapeError{
        {.what = fmt::format("labels {} do not fit the output {}", to_text(labels.shape()),
                             to_text(shape)),
         .where = fmt::format("sample {}", first),
         .fix = "give one class index a sample (or a position), or use a metric that compares "
                "with targets, such as mse"}};
  }
  ClassScores batch;
  batch.classes = shape[axis];
  int64_t inner = 1;
  for (size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  const int64_t positions = labels.count() / std::max<int64_t>(1, shape[0]);
  const std::vector<float> values = scores.to_floats();
  const std::vector<int64_t> all = labels.to_integers();
  for (int64_t i = 0; i < count * positions; ++i) {
    const int64_t label = all[static_cast<size_t>(i)];
    if (label == ClassScores::kIgnored) continue;
    if (label < 0 || label >= batch.classes) {
      throw ResourceError{
          {.what = fmt::format("label {} is outside the model's {} classes", label, batch.classes),
           .where = fmt::format("sample {}", first + i / positions),
           .fix =
               "use labels from 0 to classes - 1; check that data set and model belong together"}};
    }
    batch.labels.push_back(label);
    const float* source = values.data() + i / inner * batch.classes * inner + i % inner;
    for (int64_t c = 0; c < batch.classes; ++c) batch.scores.push_back(source[c * inner]);
  }
  return batch;
}

bool are_probabilities(const float* row, int64_t classes) {
  double sum = 0;
  for (int64_t c = 0; c < classes; ++c) {
    if (!(row[c] >= 0)) return false;
    sum += row[c];
  }
  return std::abs(sum - 1) < 1e-3;
}

std::vector<double> log_softmax(const float* row, int64_t classes) {
  double largest = -std::numeric_limits<double>::infinity();
  for (int64_t c = 0; c < classes; ++c) largest = std::max(largest, static_cast<double>(row[c]));
  double sum = 0;
  for (int64_t c = 0; c < classes; ++c) sum += std::exp(row[c] - largest);
  std::vector<double> logs(static_cast<size_t>(classes));
  for (int64_t c = 0; c < classes; ++c)
    logs[static_cast<size_t>(c)] = row[c] - largest - std::log(sum);
  return logs;
}

}  // namespace sparsify
