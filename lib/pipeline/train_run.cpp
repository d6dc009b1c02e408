#include "pipeline/train_run.h"

#include <fmt/core.h>

#include "base/error.h"
#include "base/sha256.h"
#include "config/precision.h"
#include "data/selection.h"
#include "data/source_files.h"
#include "onnx/content_digest.h"
#include "pipeline/cut_plan.h"
#include "pipeline/cut_training.h"
#include "pipeline/evaluate.h"
#include "pipeline/metrics.h"
#include "pipeline/precision.h"
#include "pipeline/train_classes.h"

namespace sparsify {
namespace {

std::string digest(const std::string& text) { return sha256_of(std::as_bytes(std::span(text))); }

/// What a data set is made of, wherever it is written.
std::string text_of_set(const std::string& name, const std::map<std::string, Setting>& sets) {
  const ResolvedSet set = resolve_set(name, sets);
  std::string text = name + ": " + to_yaml(set.keys);
  for (const ResolvedSet::Cut& cut : set.cuts) text += fmt::format(" {} {} {}", cut.skip, cut.limit, cut.samples);
  return text + "\n";
}

/// What decides the course of a training beside the model. What the result is measured on, and by, is no part of it unless it chooses the epoch.
///   validation  its set; "": none
std::string recipe_digest(const Recipe& recipe, const std::string& validation) {
  const Setting whole = resolved(recipe);
  std::string text;
  for (const char* key : {"seed", "device", "threads", "precision", "prune", "initialise", "schedule", "train"}) {
    if (const Setting* part = whole.find(key)) text += std::string(key) + ": " + to_yaml(*part) + "\n";
  }
  for (const std::string& name : {std::string("train"), std::string("calibration"), validation}) {
    if (recipe.data.contains(name)) text += text_of_set(name, recipe.data);
  }
  if (!validation.empty()) text += "metric: " + recipe.metric + "\n";
  return digest(text);
}

std::string mask_digest(const MaskMap& masks) {
  Sha256 sha;
  for (const auto& [id, mask] : masks) {
    sha.update(std::as_bytes(std::span(&id, 1)));
    sha.update(std::as_bytes(mask.words()));
  }
  return sha.finish();
}

}  // namespace

std::unique_ptr<Schedule> schedule_for_training(const Recipe& recipe) {
  const auto& registry = Registry<Schedule>::instance();
  NamedOptions named = split_name(recipe.schedule, "schedule");
  if (!registry.contains(named.name)) {
    throw ConfigError{{.what = fmt::format("no schedule is named \"{}\"", named.name),
                       .where = fmt::format("{} (schedule)", recipe.schedule.mark().text()),
                       .fix = suggest(named.name, registry.names())}};
  }
  std::unique_ptr<Schedule> schedule = registry.make(named.name, named.options);
  named.options.reject_unread();
  if (!schedule->is_gradual() || recipe.train.is_null() || named.options.has("end")) return schedule;
  Setting with_end = recipe.schedule.is_map() ? recipe.schedule : Setting(Setting::Map{{"name", Setting(named.name)}});
  with_end.set("end", Setting(0.75));
  return registry.make(named.name, split_name(with_end, "schedule").options);
}

TrainRun::TrainRun(const TrainStage& stage, Decisions& decisions, const WeightMap& start)
    : stage_(stage),
      decisions_(decisions),
      start_(start),
      settings_(read_train_settings(stage.recipe.train)),
      schedule_(schedule_for_training(stage.recipe)),
      data_("train", with_stated_classes(stage.recipe, settings_, stage.file, "train"), stage.file.model().graph.inputs, static_cast<uint64_t>(stage.recipe.seed)),
      processes_(process_group()) {
  if (processes_ != nullptr) settings_.processes = processes_->size();
  validation_name_ = !settings_.validation.empty() ? settings_.validation : stage.recipe.data.contains("validation") ? "validation" : "";
  if (!validation_name_.empty()) {
    validation_.emplace(validation_name_, with_stated_classes(stage.recipe, settings_, stage.file, validation_name_), stage.file.model().graph.inputs, static_cast<uint64_t>(stage.recipe.seed));
    metric_ = stage.recipe.metric == "auto" ? metric_for(*validation_) : stage.recipe.metric;
    higher_is_better_ = Registry<Metric>::instance().make(metric_, Options())->higher_is_better();
  }
  const bool teaches = settings_.distill.active || !data_.has_labels();
  if (teaches) {
    const std::string path = settings_.distill.teacher.empty() ? stage.recipe.model : settings_.distill.teacher;
    teacher_ = std::make_unique<ModelFile>(ModelFile::load(path, {.allow_linked_data = stage.allow_linked_data}));
  }
}

TrainTask TrainRun::task() const {
  TrainTask task{.file = &stage_.file, .settings = settings_};
  task.seed = static_cast<uint64_t>(stage_.recipe.seed);
  task.threads = static_cast<int>(stage_.recipe.threads);
  task.device = stage_.recipe.device == "auto" ? "cpu" : stage_.recipe.device;
  task.bfloat16 = computes_in_bfloat16(stage_.recipe, stage_.file);
  task.processes = processes_;
  task.data = &data_;
  task.teacher = teacher_.get();
  if (validation_) task.validate = [this](const WeightMap& weights) { return validate(weights); };
  task.higher_is_better = higher_is_better_;
  task.metric = metric_;
  task.checkpoints = checkpoint_folder(stage_.folder);
  if (processes_ == nullptr || processes_->is_first()) task.identity = identity();
  task.resume = stage_.resume;
  return task;
}

std::map<std::string, std::string> TrainRun::identity() const {
  const auto set = [this](const std::string& name, const DataSource& data) {
    return digest(data.describe() + digest_of_files(files_of_set(name, stage_.recipe.data)));
  };
  std::map<std::string, std::string> parts = {{"model", content_digest(stage_.file)},
                                              {"recipe", recipe_digest(stage_.recipe, validation_name_)},
                                              {"data set", set("train", data_)},
                                              {"number of processes", std::to_string(settings_.processes)},
                                              {"set of masks", mask_digest(masks())}};
  if (validation_) parts["validation set"] = set(validation_name_, *validation_);
  if (teacher_ && !settings_.distill.teacher.empty()) parts["teacher"] = content_digest(*teacher_);
  return parts;
}

MaskMap TrainRun::masks() const { return masks_of(decisions_); }

MaskMap masks_of(const Decisions& decisions) {
  if (decisions.cut) return decisions.cut->masks;  // on both sides of every unit, biases and norms as well
  MaskMap masks;
  for (const Decision& decision : decisions.decided) masks.emplace(decision.tensor.id, decision.mask);
  return masks;
}

void TrainRun::take(const MaskMap& masks) {
  if (decisions_.cut) return;  // the weights say what is cut
  for (Decision& decision : decisions_.decided) {
    const auto found = masks.find(decision.tensor.id);
    if (found != masks.end()) decision.mask = found->second;
  }
}

MaskMap TrainRun::decide_at(const WeightMap& weights, const std::function<double(double)>& sparsity) const {
  const ScratchModel scratch = with(weights);
  if (decisions_.cut) return unit_masks(scratch.file(), stage_.recipe, sparsity, stage_.inputs);
  Recipe recipe = stage_.recipe;
  for (PruneRule& rule : recipe.prune) {
    if (!rule.sparsity.is_number()) continue;
    const Mark mark = rule.sparsity.mark();
    rule.sparsity = Setting(sparsity(rule.sparsity.number()));
    rule.sparsity.set_mark(mark);
  }
  MaskMap masks;
  for (Decision& decision : decide(scratch.file(), recipe).decided) masks.emplace(decision.tensor.id, std::move(decision.mask));
  return masks;
}

ScratchModel TrainRun::with(const WeightMap& weights) const {
  WeightMap all = start_;
  for (const auto& [id, weight] : weights) all.insert_or_assign(id, weight);
  return ScratchModel(stage_.file, all, stage_.folder);
}

double TrainRun::validate(const WeightMap& weights) const {
  const ScratchModel scratch = with(weights);
  const MetricResult result = evaluate(scratch.file(), *validation_,
                                       {.metric = metric_,
                                        .session = {.threads = static_cast<int>(stage_.recipe.threads), .device = stage_.recipe.device,
                                                    .bfloat16 = precision_of(stage_.recipe) == "bf16"},
                                        .reference = teacher_ ? teacher_.get() : &stage_.file,
                                        .task = "validating"});
  return *result.after;
}

}  // namespace sparsify
