#include "structure/index_grid.h"

#include <algorithm>

namespace sparsify {
namespace {

constexpr int64_t kMostNumbers = 16384;

const FlatNode* producer_of(const Analysis& a, const std::string& value) {
  const auto found = std::find_if(a.graph.nodes.begin(), a.graph.nodes.end(), [&](const FlatNode& node) {
    return std::find(node.outputs.begin(), node.outputs.end(), value) != node.outputs.end();
  });
  return found == a.graph.nodes.end() ? nullptr : &*found;
}

/// Elements first, first + step, ... of a stored tensor that vary along one of its axes only; `axes`: the sizes of those that count.
std::optional<IndexComponent> along_one_axis(Analysis& a, const LabelledValue& value, const Shape& axes, size_t first, size_t step, const FlatNode& reader) {
  if (value.stored < 0) return std::nullopt;
  const StoredTensor& stored = a.graph.tensors[static_cast<size_t>(value.stored)].tensor;
  if (stored.id < 0 || stored.type != DType::Int64 || element_count(stored.shape) > kMostNumbers) return std::nullopt;
  const std::vector<int64_t> data = a.file.tensor_data(stored.id).to_integers();
  const int64_t count = element_count(axes);
  const auto number = [&](int64_t i) { return data[first + static_cast<size_t>(i) * step]; };
  for (size_t axis = 0; axis < axes.size(); ++axis) {
    const int64_t inner = element_count(Shape(axes.begin() + static_cast<std::ptrdiff_t>(axis) + 1, axes.end()));
    const auto place = [&](int64_t i) { return i / inner % axes[axis]; };
    bool alone = true;
    for (int64_t i = 0; alone && i < count; ++i) alone = number(i) == number(place(i) * inner);
    if (!alone || axes[axis] == 1) continue;
    IndexComponent component{.axis = axis};
    for (int64_t i = 0; i < axes[axis]; ++i) component.positions.push_back(number(i * inner));
    for (int64_t i = 0; i < count; ++i) {
      const size_t element = first + static_cast<size_t>(i) * step;
      component.numbers.push_back(read_by(stored_number(data[element], stored.id, element), reader));
      component.places.push_back(static_cast<size_t>(place(i)));
    }
    return component;
  }
  return std::nullopt;
}

Shape lengths_of(const LabelledValue& value) {
  Shape shape;
  for (const Axis& axis : value.axes) shape.push_back(axis.length);
  return shape;
}

/// concat <- Unsqueeze <- Expand <- list
std::optional<IndexComponent> expanded_list(Analysis& a, const std::string& column, const Shape& grid) {
  const FlatNode* unsqueeze = producer_of(a, column);
  const FlatNode* expand = unsqueeze == nullptr || unsqueeze->node->op_type != "Unsqueeze" ? nullptr : producer_of(a, unsqueeze->inputs[0]);
  if (expand == nullptr || expand->node->op_type != "Expand") return std::nullopt;
  const auto list = a.values.find(expand->inputs[0]);
  const auto whole = a.values.find(column);
  if (list == a.values.end() || whole == a.values.end() || whole->second.rank() != static_cast<int>(grid.size()) + 1 || whole->second.axes.back().length != 1) {
    return std::nullopt;
  }
  const Shape own = lengths_of(list->second);
  if (own.size() > grid.size()) return std::nullopt;
  auto component = along_one_axis(a, list->second, own, 0, 1, *expand);
  if (!component) return std::nullopt;
  component->axis += grid.size() - own.size();
  if (static_cast<int64_t>(component->positions.size()) != grid[component->axis]) return std::nullopt;
  return component;
}

}  // namespace

std::optional<IndexComponent> index_component(Analysis& a, size_t input, size_t which) {
  const LabelledValue& indices = a.in(input);
  const std::string& name = a.flat().inputs[input];
  Shape grid = lengths_of(indices);
  if (grid.empty() || std::any_of(grid.begin(), grid.end(), [](int64_t size) { return size < 1; })) return std::nullopt;
  const auto depth = static_cast<size_t>(grid.back());
  grid.pop_back();
  if (indices.stored >= 0) return along_one_axis(a, indices, grid, which, depth, a.flat());
  const FlatNode* concat = producer_of(a, name);
  if (concat == nullptr || concat->node->op_type != "Concat" || concat->inputs.size() != depth) return std::nullopt;
  const int64_t axis = concat->node->integer("axis", 0);
  if (axis != -1 && axis != indices.rank() - 1) return std::nullopt;
  return expanded_list(a, concat->inputs[which], grid);
}

}  // namespace sparsify
