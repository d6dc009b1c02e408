#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/registry.h"
#include "config/options.h"
#include "mask/prunable.h"
#include "tensor/host_tensor.h"
#include "tensor/score_view.h"

namespace sparsify {

/// What a criterion must be told about a layer beside its weights. Flags can be combined.
enum class Evidence : unsigned {
  None = 0,
  InputNorms = 1,   ///< sum over samples of x^2 per input feature
  Gradients = 2,    ///< dL/dw, per batch
  GradientSquares = 4,
  Activations = 8,
  Hessian = 16,
};

constexpr Evidence operator|(Evidence a, Evidence b) {
  return static_cast<Evidence>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr bool needs(Evidence all, Evidence one) {
  return (static_cast<unsigned>(all) & static_cast<unsigned>(one)) != 0;
}

/// What was collected for one layer; a member is empty unless the criterion asked for it.
struct LayerEvidence {
  uint64_t seed = 0;  ///< of the run; randomness is named by it and the initializer's name
};

/// Says how much each weight matters: higher = keep. Pure: selects nothing, changes nothing.
class Criterion {
 public:
  static constexpr const char* kFamily = "criterion";
  virtual ~Criterion() = default;

  virtual Evidence needs() const { return Evidence::None; }

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
