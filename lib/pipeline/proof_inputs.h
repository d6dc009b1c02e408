#pragma once

#include "pipeline/cut.h"
#include "pipeline/cut_stage.h"

namespace sparsify {

/// Masked and cut model on drawn inputs. A model may not run with the sizes that the analysis has assumed where its signature leaves
/// them open (a cache longer than its table of positions, indices of nodes it has none of): then other sizes are tried.
///   inputs  set to those that both models ran on; empty if the uncut model runs on none of them
///   throws  ResourceError when none are found and `proof` has no data
std::optional<VerificationResult> prove_on_drawn(const ModelFile& masked, const ModelFile& written, const CutPlan& plan, const CutProof& proof, double tolerance,
                                                 ProofInputs& inputs);

}  // namespace sparsify
