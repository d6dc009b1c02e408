// SynFlow's R = 1^T (product of |theta|) 1 and its derivatives (Tanaka et al. 2020, arXiv:2006.05467, eq. 1), in float64:
// R of a deep network leaves float32's range. The graph is made linear by its stored tensors alone: weights and BatchNorm
// scales by magnitude, biases, BatchNorm means and shifts 0, all inputs one positive number.
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <fmt/core.h>

#include <map>
#include <set>

#include "base/error.h"
#include "base/names.h"
#include "evidence/gatherer.h"
#include "mask/weight_use.h"
#include "onnx/flat_graph.h"

namespace sparsify {
namespace {

/// Small, so that a Clip from 0 upwards (ReLU6) never saturates.
constexpr double kInput = 0x1p-40;

enum class Part { Magnitude, Zero, Kept };

/// What becomes of each stored tensor.
std::map<int, Part> parts_of(const FlatGraph& flat) {
  std::map<std::string, int> ids;
  for (const FlatTensor& tensor : flat.tensors) ids[tensor.value] = tensor.tensor.id;
  std::map<int, Part> parts;
  for (const FlatNode& node : flat.nodes) {
    const std::string& op = node.node->op_type;
    for (size_t position = 0; position < node.inputs.size(); ++position) {
      const auto found = ids.find(node.inputs[position]);
      if (found == ids.end()) continue;
      const bool other_is_stored = position == 0 && node.inputs.size() > 1 && ids.contains(node.inputs[1]);
      Part part = Part::Magnitude;
      if (op == "BatchNormalization") {
        part = position == 1 ? Part::Magnitude : position == 4 ? Part::Kept : Part::Zero;
      } else if (op == "Clip") {
        part = Part::Kept;
      } else if (op == "Add" || op == "Sub" || use_of(node, position, 2, other_is_stored).kind == "bias") {
        part = Part::Zero;
      }
      parts[found->second] = part;
    }
  }
  return parts;
}

/// The value in front of what ends a classifier: a softmax would make R constant.
std::string value_before_softmax(const FlatGraph& flat, std::string value) {
  static const std::set<std::string> kEnds = {"Softmax", "LogSoftmax", "Sigmoid", "Identity"};
  for (auto node = flat.nodes.rbegin(); node != flat.nodes.rend(); ++node) {
    if (node->outputs.at(0) == value && kEnds.contains(node->node->op_type)) value = node->inputs.at(0);
  }
  return value;
}

std::vector<Value> ones(const Program& program, const std::string& path, double number) {
  std::vector<Value> inputs;
  for (const ValueInfo& info : program.inputs()) {
    std::vector<int64_t> shape;
    for (const Dimension& dimension : info.shape.value_or(std::vector<Dimension>{})) {
      if (dimension.size < 0 && !shape.empty()) {
        throw ConfigError{{.what = fmt::format("SynFlow runs the model on an input of its own, and the shape of {} is open", info.signature()),
                           .where = path,
                           .fix = "export the model with fixed sizes behind the batch axis, or choose another criterion"}};
      }
      shape.push_back(std::max<int64_t>(1, dimension.size));
    }
    if (is_prunable_float(info.type)) inputs.emplace_back(at::full(shape, number, at::TensorOptions(at::kDouble)));
    else inputs.emplace_back(at::full(shape, 0, at::TensorOptions(carrier_of(info.type))), info.type);
  }
  return inputs;
}

/// Operators that do not scale with their input, for the message.
std::string suspects(const FlatGraph& flat) {
  static const std::set<std::string> kNonlinear = {
      "Sigmoid", "Tanh",    "Softmax",  "Gelu",     "Erf",  "Exp",     "HardSwish", "HardSigmoid", "LayerNormalization", "Elu",
      "Selu",    "Softplus", "Mish",    "Swish",    "LSTM", "GRU",     "RNN",       "Attention",   "InstanceNormalization",
      "GroupNormalization", "RMSNormalization", "Pow", "Sqrt", "Div"};
  std::set<std::string> found;
  for (const FlatNode& node : flat.nodes) {
    if (kNonlinear.contains(node.node->op_type)) found.insert(node.node->op_type);
  }
  return found.empty() ? "" : " (it has " + join({found.begin(), found.end()}) + ")";
}

/// The program's parameters as they were, whatever happens.
class Restored {
 public:
  explicit Restored(Program& program) : program_(program) {
    for (const Parameter& parameter : program.parameters()) before_.push_back(parameter.tensor);
  }
  ~Restored() {
    for (size_t i = 0; i < before_.size(); ++i) program_.parameters()[i].tensor = before_[i];
    program_.parameters_changed();
  }

 private:
  Program& program_;
  std::vector<at::Tensor> before_;
};

}  // namespace

void collect_synaptic_flow(const GatherTask& task, Program& program, ModelWeights& weights, std::vector<LayerEvidence>& layers) {
  const std::string path = task.task->file->path();
  const FlatGraph flat = flatten(task.task->file->model());
  const std::map<int, Part> parts = parts_of(flat);
  const std::string output = value_before_softmax(flat, flat.outputs.at(0));
  const Restored restored(program);
  for (Parameter& parameter : program.parameters()) {
    const auto found = parts.find(parameter.tensor_id);
    const at::Tensor real = parameter.tensor.detach().to(at::kDouble);
    const Part part = found == parts.end() ? Part::Magnitude : found->second;
    parameter.tensor = part == Part::Zero ? at::zeros_like(real) : part == Part::Kept ? real : real.abs();
    parameter.tensor.requires_grad_(part == Part::Magnitude);
  }
  program.parameters_changed();
  std::vector<bool> wanted(task.size());
  for (size_t i = 0; i < task.size(); ++i) wanted[i] = task.wants(i, Evidence::SynapticFlow);
  const auto flow = [&](double input, RunResult& result) {
    std::vector<std::string> taps = weights.taps();
    taps.push_back(output);
    result = program.run(ones(program, path, input), {.gradients = true, .float64 = true, .taps = taps});
    return result.taps.at(output).tensor().sum();
  };
  RunResult result;
  const double doubled = task.check_flow ? flow(2 * kInput, result).item<double>() : 0;
  const at::Tensor total = flow(kInput, result);
  const double r = total.item<double>();
  if (!(r > 0) || !std::isfinite(r)) {
    throw ResourceError{{.what = fmt::format("SynFlow's R is {}: no path of kept weights leads from input to output", r),
                         .where = path,
                         .fix = "use a lower sparsity, or a min_density that keeps every layer alive"}};
  }
  if (task.check_flow && std::abs(doubled / r - 2) > 1e-6) {
    throw ConfigError{{.what = fmt::format("SynFlow needs a network whose output grows in proportion to its input, and this one's does not{}", suspects(flat)),
                       .where = path,
                       .fix = "choose a criterion for any network: magnitude, taylor, snip"}};
  }
  const std::vector<at::Tensor> gradients = weights.gradients(total, result, wanted);
  for (size_t i = 0; i < layers.size(); ++i) {
    if (!wanted[i]) continue;
    if (!gradients[i].defined()) {
      layers[i].missing = kNoGradient;
      continue;
    }
    const at::NoGradGuard no_graph;
    layers[i].synaptic_flow = to_doubles(gradients[i] * program.find_parameter(task.layer(i).initializer)->tensor.detach() / r);
  }
}

}  // namespace sparsify
