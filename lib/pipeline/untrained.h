#pragma once

#include "config/recipe.h"
#include "onnx/model_file.h"
#include "train/trainer.h"

namespace sparsify {

/// Schedules that choose masks while they train choose among trained weights: what is frozen would stay dense until the export.
/// throws ConfigError naming a tensor that the recipe prunes and does not train
void require_trained(const ModelFile& file, const Recipe& recipe);

/// The floating-point tensors that a run trains around, with shape and reason, so that nothing stays as it is in silence; "" where all are trained.
/// Single numbers, of which formulas are full, are only counted, and means and variances of BatchNormalization follow the batches.
std::string untrained_note(const ModelFile& file, const TrainSettings& settings);

/// `start` with what training leaves alone (frozen groups, quantised weights) masked as well: those masks are of the network that is trained too.
///   cuts  the masks are of whole units; constants of formulas (scales, anchors), which they name as well, stay as they are
WeightMap with_untrained_masked(const ModelFile& file, const TrainSettings& settings, const MaskMap& masks, const WeightMap& start, bool cuts);

}  // namespace sparsify
