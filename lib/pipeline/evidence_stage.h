#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "evidence/collector.h"

namespace sparsify {

/// What one rule's criterion asks about its layers.
struct EvidenceWish {
  std::vector<PrunableTensor> layers{};
  Evidence kinds = Evidence::None;
  EvidenceOptions options{};
  std::string wanted_by{};  ///< `the criterion taylor`
};

/// Sparsity of round k = 1..n on the way to `target`: density rho^(k/n) (Tanaka et al. 2020, arXiv:2006.05467, algorithm 1).
double sparsity_of_round(double target, int64_t round, int64_t rounds);

/// Opens the calibration data when the first wish needs it, and collects what all rules ask for together.
class EvidenceStage {
 public:
  EvidenceStage(const ModelFile& file, const Recipe& recipe) : file_(file), recipe_(recipe) {}

  /// Parallel to the wishes and their layers. Wishes with equal options share their pass over the data.
  std::vector<std::vector<LayerEvidence>> collect(const std::vector<EvidenceWish>& wishes);

  /// One wish with masks in force (parallel to its layers), for criteria of several rounds: the model stays loaded as long as
  /// the layers are the same.
  std::vector<LayerEvidence> collect_round(const EvidenceWish& wish, const std::vector<BitMask>& masks);

  /// Each only once.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  std::vector<LayerEvidence> without_running(const EvidenceWish& wish) const;
  std::unique_ptr<EvidenceCollector> open(const std::vector<const EvidenceWish*>& wishes);
  CollectedEvidence run(EvidenceCollector& collector, const std::vector<const EvidenceWish*>& wishes, const std::vector<BitMask>& masks);

  const ModelFile& file_;
  const Recipe& recipe_;
  std::optional<DataSource> data_;
  std::unique_ptr<EvidenceCollector> rounds_;  ///< of collect_round
  std::vector<int> round_layers_;
  std::vector<std::string> warnings_;
};

}  // namespace sparsify
