#include "criteria/checked_scores.h"

#include <fmt/core.h>

#include "tensor/select.h"

namespace sparsify {

ScoreView checked_scores(const Criterion& criterion, const PluginName& name, const PrunableTensor& layer, const HostTensor& weights,
                         const LayerEvidence& evidence, std::vector<float>& buffer) {
  const ScoreView scores = call_plugin(name, [&] { return score_layer(criterion, layer, weights, evidence, buffer); });
  if (criterion.is_magnitude()) return scores;
  if (const int64_t element = first_non_finite(scores); element >= 0) {
    refuse_result(name, fmt::format("scores element {} of \"{}\" with {}", element, layer.initializer, scores[element]));
  }
  return scores;
}

}  // namespace sparsify
