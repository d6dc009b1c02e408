#pragma once

#include <string>
#include <vector>

#include "onnx/model_file.h"
#include "pipeline/cut.h"
#include "report/run_report.h"

namespace sparsify {

/// What ONNX Runtime says of a cut: results, or a note why it says nothing.
struct SecondOpinion {
  std::vector<VerificationResult> results{};  ///< `outputs_equal_onnxruntime`, and with real inputs `..._on_data`
  std::string note{};
};

/// Runs both models there. No result, but a note, where ONNX Runtime is not installed, cannot run the masked model either, or
/// takes too long. A cut model that it cannot run although it runs the masked one is a failed check.
SecondOpinion prove_elsewhere(const ModelFile& masked, const ModelFile& shrunk, const ProofInputs& random, const ProofInputs& real, double tolerance,
                              int threads);

}  // namespace sparsify
