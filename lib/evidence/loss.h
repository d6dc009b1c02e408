#pragma once

#include <optional>
#include <string>

#include "data/loader.h"
#include "evidence/evidence.h"
#include "program/program.h"

namespace sparsify {

/// What gradients are taken of: EvidenceOptions::loss of the model's outputs.
class Loss {
 public:
  Loss() = default;
  explicit Loss(const EvidenceOptions& options) : kind_(options.loss), temperature_(options.temperature) {}

  /// One loss for each real sample of the batch; the mean over its positions where the model gives several.
  ///   returns  [count] float, with the graph of `result`
  ///   throws   ConfigError for a loss that the data cannot give, ResourceError for a label outside the classes
  at::Tensor of(const RunResult& result, const Batch& batch) const;

 private:
  at::Tensor cross_entropy(const at::Tensor& scores, const at::Tensor& labels, int64_t axis) const;

  std::string kind_ = "auto";
  double temperature_ = 1;
};

}  // namespace sparsify
