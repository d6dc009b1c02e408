#include "pipeline/request_check.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"
#include "config/plugin_name.h"
#include "config/solver_name.h"
#include "pipeline/correct.h"
#include "pipeline/cut_plan.h"
#include "pipeline/gates.h"
#include "pipeline/initialise_stage.h"
#include "pipeline/metrics.h"
#include "pipeline/train_run.h"
#include "pipeline/train_stage.h"
#include "schedules/sound_schedule.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

/// `k.onnx` and `k.bin` have the same folder: what another output's run left there is not replaced unasked.
void keep_other_evidence(const Recipe& recipe, const std::string& folder) {
  const fs::path written = fs::path(folder) / "recipe.yaml";
  if (!fs::exists(written)) return;
  const Setting before = read_yaml_file(written.string());
  const Setting* output = before.find("output");
  if (output == nullptr || !output->is_text() || fs::path(output->text()).filename() == fs::path(recipe.output).filename()) return;
  throw ConfigError{{.what = fmt::format("the evidence folder belongs to \"{}\"", fs::path(output->text()).filename().string()),
                     .where = folder,
                     .fix = "choose an output with another stem, or --overwrite"}};
}

/// A file that the run reads is not replaced, not even with --overwrite: what is meant is another file.
void keep(const std::string& path, const std::string& output, const std::string& what) {
  std::error_code ignored;
  if (path.empty() || fs::is_directory(path, ignored) || !fs::equivalent(path, output, ignored)) return;
  throw ConfigError{{.what = "the output is " + what, .where = output, .fix = "choose another name for the output"}};
}

/// Every text in these settings that is the name of a file, and the files that they were read from.
void keep_files_of(const Setting& value, const std::string& output, const std::string& what) {
  if (value.mark().line > 0) keep(value.mark().source, output, "a recipe of this run");
  if (value.is_text()) keep(value.text(), output, what);
  if (value.is_list()) {
    for (const Setting& element : value.list()) keep_files_of(element, output, what);
  }
  if (!value.is_map()) return;
  for (const auto& [key, element] : value.map()) keep_files_of(element, output, key == "teacher" ? "the teacher" : what);
}

void keep_what_is_read(const PruneRequest& request) {
  const Recipe& recipe = request.recipe;
  const std::string& output = recipe.output;
  keep(recipe.model, output, "the input");
  keep(request.plan, output, "the plan");
  for (const auto& [name, set] : recipe.data) keep_files_of(set, output, fmt::format("the data set \"{}\"", name));
  keep_files_of(recipe.train, output, "a file that training reads");
  for (const PruneRule& rule : recipe.prune) keep_files_of(rule.allocation, output, "a table that the allocation reads");
  if (!recipe.source.is_map()) return;
  for (const auto& [key, value] : recipe.source.map()) {
    if (key != "output" && value.mark().line > 0) keep(value.mark().source, output, "a recipe of this run");
  }
}

/// Also where nothing will be measured: a misspelt name is seen before hours of training, not in the run after it.
void require_metric(const Recipe& recipe) {
  if (recipe.metric == "auto" || Registry<Metric>::instance().contains(recipe.metric)) return;
  const Setting* given = recipe.source.find("metric");
  throw ConfigError{{.what = fmt::format("no metric is named \"{}\"", recipe.metric),
                     .where = fmt::format("{} (metric)", given == nullptr ? "recipe" : given->mark().text()),
                     .fix = suggest(recipe.metric, Registry<Metric>::instance().names())}};
}

/// Before hours of training: a schedule that ends elsewhere, or gives what is no sparsity.
void require_sound_schedule(const Recipe& recipe) {
  const PluginName name = plugin_name<Schedule>(recipe.schedule, "schedule");
  const std::unique_ptr<Schedule> schedule = call_plugin(name, [&] { return schedule_for_training(recipe); });
  for (const PruneRule& rule : recipe.prune) require_sound(*schedule, name, rule.sparsity.is_number() ? rule.sparsity.number() : 0.5);
}

/// What a run writes first after hours of training must not fail then: each folder that is there takes a file now.
void require_writable_evidence(const std::string& folder) {
  for (const fs::path& place : {fs::path(folder), fs::path(folder) / "checkpoints", fs::path(folder) / "checkpoints" / "training"}) {
    if (!fs::is_directory(place)) continue;
    try {
      const AtomicFile probe((place / "probe").string(), /*overwrite=*/true);
    } catch (Error& e) {
      e.set_where(place.string());
      throw;
    }
  }
}

/// The units that go are trained towards zero with all others; solving what stays again would be undone.
void refuse_beside_cut(const Recipe& recipe) {
  const bool solves = std::any_of(recipe.prune.begin(), recipe.prune.end(), [](const PruneRule& rule) { return solver_name(rule) != "none"; });
  if (!trains(recipe) || (recipe.repair != "statistics" && recipe.repair != "least_squares" && !solves)) return;
  throw ConfigError{{.what = "a run that trains and removes structure does not repair as well",
                     .where = "repair",
                     .fix = "leave it to the training with repair: none, or make two runs: cut and repair, then `sparsify finetune` on the cut model"}};
}

/// What a layer's readers lose with a channel says nothing of single weights.
void refuse_unit_criteria(const Recipe& recipe) {
  for (size_t i = 0; i < recipe.prune.size(); ++i) {
    const Setting& criterion = recipe.prune[i].criterion;
    if (split_name(criterion, "criterion").name != "reconstruction") continue;
    throw ConfigError{{.what = "the criterion reconstruction scores channels, and only in cuts",
                       .where = fmt::format("{} (prune.{}.criterion)", criterion.mark().text(), i),
                       .fix = "use pattern: channel, or a criterion of weights: magnitude, wanda; `allocation: reconstruction` divides by error without a cut"}};
  }
}

/// A plan's masks are held; schedules that choose masks by the recipe's rules would not apply it.
void require_fixed_masks(const Recipe& recipe) {
  const std::string name = split_name(recipe.schedule, "schedule").name;
  if (name == "one_shot") return;
  throw ConfigError{{.what = fmt::format("the schedule \"{}\" chooses masks while it trains, and the plan gives them", name),
                     .where = fmt::format("{} (schedule)", recipe.schedule.mark().text()),
                     .fix = "use schedule: one_shot with the plan, or prune without it"}};
}

/// Zeros are held as they are: nothing is left for a schedule to choose, but for the one that exchanges them.
void require_held_zeros(const Recipe& recipe) {
  const std::string name = split_name(recipe.schedule, "schedule").name;
  if (name == "one_shot" || name == "dynamic") return;
  throw ConfigError{{.what = fmt::format("the schedule \"{}\" makes zeros while it trains, and finetune holds those that are there", name),
                     .where = fmt::format("{} (schedule)", recipe.schedule.mark().text()),
                     .fix = "use schedule: one_shot, or `sparsify prune` with a rule and the schedule"}};
}

}  // namespace

bool check_request(const PruneRequest& request, const std::string& folder) {
  const Recipe& recipe = request.recipe;
  const std::string verb = request.hold_zeros ? "finetune" : "prune";
  if (recipe.model.empty()) {
    throw ConfigError{{.what = "no model is named", .where = verb, .fix = fmt::format("sparsify {} MODEL -o OUT, or `model:` in the recipe", verb)}};
  }
  if (!request.hold_zeros && request.plan.empty() && cuts(recipe)) refuse_beside_cut(recipe);
  if (recipe.prune.empty() && request.plan.empty() && !request.hold_zeros) {
    throw ConfigError{{.what = "there is nothing to prune: no rule is given",
                       .where = "prune",
                       .fix = "say how much: --sparsity 0.5, --pattern 2:4, or `prune:` in a recipe (`sparsify init MODEL` writes one)"}};
  }
  if (!request.hold_zeros && request.plan.empty() && !cuts(recipe)) refuse_unit_criteria(recipe);
  require_metric(recipe);
  require_judgeable(recipe);
  initialises(recipe);
  if (!request.plan.empty()) require_fixed_masks(recipe);
  if (request.hold_zeros) require_held_zeros(recipe);
  if (trains(recipe)) require_sound_schedule(recipe);
  if (request.dry_run) return false;
  if (!request.hold_zeros && request.plan.empty()) require_correctable(recipe);
  if (recipe.output.empty()) {
    throw ConfigError{{.what = "no output is named", .where = verb, .fix = "name it: -o slim.onnx, or `output:` in the recipe"}};
  }
  keep_what_is_read(request);
  // Killed after the model got its name and before the evidence was complete: the same run writes both again.
  const bool overwrite = request.overwrite || (request.resume && fs::exists(fs::path(folder) / "checkpoints"));
  require_writable_output(recipe.output, overwrite);
  if (fs::exists(folder) && !fs::is_directory(folder)) {
    throw ResourceError{{.what = "the evidence needs a folder, and a file has its name", .where = folder, .fix = "move that file, or choose another output"}};
  }
  if (!request.overwrite) keep_other_evidence(recipe, folder);
  require_writable_evidence(folder);
  return overwrite;
}

}  // namespace sparsify
