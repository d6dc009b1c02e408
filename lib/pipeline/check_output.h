#pragma once

#include <map>
#include <vector>

#include "onnx/model_file.h"
#include "pipeline/decide.h"
#include "report/run_report.h"

namespace sparsify {

struct OutputCheck {
  std::vector<VerificationResult> results;
  std::map<int, int64_t> zeros;  ///< of the pruned tensors as written, by tensor id
};

/// Reads the finished output back and compares it with the input and the decisions: the same graph, every tensor that was
/// not pruned equal byte for byte, every pruned weight +0.0, every kept one unchanged, counts exact, patterns obeyed,
/// the ONNX checker no less content than before.
///
///   changed  tensors that a stage gave other values, by id, in their stored type: these take the place of the input's
OutputCheck check_output(const ModelFile& input, const ModelFile& output, const Decisions& decisions,
                         const std::map<int, HostTensor>& changed = {});

}  // namespace sparsify
