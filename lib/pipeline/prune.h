#pragma once

#include <map>
#include <string>

#include "config/recipe.h"
#include "report/run_report.h"
#include "tensor/shape.h"

namespace sparsify {

struct PruneRequest {
  Recipe recipe{};
  std::string command{};   ///< as typed, for the report
  std::string plan{};      ///< replay this plan.json instead of deciding anew; "" = decide
  bool dry_run = false;    ///< decide and report, write nothing
  bool overwrite = false;
  bool resume = false;     ///< take finished work of an interrupted run from its checkpoints
  bool hold_zeros = false; ///< decide nothing: the zeros that are there are the masks (`finetune`)
  bool allow_linked_data = false;
  std::map<std::string, Shape> input_shapes{};  ///< for MACs where the graph leaves shapes open
};

struct PruneOutcome {
  RunReport report{};
  std::string folder{};     ///< of the evidence; "" for a dry run
  std::string html_path{};  ///< "" when no HTML was asked for
  bool assisted = false;    ///< this process only helped the first one to train: there is nothing to show
  bool passed = true;       ///< false: a gate or verification failed, no model was written, the report says which
};

/// The main job: load, decide, mask, verify, measure, write model and evidence. The evidence goes to the folder
/// `<stem of output>.sparsify` beside the output.
/// throws ConfigError, ResourceError, ExhaustedError; then nothing was written
PruneOutcome prune(const PruneRequest& request);

/// `out/slim.onnx` -> `out/slim.sparsify`
std::string evidence_folder(const std::string& output);

}  // namespace sparsify
