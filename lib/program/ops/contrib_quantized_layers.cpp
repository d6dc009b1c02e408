// com.microsoft: layers on quantised operands, as ONNX Runtime's quantisation tools write them.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "program/op.h"
#include "program/ops/contrib_quantized.h"
#include "program/ops/pooling.h"

namespace sparsify {
namespace {

/// tensor - zero_point, in float64: sums of products of such integers are exact.
at::Tensor centred(const OpCall& call, size_t tensor, size_t zero_point) {
  const at::Tensor values = call.tensor(tensor).to(call.device(), at::kDouble);
  return call.has(zero_point) ? values - call.tensor(zero_point).to(call.device(), at::kDouble) : values;
}

/// A, a_scale, a_zero_point, B, b_scale, b_zero_point, C (int32, in steps of alpha * a_scale * b_scale), y_scale,
/// y_zero_point; without y_scale the result is float.
void qgemm(OpCall& call) {
  at::Tensor a = centred(call, 0, 2);
  if (call.attribute("transA", 0) != 0) a = a.t();
  at::Tensor b = call.tensor(3).to(call.device(), at::kDouble);
  if (call.attribute("transB", 0) != 0) b = b.t();
  if (call.has(5)) b = b - call.tensor(5).to(call.device(), at::kDouble);  // one for each column lies along the last axis
  at::Tensor sum = at::matmul(a, b);
  if (call.has(6)) sum = sum + call.tensor(6).to(call.device(), at::kDouble);
  const at::Tensor scale = call.tensor(1).to(call.device()) * call.tensor(4).to(call.device()) * call.attribute_number("alpha", 1.0);
  const at::Tensor product = sum.to(at::kFloat) * scale;
  call.set(0, call.has(7) ? quantised(call, product, 7, 8) : product);
}

void qlinear_average_pool(OpCall& call) {
  const bool channels_last = call.attribute("channels_last", 0) != 0;
  at::Tensor values = dequantised(call, 0, 1, 2);
  if (channels_last) values = values.movedim(-1, 1);
  at::Tensor means = average_pooled(call, values);
  if (channels_last) means = means.movedim(1, -1);
  call.set(0, quantised(call, means, 3, 4));
}

/// One direction of an LSTM (gates i, o, f, c) over X [T, B, I] with weights [I, 4H] and [H, 4H]: inputs and states are
/// quantised to uint8 with the range they have at that moment.
struct Direction {
  at::Tensor weights;
  at::Tensor recurrent;
  at::Tensor bias;  ///< [4H]; undefined: none
  at::Tensor h;     ///< [B, H], moves with the sequence
  at::Tensor c;
  bool backward = false;

  at::Tensor run(const at::Tensor& input, const at::Tensor& lengths) {
    const int64_t times = input.size(0);
    at::Tensor projected = at::matmul(through_uint8(input), weights);
    if (bias.defined()) projected = projected + bias;
    std::vector<at::Tensor> outputs(static_cast<size_t>(times));
    for (int64_t i = 0; i < times; ++i) {
      const int64_t time = backward ? times - 1 - i : i;
      const std::vector<at::Tensor> gates = (projected.select(0, time) + at::matmul(through_uint8(h), recurrent)).chunk(4, 1);
      at::Tensor next_c = at::sigmoid(gates[2]) * c + at::sigmoid(gates[0]) * at::tanh(gates[3]);
      at::Tensor next_h = at::sigmoid(gates[1]) * at::tanh(next_c);
      at::Tensor output = next_h;
      if (lengths.defined()) {  // past its end a sequence keeps its state and gives zeros
        const at::Tensor active = (lengths > time).unsqueeze(1);
        output = at::where(active, next_h, at::zeros_like(next_h));
        next_h = at::where(active, next_h, h);
        next_c = at::where(active, next_c, c);
      }
      outputs[static_cast<size_t>(time)] = output;
      h = next_h;
      c = next_c;
    }
    return outputs.empty() ? input.new_zeros({0, h.size(0), h.size(1)}) : at::stack(outputs);
  }
};

/// X, W [D, I, 4H], R [D, H, 4H], B, sequence_lens, initial_h, initial_c, P, then scale and zero point of W and of R.
void dynamic_quantize_lstm(OpCall& call) {
  if (call.has(7) || call.has_attribute("activations") || call.attribute("input_forget", 0) != 0 || call.attribute_number("clip", 0) != 0) {
    call.fail("peepholes, a clip, a coupled forget gate and other activations are not supported", "quantise a plain LSTM");
  }
  const at::Tensor& input = call.tensor(0);
  const auto weights_of = [&call](size_t tensor, size_t scale, size_t zero_point, int64_t d) {
    const auto of_direction = [&](size_t which) {
      const at::Tensor value = call.tensor(which).to(call.device(), at::kFloat);
      return value.dim() == 0 || value.size(0) == 1 ? value.reshape({-1}) : value.select(0, d);
    };
    at::Tensor values = call.tensor(tensor).select(0, d).to(call.device(), at::kFloat);
    if (call.has(zero_point)) values = values - of_direction(zero_point);
    return at::Tensor(values * of_direction(scale));
  };
  const int64_t directions = call.tensor(1).size(0);
  const int64_t hidden = call.tensor(2).size(1);
  const bool reverse = call.attribute_text("direction", "forward") == "reverse";
  const at::Tensor lengths = call.has(4) ? call.tensor_on(4, input).to(at::kLong) : at::Tensor();
  std::vector<at::Tensor> outputs;
  std::vector<at::Tensor> last_h;
  std::vector<at::Tensor> last_c;
  for (int64_t d = 0; d < directions; ++d) {
    const auto initial = [&](size_t given) {
      return call.has(given) ? call.tensor(given).select(0, d) : input.new_zeros({input.size(1), hidden});
    };
    Direction direction{weights_of(1, 8, 9, d), weights_of(2, 10, 11, d), {}, initial(5), initial(6), reverse || d == 1};
    if (call.has(3)) {
      const at::Tensor biases = call.tensor(3).select(0, d);
      direction.bias = biases.narrow(0, 0, 4 * hidden) + biases.narrow(0, 4 * hidden, 4 * hidden);
    }
    outputs.push_back(direction.run(input, lengths));
    last_h.push_back(direction.h);
    last_c.push_back(direction.c);
  }
  call.set(0, at::stack(outputs, 1));
  call.set(1, at::stack(last_h));
  call.set(2, at::stack(last_c));
}

constexpr const char* kIntegerResult = "the result is a quantised integer";

const RegisterOps entries{
    "com.microsoft",
    {
        {.name = "QGemm", .function = qgemm, .gradient = Gradient::No, .notes = "the operands are quantised integers"},
        {.name = "QLinearAveragePool", .function = qlinear_average_pool, .gradient = Gradient::No, .notes = kIntegerResult},
        {.name = "DynamicQuantizeLSTM",
         .function = dynamic_quantize_lstm,
         .gradient = Gradient::Some,
         .notes = "straight through the rounding; none for the integer weights; plain LSTM only"},
    }};

}  // namespace
}  // namespace sparsify
