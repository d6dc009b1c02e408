#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/loader.h"
#include "onnx/model_file.h"
#include "pipeline/cut_plan.h"
#include "pipeline/decide.h"
#include "report/run_report.h"

namespace sparsify {

/// A structured run as other stages see it: every tensor in the scope of a rule, cut or whole, has a decision whose mask says which elements stay, and
/// Decisions::cut holds what is removed.
Decisions decide_cut(const ModelFile& file, const Recipe& recipe, const CutRequest& request);
Decisions decisions_of_cut(const ModelFile& file, CutPlan plan);

/// `shape_after` of the rows, and the groups that lose units.
void describe_cut_(RunReport& report, const CutPlan& plan);

/// The model without the masks' zeros and with them: what the proof compares.
struct CutOutput {
  std::unique_ptr<ModelFile::Writer> masked_writer;  ///< never committed: gone with this object
  std::unique_ptr<ModelFile> masked;
  std::unique_ptr<ModelFile::Writer> writer;
};

/// Writes the masked dense model to a temporary file and the cut one to `output`; masks and graph edits are added to `file`.
///   changed  weights that earlier stages changed, by tensor id, as stored
CutOutput write_cut(ModelFile& file, const CutPlan& plan, const std::map<int, HostTensor>& changed, const std::string& output, bool overwrite);

/// Key in `data:` of the set on whose first batch a cut is proven: nothing is chosen by it, so that evaluation data may be looked at.
/// "" without data.
std::string proof_set(const Recipe& recipe);

struct CutProof {
  std::map<std::string, Shape> inputs{};
  uint64_t seed = 0;
  int threads = 0;
  std::string device = "auto";
  const DataSource* data = nullptr;  ///< its first batch is run as well; null: random inputs only
  std::string data_name = "data.eval";  ///< the key of the recipe, for the report
  /// Where it is said why ONNX Runtime has not run the models as well; null: it is not asked.
  std::vector<std::string>* notes = nullptr;
};

/// Static checks, then both models on the same inputs: on LibTorch and, where it is installed, on ONNX Runtime.
std::vector<VerificationResult> verify_cut(const ModelFile& masked, const ModelFile& written, const CutPlan& plan, const CutProof& proof);

}  // namespace sparsify
