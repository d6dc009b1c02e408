#pragma once

#include <map>
#include <optional>
#include <string>

#include "mask/prunable.h"
#include "onnx/flat_graph.h"
#include "onnx/model_file.h"
#include "report/run_report.h"

namespace sparsify {

/// Multiply-accumulates of one sample by node label: convolutions, matrix products, recurrent cells. Symbols of the first
/// axis count as 1; `inputs` fixes whole input shapes. A node whose shapes stay unknown is absent.
std::map<std::string, int64_t> count_macs(const ModelFile& file, const std::map<std::string, Shape>& inputs = {});

/// Shapes of the main graph's values as count_macs() takes them: complete ones only.
std::map<std::string, Shape> known_shapes(const ModelFile& file, const std::map<std::string, Shape>& inputs = {});

/// Of one node; nullopt where a shape that it needs is not in `shapes`, 0 for operators that multiply no matrices.
std::optional<int64_t> count_node_macs(const FlatNode& node, const std::map<std::string, Shape>& shapes);

/// Their sum; nullopt when a layer is missing from `macs`.
std::optional<int64_t> total_macs(const std::map<std::string, int64_t>& macs, const std::vector<PrunableTensor>& tensors);

/// Elements whose bits, but for the sign, are zero. Integer tensors count integer zeros.
int64_t count_zeros(const HostTensor& tensor);

/// By tensor id. One pass over the weights.
std::map<int, int64_t> count_all_zeros(const ModelFile& file, const std::vector<PrunableTensor>& tensors);

/// params and nonzero over `tensors` (each stored tensor once), and sizes. The digest is left to the caller: it reads the whole
/// file, and an output has been hashed while it was written.
///   zeros  count_all_zeros of the same tensors
ModelFigures figures_of(const ModelFile& file, const std::vector<PrunableTensor>& tensors, const std::map<int, int64_t>& zeros,
                        std::optional<int64_t> macs);

}  // namespace sparsify
