#include "program/fuse_linear.h"

#include <ATen/ops/linear.h>

#include "program/bfloat16.h"

namespace sparsify {
namespace {

class LinearKernel final : public Kernel {
 public:
  LinearKernel(int input, int output, const at::Tensor& weight, const at::Tensor& bias, bool bfloat16)
      : input_(input), output_(output), weight_(in_precision(weight, bfloat16).t()), bias_(in_precision(bias, bfloat16)), bfloat16_(bfloat16) {}

  void run(Frame& frame) const override {
    const at::Tensor input = operand(frame, input_, bfloat16_);
    frame.slots[static_cast<size_t>(output_)] = result_of(at::linear(input.contiguous(), weight_, bias_));
  }

 private:
  int input_;
  int output_;
  at::Tensor weight_;  ///< [N, K], a view: nothing is copied in float32
  at::Tensor bias_;
  bool bfloat16_;
};

}  // namespace

std::unique_ptr<Kernel> make_linear_kernel(int input, int output, const at::Tensor& weight, const at::Tensor& bias, bool bfloat16) {
  return std::make_unique<LinearKernel>(input, output, weight, bias, bfloat16);
}

}  // namespace sparsify
