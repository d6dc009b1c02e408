#include "mask/weight_use.h"

#include <algorithm>
#include <array>
#include <set>

namespace sparsify {
namespace {

const WeightUse kOther{.kind = "other"};
const WeightUse kBias{.kind = "bias"};
const WeightUse kNorm{.kind = "norm"};

/// y = op(A) op(B): the weight is B unless only A is stored.
WeightUse product(size_t position, int rank, bool transpose_a, bool transpose_b, bool other_is_stored) {
  if (position == 0 && other_is_stored) return kOther;
  const int rows = rank - 2;
  const int columns = rank - 1;
  if (rank < 2) return {.kind = "weight", .output_axis = -1, .input_axis = rank - 1};
  if (position == 1) {
    return transpose_b ? WeightUse{.kind = "weight", .output_axis = rows, .input_axis = columns}
                       : WeightUse{.kind = "weight", .output_axis = columns, .input_axis = rows};
  }
  return transpose_a ? WeightUse{.kind = "weight", .output_axis = columns, .input_axis = rows}
                     : WeightUse{.kind = "weight", .output_axis = rows, .input_axis = columns};
}

WeightUse convolution(const Node& node, bool transposed) {
  WeightUse use{.kind = "weight", .output_axis = 0, .input_axis = 1, .groups = node.integer("group", 1)};
  if (transposed) std::swap(use.output_axis, use.input_axis);
  return use;
}

/// A letter of the weight that the output lacks is contracted; one that only the weight and the output have is an output.
WeightUse einsum(const Node& node, size_t position) {
  std::string equation = node.text("equation", "");
  std::erase(equation, ' ');
  const size_t arrow = equation.find("->");
  if (arrow == std::string::npos || equation.find('.') != std::string::npos) return kOther;
  std::vector<std::string> terms{""};
  for (const char c : equation.substr(0, arrow)) {
    if (c == ',') terms.emplace_back();
    else terms.back() += c;
  }
  const std::string output = equation.substr(arrow + 2);
  if (position >= terms.size()) return kOther;
  WeightUse use{.kind = "weight"};
  for (size_t axis = 0; axis < terms[position].size(); ++axis) {
    const char letter = terms[position][axis];
    bool elsewhere = false;
    for (size_t term = 0; term < terms.size(); ++term) {
      elsewhere = elsewhere || (term != position && terms[term].find(letter) != std::string::npos);
    }
    const bool in_output = output.find(letter) != std::string::npos;
    if (!in_output && elsewhere && use.input_axis < 0) use.input_axis = static_cast<int>(axis);
    if (in_output && !elsewhere && use.output_axis < 0) use.output_axis = static_cast<int>(axis);
  }
  return use.input_axis < 0 && use.output_axis < 0 ? kOther : use;
}

bool is_normalisation(const std::string& op) {
  static const std::set<std::string> names = {
      "BatchNormalization", "LayerNormalization", "GroupNormalization", "InstanceNormalization", "RMSNormalization",
      "SimplifiedLayerNormalization", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"};
  return names.contains(op);
}

}  // namespace

WeightUse use_of(const FlatNode& flat, size_t position, int rank, bool other_is_stored) {
  const Node& node = *flat.node;
  const std::string& op = node.op_type;
  if (op == "Conv" || op == "FusedConv" || op == "ConvInteger" || op == "DeformConv" || op == "CausalConvWithState") {
    return position == 1 ? convolution(node, false) : position == 0 ? kOther : kBias;
  }
  if (op == "ConvTranspose") return position == 1 ? convolution(node, true) : position == 0 ? kOther : kBias;
  if (op == "QLinearConv") return position == 3 ? convolution(node, false) : position == 8 ? kBias : kOther;
  if (op == "Gemm" || op == "FusedGemm") {
    if (position >= 2) return kBias;
    return product(position, rank, node.integer("transA", 0) != 0, node.integer("transB", 0) != 0, other_is_stored);
  }
  if (op == "MatMul" || op == "MatMulInteger" || op == "FusedMatMul" || op == "MatMulIntegerToFloat" || op == "DynamicQuantizeMatMul") {
    if (position >= 2) return kOther;
    return product(position, rank, node.integer("transA", 0) != 0, node.integer("transB", 0) != 0, other_is_stored);
  }
  if (op == "QGemm") {
    return position == 3 ? product(1, rank, false, node.integer("transB", 0) != 0, false) : position == 6 ? kBias : kOther;
  }
  if (op == "QLinearMatMul") return position == 3 ? product(1, rank, false, false, false) : kOther;
  if (op == "Einsum") return einsum(node, position);
  if (op == "LSTM" || op == "GRU" || op == "RNN") {
    if (position == 1 || position == 2) return {.kind = "weight", .output_axis = 1, .input_axis = 2};
    return position == 3 ? kBias : kOther;
  }
  if (node.domain == "com.microsoft" && (op == "Attention" || op == "QAttention")) {
    if (position == 1) return {.kind = "weight", .output_axis = 1, .input_axis = 0};
    return position == 2 ? kBias : kOther;
  }
  if (op == "DynamicQuantizeLSTM") {
    if (position == 1 || position == 2) return {.kind = "weight", .output_axis = 2, .input_axis = 1};
    return position == 3 ? kBias : kOther;
  }
  if (op == "MoE") {  // weights and biases of each expert's layers alternate
    if (position < 2) return kOther;
    return position % 2 == 0 ? WeightUse{.kind = "weight", .output_axis = 1, .input_axis = 2} : kBias;
  }
  if (op == "EmbedLayerNormalization") {
    return position >= 2 && position <= 4 ? WeightUse{.kind = "embedding"} : position <= 6 ? kNorm : kOther;
  }
  if (is_normalisation(op)) return position == 0 ? kOther : kNorm;
  if (op == "Gather" && position == 0 && rank >= 2) return {.kind = "embedding"};
  if ((op == "Add" || op == "Sub" || op == "BiasGelu" || op == "FastGelu") && rank == 1) return kBias;
  return kOther;
}

bool only_moves(const Node& node) {
  static const std::set<std::string> names = {"DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Reshape",
                                              "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"};
  return names.contains(node.op_type);
}

bool is_layer_op(const Node& node) {
  static const std::set<std::string> names = {
      "Conv", "FusedConv", "ConvInteger", "DeformConv", "ConvTranspose", "QLinearConv", "Gemm", "FusedGemm", "MatMul",
      "MatMulInteger", "FusedMatMul", "QGemm", "QLinearMatMul", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "Einsum", "LSTM", "GRU", "RNN",
      "DynamicQuantizeLSTM", "MoE", "QAttention", "Attention", "EmbedLayerNormalization", "Gather", "CausalConvWithState"};
  return names.contains(node.op_type);
}

}  // namespace sparsify
