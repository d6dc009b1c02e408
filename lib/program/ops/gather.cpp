// Picking elements by index: Gather, GatherElements, GatherND. Negative indices count from the end.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <fmt/core.h>

#include "program/op.h"
#include "program/ops/movement.h"

namespace sparsify {
namespace {

/// Rows of `x` along `axis`; says which index has no row, as ids of another vocabulary than the model's have none.
at::Tensor select_rows(const OpCall& call, const at::Tensor& x, int64_t axis) {
  const at::Tensor rows = positions(call, 1, x.size(axis), x.device()).flatten();
  try {
    return x.index_select(axis, rows);
  } catch (const c10::IndexError&) {
    const auto largest = rows.max().item<int64_t>();
    const auto wrong = largest < x.size(axis) ? rows.min().item<int64_t>() - x.size(axis) : largest;
    call.fail(fmt::format("index {} is outside the {} entries of axis {}", wrong, x.size(axis), axis),
              "check that data and model belong together: the ids of texts must come from the model's own vocabulary");
  }
}

void gather(OpCall& call) {
  const Shape data = shape_of(call, 0);
  const int64_t axis = normalise_axis(call, call.attribute("axis", 0), static_cast<int64_t>(data.size()));
  const Shape picked = shape_of(call, 1);
  Shape result(data.begin(), data.begin() + axis);
  result.insert(result.end(), picked.begin(), picked.end());
  result.insert(result.end(), data.begin() + axis + 1, data.end());
  call.set(0, moved(call.value(0), [&](const at::Tensor& x) {
    return select_rows(call, x, axis).reshape(result);
  }));
}

void gather_elements(OpCall& call) {
  const int64_t axis = normalise_axis(call, call.attribute("axis", 0), rank_of(call, 0));
  call.set(0, moved(call.value(0), [&](const at::Tensor& x) {
    return x.gather(axis, positions(call, 1, x.size(axis), x.device()));
  }));
}

void gather_nd(OpCall& call) {
  const Shape data = shape_of(call, 0);
  const Shape indices = shape_of(call, 1);
  const auto batch_rank = static_cast<size_t>(call.attribute("batch_dims", 0));
  const auto depth = indices.empty() ? size_t{0} : static_cast<size_t>(indices.back());
  if (indices.empty() || batch_rank >= indices.size() || batch_rank + depth > data.size()) {
    call.fail(fmt::format("indices {} cannot pick from {} with batch_dims {}", call.value(1).describe(),
                          call.value(0).describe(), batch_rank),
              "check the graph");
  }
  int64_t batches = 1;
  for (size_t i = 0; i < batch_rank; ++i) batches *= data[i];
  int64_t picked_from = 1;
  for (size_t i = batch_rank; i < batch_rank + depth; ++i) picked_from *= data[i];
  Shape result(indices.begin(), indices.end() - 1);
  Shape flat{batches * picked_from};
  for (size_t i = batch_rank + depth; i < data.size(); ++i) {
    result.push_back(data[i]);
    flat.push_back(data[i]);
  }
  call.set(0, moved(call.value(0), [&](const at::Tensor& x) {
    const at::Tensor at = call.tensor_on(1, x).to(at::kLong);
    Shape line(indices.begin(), indices.end() - 1);
    at::Tensor linear = at::arange(batches, at.options()) * picked_from;  // where each batch begins
    Shape batch_shape(line.size(), 1);
    std::copy(line.begin(), line.begin() + static_cast<int64_t>(batch_rank), batch_shape.begin());
    linear = linear.view(batch_shape).expand(line);
    int64_t stride = picked_from;
    for (size_t i = 0; i < depth; ++i) {
      const int64_t size = data[batch_rank + i];
      stride /= std::max<int64_t>(size, 1);
      const at::Tensor index = at.select(-1, static_cast<int64_t>(i));
      linear = linear + (index + (index < 0).to(at::kLong) * size) * stride;
    }
    return x.reshape(flat).index_select(0, linear.flatten()).reshape(result);
  }));
}

const RegisterOps entries{
    {.name = "Gather", .function = gather},
    {.name = "GatherElements", .function = gather_elements},
    {.name = "GatherND", .function = gather_nd},
    {.name = "GatherND", .function = gather_nd, .domain = "com.microsoft"},
};

}  // namespace
}  // namespace sparsify
