#include "program/bfloat16.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/tensor.h>

#include "support/catch.h"

namespace sparsify {
namespace {

/// Multiples of 1/16 up to 32, in no simple order.
at::Tensor uneven(at::IntArrayRef shape, int64_t step) {
  const int64_t count = c10::multiply_integers(shape);
  return ((at::arange(count).mul(step).remainder(1021) - 510).to(at::kFloat) / 16).reshape(shape);
}

/// A convolution in bfloat16, or in float32 on rounded values: its output and the gradients of both inputs.
std::vector<at::Tensor> convolved(const at::Tensor& image, const at::Tensor& weight, bool native) {
  const at::Tensor x = image.clone().requires_grad_(true), w = weight.clone().requires_grad_(true);
  const at::Tensor y = rounded_to_bfloat16(at::conv2d(rounded_to_bfloat16(x, native), rounded_to_bfloat16(w, native)), false);
  y.backward(uneven(y.sizes(), 29).sign());
  return {y.detach(), x.grad(), w.grad()};
}

TEST_CASE("rounding to bfloat16 in float32 goes to the nearest of eight bits, ties to even, and so does its gradient", "[program][precision]") {
  const at::Tensor x = at::tensor({1.0f + 0x1p-8f, 1.0f + 3 * 0x1p-8f, -3.0f, 1.0f + 0x1p-7f}).requires_grad_(true);
  const at::Tensor rounded = rounded_to_bfloat16(x, false);
  CHECK(rounded.scalar_type() == at::kFloat);
  CHECK(rounded.equal(at::tensor({1.0f, 1.0f + 0x1p-6f, -3.0f, 1.0f + 0x1p-7f})));
  rounded.backward(at::tensor({1.0f + 0x1p-8f, 2.0f, 0x1p-130f, 1.0f + 0x1p-9f}));
  CHECK(x.grad().equal(at::tensor({1.0f, 2.0f, 0x1p-130f, 1.0f})));
}

TEST_CASE("float32 kernels on rounded values compute what kernels for bfloat16 do where no sum is rounded, and the same gradients", "[program][precision]") {
  const at::Tensor image = uneven({2, 3, 7, 7}, 37).sign(), weight = uneven({4, 3, 3, 3}, 53).sign();
  const std::vector<at::Tensor> native = convolved(image, weight, true), emulated = convolved(image, weight, false);
  for (size_t i = 0; i < native.size(); ++i) {
    CHECK(emulated[i].abs().max().item<double>() > 4);
    CHECK(emulated[i].equal(native[i]));
  }
}

TEST_CASE("sums of rounded values are rounded once", "[program][precision]") {
  const at::Tensor image = uneven({2, 3, 7, 7}, 37), weight = uneven({4, 3, 3, 3}, 53);
  const at::Tensor sums = at::conv2d(image.to(at::kBFloat16).to(at::kDouble), weight.to(at::kBFloat16).to(at::kDouble));
  CHECK(convolved(image, weight, false)[0].equal(sums.to(at::kFloat).to(at::kBFloat16).to(at::kFloat)));
}

}  // namespace
}  // namespace sparsify
