#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "onnx/model_file.h"

namespace sparsify {

/// One weight of the model and how its layer uses it. A handle: the bytes stay in the ModelFile.
struct PrunableTensor {
  int id = -1;               ///< ModelFile tensor
  std::string initializer{};   ///< its name in the file (for a Constant node: the node's output)
  std::string layer{};         ///< label of the first node that uses it
  std::string op{};            ///< that node's operator type
  std::string kind{};          ///< weight, integer weight, bias, norm, embedding, other
  DType type = DType::Undefined;
  Shape shape{};             ///< as stored
  /// Axes of `shape`, seen through Transpose, Reshape, Cast and DequantizeLinear. -1 where there is none.
  int output_axis = -1;      ///< one index = one output channel (per group for grouped convolution)
  int input_axis = -1;       ///< the contracted axis: N:M groups run along it
  int64_t groups = 1;
  bool first = false;        ///< no weighted layer between it and a graph input
  bool last = false;         ///< no weighted layer between it and a graph output
  std::vector<std::string> used_by{};  ///< labels of all nodes that use it (shared weights have several)
  int node_order = 0;        ///< position of its first use in the file: the order of ties between tensors
  bool nested = false;       ///< used inside an If, Loop or Scan body
  /// Behind DequantizeLinear: real weight = (q - zero point) * scale. -1: not quantised.
  int scale_id = -1;
  int zero_point_id = -1;    ///< -1: zero
  int scale_axis = -1;       ///< axis of `shape` along which scales differ; -1: one scale

  int64_t count() const { return element_count(shape); }
  /// Outputs of the layer: shape[output_axis], or 1.
  int64_t output_channels() const;
  /// A convolution in groups of one input channel each: few weights, every one of them needed.
  bool depthwise() const { return groups > 1 && input_axis >= 0 && shape[static_cast<size_t>(input_axis)] == 1; }
};

/// All floating-point tensors of the main graph, functions and subgraphs (and integer weights behind DequantizeLinear), in
/// node order, whatever they are used for: what is not prunable is there too, so that a report can say why.
/// Scalars of Constant nodes are left out: they are arithmetic, not weights.
std::vector<PrunableTensor> find_tensors(const ModelFile& file);

/// Real weights as float32: stored values, or dequantised ones.
///   out  [tensor.count()]
void read_weights(const ModelFile& file, const PrunableTensor& tensor, std::span<float> out);

struct Skipped {
  PrunableTensor tensor;
  std::string reason;  ///< `bias: not selected (kinds)`, `first layer: kept unless selected`
};

struct Selected {
  PrunableTensor tensor;
  size_t rule = 0;  ///< index into Recipe::prune: the last rule that selects it
};

struct Selections {
  std::vector<Selected> selected;  ///< in node order
  std::vector<Skipped> skipped;
};

/// Applies the rules' `select` parts.
/// throws ConfigError when a rule selects nothing, naming the globs and the nearest layer names
Selections select_tensors(const std::vector<PrunableTensor>& tensors, const std::vector<PruneRule>& rules);

}  // namespace sparsify
