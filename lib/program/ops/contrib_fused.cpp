// com.microsoft: what ONNX Runtime's optimiser fuses from standard operators.
#include <ATen/TensorOperators.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/tanh.h>
#include <fmt/core.h>

#include "program/op.h"
#include "program/ops/convolution.h"
#include "program/ops/matmul.h"

namespace sparsify {
namespace {

/// One activation by name, with the parameters that FusedConv and FusedGemm give it.
at::Tensor activated(const OpCall& call, const at::Tensor& x, const std::string& name,
                     const std::vector<double>& parameters) {
  const auto parameter = [&](size_t i, double otherwise) {
    return i < parameters.size() ? parameters[i] : otherwise;
  };
  if (name.empty()) return x;
  if (name == "Relu") return at::relu(x);
  if (name == "Tanh") return at::tanh(x);
  if (name == "Sigmoid") return at::sigmoid(x);
  if (name == "LeakyRelu") return at::leaky_relu(x, parameter(0, 0.01));
  if (name == "Clip") return x.clamp(parameter(0, -3.4028234e38), parameter(1, 3.4028234e38));
  if (name == "HardSigmoid") return (x * parameter(0, 0.2) + parameter(1, 0.5)).clamp(0, 1);
  call.fail(fmt::format("activation \"{}\" is not known", name),
            "use the model before ONNX Runtime's optimiser changed it");
}

void fused_conv(OpCall& call) {
  at::Tensor result = convolve(call, call.has(2) ? std::optional(call.tensor(2)) : std::nullopt);
  if (call.has(3)) result = result + call.tensor(3);
  std::vector<double> parameters;
  if (const Attribute* attribute = call.node().find("activation_params")) {
    if (const auto* values = std::get_if<std::vector<float>>(&attribute->value))
      parameters.assign(values->begin(), values->end());
  }
  call.set(0, activated(call, result, call.attribute_text("activation", ""), parameters));
}

void fused_gemm(OpCall& call) {
  std::vector<double> parameters;
  if (call.has_attribute("activation_alpha"))
    parameters.push_back(call.attribute_number("activation_alpha", 0));
  if (call.has_attribute("activation_beta"))
    parameters.push_back(call.attribute_number("activation_beta", 0));
  call.set(
      0, activated(call, general_product(call), call.attribute_text("activation", ""), parameters));
}

/// A transposed operand; `transBatch` says that its first axis is the row axis, in front of the
/// batch.
at::Tensor operand(const OpCall& call, size_t input, const char* transpose, const char* batch) {
  at::Tensor tensor = call.tensor(input);
  if (call.attribute(batch, 0) != 0 && tensor.dim() > 2) tensor = tensor.movedim(0, -2);
  return call.attribute(transpose, 0) != 0 && tensor.dim() > 1 ? tensor.transpose(-1, -2) : tensor;
}

void fused_matmul(OpCall& call) {
  const at::Tensor product = matrix_product(operand(call, 0, "transA", "transBatchA"),
                                            operand(call, 1, "transB", "transBatchB"));
  const double alpha = call.attribute_number("alpha", 1);
  call.set(0, alpha == 1 ? product : product * alpha);
}

void gelu(OpCall& call) { call.set(0, at::gelu(call.tensor(0))); }
void bias_gelu(OpCall& call) { call.set(0, at::gelu(call.tensor(0) + call.tensor(1))); }

void fast_gelu(OpCall& call) {
  call.set(0, at::gelu(call.has(1) ? call.tensor(0) + call.tensor(1) : call.tensor(0), "tanh"));
}

void quick_gelu(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  call.set(0, x * at::sigmoid(x * call.attribute_number("alpha", 1.702)));
}

const RegisterOps entries{"com.microsoft",
                          {
                              {.name = "FusedConv", .function = fused_conv},
                              {.name = "FusedGemm", .function = fused_gemm},
                              {.name = "FusedMatMul", .function = fused_matmul},
                              {.name = "TransposeMatMul", .function = fused_matmul},
                              {.name = "Gelu", .function = gelu},
                              {.name = "BiasGelu", .function = bias_gelu},
                              {.name = "FastGelu", .function = fast_gelu},
                              {.name = "QuickGelu", .function = quick_gelu},
                          }};

}  // namespace
}  // namespace sparsify
