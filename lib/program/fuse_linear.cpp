#include "program/fuse_linear.h"

#include <ATen/ops/linear.h>

namespace sparsify {
namespace {

class LinearKernel final : public Kernel {
 public:
  LinearKernel(int input, int output, const at::Tensor& weight, at::Tensor bias)
      : input_(input), output_(output), weight_(weight.t()), bias_(std::move(bias)) {}

  void run(Frame& frame) const override {
    const at::Tensor& input = frame.slots[static_cast<size_t>(input_)].tensor();
    frame.slots[static_cast<size_t>(output_)] = Value(at::linear(input.contiguous(), weight_, bias_));
  }

 private:
  int input_;
  int output_;
  at::Tensor weight_;  ///< [N, K], a view: nothing is copied
  at::Tensor bias_;
};

}  // namespace

std::unique_ptr<Kernel> make_linear_kernel(int input, int output, at::Tensor weight, at::Tensor bias) {
  return std::make_unique<LinearKernel>(input, output, weight, std::move(bias));
}

}  // namespace sparsify
