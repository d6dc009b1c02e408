#include "program/bfloat16.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/mkldnn_convolution.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

namespace sparsify {
namespace {

/// Operators with one input of data; the others are parameters of theirs, which stay float32. LibTorch's kernels for those that sum
/// or take exponents do so in float32 and round the result.
const std::set<std::string>& followers() {
  static const std::set<std::string> names{
      "Abs", "AveragePool", "BatchNormalization", "Clip", "Dropout", "Elu", "Expand", "Flatten", "Gelu", "GlobalAveragePool", "GlobalMaxPool",
      "HardSigmoid", "HardSwish", "Identity", "LayerNormalization", "LeakyRelu", "MaxPool", "Mish", "Neg", "Pad", "Relu", "Reshape", "Shape", "Sigmoid",
      "Size", "Slice", "Softmax", "Softplus", "Split", "Squeeze", "Swish", "Tanh", "Transpose", "Unsqueeze"};
  return names;
}

/// Operators that combine data with data.
const std::set<std::string>& combiners() {
  static const std::set<std::string> names{"Add", "Concat", "Max", "Min", "Mul", "Sub", "Sum"};
  return names;
}

bool is_wide(const Value* value) { return value != nullptr && value->is_tensor() && value->type() == DType::Float32 && !value->is_rounded(); }

/// One number, which kernels for bfloat16 take as float32, unless results could leave bfloat16's range (masks of the largest number).
bool is_plain_number(const Value& value) {
  constexpr double kLarge = 1e30;
  return value.tensor().numel() == 1 && value.tensor().is_cpu() && std::abs(value.tensor().item<double>()) < kLarge;
}

/// A bias or one number does not make the sum or product of rounded values worth another type; a second stream of data does.
bool combine_rounded(const std::vector<const Value*>& inputs) {
  int64_t rank = 0;
  for (const Value* value : inputs) {
    if (value != nullptr && value->is_rounded()) rank = std::max(rank, value->tensor().dim());
  }
  return rank > 0 && std::all_of(inputs.begin(), inputs.end(), [rank](const Value* value) {
           if (!is_wide(value)) return true;
           if (value->tensor().numel() == 1) return value->tensor().dim() <= rank && is_plain_number(*value);
           return value->tensor().dim() == 1 && rank > 1;
         });
}

bool pads_with_zeros(const Node& node, const std::vector<const Value*>& inputs) {
  const bool states_number = inputs.size() > 2 && inputs[2] != nullptr && !inputs[2]->empty();
  return node.text("mode", "constant") == "constant" && node.number("value", 0) == 0 &&
         (!states_number || (is_plain_number(*inputs[2]) && inputs[2]->tensor().item<double>() == 0));
}

bool follows_data(const Node& node, const std::vector<const Value*>& inputs) {
  const Value* data = inputs.front();
  if (data == nullptr || !data->is_rounded()) return false;
  if (node.op_type == "Pad") return pads_with_zeros(node, inputs);
  if (node.op_type == "AveragePool") return data->tensor().dim() < 5;              // LibTorch has no such kernel
  if (node.op_type == "LayerNormalization") return data->tensor().device().is_cpu();  // elsewhere it wants scale and bias in the data's type
  return true;
}

/// No matrices to multiply: kernels for bfloat16 are slower than those for float32, several times where they make gradients.
bool has_few_channels(const Node& node, at::IntArrayRef weight) {
  constexpr int64_t kFew = 4;
  return node.op_type == "Conv" && node.integer("group", 1) > 1 && weight.size() > 1 && weight[1] < kFew;
}

/// LibTorch may be told to leave the instructions alone (ONEDNN_MAX_CPU_ISA).
bool convolves_bfloat16() {
  const at::NoGradGuard not_recorded;
  try {
    at::mkldnn_convolution(at::zeros({1, 16, 2, 2}, at::kBFloat16), at::zeros({16, 16, 1, 1}, at::kBFloat16), std::nullopt, {0, 0}, {1, 1}, {1, 1}, 1);
    return true;
  } catch (const c10::Error&) {
    return false;
  }
}

}  // namespace

bool multiplies_bfloat16(at::Device device) {
  if (!device.is_cpu()) return true;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bf16") == 0) return false;
#endif
  static const bool convolves = convolves_bfloat16();
  return convolves;
}

at::Tensor rounded_to_bfloat16(const at::Tensor& x, bool native) {
  const at::Tensor rounded = x.to(at::kBFloat16);
  return native ? rounded : rounded.to(at::kFloat);
}

at::Tensor in_precision(const at::Tensor& x, bool bfloat16) { return x.to(bfloat16 ? at::kBFloat16 : at::kFloat); }

Bfloat16Part bfloat16_part(const Node& node, at::IntArrayRef weight) {
  static const std::set<std::string> fused{"FusedConv", "FusedGemm", "FusedMatMul"};
  static const std::set<std::string> products{"Conv", "ConvTranspose", "Gemm", "MatMul"};
  if (!node.domain.empty()) return fused.contains(node.op_type) ? Bfloat16Part::Multiplies : Bfloat16Part::Widens;
  if (products.contains(node.op_type)) return has_few_channels(node, weight) ? Bfloat16Part::Widens : Bfloat16Part::Multiplies;
  return followers().contains(node.op_type) || combiners().contains(node.op_type) ? Bfloat16Part::Follows : Bfloat16Part::Widens;
}

Value widened(const Value& value) { return value.is_rounded() ? Value(value.tensor().to(at::kFloat)) : value; }

bool exchange_for_bfloat16(Bfloat16Part part, bool native, const Node& node, std::vector<const Value*>& inputs, std::deque<Value>& converted) {
  const bool combines = combiners().contains(node.op_type);
  const bool follows = part == Bfloat16Part::Follows && !inputs.empty() && (combines ? combine_rounded(inputs) : follows_data(node, inputs));
  for (const Value*& input : inputs) {
    if (input == nullptr || !input->is_tensor() || input->type() != DType::Float32) continue;
    if (part == Bfloat16Part::Multiplies) {
      converted.emplace_back(rounded_to_bfloat16(input->tensor(), native));
    } else if (follows && combines) {
      const bool number = is_wide(input) && input->tensor().numel() == 1;
      converted.emplace_back(number ? input->tensor().reshape({}) : in_precision(input->tensor(), true));
    } else if (input->is_rounded()) {
      converted.push_back(follows && &input == &inputs.front() ? Value(input->tensor()) : widened(*input));
    } else {
      continue;
    }
    input = &converted.back();
  }
  return part == Bfloat16Part::Multiplies ? !converted.empty() : follows;
}

}  // namespace sparsify
