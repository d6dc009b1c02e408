#include "pipeline/figures.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/names.h"
#include "onnx/checker.h"
#include "onnx/flat_graph.h"

namespace sparsify {
namespace {

using Shapes = std::map<std::string, Shape>;

int64_t product_from(const Shape& shape, size_t first) {
  int64_t product = 1;
  for (size_t i = first; i < shape.size(); ++i) product *= shape[i];
  return product;
}

const Shape* find(const Shapes& shapes, const std::string& name) {
  const auto found = shapes.find(name);
  return found == shapes.end() ? nullptr : &found->second;
}

/// Product of the sizes of all letters of an einsum.
std::optional<int64_t> einsum_macs(const Node& node, const std::vector<const Shape*>& inputs) {
  std::string equation = node.text("equation", "");
  std::erase(equation, ' ');
  if (equation.find('.') != std::string::npos) return std::nullopt;
  std::map<char, int64_t> sizes;
  size_t term = 0;
  size_t axis = 0;
  for (const char c : equation.substr(0, equation.find("->"))) {
    if (c == ',') {
      ++term;
      axis = 0;
    } else if (term < inputs.size() && inputs[term] != nullptr && axis < inputs[term]->size()) {
      sizes[c] = (*inputs[term])[axis++];
    } else {
      return std::nullopt;
    }
  }
  int64_t macs = 1;
  for (const auto& [letter, size] : sizes) macs *= size;
  return macs;
}

std::optional<int64_t> macs_of(const FlatNode& flat, const Shapes& shapes) {
  const std::string& op = flat.node->op_type;
  const auto input = [&](size_t i) { return i < flat.inputs.size() ? find(shapes, flat.inputs[i]) : nullptr; };
  const Shape* out = flat.outputs.empty() ? nullptr : find(shapes, flat.outputs[0]);
  if (op == "Conv" || op == "FusedConv" || op == "ConvInteger" || op == "QLinearConv") {
    const Shape* weight = input(op == "QLinearConv" ? 3 : 1);
    if (weight == nullptr || out == nullptr) return std::nullopt;
    return element_count(*out) * product_from(*weight, 1);
  }
  if (op == "ConvTranspose") {
    if (input(0) == nullptr || input(1) == nullptr) return std::nullopt;
    return element_count(*input(0)) * product_from(*input(1), 1);
  }
  if (op == "Gemm" || op == "FusedGemm" || op == "QGemm") {
    if (input(0) == nullptr || input(0)->size() != 2 || out == nullptr) return std::nullopt;
    return element_count(*out) * (*input(0))[flat.node->integer("transA", 0) != 0 ? 0 : 1];
  }
  if (op == "MatMul" || op == "MatMulInteger" || op == "FusedMatMul" || op == "QLinearMatMul" || op == "MatMulIntegerToFloat" ||
      op == "DynamicQuantizeMatMul") {
    if (input(0) == nullptr || input(0)->empty() || out == nullptr) return std::nullopt;
    const bool transposed = flat.node->integer("transA", 0) != 0 && input(0)->size() > 1;
    return element_count(*out) * (transposed ? (*input(0))[input(0)->size() - 2] : input(0)->back());
  }
  if (op == "LSTM" || op == "GRU" || op == "RNN") {
    const Shape* x = input(0);
    if (x == nullptr || x->size() != 3 || input(1) == nullptr || input(2) == nullptr) return std::nullopt;
    return (*x)[0] * (*x)[1] * (element_count(*input(1)) + element_count(*input(2)));
  }
  if (op == "Einsum") {
    std::vector<const Shape*> operands;
    for (size_t i = 0; i < flat.inputs.size(); ++i) operands.push_back(input(i));
    return einsum_macs(*flat.node, operands);
  }
  return 0;
}

bool counts(const std::string& op) {
  static const std::set<std::string> names = {"Conv", "FusedConv", "ConvInteger", "QLinearConv", "ConvTranspose", "Gemm", "FusedGemm",
                                              "MatMul", "MatMulInteger", "FusedMatMul", "QLinearMatMul", "MatMulIntegerToFloat",
                                              "DynamicQuantizeMatMul", "QGemm", "LSTM", "GRU", "RNN", "Einsum"};
  return names.contains(op);
}

template <class Bits>
int64_t count_zero_bits(std::span<const std::byte> bytes, Bits ignored) {
  int64_t zeros = 0;
  const size_t count = bytes.size() / sizeof(Bits);
  for (size_t i = 0; i < count; ++i) {
    Bits element;
    std::memcpy(&element, bytes.data() + i * sizeof(Bits), sizeof(Bits));
    zeros += (element & static_cast<Bits>(~ignored)) == 0 ? 1 : 0;
  }
  return zeros;
}

/// A shape given by hand must name an input of the model and have its rank and fixed sizes.
void require_inputs(const ModelFile& file, const std::map<std::string, Shape>& given) {
  const std::vector<ValueInfo>& inputs = file.model().graph.inputs;
  for (const auto& [name, shape] : given) {
    const auto input = std::find_if(inputs.begin(), inputs.end(), [&](const ValueInfo& one) { return one.name == name; });
    if (input == inputs.end()) {
      std::vector<std::string> names;
      for (const ValueInfo& one : inputs) names.push_back(one.name);
      throw ConfigError{{.what = fmt::format("the model has no input \"{}\"", name), .where = "--input", .fix = suggest(name, names)}};
    }
    if (!input->shape) continue;
    bool fits = input->shape->size() == shape.size();
    for (size_t axis = 0; fits && axis < shape.size(); ++axis) {
      const int64_t size = (*input->shape)[axis].size;
      fits = size < 0 || size == shape[axis];
    }
    if (fits) continue;
    throw ConfigError{{.what = fmt::format("the shape {} does not fit the model's input \"{}\"", to_text(shape), name),
                       .where = "--input",
                       .fix = fmt::format("give one that fits {}", input->signature())}};
  }
}

}  // namespace

std::map<std::string, Shape> known_shapes(const ModelFile& file, const std::map<std::string, Shape>& inputs) {
  require_inputs(file, inputs);
  std::map<std::string, int64_t> bindings;
  for (const ValueInfo& input : file.model().graph.inputs) {
    if (input.shape && !input.shape->empty() && !input.shape->front().symbol.empty()) bindings[input.shape->front().symbol] = 1;
  }
  Shapes shapes;
  for (const auto& [name, info] : infer_shapes(file, inputs, bindings)) {
    if (!info.shape) continue;
    Shape shape;
    for (const Dimension& dimension : *info.shape) shape.push_back(dimension.size);
    if (std::all_of(shape.begin(), shape.end(), [](int64_t size) { return size >= 0; })) shapes.emplace(name, shape);
  }
  return shapes;
}

std::optional<int64_t> count_node_macs(const FlatNode& node, const std::map<std::string, Shape>& shapes) {
  return counts(node.node->op_type) ? macs_of(node, shapes) : 0;
}

std::map<std::string, int64_t> count_macs(const ModelFile& file, const std::map<std::string, Shape>& inputs) {
  Shapes shapes = known_shapes(file, inputs);
  const FlatGraph flat = flatten(file.model());
  for (const FlatTensor& tensor : flat.tensors) shapes[tensor.value] = tensor.tensor.shape;
  std::map<std::string, int64_t> macs;
  for (const FlatNode& node : flat.nodes) {
    if (!counts(node.node->op_type)) continue;
    if (const auto count = macs_of(node, shapes)) macs[node.label] += *count;
  }
  return macs;
}

std::optional<int64_t> total_macs(const std::map<std::string, int64_t>& macs, const std::vector<PrunableTensor>& tensors) {
  int64_t total = 0;
  for (const auto& [label, count] : macs) total += count;
  for (const PrunableTensor& tensor : tensors) {
    if (tensor.kind != "weight" || !counts(tensor.op)) continue;
    if (!macs.contains(tensor.layer)) return std::nullopt;
  }
  return total;
}

__attribute__((target_clones("avx2", "default"))) int64_t count_zeros(const HostTensor& tensor) {
  const std::span<const std::byte> bytes = tensor.bytes();
  const bool is_float = is_prunable_float(tensor.type());
  switch (bits_of(tensor.type())) {
    case 8: return count_zero_bits<uint8_t>(bytes, 0);
    case 16: return count_zero_bits<uint16_t>(bytes, is_float ? 0x8000 : 0);
    case 32: return count_zero_bits<uint32_t>(bytes, is_float ? 0x80000000U : 0);
    case 64: return count_zero_bits<uint64_t>(bytes, is_float ? uint64_t{1} << 63 : 0);
    default: return 0;
  }
}

std::map<int, int64_t> count_all_zeros(const ModelFile& file, const std::vector<PrunableTensor>& tensors) {
  std::map<int, int64_t> zeros;
  for (const PrunableTensor& tensor : tensors) {
    zeros[tensor.id] = count_zeros(file.tensor_data(tensor.id));
    file.release_tensor_data(tensor.id);
  }
  return zeros;
}

ModelFigures figures_of(const ModelFile& file, const std::vector<PrunableTensor>& tensors, const std::map<int, int64_t>& zeros,
                        std::optional<int64_t> macs) {
  ModelFigures figures{.path = file.path(), .macs = macs, .size_bytes = file.size_bytes()};
  for (const PrunableTensor& tensor : tensors) {
    figures.params += tensor.count();
    figures.nonzero += tensor.count() - zeros.at(tensor.id);
  }
  return figures;
}

}  // namespace sparsify
