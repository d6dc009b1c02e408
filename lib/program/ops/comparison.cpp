// Comparison, logic, and choosing by a condition.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/broadcast_tensors.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/le.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/logical_not.h>
#include <ATen/ops/logical_or.h>
#include <ATen/ops/logical_xor.h>
#include <ATen/ops/lt.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "program/ops/operands.h"

namespace sparsify {
namespace {

template <at::Tensor (*Function)(const at::Tensor&, const at::Tensor&)>
void compare(OpCall& call) {
  const auto [a, b] = operands(call);
  call.set(0, Function(in_signed_order(a, call.type(0)), in_signed_order(b, call.type(1))));
}

/// 0, 1, 2 ... in the shape of a string tensor: strings are broadcast and chosen by their numbers.
at::Tensor numbering(const HostTensor& strings, int64_t first) {
  return at::arange(first, first + strings.count(), at::kLong).view(strings.shape());
}

void equal(OpCall& call) {
  if (!call.value(0).is_strings() || !call.value(1).is_strings()) {
    compare<at::eq>(call);
    return;
  }
  const HostTensor& a = call.value(0).strings();
  const HostTensor& b = call.value(1).strings();
  const auto indices = at::broadcast_tensors({numbering(a, 0), numbering(b, 0)});
  const at::Tensor left = indices[0].contiguous();
  const at::Tensor right = indices[1].contiguous();
  at::Tensor result = at::zeros(left.sizes(), at::TensorOptions(at::kBool));
  for (int64_t i = 0; i < result.numel(); ++i) {
    result.data_ptr<bool>()[i] = a.strings()[static_cast<size_t>(left.const_data_ptr<int64_t>()[i])] ==
                                 b.strings()[static_cast<size_t>(right.const_data_ptr<int64_t>()[i])];
  }
  call.set(0, result);
}

void where_strings(OpCall& call) {
  const HostTensor& a = call.value(1).strings();
  const HostTensor& b = call.value(2).strings();
  const at::Tensor chosen =
      at::where(call.tensor(0).cpu(), numbering(a, 0), numbering(b, a.count())).contiguous();
  std::vector<std::string> strings;
  for (int64_t i = 0; i < chosen.numel(); ++i) {
    const int64_t index = chosen.const_data_ptr<int64_t>()[i];
    strings.push_back(index < a.count() ? a.strings()[static_cast<size_t>(index)]
                                        : b.strings()[static_cast<size_t>(index - a.count())]);
  }
  call.set(0, Value::of_strings(HostTensor::of_strings(chosen.sizes().vec(), std::move(strings))));
}

void where(OpCall& call) {
  if (call.value(1).is_strings() && call.value(2).is_strings()) {
    where_strings(call);
    return;
  }
  at::Tensor condition = call.tensor(0);
  at::Tensor x = call.tensor(1);
  at::Tensor y = call.tensor(2);
  to_one_device(x, y);
  to_one_device(condition, x);
  to_one_device(x, y);
  call.set_like_input(0, at::where(condition, x, y), 1);
}

const RegisterOps entries{
    {.name = "Equal", .function = equal, .gradient = Gradient::No},
    {.name = "Greater", .function = compare<at::gt>, .gradient = Gradient::No},
    {.name = "GreaterOrEqual", .function = compare<at::ge>, .gradient = Gradient::No},
    {.name = "Less", .function = compare<at::lt>, .gradient = Gradient::No},
    {.name = "LessOrEqual", .function = compare<at::le>, .gradient = Gradient::No},
    {.name = "And", .function = compare<at::logical_and>, .gradient = Gradient::No},
    {.name = "Or", .function = compare<at::logical_or>, .gradient = Gradient::No},
    {.name = "Xor", .function = compare<at::logical_xor>, .gradient = Gradient::No},
    {.name = "Not", .function = elementwise<at::logical_not>, .gradient = Gradient::No},
    {.name = "Where", .function = where, .gradient = Gradient::Some, .notes = "reaches X and Y, not the condition"},
};

}  // namespace
}  // namespace sparsify
