#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/registry.h"
#include "config/options.h"
#include "mask/prunable.h"
#include "tensor/bit_mask.h"
#include "tensor/score_view.h"

namespace sparsify {

/// Which weights of a layer stand or fall together (a unit), and picks exactly as many units as it is told.
/// Selection is by index, never by threshold: among equal scores the lower unit is kept.
class Pattern {
 public:
  static constexpr const char* kFamily = "pattern";
  virtual ~Pattern() = default;

  /// `2:4`, `block 4x1`
  virtual std::string describe() const = 0;

  /// Why the layer cannot take this pattern (`1 input channel a group`), or "" when it can.
  virtual std::string refuses(const PrunableTensor& layer) const;

  /// The sparsity that the pattern itself fixes (2:4 -> the exact fraction for this layer); nullopt where the
  /// allocator chooses.
  virtual std::optional<double> fixed_sparsity(const PrunableTensor& layer) const;

  /// Units of the layer, and the scores of all of them (a block's is the sum over its weights).
  virtual int64_t units(const PrunableTensor& layer) const = 0;
  /// `buffer` may be used for the result; the default passes `scores` on (a unit = a weight).
  virtual ScoreView unit_scores(const PrunableTensor& layer, ScoreView scores, std::vector<float>& buffer) const;

  /// Keeps exactly `keep` units (ignored where the pattern fixes the count).
  ///   scores   [layer.count()] one per weight
  ///   returns  a mask of layer.count() bits
  virtual BitMask select(const PrunableTensor& layer, ScoreView scores, int64_t keep) const = 0;

  /// The first broken rule in a finished mask, or "": verification independent of select().
  virtual std::string violation(const PrunableTensor& layer, const BitMask& mask) const;
};

/// From a recipe value: `unstructured`, `"2:4"`, `{block: [4, 1]}`. N:M text becomes pattern `n_of_m` with its numbers.
/// throws ConfigError for an unknown pattern or numbers out of range
std::unique_ptr<Pattern> make_pattern(const Setting& value, const std::string& path);

}  // namespace sparsify
