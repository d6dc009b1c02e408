#pragma once

#include <string>

#include "config/recipe.h"
#include "data/loader.h"
#include "onnx/model_file.h"

namespace sparsify {

/// Samples that are taken of data.train where the recipe names no data.calibration: for decisions, and for correcting weights,
/// whose unknowns are many more.
inline constexpr int64_t kCalibrationSamples = 1024;
inline constexpr int64_t kCorrectionSamples = 2048;

/// That a run which looks at data has some.
///   wanted_by  `the criterion taylor`, for messages
///   throws     ConfigError that says how to give calibration data
void require_calibration(const Recipe& recipe, const std::string& wanted_by, int64_t samples = kCalibrationSamples);

/// The data that a run may look at: `data.calibration`, else `samples` seeded samples of `data.train`. Never data.eval,
/// unless data.calibration says `{from: eval}`: what was calibrated on the evaluation data cannot be measured on it.
///
///   throws  as above
DataSource open_calibration(const ModelFile& file, const Recipe& recipe, const std::string& wanted_by, int64_t samples = kCalibrationSamples);

}  // namespace sparsify
