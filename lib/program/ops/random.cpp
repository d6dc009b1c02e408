// Random values and Dropout, from counter-based streams named by the node: a run is reproduced by its seed.
#include "program/ops/random.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/softmax.h>
#include <fmt/core.h>

#include <cmath>
#include <numbers>

#include "program/ops/conversion.h"

namespace sparsify {
namespace {

constexpr int64_t kGrain = 16384;

/// The `dtype` attribute, else `otherwise`.
DType type_asked_for(const OpCall& call, DType otherwise) {
  return static_cast<DType>(call.attribute("dtype", static_cast<int64_t>(otherwise)));
}

at::Tensor uniform_between(const OpCall& call, at::IntArrayRef shape) {
  const double low = call.attribute_number("low", 0.0);
  const double high = call.attribute_number("high", 1.0);
  return uniform(call.random(), shape, call.device()) * (high - low) + low;
}

at::Tensor normal_around(const OpCall& call, at::IntArrayRef shape) {
  return normal(call.random(), shape, call.device()) * call.attribute_number("scale", 1.0) +
         call.attribute_number("mean", 0.0);
}

template <at::Tensor (*Draw)(const OpCall&, at::IntArrayRef)>
void of_shape(OpCall& call) {
  const std::vector<int64_t> shape = call.attribute_integers("shape");
  call.set(0, converted(Draw(call, shape), type_asked_for(call, DType::Float32), call.device()));
}

template <at::Tensor (*Draw)(const OpCall&, at::IntArrayRef)>
void of_input_shape(OpCall& call) {
  const Value& like = call.value(0);
  const std::vector<int64_t> shape = like.is_strings() ? like.strings().shape() : call.tensor(0).sizes().vec();
  call.set(0, converted(Draw(call, shape), type_asked_for(call, like.type()), call.device()));
}

/// 1 with the probability that the input gives.
void bernoulli(OpCall& call) {
  const at::Tensor& probability = call.tensor(0);
  const at::Tensor drawn = uniform(call.random(), probability.sizes(), probability.device()) < probability.to(at::kFloat);
  call.set(0, converted(drawn, type_asked_for(call, call.type(0)), call.device()));
}

/// Input: unnormalised log-probabilities [batch, classes]; output: class indices [batch, sample_size].
void multinomial(OpCall& call) {
  const at::Tensor& logits = call.tensor(0);
  if (logits.dim() != 2) call.fail(fmt::format("the input has rank {}", logits.dim()), "it must be [batch, classes]");
  const at::Tensor shares = at::cumsum(at::softmax(logits.detach().to(at::kDouble), 1), 1);
  const int64_t samples = call.attribute("sample_size", 1);
  const at::Tensor drawn = uniform(call.random(), {logits.size(0), samples}, logits.device()).to(at::kDouble);
  const at::Tensor below = shares.narrow(1, 0, logits.size(1) - 1).contiguous();  // whatever is above: the last class
  const at::Tensor classes = at::searchsorted(below, drawn, /*out_int32=*/false, /*right=*/true);
  call.set(0, converted(classes, type_asked_for(call, DType::Int32), call.device()));
}

/// In training, elements are zeroed with probability `ratio` and the others scaled to keep the expectation; otherwise
/// the identity. `ratio` is an attribute before opset 12 and an input since, which also has an input that turns training
/// on. The mask has the type of the data before opset 10 and is boolean since.
void dropout(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  const bool as_inputs = call.opset() >= 12;
  const double ratio = !as_inputs    ? call.attribute_number("ratio", 0.5)
                       : call.has(1) ? call.number(1)
                                     : 0.5;
  const bool training = call.training() || (as_inputs && call.has(2) && call.number(2) != 0);
  const at::TensorOptions mask_type = x.options().dtype(call.opset() >= 10 ? at::kBool : x.scalar_type());
  if (!training || ratio == 0) {
    call.set(0, call.value(0));
    if (call.wants(1)) call.set(1, at::ones_like(x, mask_type));
    return;
  }
  if (!(ratio > 0 && ratio < 1)) call.fail(fmt::format("the dropout ratio is {}", ratio), "use a value in [0, 1)");
  const at::Tensor kept = uniform(call.random(), x.sizes(), x.device()) >= ratio;
  call.set_like_input(0, x * kept.to(x.scalar_type()) / (1 - ratio));
  if (call.wants(1)) call.set(1, kept.to(mask_type.dtype().toScalarType()));
}

constexpr const char* kSeeded = "drawn from the run's seed, or the seed attribute";

}  // namespace

at::Tensor uniform(const Rng& random, at::IntArrayRef shape, at::Device device) {
  at::Tensor values = at::empty(shape, at::TensorOptions(at::kFloat));
  auto* out = values.data_ptr<float>();
  at::parallel_for(0, values.numel(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = random.uniform_at(static_cast<uint64_t>(i));
  });
  return values.to(device);
}

at::Tensor normal(const Rng& random, at::IntArrayRef shape, at::Device device) {
  at::Tensor values = at::empty(shape, at::TensorOptions(at::kFloat));
  auto* out = values.data_ptr<float>();
  at::parallel_for(0, values.numel(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto pair = 2 * static_cast<uint64_t>(i);
      const double radius = std::sqrt(-2 * std::log(1 - static_cast<double>(random.uniform_at(pair))));
      const double angle = 2 * std::numbers::pi * static_cast<double>(random.uniform_at(pair + 1));
      out[i] = static_cast<float>(radius * std::cos(angle));
    }
  });
  return values.to(device);
}

namespace {

const RegisterOps entries{
    {.name = "RandomUniform", .function = of_shape<uniform_between>, .gradient = Gradient::No, .notes = kSeeded,
     .deterministic = false},
    {.name = "RandomUniformLike", .function = of_input_shape<uniform_between>, .gradient = Gradient::No,
     .notes = kSeeded, .deterministic = false},
    {.name = "RandomNormal", .function = of_shape<normal_around>, .gradient = Gradient::No, .notes = kSeeded,
     .deterministic = false},
    {.name = "RandomNormalLike", .function = of_input_shape<normal_around>, .gradient = Gradient::No,
     .notes = kSeeded, .deterministic = false},
    {.name = "Bernoulli", .function = bernoulli, .gradient = Gradient::No, .notes = kSeeded, .deterministic = false},
    {.name = "Multinomial", .function = multinomial, .gradient = Gradient::No, .notes = kSeeded,
     .deterministic = false},
    {.name = "Dropout", .function = dropout, .notes = "active in training, or where training_mode asks for it",
     .deterministic = false},
};

}  // namespace
}  // namespace sparsify
