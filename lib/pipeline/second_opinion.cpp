#include "pipeline/second_opinion.h"

#include <fmt/core.h>

#include <memory>

#include "base/error.h"
#include "runtimes/runtime.h"

namespace sparsify {
namespace {

constexpr const char* kRuntime = "onnxruntime";

VerificationResult named(VerificationResult result, const std::string& suffix, const std::string& version) {
  result.check += std::string("_onnxruntime") + suffix;
  result.detail = version + ": " + result.detail;
  return result;
}

}  // namespace

SecondOpinion prove_elsewhere(const ModelFile& masked, const ModelFile& shrunk, const ProofInputs& random, const ProofInputs& real, double tolerance,
                              int threads) {
  SecondOpinion opinion;
  std::string version;
  bool runs_masked = false;
  try {
    const auto runtime = make_runtime(kRuntime);
    version = runtime->version();
    const SessionOptions options{.threads = threads, .device = "cpu"};
    ProofInputs expected;
    ProofInputs expected_real;
    {
      const auto session = runtime->open(masked, options);  // gone before the cut model is loaded
      expected = outputs_of(*session, random);
      expected_real = outputs_of(*session, real);
    }
    runs_masked = true;
    const auto session = runtime->open(shrunk, options);
    const std::vector<ValueInfo>& outputs = masked.model().graph.outputs;
    opinion.results.push_back(named(compare_outputs(outputs, expected, outputs_of(*session, random), tolerance), "", version));
    if (!real.empty()) opinion.results.push_back(named(compare_outputs(outputs, expected_real, outputs_of(*session, real), tolerance), "_on_data", version));
  } catch (const ResourceError& error) {
    if (runs_masked) {
      opinion.results.push_back({.check = "outputs_equal_onnxruntime", .passed = false,
                                 .detail = "it runs the masked model, but not the cut one: " + error.problem().what});
    } else {
      opinion.note = version.empty() ? fmt::format("The cut was proven on LibTorch alone: {}; {}.", error.problem().what, error.problem().fix)
                                     : fmt::format("The cut was proven on LibTorch alone, because the uncut model does not run there: {}.", error.problem().what);
    }
  } catch (const ExhaustedError& error) {
    opinion.note = fmt::format("The cut was proven on LibTorch alone: {}.", error.problem().what);
  }
  return opinion;
}

}  // namespace sparsify
