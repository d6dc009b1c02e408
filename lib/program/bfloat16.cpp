#include "program/bfloat16.h"

#include <algorithm>
#include <set>
#include <string>

namespace sparsify {
namespace {

/// Operators with one input of data; the others are parameters of theirs, which stay float32. LibTorch's kernels for those that sum
/// or take exponents do so in float32 and round the result.
const std::set<std::string>& followers() {
  static const std::set<std::string> names{
      "Abs", "AveragePool", "BatchNormalization", "Clip", "Dropout", "Elu", "Expand", "Flatten", "Gelu", "GlobalAveragePool", "GlobalMaxPool",
      "HardSigmoid", "HardSwish", "Identity", "LayerNormalization", "LeakyRelu", "MaxPool", "Mish", "Neg", "Relu", "Reshape", "Shape", "Sigmoid",
      "Size", "Slice", "Softmax", "Softplus", "Split", "Squeeze", "Swish", "Tanh", "Transpose", "Unsqueeze"};
  return names;
}

/// Operators that combine data with data.
const std::set<std::string>& combiners() {
  static const std::set<std::string> names{"Add", "Concat", "Max", "Min", "Mul", "Sub", "Sum"};
  return names;
}

bool is_wide(const Value* value) { return value != nullptr && value->is_tensor() && value->type() == DType::Float32 && !value->is_rounded(); }

/// A bias or one number does not make the sum or product of rounded values worth another type; a second stream of data does.
bool is_small(const Value& value) { return value.tensor().dim() <= 1; }

bool comes_rounded(const Node& node, const std::vector<const Value*>& inputs) {
  if (inputs.empty() || inputs.front() == nullptr) return false;
  if (followers().contains(node.op_type)) return inputs.front()->is_rounded();
  return std::any_of(inputs.begin(), inputs.end(), [](const Value* value) { return value != nullptr && value->is_rounded(); }) &&
         std::all_of(inputs.begin(), inputs.end(), [](const Value* value) { return !is_wide(value) || is_small(*value); });
}

}  // namespace

bool multiplies_bfloat16(at::Device device) {
#if defined(__x86_64__)
  if (device.is_cpu()) return __builtin_cpu_supports("avx512bf16") != 0;
#endif
  return true;
}

at::Tensor rounded_to_bfloat16(const at::Tensor& x, bool native) {
  const at::Tensor rounded = x.to(at::kBFloat16);
  return native ? rounded : rounded.to(at::kFloat);
}

Bfloat16Part bfloat16_part(const Node& node) {
  static const std::set<std::string> fused{"FusedConv", "FusedGemm", "FusedMatMul"};
  static const std::set<std::string> products{"Conv", "ConvTranspose", "Gemm", "MatMul"};
  if (!node.domain.empty()) return fused.contains(node.op_type) ? Bfloat16Part::Multiplies : Bfloat16Part::Widens;
  if (products.contains(node.op_type)) return Bfloat16Part::Multiplies;
  return followers().contains(node.op_type) || combiners().contains(node.op_type) ? Bfloat16Part::Follows : Bfloat16Part::Widens;
}

Value widened(const Value& value) { return value.is_rounded() ? Value(value.tensor().to(at::kFloat)) : value; }

at::Tensor in_precision(const at::Tensor& x, bool bfloat16) { return bfloat16 ? x.to(at::kBFloat16) : x; }

at::Tensor operand(const Frame& frame, int slot, bool bfloat16) { return in_precision(frame.slots[static_cast<size_t>(slot)].tensor(), bfloat16); }

Value result_of(const at::Tensor& result) { return result.scalar_type() == at::kBFloat16 ? Value::of_rounded(result) : Value(result); }

/// A convolution of few channels a group has no matrices to multiply: kernels for bfloat16 are slower than those for float32,
/// several times where they make gradients.
bool is_depthwise(const Node& node, const std::vector<const Value*>& inputs) {
  constexpr int64_t kFewChannels = 4;
  return node.op_type == "Conv" && node.integer("group", 1) > 1 && inputs.size() > 1 && inputs[1] != nullptr && inputs[1]->tensor().dim() > 1 &&
         inputs[1]->tensor().size(1) < kFewChannels;
}

bool take_in_bfloat16(Bfloat16Part part, bool native, const Node& node, std::vector<const Value*>& inputs, std::deque<Value>& converted) {
  if (native && is_depthwise(node, inputs)) part = Bfloat16Part::Widens;
  const bool follows = part == Bfloat16Part::Follows && comes_rounded(node, inputs);
  const bool rounds_all = part == Bfloat16Part::Multiplies || (follows && combiners().contains(node.op_type));
  for (const Value*& input : inputs) {
    if (input == nullptr || !input->is_tensor() || input->type() != DType::Float32) continue;
    if (rounds_all) {
      converted.emplace_back(rounded_to_bfloat16(input->tensor(), native));
    } else if (input->is_rounded()) {
      converted.push_back(follows ? Value(input->tensor()) : widened(*input));
    } else {
      continue;
    }
    input = &converted.back();
  }
  return rounds_all ? !converted.empty() : follows;
}

}  // namespace sparsify
