// Matrix products: Gemm, MatMul, Einsum.
#include "program/ops/matmul.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>
#include <fmt/core.h>

namespace sparsify {
namespace {

bool is_integer(const at::Tensor& tensor) { return at::isIntegralType(tensor.scalar_type(), true); }

void matmul(OpCall& call) {
  call.set_like_input(0, matrix_product(call.tensor(0), call.tensor(1)));
}

void gemm(OpCall& call) { call.set_like_input(0, general_product(call)); }

void einsum(OpCall& call) {
  std::vector<at::Tensor> operands;
  for (size_t i = 0; i < call.input_count(); ++i) operands.push_back(call.tensor(i));
  call.set_like_input(0, at::einsum(call.attribute_text("equation", ""), operands));
}

const RegisterOps entries{
    {.name = "Gemm", .function = gemm},
    {.name = "MatMul", .function = matmul},
    {.name = "Einsum", .function = einsum},
};

}  // namespace

at::Tensor matrix_product(const at::Tensor& left, const at::Tensor& right) {
  if (!is_integer(left) || left.device().is_cpu()) return at::matmul(left, right);
  // Other devices multiply floats only; sums below 2^53 are exact in float64.
  return at::matmul(left.to(at::kDouble), right.to(at::kDouble)).to(left.scalar_type());
}

at::Tensor general_product(const OpCall& call) {
  at::Tensor left = call.tensor(0);
  at::Tensor right = call.tensor(1);
  if (left.dim() != 2 || right.dim() != 2) {
    call.fail(fmt::format("A has rank {} and B has rank {}; both must be matrices", left.dim(),
                          right.dim()),
              "check the graph");
  }
  if (call.attribute("transA", 0) != 0) left = left.t();
  if (call.attribute("transB", 0) != 0) right = right.t();
  const double alpha = call.attribute_number("alpha", 1);
  const double beta = call.attribute_number("beta", 1);
  const bool adds = call.has(2) && beta != 0;
  if (is_integer(left)) {
    // The factors are floats even for integers; ONNX's reference computes the product in the
    // integer type.
    at::Tensor product = matrix_product(left, right);
    if (alpha != 1) product = (product.to(at::kDouble) * alpha).to(left.scalar_type());
    if (adds) {
      const at::Tensor& added = call.tensor(2);
      product =
          product + (beta == 1 ? added : (added.to(at::kDouble) * beta).to(left.scalar_type()));
    }
    return product;
  }
  if (adds) return at::addmm(call.tensor(2), left, right, beta, alpha);
  const at::Tensor product = at::mm(left, right);
  return alpha == 1 ? product : product * alpha;
}

}  // namespace sparsify
