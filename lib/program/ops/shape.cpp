// Shapes as data, and views that keep the elements and their order: Shape, Reshape, Squeeze ...
#include <ATen/ops/scalar_tensor.h>
#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "program/op.h"
#include "program/ops/movement.h"

namespace sparsify {
namespace {

int64_t product(const Shape& shape, size_t first, size_t last) {
  int64_t count = 1;
  for (size_t i = first; i < last; ++i) count *= shape[i];
  return count;
}

void identity(OpCall& call) { call.set(0, call.has(0) ? call.value(0) : Value()); }

void shape(OpCall& call) {
  const Shape sizes = shape_of(call, 0);
  const auto rank = static_cast<int64_t>(sizes.size());
  const auto clipped = [rank](int64_t axis) { return std::clamp<int64_t>(axis < 0 ? axis + rank : axis, 0, rank); };
  const int64_t start = clipped(call.attribute("start", 0));
  const int64_t end = std::max(start, clipped(call.attribute("end", rank)));
  call.set(0, integer_tensor({sizes.begin() + start, sizes.begin() + end}));
}

void size(OpCall& call) {
  const Shape sizes = shape_of(call, 0);
  call.set(0, at::scalar_tensor(product(sizes, 0, sizes.size()), at::TensorOptions(at::kLong)));
}

void set_reshaped(OpCall& call, const Shape& target) {
  const Shape from = shape_of(call, 0);
  if (product(from, 0, from.size()) != product(target, 0, target.size())) {
    call.fail(fmt::format("{} does not fit the shape {}", call.value(0).describe(), to_text(target)),
              "the graph may hold the batch size as a constant: use the batch size that it was exported with");
  }
  call.set(0, moved(call.value(0), [&target](const at::Tensor& x) { return x.reshape(target); }));
}

void reshape(OpCall& call) {
  const Shape from = shape_of(call, 0);
  Shape target = call.opset() >= 5 ? call.integers(1) : call.attribute_integers("shape");
  const bool copies_zero = call.attribute("allowzero", 0) == 0;
  // Copied dimensions drop out of both products, so that -1 is defined for an empty batch too.
  int64_t left = 1;
  int64_t right = 1;
  size_t open = target.size();
  std::set<size_t> copied;
  for (size_t axis = 0; axis < target.size(); ++axis) {
    if (target[axis] == -1) {
      open = axis;
    } else if (target[axis] == 0 && copies_zero) {
      if (axis >= from.size()) {
        call.fail(fmt::format("0 in the shape {} copies a dimension that {} lacks", to_text(target), call.value(0).describe()),
                  "check the graph");
      }
      target[axis] = from[axis];
      copied.insert(axis);
    } else {
      right *= target[axis];
    }
  }
  for (size_t axis = 0; axis < from.size(); ++axis) {
    if (!copied.contains(axis)) left *= from[axis];
  }
  if (open < target.size()) target[open] = right == 0 ? 0 : left / right;
  set_reshaped(call, target);
}

void flatten(OpCall& call) {
  const Shape from = shape_of(call, 0);
  const auto rank = static_cast<int64_t>(from.size());
  const int64_t given = call.attribute("axis", 1);
  const auto axis = static_cast<size_t>(given == rank ? rank : normalise_axis(call, given, rank));
  set_reshaped(call, {product(from, 0, axis), product(from, axis, from.size())});
}

void squeeze(OpCall& call) {
  const Shape from = shape_of(call, 0);
  std::set<int64_t> dropped;
  if (const auto axes = call.axes_from("axes", 1)) {
    for (const int64_t axis : normalise_axes(call, *axes, static_cast<int64_t>(from.size()))) {
      if (from.empty()) continue;
      if (from[static_cast<size_t>(axis)] != 1) {
        call.fail(fmt::format("axis {} of {} has more than one element", axis, call.value(0).describe()), "check the graph");
      }
      dropped.insert(axis);
    }
  } else {
    for (size_t axis = 0; axis < from.size(); ++axis) {
      if (from[axis] == 1) dropped.insert(static_cast<int64_t>(axis));
    }
  }
  Shape target;
  for (size_t axis = 0; axis < from.size(); ++axis) {
    if (!dropped.contains(static_cast<int64_t>(axis))) target.push_back(from[axis]);
  }
  set_reshaped(call, target);
}

void unsqueeze(OpCall& call) {
  const Shape from = shape_of(call, 0);
  const std::vector<int64_t> axes = call.axes_from("axes", 1).value_or(std::vector<int64_t>{});
  const size_t rank = from.size() + axes.size();
  const std::vector<int64_t> normal = normalise_axes(call, axes, static_cast<int64_t>(rank));
  const std::set<int64_t> added(normal.begin(), normal.end());
  if (added.size() != axes.size()) call.fail("an axis is given twice", "check the graph");
  Shape target;
  auto next = from.begin();
  for (size_t axis = 0; axis < rank; ++axis) {
    target.push_back(added.contains(static_cast<int64_t>(axis)) ? 1 : *next++);
  }
  set_reshaped(call, target);
}

void transpose(OpCall& call) {
  const int64_t rank = rank_of(call, 0);
  std::vector<int64_t> order(static_cast<size_t>(rank));
  std::iota(order.rbegin(), order.rend(), 0);
  order = normalise_axes(call, call.attribute_integers("perm", order), rank);
  call.set(0, moved(call.value(0), [&order](const at::Tensor& x) { return x.permute(order); }));
}

void expand(OpCall& call) {
  const Shape from = shape_of(call, 0);
  const Shape wanted = call.integers(1);
  Shape target(std::max(from.size(), wanted.size()), 1);
  std::copy(wanted.begin(), wanted.end(), target.end() - static_cast<int64_t>(wanted.size()));
  for (size_t i = 0; i < from.size(); ++i) {
    int64_t& size = target[target.size() - from.size() + i];
    if (size == 1) size = from[i];
  }
  call.set(0, moved(call.value(0), [&target](const at::Tensor& x) { return x.expand(target); }));
}

const RegisterOps entries{
    {.name = "Identity", .function = identity},
    {.name = "Shape", .function = shape, .gradient = Gradient::No},
    {.name = "Size", .function = size, .gradient = Gradient::No},
    {.name = "Reshape", .function = reshape, .shape_inputs = input_bits({1})},
    {.name = "Flatten", .function = flatten},
    {.name = "Squeeze", .function = squeeze, .shape_inputs = input_bits({1})},
    {.name = "Unsqueeze", .function = unsqueeze, .shape_inputs = input_bits({1})},
    {.name = "Transpose", .function = transpose},
    {.name = "Expand", .function = expand, .shape_inputs = input_bits({1})},
};

}  // namespace
}  // namespace sparsify
