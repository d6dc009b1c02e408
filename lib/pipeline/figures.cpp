#include "pipeline/figures.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/names.h"
#include "onnx/checker.h"
#include "onnx/flat_graph.h"
#include "pipeline/node_macs.h"
#include "structure/structure.h"

namespace sparsify {
namespace {

using Shapes = std::map<std::string, Shape>;

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

/// Symbols that the given shapes bind.
std::map<std::string, int64_t> stated_symbols(const ModelFile& file, const Shapes& given) {
  std::map<std::string, int64_t> symbols;
  for (const ValueInfo& input : file.model().graph.inputs) {
    const auto shape = given.find(input.name);
    for (size_t axis = 0; shape != given.end() && input.shape && axis < input.shape->size() && axis < shape->second.size(); ++axis) {
      const Dimension& dimension = (*input.shape)[axis];
      if (dimension.size < 0 && !dimension.symbol.empty()) symbols.emplace(dimension.symbol, shape->second[axis]);
    }
  }
  return symbols;
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

void add_analysed_shapes_(const Structure& structure, std::map<std::string, Shape>& shapes) {
  const auto add = [&](const std::string& value) {
    if (value.empty() || shapes.contains(value)) return;
    const Shape shape = structure.shape(value);
    const bool known = std::all_of(shape.begin(), shape.end(), [](int64_t size) { return size >= 0; });
    if (!shape.empty() && known) shapes.emplace(value, shape);
  };
  for (const FlatNode& node : structure.graph().nodes) {
    for (const std::string& input : node.inputs) add(input);
    for (const std::string& output : node.outputs) add(output);
  }
}

std::vector<std::string> open_inputs(const ModelFile& file, const std::map<std::string, Shape>& given) {
  const std::map<std::string, int64_t> symbols = stated_symbols(file, given);
  std::vector<std::string> open;
  for (const ValueInfo& input : file.model().graph.inputs) {
    if (given.contains(input.name)) continue;
    bool stated = input.shape.has_value();
    for (size_t axis = 1; stated && axis < input.shape->size(); ++axis) {
      const Dimension& dimension = (*input.shape)[axis];
      stated = dimension.size >= 0 || (!dimension.symbol.empty() && symbols.contains(dimension.symbol));
    }
    if (!stated) open.push_back(input.name);
  }
  return open;
}

int64_t batch_of(const ModelFile& file, const std::map<std::string, Shape>& inputs) {
  const Graph& graph = file.model().graph;
  const std::map<std::string, int64_t> symbols = stated_symbols(file, inputs);
  const auto first_of = [&](const ValueInfo& value) -> int64_t {  // -1: open, or no axis at all
    if (!value.shape || value.shape->empty()) return -1;
    const Dimension& first = value.shape->front();
    const auto symbol = symbols.find(first.symbol);
    return first.size >= 0 ? first.size : symbol == symbols.end() ? -1 : symbol->second;
  };
  std::set<int64_t> sizes;
  for (const ValueInfo& input : graph.inputs) {
    const auto given = inputs.find(input.name);
    sizes.insert(given == inputs.end() ? first_of(input) : given->second.empty() ? -1 : given->second.front());
  }
  if (sizes.size() != 1 || *sizes.begin() <= 1) return 1;
  std::set<int64_t> results;
  for (const ValueInfo& output : graph.outputs) results.insert(first_of(output));
  results.erase(-1);
  if (!results.empty() && !results.contains(*sizes.begin())) return 1;
  const bool along_time = std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) {
    const bool recurrent = node.op_type == "LSTM" || node.op_type == "GRU" || node.op_type == "RNN";
    return recurrent && node.integer("layout", 0) == 0 &&
           std::any_of(graph.inputs.begin(), graph.inputs.end(), [&](const ValueInfo& input) { return !node.inputs.empty() && input.name == node.inputs[0]; });
  });
  return along_time ? 1 : *sizes.begin();
}

MacCounts count_macs(const FlatGraph& graph, const std::map<std::string, Shape>& shapes, int64_t batch) {
  MacCounts counts;
  for (const FlatNode& node : graph.nodes) {
    if (!multiplies(*node.node)) continue;
    if (const auto count = count_node_macs(node, shapes)) {
      counts.by_node[node.label] += *count;
      counts.sum += *count;
    } else {
      counts.unknown.push_back(node.label);
    }
  }
  for (auto& [label, count] : counts.by_node) count = of_one_sample(count, batch);
  counts.sum = of_one_sample(counts.sum, batch);
  return counts;
}

MacCounts count_macs(const ModelFile& file, const std::map<std::string, Shape>& inputs) {
  Shapes shapes = known_shapes(file, inputs);
  const FlatGraph flat = flatten(file.model());
  for (const FlatTensor& tensor : flat.tensors) shapes[tensor.value] = tensor.tensor.shape;
  const int64_t batch = batch_of(file, inputs);
  MacCounts counts = count_macs(flat, shapes, batch);
  if (counts.unknown.empty() || !open_inputs(file, inputs).empty()) return counts;
  add_analysed_shapes_(Structure::analyse(file, {.inputs = inputs}), shapes);
  return count_macs(flat, shapes, batch);
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
