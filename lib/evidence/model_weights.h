#pragma once

#include <functional>
#include <vector>

#include "evidence/collector.h"
#include "program/program.h"

namespace sparsify {

/// The weights of a collector's layers as the program holds them. A float weight is a leaf; an integer weight is looked
/// at behind its DequantizeLinear nodes, where a gradient has the same layout.
class ModelWeights {
 public:
  ModelWeights(Program& program, const CollectorTask& task, const std::vector<LayerSurroundings>& surroundings);

  size_t size() const { return leaves_.size(); }
  /// Values to tap in every run that is differentiated.
  const std::vector<std::string>& taps() const { return taps_; }

  /// Stored weights with the masks in force, fresh leaves; empty = no masks.
  void set_masks(const std::vector<BitMask>& masks);
  /// Runs `function` with the weights in force plus `step` times `directions` (undefined: not moved), then takes the
  /// leaves back that were there before. Integer weights do not move.
  void with_moved(const std::vector<at::Tensor>& directions, double step, const std::function<void()>& function);
  bool can_move(size_t layer) const { return leaves_[layer] != nullptr; }

  /// Real weights with masks, detached; undefined for an integer weight before its first run.
  at::Tensor value(size_t layer, const RunResult& result) const;

  /// d(scalar)/d(weight) of the layers marked in `wanted`, in the stored layout; undefined where no gradient arrives.
  std::vector<at::Tensor> gradients(const at::Tensor& scalar, const RunResult& result, const std::vector<bool>& wanted,
                                    bool create_graph = false) const;

 private:
  void replace(size_t layer, const at::Tensor& tensor);

  Program& program_;
  std::vector<Parameter*> leaves_;            ///< null for integer weights
  std::vector<at::Tensor> stored_;            ///< of float weights
  std::vector<at::Tensor> masked_;
  std::vector<std::vector<std::string>> real_values_;
  std::vector<std::string> taps_;
};

}  // namespace sparsify
