#include "pipeline/cut_stage.h"

#include <fmt/core.h>

#include <algorithm>

#include "pipeline/assumed_sizes.h"
#include "pipeline/cut.h"
#include "pipeline/cut_choice.h"
#include "pipeline/failed_proof.h"
#include "pipeline/proof_inputs.h"
#include "pipeline/second_opinion.h"
#include "pipeline/zero_points.h"
#include "runtimes/runtime.h"
#include "tensor/slice.h"

namespace sparsify {
namespace {

/// Which elements of the dense tensor are left.
BitMask mask_of(const TensorCut& tensor) {
  BitMask mask(element_count(tensor.before));
  for (const AxisSlice& slice : tensor.kept) {
    const AxisSplit at = split_at(tensor.before, slice.axis);
    std::vector<bool> stays(static_cast<size_t>(at.size), false);
    for (const int64_t index : slice.kept) stays[static_cast<size_t>(index)] = true;
    for (int64_t part = 0; part < at.outer * at.size; ++part) {
      if (stays[static_cast<size_t>(part % at.size)]) continue;
      for (int64_t i = part * at.inner; i < (part + 1) * at.inner; ++i) mask.prune(i);
    }
  }
  return mask;
}

/// Why the tensor is in the scope of no rule.
std::string reason_of(const CutPlan& plan, const PrunableTensor& tensor) {
  if (const auto unscored = plan.unscored.find(tensor.id); unscored != plan.unscored.end()) return unscored->second;
  std::string reason;
  for (const Group& group : plan.structure->groups()) {
    const bool member = std::any_of(group.members.begin(), group.members.end(), [&](const Member& one) { return one.tensor_id == tensor.id; });
    if (!member) continue;
    if (group.is_cuttable()) return "no rule selects the groups that it is in";
    if (reason.empty() && !group.frozen.empty()) reason = fmt::format("stays whole: {}", group.frozen.front().reason);
  }
  return reason.empty() ? "in no group that can be cut" : reason;
}

/// Two samples as one batch, where the model leaves the first axis of inputs open; nothing where it states them all.
std::vector<HostTensor> as_one_batch(const ModelFile& file, const ProofInputs& samples) {
  const std::vector<ValueInfo>& inputs = file.model().graph.inputs;
  std::vector<HostTensor> batch = samples.at(0);
  bool open = false;
  for (size_t i = 0; i < batch.size(); ++i) {
    const auto& shape = inputs[i].shape;
    if (!shape || shape->empty() || (*shape)[0].size >= 0 || batch[i].shape().empty()) continue;
    open = true;
    Shape both = batch[i].shape();
    both[0] *= 2;
    if (batch[i].type() == DType::String) {
      std::vector<std::string> texts = batch[i].strings();
      const std::vector<std::string>& second = samples.at(1)[i].strings();
      texts.insert(texts.end(), second.begin(), second.end());
      batch[i] = HostTensor::of_strings(both, std::move(texts));
      continue;
    }
    HostTensor joined(batch[i].type(), both);
    size_t at = 0;
    for (size_t sample = 0; sample < 2; ++sample) {
      const auto bytes = samples.at(sample)[i].bytes();
      std::copy(bytes.begin(), bytes.end(), joined.mutable_bytes().begin() + static_cast<std::ptrdiff_t>(at));
      at += bytes.size();
    }
    batch[i] = std::move(joined);
  }
  return open ? batch : std::vector<HostTensor>{};
}

/// Sizes that a run decides must stay open in the cut graph. Nothing is said of a model that itself takes one sample only.
void prove_batch(const ModelFile& masked, const ModelFile& shrunk, const ProofInputs& samples, double tolerance, const ProofOptions& options,
                 std::vector<VerificationResult>& results) {
  const std::vector<HostTensor> batch = as_one_batch(masked, samples);
  if (batch.empty()) return;
  const auto runtime = make_runtime(options.runtime);
  const SessionOptions session{.threads = options.threads, .device = options.device, .optimise = false};
  ProofInputs expected;
  try {
    expected = outputs_of(*runtime->open(masked, session), {batch});
  } catch (const ResourceError&) {
    return;
  }
  VerificationResult result{.check = "outputs_equal_batch", .passed = false};
  try {
    result = compare_outputs(masked.model().graph.outputs, expected, outputs_of(*runtime->open(shrunk, session), {batch}), tolerance);
    result.check = "outputs_equal_batch";
  } catch (const ResourceError& error) {
    result.detail = "the masked model runs two samples at once, the cut one does not: " + failure_of_run(error.problem(), options.plan);
  }
  results.push_back(std::move(result));
}

}  // namespace

Decisions decisions_of_cut(const ModelFile& file, CutPlan made) {
  const auto plan = std::make_shared<const CutPlan>(std::move(made));
  Decisions decisions;
  decisions.warnings = plan->warnings;
  std::map<int, BitMask> masks;
  for (const TensorCut& tensor : plan->cut.tensors) masks.emplace(tensor.id, mask_of(tensor));
  for (const int id : plan->cut.edits.removed_tensors) masks.emplace(id, BitMask(element_count(file.tensor(id).shape), /*kept=*/false));
  for (PrunableTensor& tensor : find_tensors(file)) {
    const auto mask = masks.find(tensor.id);
    const bool gone = plan->cut.edits.removed_tensors.contains(tensor.id);
    const auto scope = plan->patterns.find(tensor.id);
    if (mask == masks.end() && scope == plan->patterns.end()) {
      std::string reason = reason_of(*plan, tensor);
      decisions.skipped.push_back({std::move(tensor), std::move(reason)});
      continue;
    }
    const std::string pattern = gone ? "layer" : scope->second;
    BitMask kept = mask == masks.end() ? BitMask(tensor.count()) : std::move(mask->second);
    decisions.decided.push_back({.tensor = std::move(tensor), .pattern = pattern, .pattern_setting = Setting(pattern), .mask = std::move(kept)});
  }
  decisions.cut = plan;
  return decisions;
}

Decisions decide_cut(const ModelFile& file, const Recipe& recipe, const CutRequest& request) {
  CutPlan plan = plan_cut(file, recipe, request);
  warn_of_assumed_sizes_(plan, file, recipe, request.inputs);
  return decisions_of_cut(file, std::move(plan));
}

void describe_cut_(RunReport& report, const CutPlan& plan) {
  std::map<std::string, Shape> after;
  for (const TensorCut& tensor : plan.cut.tensors) after[tensor.tensor] = tensor.after;
  for (LayerRow& row : report.layers) {
    const auto found = after.find(row.initializer);
    if (found != after.end()) row.shape_after = found->second;
  }
  for (const KeptUnits& group : kept_units(plan)) {
    const auto& groups = plan.structure->groups();
    const auto known = std::find_if(groups.begin(), groups.end(), [&](const Group& one) { return one.name == group.group; });
    report.groups.push_back({.name = group.group, .kind = known->kind, .units = group.units, .kept = static_cast<int64_t>(group.kept.size())});
  }
  for (const Block& block : plan.blocks) report.groups.push_back({.name = block.name, .kind = "layer", .units = 1, .kept = 0});
  if (plan.before.memory > 0) {
    report.notes.push_back(fmt::format("Largest sum of activations alive at once: {} bytes, from {} ({:.4f})", plan.after.memory, plan.before.memory,
                                       static_cast<double>(plan.after.memory) / static_cast<double>(plan.before.memory)));
  }
  for (const std::string& obstacle : main_obstacles(*plan.structure, 5)) report.notes.push_back("Stays whole: " + obstacle);
}

CutOutput write_cut(ModelFile& file, const CutPlan& plan, const std::map<int, HostTensor>& changed, const std::string& output, bool overwrite) {
  CutOutput result;
  file.edit_graph_({});
  edit_nodes_(file, {});
  for (const auto& [id, weight] : changed) {
    if (!plan.masks.contains(id)) file.replace_tensor_(id, weight);
  }
  const std::map<int, ZeroPoints> zero_points = find_zero_points(file);
  for (const auto& [id, mask] : plan.masks) {
    const auto other = changed.find(id);
    const auto zero = zero_points.find(id);
    if (other == changed.end() && zero == zero_points.end()) {
      file.mask_tensor_(id, mask);
      continue;
    }
    HostTensor masked = (other == changed.end() ? file.tensor_data(id) : other->second).copy();
    if (zero == zero_points.end()) apply_mask_(mask, 0, masked.mutable_bytes(), bits_of(masked.type()) / 8);
    else write_zero_points_(mask, zero->second, masked);
    file.replace_tensor_(id, std::move(masked));
  }
  result.masked_writer = file.write(output + ".masked", {.overwrite = true});
  result.masked = std::make_unique<ModelFile>(result.masked_writer->reopen());
  file.edit_graph_(plan.cut.edits);
  edit_nodes_(file, plan.cut.nodes);
  result.writer = file.write(output, {.overwrite = overwrite});
  return result;
}

std::string proof_set(const Recipe& recipe) {
  for (const char* name : {"eval", "calibration", "train"}) {
    if (recipe.data.contains(name)) return name;
  }
  return "";
}

std::vector<VerificationResult> verify_cut(const ModelFile& masked, const ModelFile& written, const CutPlan& plan, const CutProof& proof) {
  std::vector<VerificationResult> results = check_cut(masked, written, plan, proof.inputs);
  const bool sound = std::all_of(results.begin(), results.end(), [](const VerificationResult& result) { return result.passed; });
  if (!sound) return results;  // such a file may not run at all
  const double tolerance = proof_tolerance(masked, plan.structure->graph());
  const ProofOptions options{.threads = proof.threads, .device = proof.device, .plan = &plan};
  ProofInputs random;
  if (auto result = prove_on_drawn(masked, written, plan, proof, tolerance, random)) {
    results.push_back(std::move(*result));
    prove_batch(masked, written, random, tolerance, options, results);
  }
  ProofInputs real;
  if (proof.data != nullptr) {
    const auto stream = proof.data->stream({});
    if (auto batch = stream->next()) real.push_back(std::move(batch->inputs));
  }
  if (!real.empty()) {
    VerificationResult result = prove_equal(masked, written, real, tolerance, options);
    result.check = "outputs_equal_on_data";
    results.push_back(std::move(result));
  }
  if (proof.notes != nullptr) {
    SecondOpinion opinion = prove_elsewhere(masked, written, random, real, tolerance, proof.threads);
    for (VerificationResult& result : opinion.results) results.push_back(std::move(result));
    if (!opinion.note.empty()) proof.notes->push_back(std::move(opinion.note));
  }
  for (VerificationResult& result : results) {
    if (result.check.ends_with("_on_data")) result.detail += fmt::format("; the first batch of {}: {}", proof.data_name, proof.data->describe());
  }
  return results;
}

}  // namespace sparsify
