#include "program/ops/movement.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <fmt/core.h>

#include <algorithm>

namespace sparsify {
namespace {

bool moves_as_bytes(at::ScalarType type) { return c10::isFloat8Type(type); }

Value picked_strings(const std::vector<const Value*>& values, const JointMovement& movement) {
  std::vector<at::Tensor> indices;
  std::vector<const std::string*> pool;
  for (const Value* value : values) {
    const HostTensor& strings = value->strings();
    const auto first = static_cast<int64_t>(pool.size());
    indices.push_back(at::arange(first, first + strings.count(), at::kLong).view(strings.shape()));
    for (const std::string& text : strings.strings()) pool.push_back(&text);
  }
  const at::Tensor where = movement(indices).contiguous();
  const auto* at = where.const_data_ptr<int64_t>();
  std::vector<std::string> picked;
  picked.reserve(static_cast<size_t>(where.numel()));
  for (int64_t i = 0; i < where.numel(); ++i) picked.push_back(*pool[static_cast<size_t>(at[i])]);
  return Value::of_strings(HostTensor::of_strings(where.sizes().vec(), std::move(picked)));
}

}  // namespace

Value moved(const Value& value, const Movement& movement) {
  return moved(std::vector<const Value*>{&value},
               [&movement](const std::vector<at::Tensor>& tensors) { return movement(tensors.front()); });
}

Value moved(const std::vector<const Value*>& values, const JointMovement& movement) {
  if (values.front()->is_strings()) return picked_strings(values, movement);
  const at::ScalarType type = values.front()->tensor().scalar_type();
  at::Device device = at::kCPU;
  for (const Value* value : values) {
    if (!value->tensor().device().is_cpu()) device = value->tensor().device();
  }
  std::vector<at::Tensor> tensors;
  for (const Value* value : values) {
    const at::Tensor& tensor = value->tensor();
    tensors.push_back(moves_as_bytes(type) ? tensor.to(device).view(at::kByte) : tensor.to(device));
  }
  const at::Tensor result = movement(tensors);
  const Value whole(moves_as_bytes(type) ? result.view(type) : result, values.front()->type());
  const auto carries = [](const Value* value) { return value->straight_through().defined(); };
  const auto carrier = std::find_if(values.begin(), values.end(), carries);
  if (carrier == values.end()) return whole;
  // Quantised numbers that are only moved keep the gradient that goes past their rounding.
  const at::ScalarType floats = (*carrier)->straight_through().scalar_type();
  for (size_t i = 0; i < values.size(); ++i) {
    tensors[i] = carries(values[i]) ? values[i]->straight_through() : values[i]->tensor().to(device, floats);
  }
  return whole.with_straight_through(movement(tensors));
}

Shape shape_of(const OpCall& call, size_t input) {
  const Value& value = call.value(input);
  return value.is_strings() ? value.strings().shape() : call.tensor(input).sizes().vec();
}

int64_t rank_of(const OpCall& call, size_t input) { return static_cast<int64_t>(shape_of(call, input).size()); }

at::Tensor positions(const OpCall& call, size_t input, int64_t dimension, at::Device device) {
  const at::Tensor indices = call.tensor(input).to(device, at::kLong);
  return indices + (indices < 0).to(at::kLong) * dimension;
}

}  // namespace sparsify
