#pragma once

#include <cstdint>
#include <string>

#include "config/recipe.h"
#include "onnx/model_file.h"
#include "solvers/correction.h"

namespace sparsify {

/// Calibration samples that each share is tried on, and that it is judged by.
inline constexpr int64_t kShareSamples = 256;
inline constexpr int64_t kShareJudges = 512;

/// Whether a rule's solver leaves open how much of the error below zero in front of Relu it forgives (TargetOptions::relu), in a network where
/// that matters: `gradual` without `relu`, and a Relu.
bool leaves_relu_open(const ModelFile& file, const Setting& solver);

/// Solves the network once for each of two shares, everything and half, on a few samples, and gives the layers that leave it open the one that
/// keeps the outputs nearer to the dense network's: the divergence of class scores, else the relative error. Needs no labels.
/// Which one that is depends on the network: forgiving is worth 3 points to ResNet-8 and costs the keyword spotter 20 (docs/solvers.md).
///   calibration  what the task will be solved on
///   returns      a note, "" where nothing was open
std::string choose_relu_share_(CorrectionTask& task, const ModelFile& file, const Recipe& recipe, const DataSource& calibration);

}  // namespace sparsify
