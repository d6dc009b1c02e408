#include "pipeline/cut.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/rng.h"
#include "onnx/checker.h"
#include "pipeline/failed_proof.h"
#include "pipeline/figures.h"
#include "pipeline/node_macs.h"
#include "pipeline/tensor_difference.h"
#include "tensor/slice.h"

namespace sparsify {
namespace {

constexpr int64_t kLargestPacked = int64_t{64} << 20;  // bytes of a model

VerificationResult verdict(std::string check, const std::string& difference, std::string detail) {
  return {.check = std::move(check), .passed = difference.empty(), .detail = difference.empty() ? std::move(detail) : difference};
}

double normal_at(const Rng& random, uint64_t index) {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - static_cast<double>(random.uniform_at(2 * index))));
  return radius * std::cos(2.0 * std::numbers::pi * static_cast<double>(random.uniform_at(2 * index + 1)));
}

/// What the operators of the graph tell apart: a text that none of them knows would prove little.
std::vector<std::string> known_texts(const Graph& graph) {
  std::vector<std::string> texts;
  for (const Node& node : graph.nodes) {
    for (const Attribute& attribute : node.attributes) {
      if (const auto* list = std::get_if<std::vector<std::string>>(&attribute.value)) texts.insert(texts.end(), list->begin(), list->end());
    }
  }
  if (texts.empty()) texts = {"a", "b"};
  return texts;
}

HostTensor drawn(const Graph& graph, const ValueInfo& input, const Shape& shape, const Rng& random) {
  const auto count = static_cast<size_t>(element_count(shape));
  if (input.type == DType::String) {
    const std::vector<std::string> texts = known_texts(graph);
    std::vector<std::string> chosen;
    for (size_t i = 0; i < count; ++i) {
      chosen.push_back(texts[std::min(texts.size() - 1, static_cast<size_t>(static_cast<double>(texts.size()) * static_cast<double>(random.uniform_at(i))))]);
    }
    return HostTensor::of_strings(shape, std::move(chosen));
  }
  const bool is_float = is_prunable_float(input.type);
  std::vector<double> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = is_float ? normal_at(random, i) : std::floor(2.0 * static_cast<double>(random.uniform_at(i)));
  HostTensor tensor(input.type, shape);
  const auto bytes = tensor.mutable_bytes();
  for (size_t i = 0; i < count; ++i) {
    const auto store = [&](auto value) { std::memcpy(bytes.data() + i * sizeof value, &value, sizeof value); };
    switch (input.type) {
      case DType::Float32: store(static_cast<float>(values[i])); break;
      case DType::Float64: store(values[i]); break;
      case DType::Float16: store(float_to_half(static_cast<float>(values[i]))); break;
      case DType::BFloat16: store(float_to_bfloat16(static_cast<float>(values[i]))); break;
      case DType::Int64:
      case DType::UInt64: store(static_cast<int64_t>(values[i])); break;
      case DType::Int32:
      case DType::UInt32: store(static_cast<int32_t>(values[i])); break;
      case DType::Int16:
      case DType::UInt16: store(static_cast<int16_t>(values[i])); break;
      case DType::Int8:
      case DType::UInt8:
      case DType::Bool: store(static_cast<int8_t>(values[i])); break;
      default:
        throw ResourceError{{.what = fmt::format("values for the model's input \"{}\" ({}) cannot be drawn", input.name, input.signature()),
                             .where = input.name,
                             .fix = "a cut is proven by running the model: give it inputs of numbers"}};
    }
  }
  return tensor;
}

/// Nodes with weights on the longest path.
int64_t depth_of(const FlatGraph& graph) {
  std::map<std::string, int64_t> depths;
  int64_t deepest = 1;
  for (const FlatNode& node : graph.nodes) {
    int64_t depth = 0;
    for (const std::string& input : node.inputs) depth = std::max(depth, depths[input]);
    depth += multiplies(*node.node) || node.node->op_type.starts_with("Reduce") ? 1 : 0;
    for (const std::string& output : node.outputs) depths[output] = depth;
    deepest = std::max(deepest, depth);
  }
  return deepest;
}

/// Codes of quantised activations may fall on the next step; class ids, positions and truths may not.
bool is_code(DType type) { return compares_exactly(type) && type != DType::Bool && type != DType::String && bits_of(type) <= 16; }

/// "" when the outputs are as near as they must be; `worst` grows to the largest relative difference.
std::string output_difference(const ValueInfo& output, const HostTensor& expected, const HostTensor& actual, double tolerance, double& worst) {
  const TensorDifference difference = difference_of(expected, actual);
  if (!difference.problem.empty()) return fmt::format("output \"{}\" of the shrunk model is {}", output.name, difference.problem);
  const bool exact = compares_exactly(expected.type()) && !is_code(expected.type());
  if (difference.largest > (exact ? 0 : allowed_difference(tolerance, difference.largest_value))) {
    return fmt::format("output \"{}\", element {}: {} where the masked model gives {} ({})", output.name, difference.at, difference.found, difference.expected,
                       exact ? "these must be equal" : fmt::format("largest {:.4g}, tolerance {:.2g} of it", difference.largest_value, tolerance));
  }
  if (difference.largest_value > 0) worst = std::max(worst, difference.largest / difference.largest_value);
  return "";
}

/// Payloads of the tensors that both files hold.
std::string tensor_difference(const ModelFile& masked, const ModelFile& shrunk, const GraphEdits& edits) {
  int there = 0;  // ids count the tensors in the order of the file
  for (int id = 0; id < masked.tensor_count(); ++id) {
    if (edits.removed_tensors.contains(id)) continue;
    const bool in_removed_node = !masked.tensor(id).name.empty() && edits.removed_values.contains(masked.tensor(id).name);
    if (in_removed_node) continue;
    if (there >= shrunk.tensor_count()) return fmt::format("tensor \"{}\" is missing", masked.tensor(id).name);
    const int other = there++;
    const StoredTensor& after = shrunk.tensor(other);
    if (after.name != masked.tensor(id).name || after.type != masked.tensor(id).type) return fmt::format("tensor \"{}\" stands where \"{}\" should", after.name, masked.tensor(id).name);
    const auto changed = edits.tensors.find(id);
    const auto slices = edits.slices.find(id);
    HostTensor expected = changed != edits.tensors.end() ? changed->second : masked.tensor_data(id);
    if (slices != edits.slices.end()) expected = sliced(expected, slices->second);
    const HostTensor actual = shrunk.tensor_data(other);
    const bool same = expected.shape() == actual.shape() && expected.bytes().size() == actual.bytes().size() && expected.strings() == actual.strings() &&
                      std::memcmp(expected.bytes().data(), actual.bytes().data(), actual.bytes().size()) == 0;
    masked.release_tensor_data(id);
    shrunk.release_tensor_data(other);
    if (!same) return fmt::format("tensor \"{}\" is not what was decided", after.name);
  }
  return there + static_cast<int>(edits.added.size()) == shrunk.tensor_count() ? "" : "the file holds tensors that nobody decided on";
}

/// Nodes, names and inputs, but for those edited.
std::string graph_difference(const ModelFile& masked, const ModelFile& shrunk, const GraphEdits& edits, const NodeEdits& nodes) {
  const Graph& before = masked.model().graph;
  const Graph& after = shrunk.model().graph;
  size_t at = 0;
  for (const Node& node : before.nodes) {
    if (edits.removed_nodes.contains({-1, node.index})) continue;
    if (at >= after.nodes.size()) return fmt::format("node \"{}\" is missing", node.label());
    const Node& other = after.nodes[at++];
    std::vector<std::string> inputs = node.inputs;
    const auto rewired = edits.inputs.find({-1, node.index});
    if (rewired != edits.inputs.end()) {
      for (const auto& [input, name] : rewired->second) inputs[static_cast<size_t>(input)] = name;
    }
    std::vector<std::string> outputs = node.outputs;
    const auto renamed = nodes.outputs.find(node.index);
    if (renamed != nodes.outputs.end()) {
      for (const auto& [output, name] : renamed->second) outputs[static_cast<size_t>(output)] = name;
    }
    if (other.name != node.name || other.op_type != node.op_type || other.domain != node.domain || other.outputs != outputs || other.inputs != inputs) {
      return fmt::format("node \"{}\" changed beyond the edits", node.label());
    }
    for (const AddedNode& added : nodes.added) {
      if (added.behind != node.index) continue;
      const bool there = at < after.nodes.size() && after.nodes[at].op_type == added.op_type && after.nodes[at].domain.empty() &&
                         after.nodes[at].inputs == added.inputs && after.nodes[at].outputs == added.outputs;
      if (!there) return fmt::format("node \"{}\" is missing", added.name);
      ++at;
    }
  }
  if (at != after.nodes.size()) return "there are nodes that nobody added";
  const auto signatures = [](const std::vector<ValueInfo>& values) {
    std::string text;
    for (const ValueInfo& value : values) text += value.name + " " + value.signature() + "; ";
    return text;
  };
  if (signatures(before.inputs) != signatures(after.inputs)) return "the inputs changed: " + signatures(after.inputs);
  if (signatures(before.outputs) != signatures(after.outputs)) return "the outputs changed: " + signatures(after.outputs);
  return "";
}

std::string shape_difference(const ModelFile& masked, const ModelFile& shrunk) {
  const auto before = infer_shapes(masked);
  const auto after = infer_shapes(shrunk);
  for (const ValueInfo& output : masked.model().graph.outputs) {
    const auto was = before.find(output.name);
    const auto is = after.find(output.name);
    if (was == before.end() || !was->second.shape || is == after.end() || !is->second.shape) continue;
    if (was->second.signature() != is->second.signature()) {
      return fmt::format("output \"{}\" becomes {}, it was {}", output.name, is->second.signature(), was->second.signature());
    }
  }
  return "";
}

}  // namespace

ProofInputs random_inputs(const ModelFile& file, const Structure& structure, uint64_t seed, int samples) {
  std::map<std::string, Shape> shapes;
  for (const ValueInfo& input : file.model().graph.inputs) shapes[input.name] = structure.shape(input.name);
  return random_inputs(file, shapes, seed, samples);
}

ProofInputs random_inputs(const ModelFile& file, const std::map<std::string, Shape>& shapes, uint64_t seed, int samples) {
  ProofInputs all;
  for (int sample = 0; sample < samples; ++sample) {
    std::vector<HostTensor> inputs;
    for (const ValueInfo& input : file.model().graph.inputs) {
      const auto given = shapes.find(input.name);
      Shape shape = given == shapes.end() ? Shape{} : given->second;
      if (shape.empty() && input.shape) {
        for (const Dimension& dimension : *input.shape) shape.push_back(dimension.size);
      }
      for (int64_t& size : shape) size = size < 0 ? 2 : size;
      const Rng random(Rng(seed, "proof " + input.name).bits_at(0), static_cast<uint64_t>(sample));
      inputs.push_back(drawn(file.model().graph, input, shape, random));
    }
    all.push_back(std::move(inputs));
  }
  return all;
}

double proof_tolerance(const ModelFile& file, const FlatGraph& graph) {
  double epsilon = std::numeric_limits<float>::epsilon();
  for (int id = 0; id < file.tensor_count(); ++id) {
    if (file.tensor(id).type == DType::Float16) epsilon = std::max(epsilon, 0x1p-10);
    if (file.tensor(id).type == DType::BFloat16) epsilon = std::max(epsilon, 0x1p-7);
  }
  const bool quantised = std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const FlatNode& node) {
    const std::string& op = node.node->op_type;
    return op == "QuantizeLinear" || op.starts_with("DynamicQuantize") || op.starts_with("QLinear");
  });
  const double steps = quantised ? 2.0 / 127 : 0;
  return epsilon * 16 * std::sqrt(static_cast<double>(depth_of(graph))) + steps;
}

ProofInputs outputs_of(Session& session, const ProofInputs& inputs) {
  ProofInputs all;
  for (const std::vector<HostTensor>& sample : inputs) {
    check_interrupt();
    all.push_back(session.run(sample));
  }
  return all;
}

VerificationResult compare_outputs(const std::vector<ValueInfo>& outputs, const ProofInputs& masked, const ProofInputs& shrunk, double tolerance) {
  double worst = 0;
  for (size_t sample = 0; sample < masked.size(); ++sample) {
    for (size_t i = 0; i < masked[sample].size(); ++i) {
      const std::string difference = output_difference(outputs[i], masked[sample][i], shrunk.at(sample).at(i), tolerance, worst);
      if (!difference.empty()) return {.check = "outputs_equal", .passed = false, .detail = difference};
    }
  }
  return {.check = "outputs_equal", .passed = true,
          .detail = fmt::format("masked and shrunk model agree on {} inputs: largest difference {:.2g} of the largest value, tolerance {:.2g}", masked.size(), worst,
                                tolerance)};
}

VerificationResult prove_equal(const ModelFile& masked, const ModelFile& shrunk, const ProofInputs& inputs, double tolerance, const ProofOptions& options) {
  const auto runtime = make_runtime(options.runtime);
  // Two loaded models at once would be the peak of the whole run, and so would weights that are packed for fused kernels beside the stored ones.
  const auto outputs_with = [&](const ModelFile& file) {
    const bool optimise = file.size_bytes() < kLargestPacked;
    return outputs_of(*runtime->open(file, {.threads = options.threads, .device = options.device, .optimise = optimise}), inputs);
  };
  const ProofInputs expected = outputs_with(masked);
  try {
    return compare_outputs(masked.model().graph.outputs, expected, outputs_with(shrunk), tolerance);
  } catch (const ResourceError& error) {
    return {.check = "outputs_equal", .passed = false, .detail = "the masked model runs, the cut one does not: " + failure_of_run(error.problem(), options.plan)};
  }
}

std::vector<VerificationResult> check_cut(const ModelFile& masked, const ModelFile& shrunk, const CutPlan& plan, const std::map<std::string, Shape>& inputs) {
  std::vector<VerificationResult> results;
  results.push_back({.check = "reload", .passed = true, .detail = "the written file loads again"});
  results.push_back(verdict("graph_kept", graph_difference(masked, shrunk, plan.cut.edits, plan.cut.nodes), "nodes, names and signatures are those of the input, but for the cut"));
  results.push_back(verdict("weights_exact", tensor_difference(masked, shrunk, plan.cut.edits),
                            fmt::format("{} tensors are slices of the input's, all others have its bytes", plan.cut.tensors.size())));
  const std::string before = full_check(masked);
  const std::string after = full_check(shrunk);
  results.push_back({.check = "onnx_checker", .passed = after.empty() || !before.empty(),
                     .detail = after.empty() ? "full check passes" : before.empty() ? after : "the input does not pass either: " + before});
  results.push_back(verdict("shapes", shape_difference(masked, shrunk), "inferred shapes of the outputs are those of the input"));
  const MacCounts there = count_macs(shrunk, inputs);
  const MacCounts here = count_macs(masked, inputs);
  size_t expected = here.by_node.size();
  for (const Block& block : plan.blocks) {
    for (const std::string& label : block.labels) expected -= here.by_node.contains(label) ? 1 : 0;
  }
  if (here.sum == plan.before.macs && there.by_node.size() == expected) {  // where inference finds all shapes
    results.push_back(verdict("macs", there.sum == plan.after.macs ? "" : fmt::format("the file has {} MACs, {} were planned", there.sum, plan.after.macs),
                              fmt::format("{} MACs, as planned", plan.after.macs)));
  }
  return results;
}

}  // namespace sparsify
