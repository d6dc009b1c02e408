#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mask/prunable.h"
#include "onnx/flat_graph.h"
#include "onnx/model_file.h"
#include "report/run_report.h"

namespace sparsify {

class Structure;

/// Multiply-accumulates of one sample (pipeline/node_macs.h).
struct MacCounts {
  std::map<std::string, int64_t> by_node{};  ///< by node label; nodes whose shapes are unknown are absent
  int64_t sum = 0;                           ///< of the nodes that are known
  std::vector<std::string> unknown{};        ///< labels of nodes that multiply, but whose shapes are unknown

  /// Their sum; nullopt when a node is unknown: the network cannot be judged.
  std::optional<int64_t> total() const { return unknown.empty() ? std::optional(sum) : std::nullopt; }
};

/// Symbols of the first axis count as 1; `inputs` fixes whole input shapes. What shape inference leaves open is taken from the analysis
/// of structure where all sizes but the batch are stated.
MacCounts count_macs(const ModelFile& file, const std::map<std::string, Shape>& inputs = {});

/// The same over a flattened graph whose shapes are known.
///   batch  samples of one run: counts are divided by it
MacCounts count_macs(const FlatGraph& graph, const std::map<std::string, Shape>& shapes, int64_t batch);

/// Of one run -> of one sample, rounded.
inline int64_t of_one_sample(int64_t count, int64_t batch) { return (count + batch / 2) / batch; }

/// Samples of one run: the size that the first axis of all inputs and of some output has, by the model or by `inputs`. 1 where it is open,
/// or where the first axis is no batch: sizes differ, or a recurrent cell reads an input along its first axis.
int64_t batch_of(const ModelFile& file, const std::map<std::string, Shape>& inputs = {});

/// Shapes of the main graph's values as count_macs() takes them: complete ones only.
std::map<std::string, Shape> known_shapes(const ModelFile& file, const std::map<std::string, Shape>& inputs = {});

/// Adds shapes that the analysis knows and inference does not. Sizes that only a run decides are assumed in them.
void add_analysed_shapes_(const Structure& structure, std::map<std::string, Shape>& shapes);

/// Inputs with sizes behind the first axis that neither the model nor `inputs` states.
std::vector<std::string> open_inputs(const ModelFile& file, const std::map<std::string, Shape>& inputs = {});

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
