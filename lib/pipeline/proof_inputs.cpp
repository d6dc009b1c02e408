#include "pipeline/proof_inputs.h"

#include <fmt/core.h>

namespace sparsify {
namespace {

bool runs(const ModelFile& model, const ProofInputs& inputs, const ProofOptions& options) {
  try {
    const auto runtime = make_runtime(options.runtime);
    outputs_of(*runtime->open(model, {.threads = options.threads, .device = options.device, .optimise = false}), inputs);
    return true;
  } catch (const ResourceError&) {
    return false;
  }
}

/// All sizes that the signature leaves open and nobody has stated are `size`.
std::map<std::string, Shape> shapes_of(const ModelFile& model, const std::map<std::string, Shape>& given, int64_t size) {
  std::map<std::string, Shape> shapes = given;
  for (const ValueInfo& input : model.model().graph.inputs) {
    if (!input.shape || shapes.contains(input.name)) continue;
    Shape& shape = shapes[input.name];
    for (const Dimension& dimension : *input.shape) shape.push_back(dimension.size < 0 ? size : dimension.size);
  }
  return shapes;
}

}  // namespace

std::optional<VerificationResult> prove_on_drawn(const ModelFile& masked, const ModelFile& written, const CutPlan& plan, const CutProof& proof, double tolerance,
                                                 ProofInputs& inputs) {
  const ProofOptions options{.threads = proof.threads, .device = proof.device, .plan = &plan};
  inputs = random_inputs(masked, *plan.structure, proof.seed);
  try {
    return prove_equal(masked, written, inputs, tolerance, options);
  } catch (const ResourceError& error) {
    if (runs(masked, inputs, options)) throw;
    for (const int64_t size : {8, 4, 2, 1, 16, 32}) {
      inputs = random_inputs(masked, shapes_of(masked, proof.inputs, size), proof.seed);
      if (runs(masked, inputs, options)) return prove_equal(masked, written, inputs, tolerance, options);
    }
    inputs.clear();
    const Problem& problem = error.problem();
    if (proof.data == nullptr) {
      throw ResourceError{{.what = fmt::format("the model does not run on drawn inputs, so that the cut cannot be proven: {}", problem.what),
                           .where = problem.where,
                           .fix = "state the sizes that it takes (--input NAME:SIZES), or give it inputs that it runs on (--data, --calibration-data or --train-data)"}};
    }
    if (proof.notes != nullptr) {
      proof.notes->push_back(fmt::format("The cut was proven on the data alone, because the uncut model does not run on drawn inputs: {}.", problem.what));
    }
    return std::nullopt;
  }
}

}  // namespace sparsify
