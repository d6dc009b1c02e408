#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/registry.h"
#include "config/options.h"
#include "evidence/evidence.h"
#include "evidence/surroundings.h"
#include "mask/prunable.h"
#include "tensor/host_tensor.h"
#include "tensor/score_view.h"

namespace sparsify {

/// Says how much each weight matters: higher = keep. Pure: selects nothing, changes nothing.
class Criterion {
 public:
  static constexpr const char* kFamily = "criterion";
  virtual ~Criterion() = default;

  virtual Evidence needs() const { return Evidence::None; }
  /// How the evidence is to be collected; two rules of one run may differ.
  virtual EvidenceOptions evidence_options() const { return {}; }

  /// Why the layer cannot be scored (`no BatchNormalization follows`), or "" when it can. Asked before any data is read.
  virtual std::string refuses(const PrunableTensor& layer, const LayerSurroundings& surroundings) const;

  /// Whether all weights of an output channel have one score: then patterns that choose within a channel have nothing to go by.
  virtual bool is_per_channel() const { return false; }

  /// Above 1: evidence is collected, scored and selected that often, with the masks so far in force, at densities
  /// rho^(k/n) for k = 1..n (Tanaka et al. 2020, arXiv:2006.05467, section 6).
  virtual int64_t rounds() const { return 1; }
  /// Whether a weight that an earlier round pruned may come back: then its stored value is scored, else 0.
  virtual bool pruned_may_return() const { return false; }

  /// Whether the score is exactly |weight|: then it is never computed, because selection reads the weights in place.
  virtual bool is_magnitude() const { return false; }

  /// One score per weight.
  ///
  ///   weights  [layer.count()] in the stored layout, converted to float32
  ///   scores   [layer.count()] to be filled; finite
  virtual void score(const PrunableTensor& layer, std::span<const float> weights,
                     const LayerEvidence& evidence, std::span<float> scores) const = 0;
};

/// The scores of a stored weight of any prunable float type: in place where possible, else in `buffer`.
/// `weights` and `buffer` must outlive the view.
ScoreView score_layer(const Criterion& criterion, const PrunableTensor& layer, const HostTensor& weights,
                      const LayerEvidence& evidence, std::vector<float>& buffer);

/// Called once for each layer before anything is scored.
/// throws ResourceError naming the tensor and the first weight that is NaN or infinite
void require_finite(const PrunableTensor& layer, const HostTensor& weights);

}  // namespace sparsify
