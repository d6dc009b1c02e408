#include "pipeline/compare.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "mask/prunable.h"
#include "mask/tensor_globs.h"
#include "patterns/pattern.h"

namespace sparsify {
namespace {

/// Adds one batch to the comparison of one output. The first `count` samples are real, unless the output has another first axis.
void add(OutputComparison& comparison, const HostTensor& reference, const HostTensor& actual, int64_t batch, int64_t count,
         double tolerance) {
  if (reference.type() != actual.type() || reference.shape() != actual.shape()) {
    comparison.problem = fmt::format("{}{} instead of {}{}", name_of(actual.type()), to_text(actual.shape()),
                                     name_of(reference.type()), to_text(reference.shape()));
    return;
  }
  if (reference.type() == DType::String) {
    if (reference.strings() != actual.strings()) comparison.problem = "strings differ";
    return;
  }
  std::vector<float> expected = reference.to_floats();
  std::vector<float> found = actual.to_floats();
  if (!reference.shape().empty() && count > 0 && count < reference.shape().front()) {
    const auto real = expected.size() / static_cast<size_t>(reference.shape().front()) * static_cast<size_t>(count);
    expected.resize(real);
    found.resize(real);
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    const double want = expected[i];
    const double have = found[i];
    if (std::isfinite(want)) comparison.largest_value = std::max(comparison.largest_value, std::fabs(want));
    const bool same = want == have || (std::isnan(want) && std::isnan(have));
    const double gap = same ? 0 : std::fabs(want - have);
    comparison.largest_difference = std::max(comparison.largest_difference, std::isnan(gap) ? INFINITY : gap);
  }
  if (comparison.first_batch < 0 && comparison.largest_difference > tolerance * comparison.largest_value + 1e-5) {
    comparison.first_batch = batch;
  }
}

void judge(Comparison& comparison) {
  for (const OutputComparison& output : comparison.outputs) {
    const bool close = output.largest_difference <= comparison.tolerance * output.largest_value + 1e-5;
    comparison.passed = comparison.passed && output.problem.empty() && close;
  }
}

std::vector<std::string> structure_differences(const ModelFile& a, const ModelFile& b) {
  std::vector<std::string> differences;
  const Graph& left = a.model().graph;
  const Graph& right = b.model().graph;
  const auto line = [](const Node& node) { return node.op_type + " \"" + node.name + "\""; };
  for (size_t i = 0; i < std::max(left.nodes.size(), right.nodes.size()); ++i) {
    const std::string one = i < left.nodes.size() ? line(left.nodes[i]) : "nothing";
    const std::string two = i < right.nodes.size() ? line(right.nodes[i]) : "nothing";
    if (one != two) {
      differences.push_back(fmt::format("node {}: {} | {}", i, one, two));
      break;
    }
  }
  for (const StoredTensor& tensor : left.initializers) {
    const StoredTensor* other = right.find_initializer(tensor.name);
    if (other == nullptr) {
      differences.push_back(fmt::format("initializer \"{}\" is only in the first model", tensor.name));
    } else if (other->shape != tensor.shape || other->type != tensor.type) {
      differences.push_back(fmt::format("initializer \"{}\": {}{} | {}{}", tensor.name, name_of(tensor.type), to_text(tensor.shape),
                                        name_of(other->type), to_text(other->shape)));
    }
  }
  return differences;
}

}  // namespace

Comparison compare_models(const ModelFile& a, const ModelFile& b, const DataSource& data, const CompareOptions& options) {
  Comparison comparison{.outputs = {}, .structure = structure_differences(a, b), .tolerance = options.tolerance};
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
  for (const ValueInfo& output : left.outputs) comparison.outputs.push_back({.name = output.name, .problem = ""});
  const auto stream = data.stream({});
  Progress progress("comparing", data.size());
  for (int64_t batch = 0; auto next = stream->next(); ++batch) {
    check_interrupt();
    const auto expected = first->run(next->inputs);
    const auto actual = second->run(next->inputs);
    for (size_t i = 0; i < expected.size(); ++i) {
      add(comparison.outputs[i], expected[i], actual[i], batch, next->count, options.tolerance);
    }
    comparison.samples += next->count;
    progress.advance(next->count);
  }
  judge(comparison);
  return comparison;
}

Comparison compare_with_recorded(const ModelFile& file, const DataSource& data, const CompareOptions& options) {
  Comparison comparison{.outputs = {}, .structure = {}, .tolerance = options.tolerance};
  const auto session = make_runtime(options.runtime)->open(file, options.session);
  for (const ValueInfo& output : file.model().graph.outputs) comparison.outputs.push_back({.name = output.name, .problem = ""});
  const auto stream = data.stream({});
  for (int64_t batch = 0; auto next = stream->next(); ++batch) {
    check_interrupt();
    if (next->outputs.size() != comparison.outputs.size()) {
      throw ConfigError{{.what = fmt::format("the data has {} recorded outputs, the model {}", next->outputs.size(), comparison.outputs.size()),
                         .where = data.describe(),
                         .fix = "give a second model to compare with, or a folder with output_0.pb ... (--data onnx:DIR)"}};
    }
    const auto actual = session->run(next->inputs);
    for (size_t i = 0; i < actual.size(); ++i) add(comparison.outputs[i], next->outputs[i], actual[i], batch, 0, options.tolerance);
    comparison.samples += next->count;
  }
  judge(comparison);
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
