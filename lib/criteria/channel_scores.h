#pragma once

#include <span>
#include <string>
#include <vector>

#include "criteria/criterion.h"

namespace sparsify {

/// The members of LayerEvidence have this size, or the evidence belongs to another model.
///   throws  ShapeError naming layer and kind
void require_evidence(std::span<const double> values, int64_t wanted, const PrunableTensor& layer, const char* kind);

/// The nearest finite float32.
float to_score(double value);

/// Why a criterion of output channels cannot score the layer, or "".
std::string refuse_without_channels(const PrunableTensor& layer);

/// Every weight of an output channel gets the channel's score.
void spread(const PrunableTensor& layer, std::span<const double> channels, std::span<float> scores);

/// The options of every criterion that differentiates a loss.
EvidenceOptions read_loss_options(const Options& options);

}  // namespace sparsify
