// Writing elements by index: ScatterElements (Scatter), ScatterND, with reductions.
#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <fmt/core.h>

#include <algorithm>

#include "program/op.h"
#include "program/ops/movement.h"

namespace sparsify {
namespace {

/// LibTorch's name of a reduction; "" for plain writing.
std::string reduction_of(const OpCall& call) {
  const std::string reduction = call.attribute_text("reduction", "none");
  if (reduction == "none") return "";
  if (reduction == "add") return "sum";
  if (reduction == "mul") return "prod";
  if (reduction == "max") return "amax";
  if (reduction == "min") return "amin";
  call.fail(fmt::format("reduction is \"{}\"", reduction), "use none, add, mul, max or min");
}

at::Tensor scattered(const at::Tensor& data, int64_t axis, const at::Tensor& indices, const at::Tensor& updates,
                     const std::string& reduction) {
  if (reduction.empty()) return data.scatter(axis, indices, updates);
  if (reduction == "sum") return data.scatter_add(axis, indices, updates);
  return data.scatter_reduce(axis, indices, updates, reduction, /*include_self=*/true);
}

void scatter_elements(OpCall& call) {
  const std::string reduction = reduction_of(call);
  const int64_t axis = normalise_axis(call, call.attribute("axis", 0), rank_of(call, 0));
  call.set(0, moved({&call.value(0), &call.value(2)}, [&](const std::vector<at::Tensor>& x) {
    return scattered(x[0], axis, positions(call, 1, x[0].size(axis), x[0].device()), x[1], reduction);
  }));
}

void scatter_nd(OpCall& call) {
  const std::string reduction = reduction_of(call);
  const Shape data = shape_of(call, 0);
  const Shape indices = shape_of(call, 1);
  if (indices.empty() || indices.back() > static_cast<int64_t>(data.size())) {
    call.fail(fmt::format("indices {} cannot address {}", call.value(1).describe(), call.value(0).describe()),
              "check the graph");
  }
  const auto depth = static_cast<size_t>(indices.back());
  int64_t addressed = 1;
  int64_t rest = 1;
  int64_t count = 1;
  for (size_t i = 0; i < data.size(); ++i) (i < depth ? addressed : rest) *= data[i];
  for (size_t i = 0; i + 1 < indices.size(); ++i) count *= indices[i];
  call.set(0, moved({&call.value(0), &call.value(2)}, [&](const std::vector<at::Tensor>& x) {
    const at::Tensor at = call.tensor_on(1, x[0]).to(at::kLong).reshape({count, indices.back()});
    at::Tensor linear = at::zeros({count}, at.options());
    for (size_t i = 0; i < depth; ++i) {
      const at::Tensor index = at.select(1, static_cast<int64_t>(i));
      linear = linear * data[i] + (index + (index < 0).to(at::kLong) * data[i]);
    }
    const at::Tensor rows = x[0].reshape({addressed, rest});
    const at::Tensor updates = x[1].reshape({count, rest});
    if (reduction.empty()) return rows.index_copy(0, linear, updates).view(data);
    return scattered(rows, 0, linear.view({count, 1}).expand({count, rest}), updates, reduction).view(data);
  }));
}

const RegisterOps entries{
    {.name = "ScatterElements", .function = scatter_elements},
    {.name = "Scatter", .function = scatter_elements},
    {.name = "ScatterND", .function = scatter_nd},
};

}  // namespace
}  // namespace sparsify
