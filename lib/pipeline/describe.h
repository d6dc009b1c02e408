#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "onnx/model_file.h"
#include "pipeline/decide.h"
#include "pipeline/permute_stage.h"
#include "report/run_report.h"
#include "tensor/shape.h"

namespace sparsify {

/// The report's rows, figures of the input and pictures of the masks. Returns the input's zeros by tensor id.
std::map<int, int64_t> describe_decisions(RunReport& report, const ModelFile& file, const Decisions& decisions, const std::map<std::string, Shape>& inputs,
                                          const std::vector<KeptMagnitude>& kept_magnitudes);

/// What the written file holds: zeros that were there before count as well.
///   written_zeros  of the tensors that have masks; `all_zeros`: what describe_decisions() returned; `changed`: what the stages changed
void describe_output(RunReport& report, const ModelFile& written, const std::string& path, const Decisions& decisions,
                     const std::map<int, int64_t>& written_zeros, std::map<int, int64_t> all_zeros, const std::map<int, HostTensor>& changed);

/// Of a graph that became smaller: everything is counted on the new file.
void describe_cut_output(RunReport& report, const ModelFile& written, const std::string& path, const Decisions& decisions,
                         const std::map<std::string, Shape>& inputs, const std::map<int, HostTensor>& changed);

}  // namespace sparsify
