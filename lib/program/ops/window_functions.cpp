// Window functions of signal processing: HannWindow, HammingWindow, BlackmanWindow.
#include <ATen/ops/empty.h>

#include <cmath>
#include <numbers>

#include "program/ops/conversion.h"

namespace sparsify {
namespace {

/// w[n] = a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N), where N is the size of a periodic window and one less of a
/// symmetric one.
void window(OpCall& call, double a0, double a1, double a2) {
  const int64_t size = call.integer(0);
  if (size < 0) call.fail("the window has a negative size", "check the graph");
  const bool periodic = call.attribute("periodic", 1) != 0;
  const auto period = static_cast<double>(periodic ? size : size - 1);
  at::Tensor values = at::empty({size}, at::TensorOptions(at::kDouble));
  for (int64_t n = 0; n < size; ++n) {
    const double angle = size == 1 ? 0 : 2 * std::numbers::pi * static_cast<double>(n) / period;
    values.data_ptr<double>()[n] = size == 1 && !periodic ? 1 : a0 - a1 * std::cos(angle) + a2 * std::cos(2 * angle);
  }
  const auto type = static_cast<DType>(call.attribute("output_datatype", static_cast<int64_t>(DType::Float32)));
  call.set(0, converted(values, type, call.device()));
}

void hann(OpCall& call) { window(call, 0.5, 0.5, 0); }
void hamming(OpCall& call) { window(call, 25.0 / 46.0, 21.0 / 46.0, 0); }
void blackman(OpCall& call) { window(call, 0.42, 0.5, 0.08); }

constexpr InputBits kSize = input_bits({0});

const RegisterOps entries{
    {.name = "HannWindow", .function = hann, .gradient = Gradient::No, .shape_inputs = kSize},
    {.name = "HammingWindow", .function = hamming, .gradient = Gradient::No, .shape_inputs = kSize},
    {.name = "BlackmanWindow", .function = blackman, .gradient = Gradient::No, .shape_inputs = kSize},
};

}  // namespace
}  // namespace sparsify
