#pragma once

#include <string>
#include <vector>

#include "pipeline/cut_scope.h"
#include "pipeline/evidence_stage.h"
#include "pipeline/group_scores.h"

namespace sparsify {

/// What the criterion of a rule says of single weights, from the file and from evidence that is collected once for all weights that some group or block
/// touches: it does not change with the cut. Empty for tensors that the criterion says nothing of.
///   file, scope   must outlive the result
///   stage         may be null where the criterion needs no data
///   warnings      gets a line for every weight whose evidence cannot be had
///   throws        ConfigError for a criterion that scores what training moved
GroupScorer::WeightScores weight_scores(const ModelFile& file, const Structure& structure, const CutScope& scope, const CutRule& rule, uint64_t seed, EvidenceStage* stage,
                                        std::vector<std::string>& warnings);

}  // namespace sparsify
