#include "pipeline/sensitivity.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/version.h"
#include "config/plugin_name.h"
#include "criteria/checked_scores.h"
#include "mask/scores.h"
#include "patterns/checked_mask.h"
#include "patterns/structured.h"
#include "pipeline/channel_scores.h"
#include "pipeline/cut_plan.h"
#include "pipeline/evidence_stage.h"
#include "pipeline/figures.h"
#include "pipeline/group_scores.h"
#include "pipeline/name_check.h"
#include "pipeline/precision.h"
#include "pipeline/stored_weights.h"
#include "pipeline/trial.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFiles[] = {"sensitivity.csv", "sensitivity.html", "sensitivity.json"};  // json last: it means all are there

/// A row of the report that is a group, and the order in which its units go.
struct GroupRow {
  size_t layer;  ///< of the report
  std::string pattern;
  std::shared_ptr<const Structure> structure;
  size_t group;
  std::vector<size_t> order;
};

class Run {
 public:
  explicit Run(const SensitivityRequest& request) : request_(request), recipe_(request.recipe) {}

  SensitivityReport run() {
    const auto start = std::chrono::steady_clock::now();
    check_request();
    report_.command = request_.command;
    report_.started = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
    report_.version = version();
    report_.seed = recipe_.seed;
    make_plugins();
    const ModelFile file = ModelFile::load(recipe_.model);
    for (const std::string& warning : file.warnings()) warn(warning);
    for (const std::string& warning : check_names(file, globs_of(recipe_))) warn(warning);
    const DataSource data = open_data(file);
    if (!patterns_.empty()) {
      list_layers(file, select_tensors(find_tensors(file), recipe_.prune));
      collect_evidence(file);
    }
    for (const Setting& pattern : structured_) list_groups(file, pattern);
    Trial trial(file, data, {.metric = recipe_.metric, .session = {.threads = static_cast<int>(recipe_.threads), .device = recipe_.device,
                                                                     .bfloat16 = computes_in_bfloat16(recipe_, file)}});
    describe(file, data, trial);
    measure(file, trial);
    check_restored(trial);
    report_.total_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    write();
    return std::move(report_);
  }

 private:
  void check_request() const {
    if (recipe_.model.empty()) {
      throw ConfigError{{.what = "no model is named", .where = "sensitivity", .fix = "sparsify sensitivity MODEL --data FORMAT:PATH -o DIR"}};
    }
    if (request_.patterns.empty()) {
      throw ConfigError{{.what = "no pattern is given", .where = "--patterns", .fix = "name some, as in --patterns unstructured,2:4"}};
    }
    for (const double sparsity : request_.sparsities) {
      if (sparsity > 0 && sparsity < 1) continue;
      throw ConfigError{{.what = fmt::format("a sparsity is {}", sparsity), .where = "--sparsities", .fix = "use values between 0 and 1, such as 0.5,0.8,0.9"}};
    }
    if (request_.samples < 0) {
      throw ConfigError{{.what = fmt::format("samples is {}", request_.samples), .where = "--samples", .fix = "use a number, or 0 for all"}};
    }
    if (request_.folder.empty()) return;
    if (fs::exists(request_.folder) && !fs::is_directory(request_.folder)) {
      throw ResourceError{{.what = "the results need a folder, and a file has its name", .where = request_.folder, .fix = "choose another name with -o"}};
    }
    if (!fs::exists(request_.folder)) {
      require_writable_output(request_.folder, /*overwrite=*/false);
      return;
    }
    for (const char* name : kFiles) require_writable_output((fs::path(request_.folder) / name).string(), request_.overwrite);
  }

  void warn(const std::string& text) {
    report_.warnings.push_back(text);
    log_warning("{}", text);
  }

  void make_plugins() {
    for (const Setting& setting : request_.patterns) add_pattern(setting);
    for (size_t i = 0; i < recipe_.prune.size(); ++i) {
      const std::string path = fmt::format("prune.{}.criterion", i);
      const Setting& setting = recipe_.prune[i].criterion;
      const NamedOptions named = split_name(setting, path);
      report_.criterion += (i == 0 ? "" : ", ") + named.name;
      if (scores_groups(named.name, setting, path)) {
        criteria_.push_back(nullptr);
        continue;
      }
      try {
        criteria_.push_back(Registry<Criterion>::instance().make(named.name, named.options));
      } catch (Error& error) {
        if (error.problem().where == Criterion::kFamily) error.set_where(fmt::format("{} ({})", setting.mark().text(), path));
        throw;
      }
      named.options.reject_unread();
      if (needs(criteria_.back()->needs(), Evidence::Movement)) {
        throw ConfigError{{.what = fmt::format("the criterion {} scores what training moved, and nothing is trained here", named.name),
                           .where = fmt::format("{} ({})", setting.mark().text(), path),
                           .fix = "choose a criterion that looks at the trained weights: magnitude, taylor"}};
      }
    }
  }

  /// Whether a criterion is one of groups alone, which cuts make for themselves.
  bool scores_groups(const std::string& name, const Setting& setting, const std::string& path) const {
    if (name == "random" || !GroupScorer::own_criteria().contains(name)) return false;
    if (patterns_.empty()) return true;
    throw ConfigError{{.what = fmt::format("the criterion {} scores channels, and the pattern {} takes single weights", name, patterns_.front()->describe()),
                       .where = fmt::format("{} ({})", setting.mark().text(), path),
                       .fix = "use --patterns channel, or a criterion of weights, such as magnitude"}};
  }

  void add_pattern(const Setting& setting) {
    std::unique_ptr<Pattern> pattern = make_pattern(setting, "--patterns");
    const bool structured = dynamic_cast<const StructuredPattern*>(pattern.get()) != nullptr;
    if (structured && pattern->describe() == "layer") {
      throw ConfigError{{.what = "the pattern layer removes blocks whole: there are no sparsities between",
                         .where = "--patterns",
                         .fix = "use channel, head, unstructured, N:M or blocks"}};
    }
    const PrunableTensor any{.shape = {64, 64}, .output_axis = 0, .input_axis = 1};
    if ((structured || !pattern->fixed_sparsity(any)) && request_.sparsities.empty()) {
      throw ConfigError{{.what = fmt::format("no sparsity is given for the pattern {}", pattern->describe()),
                         .where = "--sparsities", .fix = "name some, as in --sparsities 0.5,0.8,0.9"}};
    }
    if (structured) structured_.push_back(setting);
    else patterns_.push_back(std::move(pattern));
  }

  std::string data_name() const {
    return !request_.data.empty() ? request_.data : recipe_.data.contains("calibration") ? "calibration" : "eval";
  }

  /// A limit on the samples is a seeded draw, so that a sorted data set is no trap.
  DataSource open_data(const ModelFile& file) const {
    const std::string name = data_name();
    if (!recipe_.data.contains(name)) {
      throw ConfigError{{.what = fmt::format("no data set \"{}\" is given", name), .where = "data",
                         .fix = "name one: --data FORMAT:PATH[,key=value...]; labels are not needed"}};
    }
    const auto open = [&](const std::map<std::string, Setting>& sets) {
      return DataSource(name, sets, file.model().graph.inputs, static_cast<uint64_t>(recipe_.seed));
    };
    DataSource all = open(recipe_.data);
    if (request_.samples == 0 || all.size() <= request_.samples) return all;
    std::map<std::string, Setting> sets = recipe_.data;
    sets.at(name).set("samples", Setting(request_.samples));
    return open(sets);
  }

  /// Why a layer cannot take a pattern by the scores of its criterion, as `prune` says it; "" when it can.
  std::string refusal(const Pattern& pattern, const Selected& one) const {
    const std::string refused = pattern.refuses(one.tensor);
    return refused.empty() ? refuses_scores(pattern, *criteria_[one.rule]) : refused;
  }

  void list_layers(const ModelFile& file, const Selections& selections) {
    const std::map<std::string, int64_t> macs = count_macs(file, request_.input_shapes).by_node;
    for (const Skipped& skipped : selections.skipped) report_.skipped.emplace_back(skipped.tensor.initializer, skipped.reason);
    std::vector<PrunableTensor> selected;
    for (const Selected& one : selections.selected) selected.push_back(one.tensor);
    const std::vector<LayerSurroundings> surroundings = find_surroundings(file, selected);
    for (size_t index = 0; index < selected.size(); ++index) {
      const Selected& one = selections.selected[index];
      const PrunableTensor& tensor = one.tensor;
      SensitivityLayer layer{.name = tensor.layer, .initializer = tensor.initializer, .op = tensor.op, .shape = tensor.shape,
                             .weights = tensor.count(), .first = tensor.first, .last = tensor.last};
      std::string reason = quantisation_refusal(file, tensor);
      if (reason.empty()) reason = criteria_[one.rule]->refuses(tensor, surroundings[index]);
      bool any = false;
      for (const auto& pattern : patterns_) {
        const std::string refused = refusal(*pattern, one);
        if (refused.empty()) any = true;
        else layer.refused.emplace_back(pattern->describe(), refused);
      }
      if (!any && reason.empty()) reason = layer.refused.front().second;
      if (!reason.empty()) {
        report_.skipped.emplace_back(tensor.initializer, reason);
        continue;
      }
      require_finite(tensor, weights_of(file, tensor));
      if (const auto found = macs.find(tensor.layer); found != macs.end()) layer.macs = found->second;
      report_.layers.push_back(std::move(layer));
      tensors_.push_back(one);
    }
    if (tensors_.empty()) {
      const std::string reason = report_.skipped.empty() ? "" : ": " + report_.skipped.back().second;
      throw ConfigError{{.what = "no selected tensor can take the patterns" + reason, .where = "--patterns", .fix = "see `sparsify inspect MODEL` for what each layer allows"}};
    }
  }

  /// A row a group that could be cut; what is held as zeros is what a cut would remove.
  void list_groups(const ModelFile& file, const Setting& pattern) {
    Recipe recipe = with_evidence_data();
    for (PruneRule& rule : recipe.prune) {
      rule.pattern = pattern;
      rule.allocation = Setting();
      rule.sparsity = Setting(0.5);  // of a point, said later
    }
    const ScoredGroups scored = score_groups(file, recipe, {.inputs = request_.input_shapes});
    for (const std::string& warning : scored.warnings) warn(warning);
    const std::string kind = make_pattern(pattern, "--patterns")->describe();
    for (const auto& [index, scores] : scored.scores) {
      const Group& group = scored.structure->groups()[index];
      if (scores.empty()) {
        report_.skipped.emplace_back(group.name, fmt::format("{} says nothing of it", report_.criterion));
        continue;
      }
      GroupRow row{.layer = report_.layers.size(), .pattern = kind, .structure = scored.structure, .group = index, .order = {}};
      for (size_t unit = 0; unit < scores.size(); ++unit) {
        if (!group.unit_frozen[unit]) row.order.push_back(unit);
      }
      std::sort(row.order.begin(), row.order.end(), [&](size_t a, size_t b) { return scores[a] != scores[b] ? scores[a] < scores[b] : a > b; });
      const auto producer = std::find_if(group.members.begin(), group.members.end(), [](const Member& member) { return member.role == Role::Output; });
      report_.layers.push_back({.name = group.name, .initializer = producer == group.members.end() ? "" : producer->tensor, .op = kind, .shape = {group.units}, .weights = group.units});
      groups_.push_back(std::move(row));
    }
  }

  /// Without training data the evidence comes from what is measured on.
  Recipe with_evidence_data() const {
    Recipe recipe = recipe_;
    if (!recipe.data.contains("calibration") && !recipe.data.contains("train")) recipe.data["calibration"] = recipe.data.at(data_name());
    return recipe;
  }

  /// In one pass for all rules; a layer whose evidence cannot be had is passed over with the reason.
  void collect_evidence(const ModelFile& file) {
    const Recipe recipe = with_evidence_data();
    std::vector<EvidenceWish> wishes;
    for (size_t rule = 0; rule < criteria_.size(); ++rule) {
      EvidenceWish wish{.kinds = criteria_[rule]->needs(), .options = criteria_[rule]->evidence_options(), .wanted_by = "the criterion " + report_.criterion};
      for (const Selected& one : tensors_) {
        if (one.rule == rule) wish.layers.push_back(one.tensor);
      }
      wishes.push_back(std::move(wish));
    }
    EvidenceStage stage(file, recipe);
    std::vector<std::vector<LayerEvidence>> found = stage.collect(wishes);
    for (const std::string& warning : stage.warnings()) warn(warning);
    std::vector<size_t> next(wishes.size());
    std::vector<Selected> kept;
    std::vector<SensitivityLayer> layers;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      LayerEvidence& evidence = found[tensors_[i].rule][next[tensors_[i].rule]++];
      if (!evidence.missing.empty()) {
        report_.skipped.emplace_back(tensors_[i].tensor.initializer, evidence.missing);
        continue;
      }
      evidence_.push_back(std::move(evidence));
      kept.push_back(tensors_[i]);
      layers.push_back(std::move(report_.layers[i]));
    }
    tensors_ = std::move(kept);
    report_.layers = std::move(layers);
    if (tensors_.empty()) {
      throw ConfigError{{.what = "no layer can be scored: " + report_.skipped.back().second, .where = "criterion", .fix = "choose another criterion"}};
    }
  }

  void describe(const ModelFile& file, const DataSource& data, const Trial& trial) {
    report_.model_path = file.path();
    report_.model_sha256 = file.sha256();
    report_.data = data.describe();
    report_.data.erase(std::min(report_.data.rfind(" ("), report_.data.size()));
    report_.samples = trial.samples();
    report_.metric_name = trial.metric_name();
    report_.metric_unit = trial.metric_unit();
    report_.higher_is_better = trial.higher_is_better();
    report_.dense_metric = trial.dense().metric;
    report_.dense_loss = trial.dense().loss;
  }

  void measure(const ModelFile& file, Trial& trial) {
    int64_t total = 0;
    for (const auto& pattern : patterns_) {
      const bool fixed = pattern->fixed_sparsity(tensors_.front().tensor).has_value();
      total += static_cast<int64_t>(tensors_.size() * (fixed ? 1 : request_.sparsities.size()));
    }
    total += static_cast<int64_t>(groups_.size() * request_.sparsities.size());
    Progress progress("measuring sensitivity", total);
    std::vector<float> buffer;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const PrunableTensor& tensor = tensors_[i].tensor;
      const HostTensor weights = weights_of(file, tensor);
      const size_t rule = tensors_[i].rule;
      const Setting& criterion = recipe_.prune[rule].criterion;
      const ScoreView scores = checked_scores(*criteria_[rule], plugin_name<Criterion>(criterion, fmt::format("prune.{}.criterion", rule)), tensor, weights, evidence_[i], buffer);
      for (const auto& pattern : patterns_) {
        if (!refusal(*pattern, tensors_[i]).empty()) continue;
        const bool fixed = pattern->fixed_sparsity(tensor).has_value();
        for (size_t k = 0; k < (fixed ? 1 : request_.sparsities.size()); ++k) {
          const std::optional<double> target = fixed ? std::nullopt : std::optional(request_.sparsities[k]);
          const PluginName name{.family = Pattern::kFamily, .name = pattern->describe(), .where = "--patterns"};
          const int64_t units = checked_units(*pattern, name, tensor);
          BitMask mask = checked_mask(*pattern, name, tensor, scores, target ? kept_count(units, *target) : units);
          SensitivityPoint point{.pattern = pattern->describe(), .target = target, .kept = mask.kept()};
          point.sparsity = static_cast<double>(mask.pruned()) / static_cast<double>(tensor.count());
          std::map<int, BitMask> masks;
          masks.emplace(tensor.id, std::move(mask));
          add_point(i, std::move(point), trial.measure(masks));
          progress.advance(1, tensor.layer);
        }
      }
    }
    for (const GroupRow& row : groups_) {
      const Group& group = row.structure->groups()[row.group];
      for (const double sparsity : request_.sparsities) {
        const auto [removed, count] = without(row, sparsity);
        SensitivityPoint point{.pattern = row.pattern, .target = sparsity, .sparsity = static_cast<double>(count) / static_cast<double>(group.units), .kept = group.units - count};
        add_point(row.layer, std::move(point), trial.measure(cut_masks(file, *row.structure, removed)));
        progress.advance(1, group.name);
      }
    }
  }

  /// The share of a group's units that goes first, and their number; one of every part of it stays.
  std::pair<Removed, int64_t> without(const GroupRow& row, double sparsity) const {
    const int64_t units = row.structure->groups()[row.group].units;
    int64_t count = std::min({static_cast<int64_t>(std::llround(sparsity * static_cast<double>(units))), static_cast<int64_t>(row.order.size()), units - 1});
    while (true) {
      Removed removed = row.structure->nothing_removed();
      for (int64_t i = 0; i < count; ++i) removed[row.group][row.order[static_cast<size_t>(i)]] = true;
      if (count == 0 || !row.structure->empties(removed)) return {std::move(removed), count};
      --count;
    }
  }

  void add_point(size_t layer, SensitivityPoint point, const Damage& damage) {
    point.metric = damage.metric;
    point.loss = damage.loss;
    point.divergence = damage.divergence;
    point.relative_error = damage.relative_error;
    report_.layers[layer].points.push_back(std::move(point));
  }

  /// After all those exchanges the model gives the dense outputs again, bit for bit.
  void check_restored(Trial& trial) {
    const Damage after = trial.measure({});
    const bool same = after.relative_error == 0;
    report_.verification.push_back({.check = "restored", .passed = same,
                                    .detail = same ? "the outputs afterwards are the dense ones, bit for bit"
                                                   : fmt::format("relative error {} of the outputs afterwards", after.relative_error)});
    if (!same) warn("the model's outputs are not the same twice (random operators?): small differences in the table mean nothing");
  }

  void write() {
    if (request_.folder.empty()) return;
    const fs::path folder(request_.folder);
    const bool fresh = !fs::exists(folder);
    try {
      fs::create_directory(folder);
      const std::string texts[] = {to_csv(report_), to_html(report_), to_json_text(report_)};
      for (size_t i = 0; i < std::size(kFiles); ++i) write_file_atomically((folder / kFiles[i]).string(), texts[i], request_.overwrite);
    } catch (...) {
      std::error_code ignored;
      if (fresh) fs::remove_all(folder, ignored);
      throw;
    }
  }

  const SensitivityRequest& request_;
  const Recipe& recipe_;
  std::vector<std::unique_ptr<Criterion>> criteria_;  ///< by rule
  std::vector<std::unique_ptr<Pattern>> patterns_;  ///< those that write zeros
  std::vector<Setting> structured_;                 ///< those that remove structure
  std::vector<GroupRow> groups_;
  std::vector<Selected> tensors_;  ///< parallel to the report's layers
  std::vector<LayerEvidence> evidence_;  ///< parallel to tensors_
  SensitivityReport report_;
};

}  // namespace

SensitivityReport measure_sensitivity(const SensitivityRequest& request) { return Run(request).run(); }

}  // namespace sparsify
