// Softmax and its kin. Before opset 13 they flatten the input to a matrix at `axis` (default 1) and normalise its rows;
// since then they work along one axis (default -1).
#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/scatter.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros_like.h>

#include "program/op.h"

namespace sparsify {
namespace {

using AlongAxis = at::Tensor (*)(const at::Tensor&, int64_t axis);

template <AlongAxis Function>
void along_axis(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  if (call.opset() >= 13) {
    call.set(0, Function(x, normalise_axis(call, call.attribute("axis", -1), x.dim())));
    return;
  }
  int64_t axis = call.attribute("axis", 1);
  if (axis != x.dim()) axis = normalise_axis(call, axis, x.dim());  // all rows may have one element
  int64_t rows = 1;
  int64_t columns = 1;
  for (int64_t i = 0; i < x.dim(); ++i) (i < axis ? rows : columns) *= x.size(i);
  call.set(0, Function(x.reshape({rows, columns}), 1).reshape(x.sizes()));
}

at::Tensor softmax(const at::Tensor& x, int64_t axis) { return at::softmax(x, axis); }
at::Tensor log_softmax(const at::Tensor& x, int64_t axis) { return at::log_softmax(x, axis); }

/// 1 at the first maximum along the axis, 0 elsewhere.
at::Tensor hardmax(const at::Tensor& x, int64_t axis) {
  if (x.numel() == 0) return x;
  return at::scatter(at::zeros_like(x), axis, at::argmax(x, axis, true), 1);
}

const RegisterOps entries{
    {.name = "Softmax", .function = along_axis<softmax>},
    {.name = "LogSoftmax", .function = along_axis<log_softmax>},
    {.name = "Hardmax", .function = along_axis<hardmax>, .gradient = Gradient::No},
};

}  // namespace
}  // namespace sparsify
