#include "criteria/criterion.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "tensor/select.h"

namespace sparsify {
namespace {

/// The stored weights as aligned floats: in place where they are, else in `buffer`.
std::span<const float> floats_of(const HostTensor& weights, std::vector<float>& buffer) {
  const std::byte* bytes = weights.bytes().data();
  if (weights.type() == DType::Float32 && reinterpret_cast<uintptr_t>(bytes) % alignof(float) == 0) {
    return {weights.data<float>(), static_cast<size_t>(weights.count())};
  }
  buffer.resize(static_cast<size_t>(weights.count()));
  weights.read_floats(0, buffer);
  return buffer;
}

}  // namespace

std::string Criterion::refuses(const PrunableTensor&, const LayerSurroundings&) const { return ""; }

ScoreView score_layer(const Criterion& criterion, const PrunableTensor& layer, const HostTensor& weights,
                      const LayerEvidence& evidence, std::vector<float>& buffer) {
  if (criterion.is_magnitude()) {
    if (weights.type() == DType::Float32) return ScoreView::magnitudes(weights.bytes());
    return ScoreView::magnitudes(floats_of(weights, buffer));
  }
  std::vector<float> converted;
  const std::span<const float> floats = floats_of(weights, converted);
  buffer.resize(floats.size());
  criterion.score(layer, floats, evidence, buffer);
  return buffer;
}

void require_finite(const PrunableTensor& layer, const HostTensor& weights) {
  constexpr int64_t kChunk = 1 << 20;
  const auto refuse = [&](int64_t element, float value) {
    throw ResourceError{{.what = fmt::format("element {} of \"{}\" is {}", element, layer.initializer, value),
                         .where = layer.layer,
                         .fix = "train or export the model again, or exclude this tensor from pruning"}};
  };
  if (weights.type() == DType::Float32) {
    const ScoreView all = ScoreView::magnitudes(weights.bytes());
    if (const int64_t element = first_non_finite(all); element >= 0) refuse(element, all[element]);
    return;
  }
  std::vector<float> buffer;
  for (int64_t first = 0; first < weights.count(); first += kChunk) {
    buffer.resize(static_cast<size_t>(std::min(kChunk, weights.count() - first)));
    weights.read_floats(first, buffer);
    const int64_t element = first_non_finite(buffer);
    if (element >= 0) refuse(first + element, buffer[static_cast<size_t>(element)]);
  }
}

}  // namespace sparsify
