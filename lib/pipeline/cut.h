#pragma once

#include <map>
#include <string>
#include <vector>

#include "onnx/model_file.h"
#include "pipeline/cut_plan.h"
#include "report/run_report.h"
#include "runtimes/runtime.h"
#include "tensor/host_tensor.h"

namespace sparsify {

/// Samples to run both models on; each is one call's inputs, in graph order.
using ProofInputs = std::vector<std::vector<HostTensor>>;

/// Drawn for the signature, with the sizes that the analysis has assumed where the signature leaves them open.
///   throws ResourceError for inputs that are no tensors
ProofInputs random_inputs(const ModelFile& file, const Structure& structure, uint64_t seed, int samples = 2);
/// With these shapes, by input name; sizes that are left open there are 2.
ProofInputs random_inputs(const ModelFile& file, const std::map<std::string, Shape>& shapes, uint64_t seed, int samples = 2);

struct ProofOptions {
  std::string runtime = "libtorch";
  int threads = 0;
  std::string device = "auto";
  const CutPlan* plan = nullptr;  ///< names the groups at a node on which the cut model stops; null: a failure names none
};

/// How far outputs of the same arithmetic in another order may be apart, as a share of the largest: machine epsilon of the weakest
/// element type on the way x 16 sqrt(weighted layers on the longest path). Quantised activations may fall on the next step.
double proof_tolerance(const ModelFile& file, const FlatGraph& graph);

/// What the model gives for each of the samples.
ProofInputs outputs_of(Session& session, const ProofInputs& inputs);

///   outputs  of the models' signature, in graph order
VerificationResult compare_outputs(const std::vector<ValueInfo>& outputs, const ProofInputs& masked, const ProofInputs& shrunk, double tolerance);

/// Runs one model after the other. The detail of a failure names the first output element that differs, or the node on which the shrunk model stops.
///   throws ResourceError where the masked model does not run
VerificationResult prove_equal(const ModelFile& masked, const ModelFile& shrunk, const ProofInputs& inputs, double tolerance, const ProofOptions& options);

/// Checks the written file against what was decided, without running it: it loads, all tensors are the slices of the masked
/// model's, everything else is the input's, checker and shape inference pass, MACs are those that were planned.
///   masked  the dense model with all edits but the cut, read back
std::vector<VerificationResult> check_cut(const ModelFile& masked, const ModelFile& shrunk, const CutPlan& plan,
                                          const std::map<std::string, Shape>& inputs = {});

}  // namespace sparsify
