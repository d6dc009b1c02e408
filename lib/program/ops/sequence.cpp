// Sequences and optionals.
#include <ATen/ops/cat.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <fmt/core.h>

#include <algorithm>

#include "program/op.h"
#include "program/ops/movement.h"

namespace sparsify {
namespace {

const std::vector<Value>& items_of(const OpCall& call, size_t input) {
  const Value& value = call.value(input);
  if (!value.is_sequence()) call.fail(fmt::format("input {} is {}, not a sequence", input, value.describe()), "check the graph");
  return value.items();
}

/// A position in [0, last], negative ones counted from `size`.
int64_t position_of(const OpCall& call, size_t input, int64_t size, int64_t last) {
  const int64_t given = call.integer(input);
  const int64_t position = given < 0 ? given + size : given;
  if (position < 0 || position > last) {
    call.fail(fmt::format("position {} is outside a sequence of {}", given, size), "check the graph");
  }
  return position;
}

void construct(OpCall& call) {
  std::vector<Value> items;
  for (size_t i = 0; i < call.input_count(); ++i) items.push_back(call.value(i));
  call.set(0, Value::of_sequence(std::move(items)));
}

void empty_sequence(OpCall& call) { call.set(0, Value::of_sequence({})); }

void insert(OpCall& call) {
  std::vector<Value> items = items_of(call, 0);
  const auto size = static_cast<int64_t>(items.size());
  items.insert(items.begin() + (call.has(2) ? position_of(call, 2, size, size) : size), call.value(1));
  call.set(0, Value::of_sequence(std::move(items)));
}

void erase(OpCall& call) {
  std::vector<Value> items = items_of(call, 0);
  const auto size = static_cast<int64_t>(items.size());
  const int64_t position = call.has(1) ? position_of(call, 1, size, size - 1) : size - 1;
  if (position < 0) call.fail("the sequence is empty", "check the graph");
  items.erase(items.begin() + position);
  call.set(0, Value::of_sequence(std::move(items)));
}

void at_position(OpCall& call) {
  const std::vector<Value>& items = items_of(call, 0);
  const auto size = static_cast<int64_t>(items.size());
  call.set(0, items[static_cast<size_t>(position_of(call, 1, size, size - 1))]);
}

void length(OpCall& call) {
  call.set(0, at::scalar_tensor(static_cast<int64_t>(items_of(call, 0).size()), at::TensorOptions(at::kLong)));
}

void concat_from_sequence(OpCall& call) {
  std::vector<const Value*> parts;
  for (const Value& item : items_of(call, 0)) parts.push_back(&item);
  if (parts.empty()) call.fail("the sequence is empty", "check the graph");
  const bool new_axis = call.attribute("new_axis", 0) != 0;
  const int64_t axis = call.attribute("axis", 0);
  call.set(0, moved(parts, [&](const std::vector<at::Tensor>& tensors) {
    return new_axis ? at::stack(tensors, axis) : at::cat(tensors, axis);
  }));
}

void split_to_sequence(OpCall& call) {
  const Shape shape = shape_of(call, 0);
  const int64_t axis = normalise_axis(call, call.attribute("axis", 0), static_cast<int64_t>(shape.size()));
  const int64_t total = shape.at(static_cast<size_t>(axis));
  const bool scalar = !call.has(1) || call.tensor(1).dim() == 0;
  std::vector<int64_t> sizes;
  if (scalar) {
    const int64_t part = call.has(1) ? call.integer(1) : 1;
    if (part < 1) call.fail(fmt::format("the parts have {} elements", part), "use a size of at least 1");
    for (int64_t first = 0; first < total; first += part) sizes.push_back(std::min(part, total - first));
  } else {
    sizes = call.integers(1);
  }
  const bool squeezes = !call.has(1) && call.attribute("keepdims", 1) == 0;
  std::vector<Value> items;
  int64_t first = 0;
  for (const int64_t size : sizes) {
    items.push_back(moved(call.value(0), [&](const at::Tensor& x) {
      return squeezes ? x.select(axis, first) : x.narrow(axis, first, size);
    }));
    first += size;
  }
  call.set(0, Value::of_sequence(std::move(items)));
}

void optional(OpCall& call) { call.set(0, call.has(0) ? call.value(0) : Value()); }

void has_element(OpCall& call) {
  call.set(0, at::scalar_tensor(static_cast<int64_t>(call.has(0)), at::TensorOptions(at::kBool)));
}

void get_element(OpCall& call) { call.set(0, call.value(0)); }

const RegisterOps entries{
    {.name = "SequenceConstruct", .function = construct},
    {.name = "SequenceEmpty", .function = empty_sequence, .gradient = Gradient::No},
    {.name = "SequenceInsert", .function = insert, .shape_inputs = input_bits({2})},
    {.name = "SequenceErase", .function = erase, .shape_inputs = input_bits({1})},
    {.name = "SequenceAt", .function = at_position, .shape_inputs = input_bits({1})},
    {.name = "SequenceLength", .function = length, .gradient = Gradient::No},
    {.name = "ConcatFromSequence", .function = concat_from_sequence},
    {.name = "SplitToSequence", .function = split_to_sequence, .shape_inputs = input_bits({1})},
    {.name = "Optional", .function = optional},
    {.name = "OptionalHasElement", .function = has_element, .gradient = Gradient::No},
    {.name = "OptionalGetElement", .function = get_element},
};

}  // namespace
}  // namespace sparsify
