#include "pipeline/prune.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/folders.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/version.h"
#include "pipeline/advice.h"
#include "pipeline/allocation_stage.h"
#include "pipeline/assist.h"
#include "pipeline/check_output.h"
#include "pipeline/correct.h"
#include "pipeline/cut_repair.h"
#include "pipeline/cut_stage.h"
#include "pipeline/decide.h"
#include "pipeline/default_solver.h"
#include "pipeline/describe.h"
#include "pipeline/evaluate.h"
#include "pipeline/figures.h"
#include "pipeline/gates.h"
#include "pipeline/gradient_use.h"
#include "pipeline/finetune.h"
#include "pipeline/initialise_stage.h"
#include "pipeline/name_check.h"
#include "pipeline/permute_stage.h"
#include "pipeline/plan_file.h"
#include "pipeline/precision.h"
#include "pipeline/request_check.h"
#include "pipeline/scratch_model.h"
#include "pipeline/train_stage.h"
#include "pipeline/untrained.h"
#include "report/renderers.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

/// Seconds of the stages, in order.
class Stopwatch {
 public:
  explicit Stopwatch(RunReport& report) : report_(report) {}

  void stage(const std::string& name) {
    check_interrupt();
    finish();
    name_ = name;
    log_verbose("{} ...", name);
  }
  void finish() {
    const Clock::time_point now = Clock::now();
    if (!name_.empty()) report_.timings.emplace_back(name_ + "_s", seconds(last_, now));
    name_.clear();
    last_ = now;
  }
  void total() {
    finish();
    report_.timings.emplace_back("total_s", seconds(start_, last_));
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double seconds(Clock::time_point from, Clock::time_point to) { return std::chrono::duration<double>(to - from).count(); }

  RunReport& report_;
  std::string name_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
};

void mask_(WeightMap& weights, const Decisions& decisions) {
  for (const Decision& decision : decisions.decided) {
    const auto found = weights.find(decision.tensor.id);
    if (found == weights.end()) continue;
    HostTensor masked = found->second.copy();
    apply_mask_(decision.mask, 0, masked.mutable_bytes(), bits_of(masked.type()) / 8);
    found->second = std::move(masked);
  }
}

class Run {
 public:
  explicit Run(const PruneRequest& request)
      : request_(request), recipe_(request.recipe), watch_(report_), folder_(evidence_folder(recipe_.output)) {
    report_.command = request.command;
    report_.started = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
    report_.versions = build_versions();
  }

  PruneOutcome run() {
    trains_ = trains(recipe_);
    if (const std::string warning = settle_sparsity_(recipe_); !warning.empty()) warn(warning);
    overwrite_ = check_request(request_, folder_);
    watch_.stage("load");
    ModelFile given = ModelFile::load(recipe_.model, {.allow_linked_data = request_.allow_linked_data});
    for (const std::string& warning : given.warnings()) warn(warning);
    if (request_.plan.empty() && !request_.hold_zeros) require_trained(given, recipe_);
    bfloat16_ = computes_in_bfloat16(recipe_, given);
    std::optional<DataSource> data;
    if (!request_.dry_run && recipe_.data.contains("eval")) {
      data.emplace("eval", recipe_.data, given.model().graph.inputs, static_cast<uint64_t>(recipe_.seed));
      require_labels(recipe_, *data);
    }
    if (request_.plan.empty() && !request_.hold_zeros) {
      for (const std::string& warning : check_names(given, globs_of(recipe_), request_.input_shapes)) warn(warning);
      for (const std::string& warning : table_warnings(given, recipe_)) warn(warning);
    }
    const std::string solver_note = choose_solver_(recipe_, given, request_.plan.empty() && !request_.hold_zeros, request_.input_shapes);
    if (!solver_note.empty()) log_info("{}", solver_note);
    reorder(given);
    ModelFile& file = permuted_ ? *permuted_->file : given;
    const FreshWeights fresh = initialise(file);
    const ModelFile& judged = scratch_ ? scratch_->file() : file;  // with the weights that the run starts from
    if (data) {  // first: data and metric that do not fit are found before hours of training
      watch_.stage("measure_before");
      measure(given, given, *data, /*before=*/true);
    }
    watch_.stage("decide");
    Decisions decisions = request_.hold_zeros       ? hold_zeros(file)
                          : !request_.plan.empty() ? read_plan(request_.plan, file)
                          : cuts(recipe_)          ? decide_cut(judged, recipe_, {.inputs = request_.input_shapes})
                                                   : decide(judged, recipe_);
    for (const std::string& warning : decisions.warnings) warn(warning);
    if (!request_.plan.empty() && !recipe_.prune.empty()) warn("the plan decides: the rules of the recipe are not used");
    report_.notes = decisions.notes;
    if (!solver_note.empty()) report_.notes.push_back(solver_note);
    if (!request_.plan.empty()) {
      const std::string note = solve_plan_(recipe_, decisions);
      if (!note.empty()) log_info("{}", note);
      if (!note.empty()) report_.notes.push_back(note);
    }
    if (!fresh.note.empty()) report_.notes.push_back(fresh.note);
    const std::string proven_on = decisions.cut && !request_.dry_run ? proof_set(recipe_) : "";
    const auto open_proof_data = [&] { return DataSource(proven_on, recipe_.data, given.model().graph.inputs, static_cast<uint64_t>(recipe_.seed)); };
    std::optional<DataSource> proof_data;  // in memory only while it proves; what does not open is said before the work
    if (!proven_on.empty() && !data) open_proof_data();
    const bool scores = !request_.hold_zeros && request_.plan.empty() && scores_by_gradients(recipe_);
    if (!request_.dry_run && (trains_ || scores)) report_.gradient_cuts = gradient_cuts_of(file);
    if (!request_.dry_run && trains_) {
      for (const std::string& warning : warnings_of(*report_.gradient_cuts)) warn(warning);
    }
    Correction correction;
    if (!request_.dry_run && (decisions.cut ? !trains_ && wants_cut_repair(recipe_) : wants_correction(recipe_, decisions))) {
      watch_.stage("correct");
      if (!request_.resume) require_no_solved_layers(folder_, request_.overwrite);
      correction = decisions.cut ? repair_cut(judged, recipe_, folder_, request_.resume, decisions)
                                 : correct(judged, recipe_, folder_, request_.resume, decisions);
      for (const std::string& warning : correction.warnings) warn(warning);
      report_.notes.insert(report_.notes.end(), correction.notes.begin(), correction.notes.end());
    }
    WeightMap changed = fresh.tensors;
    for (const auto& [id, weight] : correction.tensors) changed.insert_or_assign(id, weight);
    if (trains_ && !request_.dry_run) {
      watch_.stage("train");
      if (const std::string note = unfold_note(recipe_, file); !note.empty()) {
        log_info("{}", note);
        report_.notes.push_back(note);
      }
      if (const std::string note = untrained_note(file, read_train_settings(recipe_.train)); !note.empty()) {
        log_info("{}", note);
        report_.notes.push_back(note);
      }
      train(file, decisions, changed);
    }
    zeros_ = describe_decisions(report_, file, decisions, request_.input_shapes, kept_magnitudes_);
    if (permuted_) {
      report_.model.path = given.path();
      report_.model.sha256 = given.sha256();
      report_.model.size_bytes = given.size_bytes();
    }
    describe_correction(correction, decisions, report_);
    if (decisions.cut) describe_cut_(report_, *decisions.cut);
    if (request_.dry_run) {
      watch_.total();
      return {.report = std::move(report_)};
    }
    watch_.stage("write");
    CutOutput cut;
    if (decisions.cut) {
      cut = write_cut(file, *decisions.cut, changed, recipe_.output, overwrite_);
    } else {
      if (scratch_) mask_(changed, decisions);  // what training and correction give is masked already
      for (const Decision& decision : decisions.decided) file.mask_tensor_(decision.tensor.id, decision.mask);
      for (const auto& [id, weight] : changed) file.replace_tensor_(id, weight);
    }
    const auto writer = decisions.cut ? std::move(cut.writer) : file.write(recipe_.output, {.overwrite = overwrite_});
    const ModelFile written = writer->reopen();
    watch_.stage("verify");
    if (!proven_on.empty() && !data) proof_data.emplace(open_proof_data());
    if (decisions.cut) {
      report_.verification = verify_cut(*cut.masked, written, *decisions.cut,
                                        {.inputs = request_.input_shapes,
                                         .seed = static_cast<uint64_t>(recipe_.seed),
                                         .threads = static_cast<int>(recipe_.threads),
                                         .device = recipe_.device,
                                         .data = data ? &*data : proof_data ? &*proof_data : nullptr,
                                         .data_name = "data." + proven_on,
                                         .notes = &report_.notes});
      cut = {};
      describe_cut_output(report_, written, recipe_.output, decisions, request_.input_shapes, changed);
    } else {
      const OutputCheck check = check_output(file, written, decisions, changed);
      report_.verification = check.results;
      describe_output(report_, written, recipe_.output, decisions, check.zeros, zeros_, changed);
    }
    if (permuted_) report_.verification.insert(report_.verification.begin(), permuted_->checks.begin(), permuted_->checks.end());
    if (all_passed()) {  // a file that failed its checks may not run, and is not going to be anybody's
      if (data) {
        watch_.stage("measure_after");
        measure(written, file, *data, /*before=*/false);
      }
      report_.gates = judge(recipe_, report_);
    }
    for (std::string& note : speed_notes(decisions, report_.sparsity)) report_.notes.push_back(std::move(note));
    if (std::string note = data_note(recipe_, decisions); !note.empty()) report_.notes.push_back(std::move(note));
    const bool passed = all_passed();
    watch_.stage("evidence");
    if (!passed && has_earlier_result()) folder_ = failed_folder();
    write_evidence_or_nothing(given, decisions, passed);
    if (passed) {
      const SavedFile saved = writer->commit();
      report_.result->path = saved.path;
      report_.result->sha256 = saved.sha256;
      report_.result->size_bytes = saved.size_bytes;
    } else {
      report_.result->path.clear();  // no model was written
    }
    watch_.total();
    write_log();
    write_report(report_, folder_, recipe_.report_formats, /*overwrite=*/true);
    if (passed) {  // last: until then a run that dies is resumed
      drop_solved_layers(folder_);
      if (trains_) drop_checkpoints(folder_);
      std::error_code ignored;
      fs::remove_all(failed_folder(), ignored);
    }
    PruneOutcome outcome{.report = std::move(report_), .folder = folder_, .passed = passed};
    const fs::path html = fs::path(folder_) / "report.html";
    if (fs::exists(html)) outcome.html_path = html.string();
    return outcome;
  }

 private:
  /// Where a rule or the plan asks for it, the run goes on with the reordered model, which computes the same.
  void reorder(const ModelFile& given) {
    const bool replays = !request_.plan.empty();
    if (request_.hold_zeros || (!replays && !permutes(recipe_))) return;
    std::vector<GroupOrder> orders;
    if (replays) orders = read_plan_orders(request_.plan);
    if (replays && orders.empty()) return;
    require_one_process("reorders channels");
    watch_.stage("permute");
    const PermuteRequest request{.inputs = request_.input_shapes,
                                 .seed = static_cast<uint64_t>(recipe_.seed),
                                 .threads = static_cast<int>(recipe_.threads),
                                 .device = recipe_.device};
    if (!replays) require_decidable(given, recipe_);  // before a search of minutes
    if (!replays) orders = find_permutation(given, recipe_, request);
    if (orders.empty()) return warn("permute: no order of the channels was found in which the layers keep more magnitude");
    if (!request_.dry_run) {
      permuted_ = permute(given, orders, recipe_.output, request);
      for (const std::string& warning : permuted_->warnings) warn(warning);
      orders = permuted_->orders;
    }
    if (!replays) kept_magnitudes_ = kept_magnitudes(given, recipe_, orders, request);
  }

  /// Fresh weights, and a file that holds them: what decides looks at a file. The dense network of the reports and the teacher stay the input.
  FreshWeights initialise(const ModelFile& file) {
    if (!initialises(recipe_)) return {};
    require_one_process("draws fresh weights");
    watch_.stage("initialise");
    FreshWeights fresh = fresh_weights(file, recipe_);
    const fs::path beside = fs::path(recipe_.output).parent_path();
    const fs::path folder = request_.dry_run ? fs::temp_directory_path() : beside.empty() ? fs::path(".") : beside;
    scratch_.emplace(file, fresh.tensors, folder.string());
    if (!trains_) warn("the weights are fresh and the recipe does not train: the result has learned nothing");
    return fresh;
  }

  void train(const ModelFile& file, Decisions& decisions, WeightMap& changed) {
    TrainOutcome outcome = train_stage({.file = file,
                                        .recipe = recipe_,
                                        .folder = folder_,
                                        .resume = request_.resume,
                                        .overwrite = request_.overwrite,
                                        .allow_linked_data = request_.allow_linked_data,
                                        .inputs = request_.input_shapes},
                                       decisions, changed);
    for (auto& [id, weight] : outcome.weights) changed.insert_or_assign(id, std::move(weight));
    report_.training = summary_of(outcome);
    history_ = std::move(outcome.history);
  }

  /// The other processes read what is not trained from the input file.
  void require_one_process(const std::string& what) const {
    if (!trains_ || process_group() == nullptr) return;
    throw ConfigError{{.what = fmt::format("a run that {} trains in one process", what),
                       .where = "mpirun",
                       .fix = "start it alone, or make two runs: this one without training, then `sparsify finetune` in several processes"}};
  }

  void warn(const std::string& text) {
    report_.warnings.push_back(text);
    log_warning("{}", text);
  }

  void measure(const ModelFile& file, const ModelFile& dense, const DataSource& data, bool before) {
    const MetricResult result = evaluate(file, data,
                                         {.metric = recipe_.metric,
                                          .session = {.threads = static_cast<int>(recipe_.threads), .device = recipe_.device, .bfloat16 = bfloat16_},
                                          .reference = &dense,
                                          .task = before ? "measuring the input" : "measuring the output"});
    if (before) {
      report_.metric = result;
      report_.metric->before = result.after;
      report_.metric->after.reset();
    } else {
      report_.metric->after = result.after;
    }
  }

  bool all_passed() const {
    const auto passed = [](const auto& result) { return result.passed; };
    return std::all_of(report_.verification.begin(), report_.verification.end(), passed) &&
           std::all_of(report_.gates.begin(), report_.gates.end(), passed);
  }

  /// A model and what was found out about it belong together: where they are from an earlier run, a run that fails leaves them alone.
  bool has_earlier_result() const { return fs::exists(recipe_.output) && fs::exists(fs::path(folder_) / "recipe.yaml"); }
  std::string failed_folder() const { return (fs::path(folder_) / "failed").string(); }

  /// A folder of evidence that could not be completed, as on a full disk, goes again if this run made it.
  void write_evidence_or_nothing(const ModelFile& file, const Decisions& decisions, bool passed) {
    const bool fresh = !fs::exists(folder_);
    try {
      write_evidence(file, decisions, passed);
    } catch (...) {
      std::error_code ignored;
      if (fresh) fs::remove_all(folder_, ignored);
      throw;
    }
  }

  /// A recipe has rules; what a plan decided, or the zeros of the input, is beside it.
  std::string how_to_replay() const {
    if (request_.hold_zeros) return "# The zeros of the model were held: `sparsify finetune --config recipe.yaml` does it again.\n";
    return request_.plan.empty() ? "" : "# The masks are those of plan.json beside this file: `sparsify prune --config recipe.yaml --plan plan.json` applies them again.\n";
  }

  /// Without a model there is no plan: the masks did not hold what they promised.
  void write_evidence(const ModelFile& file, const Decisions& decisions, bool passed) {
    const NewFolders folders(folder_);
    report_.recipe_yaml = how_to_replay() + to_yaml(resolved(recipe_));
    write_file_atomically((fs::path(folder_) / "recipe.yaml").string(), how_to_replay() + to_yaml(resolved(recipe_, folder_)), /*overwrite=*/true);
    if (trains_) write_curves(history_, folder_);
    if (passed) write_plan(folder_, file, decisions, /*overwrite=*/true, permuted_ ? permuted_->orders : std::vector<GroupOrder>{});
  }

  /// `log.jsonl`: what happened, a JSON object a line.
  void write_log() const {
    std::string lines = nlohmann::ordered_json{{"event", "start"}, {"time", report_.started}, {"command", report_.command}}.dump() + "\n";
    for (const auto& [stage, seconds] : report_.timings) {
      lines += nlohmann::ordered_json{{"event", "stage"}, {"stage", stage.substr(0, stage.size() - 2)}, {"seconds", seconds}}.dump() + "\n";
    }
    if (report_.training) {
      for (const TrainingRow& row : report_.training->epochs) {
        lines += nlohmann::ordered_json{{"event", "epoch"}, {"step", row.step}, {"epoch", row.epoch}, {"loss", row.loss}, {"lr", row.lr},
                                        {"sparsity", row.sparsity}, {"metric", row.metric ? nlohmann::ordered_json(*row.metric) : nullptr},
                                        {"seconds", row.seconds}}.dump() + "\n";
      }
    }
    for (const std::string& warning : report_.warnings) {
      lines += nlohmann::ordered_json{{"event", "warning"}, {"text", warning}}.dump() + "\n";
    }
    write_file_atomically((fs::path(folder_) / "log.jsonl").string(), lines, /*overwrite=*/true);
  }

  const PruneRequest& request_;
  Recipe recipe_;  ///< with what was left open decided
  RunReport report_;
  Stopwatch watch_;
  std::string folder_;
  bool trains_ = false;
  TrainHistory history_;
  std::optional<PermutedModel> permuted_;
  std::vector<KeptMagnitude> kept_magnitudes_;
  std::optional<ScratchModel> scratch_;  ///< of fresh weights; what was decided refers to it
  bool overwrite_ = false;
  bool bfloat16_ = false;
  std::map<int, int64_t> zeros_;  ///< by tensor id: of the input, then of the output
};

}  // namespace

std::string evidence_folder(const std::string& output) {
  const fs::path path(output);
  return (path.parent_path() / (path.stem().string() + ".sparsify")).string();
}

PruneOutcome prune(const PruneRequest& request) {
  ProcessGroup* processes = process_group();
  if (processes == nullptr || processes->is_first()) return Run(request).run();
  assist(request, *processes);
  return {.assisted = true};
}

}  // namespace sparsify
