#include "pipeline/compare.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "mask/prunable.h"
#include "mask/tensor_globs.h"
#include "patterns/pattern.h"
#include "pipeline/figures.h"
#include "pipeline/tensor_difference.h"

namespace sparsify {
namespace {

/// Adds one batch to the comparison of one output. The first `count` samples are real, unless the output has another first axis.
void add_(OutputComparison& comparison, const HostTensor& reference, const HostTensor& actual, int64_t count) {
  const TensorDifference difference = difference_of(reference, actual, count);
  comparison.exact = compares_exactly(reference.type());
  if (comparison.problem.empty()) comparison.problem = difference.problem;
  comparison.by_batch.push_back(difference.largest);
  comparison.largest_difference = std::max(comparison.largest_difference, difference.largest);
  comparison.largest_value = std::max(comparison.largest_value, difference.largest_value);
}

/// Only now is the largest value known.
void judge_(Comparison& comparison) {
  for (OutputComparison& output : comparison.outputs) {
    const double allowed = output.exact ? 0 : allowed_difference(comparison.tolerance, output.largest_value);
    const auto first = std::find_if(output.by_batch.begin(), output.by_batch.end(), [&](double difference) { return difference > allowed; });
    output.first_batch = first == output.by_batch.end() ? -1 : first - output.by_batch.begin();
  }
}

void require_tolerance(double tolerance) {
  if (std::isfinite(tolerance) && tolerance >= 0) return;
  throw ConfigError{{.what = fmt::format("the tolerance is {}", tolerance), .where = "--tolerance", .fix = "use a number of at least 0; with 0, outputs are equal or not"}};
}

/// Weights, and zeros among them.
std::pair<int64_t, int64_t> weights_of(const ModelFile& file) {
  std::vector<PrunableTensor> weights = find_tensors(file);
  std::erase_if(weights, [](const PrunableTensor& tensor) { return tensor.kind != "weight"; });
  std::pair<int64_t, int64_t> counts;
  for (const PrunableTensor& tensor : weights) counts.first += tensor.count();
  for (const auto& [id, zeros] : count_all_zeros(file, weights)) counts.second += zeros;
  return counts;
}

}  // namespace

bool Comparison::outputs_equal() const {
  return std::all_of(outputs.begin(), outputs.end(), [](const OutputComparison& output) { return output.equal(); });
}

std::string pruning_difference(const ModelFile& a, const ModelFile& b) {
  const auto [here, zeros_here] = weights_of(a);
  const auto [there, zeros_there] = weights_of(b);
  if (here != there) return fmt::format("{} has {} weights, {} has {}", a.path(), here, b.path(), there);
  if (zeros_here == zeros_there) return "";
  const auto percent = [](int64_t zeros, int64_t all) { return 100.0 * static_cast<double>(zeros) / static_cast<double>(std::max<int64_t>(all, 1)); };
  return fmt::format("of the weights of {} {:.1f} % are zero, of {} {:.1f} %", b.path(), percent(zeros_there, there), a.path(), percent(zeros_here, here));
}

Comparison compare_models(const ModelFile& a, const ModelFile& b, const DataSource& data, const CompareOptions& options) {
  require_tolerance(options.tolerance);
  Comparison comparison{.outputs = {}, .structure = structure_difference(a, b), .tolerance = options.tolerance};
  const Graph& left = a.model().graph;
  const Graph& right = b.model().graph;
  if (left.inputs.size() != right.inputs.size() || left.outputs.size() != right.outputs.size()) {
    throw ResourceError{{.what = fmt::format("the models have {} and {} inputs, {} and {} outputs", left.inputs.size(),
                                             right.inputs.size(), left.outputs.size(), right.outputs.size()),
                         .where = fmt::format("{} and {}", a.path(), b.path()),
                         .fix = "compare models with the same signature"}};
  }
  const auto runtime = make_runtime(options.runtime);
  const auto first = runtime->open(a, options.session);
  const auto second = runtime->open(b, options.session);
  for (const ValueInfo& output : left.outputs) comparison.outputs.push_back({.name = output.name, .problem = "", .by_batch = {}});
  const auto stream = data.stream({});
  Progress progress("comparing", data.size());
  while (auto next = stream->next()) {
    check_interrupt();
    const auto expected = first->run(next->inputs);
    const auto actual = second->run(next->inputs);
    for (size_t i = 0; i < expected.size(); ++i) add_(comparison.outputs[i], expected[i], actual[i], next->count);
    comparison.samples += next->count;
    progress.advance(next->count);
  }
  judge_(comparison);
  return comparison;
}

Comparison compare_with_recorded(const ModelFile& file, const DataSource& data, const CompareOptions& options) {
  require_tolerance(options.tolerance);
  Comparison comparison{.outputs = {}, .structure = {}, .tolerance = options.tolerance};
  const auto session = make_runtime(options.runtime)->open(file, options.session);
  for (const ValueInfo& output : file.model().graph.outputs) comparison.outputs.push_back({.name = output.name, .problem = "", .by_batch = {}});
  const auto stream = data.stream({});
  while (auto next = stream->next()) {
    check_interrupt();
    if (next->outputs.size() != comparison.outputs.size()) {
      throw ConfigError{{.what = fmt::format("the data has {} recorded outputs, the model {}", next->outputs.size(), comparison.outputs.size()),
                         .where = data.describe(),
                         .fix = "give a second model to compare with, or a folder with output_0.pb ... (--data onnx:DIR)"}};
    }
    const auto actual = session->run(next->inputs);
    for (size_t i = 0; i < actual.size(); ++i) add_(comparison.outputs[i], next->outputs[i], actual[i], 0);
    comparison.samples += next->count;
  }
  judge_(comparison);
  return comparison;
}

PatternCheck check_pattern(const ModelFile& file, const Setting& setting, const std::vector<std::string>& include,
                           const std::vector<std::string>& exclude) {
  const auto pattern = make_pattern(setting, "--pattern");
  PatternCheck check;
  for (const PrunableTensor& tensor : find_tensors(file)) {
    if (tensor.kind != "weight") continue;
    if (!matches_any(include, tensor) || matches_any(exclude, tensor)) {
      ++check.left_out;
      continue;
    }
    const std::string refused = pattern->refuses(tensor);
    if (!refused.empty()) {
      check.ineligible.push_back(fmt::format("{}: {}", tensor.initializer, refused));
      continue;
    }
    std::vector<float> weights(static_cast<size_t>(tensor.count()));
    read_weights(file, tensor, weights);
    BitMask mask(tensor.count(), /*kept=*/false);
    for (size_t i = 0; i < weights.size(); ++i) {
      if (weights[i] != 0) mask.keep(static_cast<int64_t>(i));
    }
    const std::string broken = pattern->violation(tensor, mask);
    if (broken.empty()) ++check.obeying;
    else check.violations.push_back(fmt::format("{}: {}", tensor.initializer, broken));
  }
  return check;
}

}  // namespace sparsify
