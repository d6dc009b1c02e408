// Fourier transforms, mel filters and determinants. ONNX writes complex numbers as a last axis of
// length 2.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/fft_fft.h>
#include <ATen/ops/fft_ifft.h>
#include <ATen/ops/fft_irfft.h>
#include <ATen/ops/fft_rfft.h>
#include <ATen/ops/linalg_det.h>
#include <ATen/ops/view_as_complex.h>
#include <ATen/ops/view_as_real.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "program/op.h"

namespace sparsify {
namespace {

/// The transforms know float32 and float64.
at::Tensor computable(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kDouble ? tensor : tensor.to(at::kFloat);
}

/// [..., 1] or [..., 2] -> [...], complex in the second case.
at::Tensor without_pairs(const OpCall& call, const at::Tensor& tensor) {
  if (tensor.size(-1) == 1) return tensor.squeeze(-1);
  if (tensor.size(-1) != 2)
    call.fail(fmt::format("the last axis has {} elements, 1 or 2 are needed", tensor.size(-1)),
              "check the graph");
  return at::view_as_complex(tensor.contiguous());
}

/// One- or two-sided forward transform along `axis` as pairs.
at::Tensor forward(const at::Tensor& signal, int64_t length, int64_t axis, bool onesided) {
  if (onesided && !signal.is_complex()) return at::view_as_real(at::fft_rfft(signal, length, axis));
  at::Tensor result = at::fft_fft(signal, length, axis);
  if (onesided) result = result.narrow(axis, 0, length / 2 + 1);
  return at::view_as_real(result);
}

void dft(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const bool inverse = call.attribute("inverse", 0) != 0;
  const bool onesided = call.attribute("onesided", 0) != 0;
  int64_t axis = call.attribute("axis", 1);
  if (call.opset() >= 20) axis = call.has(2) ? call.integer(2) : -2;
  axis = normalise_axis(call, axis, input.dim());
  const at::Tensor signal = without_pairs(call, computable(input));
  const int64_t whole = inverse && onesided ? 2 * (input.size(axis) - 1) : input.size(axis);
  const int64_t length = call.has(1) ? call.integer(1) : whole;
  if (length < 1)
    call.fail(fmt::format("the transform has length {}", length), "use a positive dft_length");
  at::Tensor result;
  if (inverse && onesided) {
    result = at::fft_irfft(signal, length, axis).unsqueeze(-1);
  } else if (inverse) {
    result = at::view_as_real(at::fft_ifft(signal, length, axis));
  } else {
    result = forward(signal, length, axis, onesided);
  }
  call.set(0, result.to(input.scalar_type()));
}

/// signal [B, L, 1 or 2] -> [B, frames, bins, 2]
void stft(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const int64_t step = call.integer(1);
  const at::Tensor signal =
      without_pairs(call, input.dim() == 2 ? computable(input).unsqueeze(-1) : computable(input));
  int64_t length = 0;
  if (call.has(3))
    length = call.integer(3);
  else if (call.has(2))
    length = call.tensor(2).size(0);
  if (length < 1 || step < 1 || length > signal.size(1)) {
    call.fail(fmt::format("frames of {} every {} do not fit a signal of {}", length, step,
                          signal.size(1)),
              "check frame_length and frame_step");
  }
  at::Tensor frames = signal.unfold(1, length, step);  // [B, frames, length]
  if (call.has(2)) frames = frames * computable(call.tensor(2));
  const bool onesided = call.attribute("onesided", 1) != 0;
  call.set(0, forward(frames, length, 2, onesided).to(input.scalar_type()));
}

/// Triangular filters at equal steps of the mel scale: [dft_length / 2 + 1, bins].
void mel_weight_matrix(OpCall& call) {
  const int64_t bins = call.integer(0);
  const int64_t length = call.integer(1);
  const int64_t rate = call.integer(2);
  const auto mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double low = mel(call.number(3));
  const double step = (mel(call.number(4)) - low) / static_cast<double>(bins + 2);
  const int64_t rows = length / 2 + 1;
  std::vector<int64_t> edges;
  for (int64_t i = 0; i < bins + 2; ++i) {
    const double hertz = 700 * (std::pow(10.0, (static_cast<double>(i) * step + low) / 2595) - 1);
    const auto edge = static_cast<int64_t>(
        std::floor(static_cast<double>(length + 1) * hertz / static_cast<double>(rate)));
    edges.push_back(std::clamp<int64_t>(edge, 0, rows - 1));
  }
  at::Tensor matrix = at::empty({rows, bins}, at::TensorOptions(at::kDouble)).zero_();
  auto* cells = matrix.data_ptr<double>();
  for (int64_t bin = 0; bin < bins; ++bin) {
    const int64_t lower = edges[static_cast<size_t>(bin)];
    const int64_t centre = edges[static_cast<size_t>(bin) + 1];
    const int64_t upper = edges[static_cast<size_t>(bin) + 2];
    if (lower == centre) cells[centre * bins + bin] = 1;
    for (int64_t row = lower; row <= centre && centre > lower; ++row) {
      cells[row * bins + bin] =
          static_cast<double>(row - lower) / static_cast<double>(centre - lower);
    }
    for (int64_t row = centre; row < upper; ++row) {
      cells[row * bins + bin] =
          static_cast<double>(upper - row) / static_cast<double>(upper - centre);
    }
  }
  const auto type =
      static_cast<DType>(call.attribute("output_datatype", static_cast<int64_t>(DType::Float32)));
  const bool floating = at::isFloatingType(carrier_of(type));
  call.set(
      0, Value(matrix.to(floating ? call.device() : at::Device(at::kCPU), carrier_of(type)), type));
}

void det(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  call.set(0, at::linalg_det(computable(input)).to(input.scalar_type()));
}

const RegisterOps entries{
    {.name = "DFT", .function = dft, .shape_inputs = input_bits({1, 2})},
    {.name = "STFT", .function = stft, .shape_inputs = input_bits({1, 3})},
    {.name = "MelWeightMatrix",
     .function = mel_weight_matrix,
     .gradient = Gradient::No,
     .shape_inputs = kAllInputs,
     .notes = "a constant"},
    {.name = "Det", .function = det},
};

}  // namespace
}  // namespace sparsify
