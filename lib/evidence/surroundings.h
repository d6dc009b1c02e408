#pragma once

#include <map>
#include <string>
#include <vector>

#include "mask/prunable.h"

namespace sparsify {

/// One node that uses a weight.
struct LayerUse {
  Node node{};             ///< a copy, attributes bound
  std::string input{};     ///< the value that the weight multiplies
  std::string output{};
  int contracted_axis = 1;   ///< of `input`; negative counts from the end
  int channel_axis = 1;      ///< of `output` and `observed`; negative counts from the end
  std::vector<int> axes{};   ///< stored axis of each axis of the weight as the node sees it; empty: reshaped
  /// The value behind the BatchNormalization, bias and activation that follow, as long as nobody else reads between.
  std::string observed{};
  std::string activation{};  ///< operator of that activation; "" = none
};

/// What the graph says about a weight without running it.
struct LayerSurroundings {
  std::vector<LayerUse> uses{};
  std::vector<std::string> real_values{};  ///< of integer weights: outputs of their DequantizeLinear, in the stored layout
  std::vector<double> batch_norm_scale{};  ///< [output channels]; empty if none follows directly
  bool nested = false;                     ///< inside an If, Loop or Scan body, whose values cannot be looked at

  /// The activation behind every use, or "" if there is none or they differ.
  std::string activation() const;
};

/// Parallel to `layers`.
std::vector<LayerSurroundings> find_surroundings(const ModelFile& file, const std::vector<PrunableTensor>& layers);

}  // namespace sparsify
