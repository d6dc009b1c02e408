#include "initialisers/initialiser.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "base/error.h"
#include "base/rng.h"

namespace sparsify {
namespace {

/// Box & Muller 1958, doi:10.1214/aoms/1177706645.
double normal_at(const Rng& random, uint64_t index) {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - static_cast<double>(random.uniform_at(2 * index))));
  return radius * std::cos(2.0 * std::numbers::pi * static_cast<double>(random.uniform_at(2 * index + 1)));
}

/// Rounded to the type, element by element: no second copy of a large weight.
template <class Value>
HostTensor stored(DType type, const Shape& shape, const Value& value_at) {
  HostTensor tensor(type, shape);
  const int64_t count = tensor.count();
  const auto fill = [&](auto* data, const auto& rounded) {
    for (int64_t i = 0; i < count; ++i) data[i] = rounded(value_at(static_cast<uint64_t>(i)));
  };
  switch (type) {
    case DType::Float64: fill(tensor.mutable_data<double>(), [](double value) { return value; }); break;
    case DType::Float16: fill(tensor.mutable_data<uint16_t>(), [](double value) { return float_to_half(static_cast<float>(value)); }); break;
    case DType::BFloat16: fill(tensor.mutable_data<uint16_t>(), [](double value) { return float_to_bfloat16(static_cast<float>(value)); }); break;
    default:
      invariant(type == DType::Float32, "fresh weights are floating-point numbers");
      fill(tensor.mutable_data<float>(), [](double value) { return static_cast<float>(value); });
  }
  return tensor;
}

}  // namespace

Fan fan_of(const PrunableTensor& weight) {
  const auto length = [&](int axis) { return axis < 0 ? int64_t{1} : weight.shape[static_cast<size_t>(axis)]; };
  const int64_t outputs = weight.output_channels();
  if (weight.input_axis < 0) return {.in = std::max<int64_t>(weight.count() / std::max<int64_t>(outputs, 1), 1), .out = std::max<int64_t>(outputs, 1)};
  Fan fan{.in = length(weight.input_axis), .out = outputs};
  const bool slides = weight.op.find("Conv") != std::string::npos;
  for (size_t axis = 0; slides && axis < weight.shape.size(); ++axis) {
    if (static_cast<int>(axis) == weight.input_axis || static_cast<int>(axis) == weight.output_axis) continue;
    fan.in *= weight.shape[axis];
    fan.out *= weight.shape[axis];
  }
  // A Conv weight is [outputs, inputs / groups, ...], that of a ConvTranspose [inputs, outputs / groups, ...].
  int64_t& whole = weight.op == "ConvTranspose" ? fan.in : fan.out;
  whole = std::max<int64_t>(whole / std::max<int64_t>(weight.groups, 1), 1);
  return {.in = std::max<int64_t>(fan.in, 1), .out = std::max<int64_t>(fan.out, 1)};
}

Initialiser::Initialiser(const Options& options)
    : is_uniform_(options.choice("distribution", "normal", {"normal", "uniform"}, "of the weights, both with the same variance") == "uniform"),
      seed_(options.optional_integer("seed", {.min = 0}, "of the weights; default: the run's")),
      embedding_(options.number("embedding", 0.02, {.min = 0}, "standard deviation of embeddings, which have no fan")) {}

HostTensor Initialiser::draw(const PrunableTensor& tensor, uint64_t run_seed) const {
  const Rng random(seed(run_seed), "initialise " + tensor.initializer);
  const double width = tensor.kind == "embedding" ? embedding_ : deviation(fan_of(tensor));
  if (is_uniform_) {
    const double bound = width * std::sqrt(3.0);
    return stored(tensor.type, tensor.shape, [&](uint64_t i) { return bound * (2.0 * static_cast<double>(random.uniform_at(i)) - 1.0); });
  }
  return stored(tensor.type, tensor.shape, [&](uint64_t i) { return width * normal_at(random, i); });
}

std::string Initialiser::describe(uint64_t run_seed) const { return fmt::format("{}, seed {}", is_uniform_ ? "uniform" : "normal", seed(run_seed)); }

HostTensor filled(DType type, const Shape& shape, float value) {
  return stored(type, shape, [&](uint64_t) { return static_cast<double>(value); });
}

}  // namespace sparsify
