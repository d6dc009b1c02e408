// Elements chosen by their values: TopK, NonZero, Unique, Compress; and ReverseSequence, which is told the lengths.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/unique_dim.h>
#include <ATen/ops/where.h>
#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <map>

#include "program/op.h"
#include "program/ops/movement.h"

namespace sparsify {
namespace {

/// Equal elements come in the order of their indices, which LibTorch's own topk does not promise.
void top_k(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  const int64_t axis = normalise_axis(call, call.attribute("axis", -1), x.dim());
  const int64_t count = call.opset() >= 10 ? call.integer(1) : call.attribute("k", 0);
  if (count < 0 || (x.dim() > 0 && count > x.size(axis))) {
    call.fail(fmt::format("k is {} for axis {} of {}", count, axis, call.value(0).describe()),
              "use at most the size of the axis");
  }
  const bool wraps = call.type(0) == DType::UInt64;  // the upper half is negative in its carrier
  const at::Tensor keys = wraps ? x.bitwise_xor(std::numeric_limits<int64_t>::min()) : x.detach();
  const at::Tensor order =
      std::get<1>(at::sort(keys, /*stable=*/true, axis, /*descending=*/call.attribute("largest", 1) != 0))
          .narrow(axis, 0, count);
  call.set_like_input(0, x.gather(axis, order));
  call.set(1, order);
}

void non_zero(OpCall& call) { call.set(0, call.tensor(0).nonzero().t().contiguous()); }

/// Numbers in the order of the strings they stand for.
at::Tensor ranks_of(const HostTensor& strings) {
  std::map<std::string_view, int64_t> ranks;
  for (const std::string& text : strings.strings()) ranks.emplace(text, 0);
  int64_t next = 0;
  for (auto& [text, rank] : ranks) rank = next++;
  std::vector<int64_t> codes;
  for (const std::string& text : strings.strings()) codes.push_back(ranks.at(text));
  return integer_tensor(codes).view(strings.shape());
}

void unique(OpCall& call) {
  const Value& value = call.value(0);
  at::Tensor keys = value.is_strings() ? ranks_of(value.strings()) : call.tensor(0).detach().to(at::kCPU);
  if (keys.scalar_type() == at::kHalf || keys.scalar_type() == at::kBFloat16) keys = keys.to(at::kFloat);
  const bool by_axis = call.has_attribute("axis");
  const int64_t axis = by_axis ? normalise_axis(call, call.attribute("axis", 0), keys.dim()) : 0;
  if (!by_axis) keys = keys.flatten();
  const auto [found, inverse, counts] = at::unique_dim(keys, axis, /*sorted=*/true, /*return_inverse=*/true,
                                                       /*return_counts=*/true);
  const int64_t total = keys.size(axis);
  const at::Tensor first = at::full({counts.numel()}, total, at::TensorOptions(at::kLong))
                               .scatter_reduce(0, inverse, at::arange(total, at::kLong), "amin");
  at::Tensor order = at::arange(counts.numel(), at::kLong);
  at::Tensor place = inverse;
  if (call.attribute("sorted", 1) == 0) {
    order = std::get<1>(first.sort(0));  // by first occurrence
    place = std::get<1>(order.sort(0)).index_select(0, inverse);
  }
  const at::Tensor chosen = first.index_select(0, order);
  call.set(0, moved(value, [&](const at::Tensor& x) {
    return (by_axis ? x : x.flatten()).index_select(axis, chosen.to(x.device()));
  }));
  call.set(1, chosen);
  call.set(2, place);
  call.set(3, counts.index_select(0, order));
}

void compress(OpCall& call) {
  const bool by_axis = call.has_attribute("axis");
  const int64_t axis = by_axis ? normalise_axis(call, call.attribute("axis", 0), rank_of(call, 0)) : 0;
  const at::Tensor kept = call.tensor(1).flatten().nonzero().flatten();
  call.set(0, moved(call.value(0), [&](const at::Tensor& x) {
    return (by_axis ? x : x.flatten()).index_select(axis, kept.to(x.device()));
  }));
}

void reverse_sequence(OpCall& call) {
  const int64_t rank = rank_of(call, 0);
  const int64_t batch_axis = normalise_axis(call, call.attribute("batch_axis", 1), rank);
  const int64_t time_axis = normalise_axis(call, call.attribute("time_axis", 0), rank);
  call.set(0, moved(call.value(0), [&](const at::Tensor& x) {
    const at::Tensor lengths = call.tensor_on(1, x).to(at::kLong).view({1, -1});  // [1, batch]
    const at::Tensor time = at::arange(x.size(time_axis), lengths.options()).view({-1, 1});
    at::Tensor source = at::where(time < lengths, lengths - 1 - time, time);  // [time, batch]
    if (batch_axis < time_axis) source = source.t();
    std::vector<int64_t> shape(static_cast<size_t>(rank), 1);
    shape[static_cast<size_t>(time_axis)] = x.size(time_axis);
    shape[static_cast<size_t>(batch_axis)] = x.size(batch_axis);
    return x.gather(time_axis, source.reshape(shape).expand(x.sizes()));
  }));
}

const RegisterOps entries{
    {.name = "TopK", .function = top_k, .gradient = Gradient::Some, .shape_inputs = input_bits({1}),
     .notes = "gradient through the values, not the indices"},
    {.name = "NonZero", .function = non_zero, .gradient = Gradient::No, .shape_inputs = kAllInputs},
    {.name = "Unique", .function = unique, .gradient = Gradient::Some, .shape_inputs = kAllInputs,
     .notes = "gradient to the first of equal elements"},
    {.name = "Compress", .function = compress, .shape_inputs = input_bits({1})},
    {.name = "ReverseSequence", .function = reverse_sequence},
};

}  // namespace
}  // namespace sparsify
