#include "pipeline/untrained.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/names.h"
#include "patterns/pattern.h"
#include "pipeline/cut_plan.h"
#include "pipeline/stored_weights.h"
#include "train/trained.h"

namespace sparsify {
namespace {

/// A frozen tensor does not become zero, and zeros say what is cut.
void require_nothing_frozen(const std::vector<ParameterGroup>& groups) {
  const auto frozen = std::find_if(groups.begin(), groups.end(), [](const ParameterGroup& group) { return group.frozen; });
  if (frozen == groups.end()) return;
  throw ConfigError{{.what = fmt::format("a schedule that removes units while it trains needs all weights to be trained, and \"{}\" is frozen", frozen->include.front()),
                     .where = fmt::format("train.groups.{}.frozen", frozen - groups.begin()),
                     .fix = "use schedule: one_shot, or give the group a small lr"}};
}

}  // namespace

void require_trained(const ModelFile& file, const Recipe& recipe) {
  const std::string schedule = split_name(recipe.schedule, "schedule").name;
  if (recipe.train.is_null() || schedule == "one_shot" || recipe.prune.empty()) return;
  const TrainSettings settings = read_train_settings(recipe.train);
  if (cuts(recipe)) return require_nothing_frozen(settings.groups);
  for (const Selected& one : select_tensors(find_tensors(file), recipe.prune).selected) {
    const PruneRule& rule = recipe.prune[one.rule];
    const std::string reason = reason_untrained(settings, one.tensor);
    const bool prunes_nothing = rule.sparsity.is_number() && rule.sparsity.number() == 0;
    if (reason.empty() || prunes_nothing) continue;
    if (!make_pattern(rule.pattern, fmt::format("prune.{}.pattern", one.rule))->refuses(one.tensor).empty() || !quantisation_refusal(file, one.tensor).empty()) continue;
    throw ConfigError{{.what = fmt::format("the schedule \"{}\" chooses masks while it trains, and \"{}\" is to be pruned and is not trained: {}", schedule,
                                           one.tensor.initializer, reason),
                       .where = fmt::format("{} (prune.{}.select)", rule.mark.text(), one.rule),
                       .fix = fmt::format("leave it out of the rule (select: {{exclude: [\"{}\"]}}), train it, or use schedule: one_shot", one.tensor.initializer)}};
  }
}

std::string untrained_note(const ModelFile& file, const TrainSettings& settings) {
  constexpr size_t kNamed = 6;  // of one reason
  const std::vector<int> moved = find_running_statistics(file);
  const std::set<int> statistics(moved.begin(), moved.end());
  std::vector<std::pair<std::string, std::vector<std::string>>> by_reason;
  int64_t numbers = 0;
  bool constants = false;
  for (const PrunableTensor& tensor : find_tensors(file)) {
    std::string reason = reason_untrained(settings, tensor);
    if (reason.empty() || tensor.kind == "unused" || statistics.contains(tensor.id)) continue;
    const bool constant = tensor.scale_id < 0 && freezing_of(settings, tensor).group < 0;
    if (constant && tensor.count() == 1) {
      ++numbers;
      continue;
    }
    constants = constants || constant;
    if (constant) reason = "operand of " + tensor.op;
    auto found = std::find_if(by_reason.begin(), by_reason.end(), [&](const auto& one) { return one.first == reason; });
    if (found == by_reason.end()) found = by_reason.insert(found, {reason, {}});
    found->second.push_back(fmt::format("\"{}\" {}", tensor.initializer, to_text(tensor.shape)));
  }
  if (by_reason.empty() && numbers == 0) return "";
  std::vector<std::string> parts;
  for (auto& [reason, names] : by_reason) {
    const size_t more = names.size() > kNamed ? names.size() - kNamed : 0;
    names.resize(names.size() - more);
    parts.push_back(fmt::format("{} ({}{})", join(names), reason, more > 0 ? fmt::format("; and {} more", more) : ""));
  }
  if (numbers > 0) parts.push_back(fmt::format("{} single number{} of formulas", numbers, numbers == 1 ? "" : "s"));
  return fmt::format("Not trained: {}{}", join(parts, "; "), constants ? "; a group with an lr of its own trains an operand (train.groups)" : "");
}

WeightMap with_untrained_masked(const ModelFile& file, const TrainSettings& settings, const MaskMap& masks, const WeightMap& start, bool cuts) {
  const std::vector<int> moved = find_running_statistics(file);
  const std::set<int> statistics(moved.begin(), moved.end());
  WeightMap weights = start;
  for (const PrunableTensor& tensor : find_tensors(file)) {
    const auto mask = masks.find(tensor.id);
    if (mask == masks.end() || mask->second.pruned() == 0 || statistics.contains(tensor.id)) continue;
    const bool stays = cuts ? freezing_of(settings, tensor).group >= 0 : !reason_untrained(settings, tensor).empty();
    if (!stays) continue;
    const auto given = start.find(tensor.id);
    HostTensor masked = (given == start.end() ? file.tensor_data(tensor.id) : given->second).copy();
    apply_mask_(mask->second, 0, masked.mutable_bytes(), bits_of(masked.type()) / 8);
    weights.insert_or_assign(tensor.id, std::move(masked));
  }
  return weights;
}

}  // namespace sparsify
