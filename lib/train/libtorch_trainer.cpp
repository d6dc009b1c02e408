// The training loop on LibTorch. All randomness is named by (seed, step), so that a checkpoint needs no generator state.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/rand_like.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/Exception.h>
#include <fmt/core.h>

#include <chrono>
#include <cmath>
#include <numeric>

#include "base/defer_interrupts.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "program/batch_norm.h"
#include "train/checkpoint.h"
#include "train/dynamic.h"
#include "train/objective.h"
#include "train/together.h"
#include "train/train_state.h"
#include "train/warmup.h"

namespace sparsify {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }
double unix_time() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

class Loop {
 public:
  explicit Loop(const TrainTask& task)
      : task_(task),
        settings_(task.settings),
        together_(task.processes),
        program_(Program::build(*task.file, {.device = task.device})),
        per_epoch_(steps_per_epoch(settings_, *task.data)),
        total_(total_steps(settings_, *task.data)),
        schedule_(make_lr_schedule(settings_.lr_schedule, "train.lr_schedule")),
        state_(task, *program_) {
    if (per_epoch_ < 1) {
      throw ConfigError{{.what = fmt::format("the training data makes no batch: {}", task.data->describe()),
                         .where = "data.train",
                         .fix = "use more samples, a smaller batch_size, or drop_last: false"}};
    }
    if (together_.is_first() && is_all_warmup(settings_.lr_schedule, {0, total_, per_epoch_})) {
      log_warning("train.lr_schedule: the warm-up is longer than the run of {} steps ({} an epoch; warmup counts epochs): the schedule behind it never begins", total_, per_epoch_);
    }
    objective_ = std::make_unique<Objective>(task, *program_);
    if (task.threads > 0) at::set_num_threads(task.threads);
    state_.attach(objective_->run_options());
    state_.step = task.first_step;
    const bool resumed = task.resume && state_.restore();
    if (!resumed && together_.is_first()) state_.begin();
    if (!together_.is_alone()) {
      together_.begin(task);
      Checkpoint own;
      if (together_.is_first()) {
        own = state_.snapshot();
        state_.add_untrained(own);
      }
      const Checkpoint state = together_.share_state(std::move(own));
      if (!together_.is_first()) state_.take(state);
    }
  }

  TrainResult run() {
    const FixedNorms fixed(state_.fixed_norms());
    Progress progress(task_.task, total_ - state_.step);
    progress_ = &progress;
    if (is_epoch_over() && state_.epoch.count > 0) {  // an interrupted validation is done again
      lr_ = schedule_->factor({state_.step - 1, total_, per_epoch_});
      end_epoch();
      save_if_due({});
    }
    while (state_.step < total_ && !state_.history.stopped_early) run_epoch();
    log_verbose("trained {} steps in {:.1f} s, of which {:.1f} s waiting for data, {:.3f} s holding masks", total_, elapsed(), waited_, state_.mask_seconds());
    together_.end();
    return state_.result();
  }

 private:
  double elapsed() const { return state_.seconds + seconds_since(start_); }

  void run_epoch() {
    const int64_t epoch = state_.step / per_epoch_;
    const auto stream = task_.data->stream({.epoch = static_cast<uint64_t>(epoch),
                                            .batch_size = settings_.batch_size,
                                            .drop_last = settings_.drop_last,
                                            .workers = static_cast<int>(settings_.workers),
                                            .first_batch = state_.step % per_epoch_ * settings_.accumulate * together_.size() + together_.rank(),
                                            .stride = together_.size()});
    const double waited_before = waited_;
    while (state_.step < total_ && state_.step / per_epoch_ == epoch) {
      std::vector<Batch> batches;
      while (static_cast<int64_t>(batches.size()) < settings_.accumulate) {
        std::optional<Batch> batch = stream->next();
        if (!batch) break;
        batches.push_back(std::move(*batch));
      }
      waited_ = waited_before + stream->wait_seconds();
      take_step(batches);
      ++state_.step;
      log_step();
      if (is_epoch_over()) {
        require_good_weights(batches);
        end_epoch();
      }
      save_if_due(batches);
    }
  }

  bool is_epoch_over() const { return state_.step > 0 && (state_.step % per_epoch_ == 0 || state_.step == total_); }

  TrainPoint here() const { return {state_.step, total_, per_epoch_}; }

  void take_step(std::vector<Batch>& batches) {
    if (task_.capture_step && *task_.capture_step == state_.step) state_.captured = state_.gather(/*averaged=*/false);
    if (std::binary_search(task_.mask_steps.begin(), task_.mask_steps.end(), state_.step)) {
      state_.hold(together_.share_masks(choose_masks()));
    }
    const DeferInterrupts until_the_step_is_whole;
    state_.choose_by_scores(here().progress());
    lr_ = schedule_->factor(here());
    state_.optimizer().set_factor(lr_);
    state_.begin_step();
    std::vector<double> weights;
    double samples = 0;
    for (const Batch& batch : batches) {
      samples += static_cast<double>(batch.count);
      weights.push_back(objective_->weight(batch));
    }
    samples = together_.sum(samples);
    const double weight = together_.sum(std::accumulate(weights.begin(), weights.end(), 0.0));
    learned_from_ = std::max(learned_from_, weight);
    double loss = 0;
    for (size_t i = 0; i < batches.size(); ++i) loss += add_gradients(batches[i], seed_of(i), weight > 0 ? weights[i] / weight : 0);
    loss = together_.sum(loss);
    together_.sum_(state_.gradients());
    state_.history.samples += static_cast<int64_t>(samples);
    state_.logged.add(loss);
    state_.epoch.add(loss);
    if (task_.dynamic && is_dynamic_step()) {
      state_.replace_by_gradients(*task_.dynamic, here().progress() / task_.dynamic->end, seed_of(0));
    } else {
      state_.finish_step(settings_.clip_norm);
    }
  }

  /// Evidence for it may take long. Alone, an interruption leaves the state before the step; others wait for the masks.
  MaskMap choose_masks() {
    if (!together_.is_first()) return {};
    if (!together_.is_alone()) {
      const DeferInterrupts for_the_others;
      return task_.new_masks(state_.gather(/*averaged=*/false), state_.step, total_);
    }
    try {
      return task_.new_masks(state_.gather(/*averaged=*/false), state_.step, total_);
    } catch (const InterruptedError&) {
      cut_short_ = true;
      save_if_due({});
      throw;
    }
  }

  uint64_t seed_of(size_t batch) const {
    return Rng(task_.seed, "train").bits_at(static_cast<uint64_t>((state_.step * settings_.accumulate + static_cast<int64_t>(batch)) * together_.size() + together_.rank()));
  }

  bool is_dynamic_step() const {
    return state_.step > 0 && state_.step % task_.dynamic->every == 0 && here().progress() < task_.dynamic->end;
  }

  /// The batch's part of the step's loss.
  ///   share  of the step's weight; 0 for a batch that only keeps step with other processes, or has nothing to learn from
  double add_gradients(Batch& batch, uint64_t seed, double share) {
    state_.refresh();
    objective_->run_options().share = together_.batch_share(/*counts=*/batch.count > 0);
    if (batch.count == 0) batch.count = batch.inputs.front().shape().front();
    at::Tensor loss;
    double value = 0;
    try {
      loss = objective_->loss(batch, seed);
      value = loss.item<double>();
      if (!std::isfinite(value) && share > 0) refuse_loss(batch, seed, value);
      (share == 1 ? loss : loss * share).backward();
    } catch (const c10::Error& e) {
      const std::string message = e.what_without_backtrace();
      if (message.find("memory") == std::string::npos) {
        throw ResourceError{{.what = fmt::format("a gradient could not be computed: {}", message.substr(0, message.find('\n'))),
                             .where = fmt::format("step {}", state_.step),
                             .fix = "see `sparsify ops MODEL` for operators without a gradient"}};
      }
      refuse_memory(batch);
    } catch (const ExhaustedError&) {
      refuse_memory(batch);
    }
    return share > 0 ? share * value : 0;
  }

  [[noreturn]] void refuse_memory(const Batch& batch) const {
    throw ExhaustedError{{.what = fmt::format("memory ran out in training with batches of {}", batch.count),
                          .where = fmt::format("step {}", state_.step),
                          .fix = fmt::format("use train: {{batch_size: {}, accumulate: {}}}", std::max<int64_t>(1, batch.count / 2), settings_.accumulate * 2)}};
  }

  [[noreturn]] void refuse_loss(const Batch& batch, uint64_t seed, double value) {
    std::string first = state_.first_bad_weight();
    if (first.empty()) first = objective_->first_bad_value(batch, seed);
    refuse_divergence(fmt::format("the training diverged: the loss became {}; the first bad number is in {}", value, first.empty() ? "the loss itself" : first));
  }

  [[noreturn]] void refuse_divergence(const std::string& what) const {
    std::string kept;
    if (!task_.checkpoints.empty() && has_checkpoint(task_.checkpoints)) kept = fmt::format("; the last good checkpoint is in {}", task_.checkpoints);
    throw ResourceError{{.what = what,
                         .where = fmt::format("step {} of {} (epoch {:.2f}), learning rate {:.3g}", state_.step, total_, here().epoch(),
                                              lr_ * settings_.optimizer.lr),
                         .fix = "use a lower learning rate, a warm-up, or clip_norm: 1, which is another recipe: start again with --overwrite instead of --resume" + kept}};
  }

  /// Before weights are judged, kept or handed out: they are finite, and so is what the next step would make of them.
  ///   batches  of the last step; empty where it was looked at before
  void require_good_weights(const std::vector<Batch>& batches) {
    if (checked_step_ == state_.step) return;
    checked_step_ = state_.step;
    std::string bad = state_.first_bad_weight();
    if (bad.empty()) bad = state_.first_bad_statistic();
    if (!bad.empty()) refuse_divergence("the training diverged; the first bad number is in " + bad);
    if (batches.empty() || batches.front().count == 0) return;
    const DeferInterrupts until_it_is_known;
    state_.look([&] {
      const double value = objective_->value(batches.front(), seed_of(0));
      if (!std::isfinite(value)) refuse_loss(batches.front(), seed_of(0), value);
    });
  }

  TrainRow row(double loss) const {
    return {.step = state_.step, .epoch = here().epoch(), .lr = lr_ * settings_.optimizer.lr, .loss = loss, .sparsity = state_.sparsity(),
            .seconds = elapsed(), .wait_seconds = waited_, .time = unix_time()};
  }

  void log_step() {
    if (state_.step % settings_.log_every == 0) state_.history.steps.push_back(row(state_.logged.take()));
    std::string note;
    if (!state_.history.steps.empty()) note = fmt::format("loss {:.4g}, sparsity {:.4f}", state_.history.steps.back().loss, state_.sparsity());
    if (!state_.history.epochs.empty() && state_.history.epochs.back().metric) {
      note += fmt::format(", {} {:.4g}", task_.metric, *state_.history.epochs.back().metric);
    }
    progress_->advance(1, note);
  }

  void end_epoch() {
    TrainRow done = row(0);
    WeightMap weights;
    if (task_.validate) {
      weights = state_.gather(/*averaged=*/true);
      try {
        done.metric = task_.validate(weights);
      } catch (const InterruptedError&) {
        cut_short_ = true;  // the checkpoint says that this epoch has not ended yet
      }
    }
    const bool is_candidate = here().progress() >= task_.final_masks_from;
    if (done.metric && is_candidate) judge(*done.metric, std::move(weights));
    state_.history.stopped_early = together_.sum(state_.history.stopped_early ? 1 : 0) > 0;
    save_due_ = true;
    if (cut_short_) return;
    done.loss = state_.epoch.take();
    log_info("epoch {:.3g}: loss {:.4f}{}, learning rate {:.3g}, sparsity {:.4f}, {:.0f} s", done.epoch, done.loss,
             done.metric ? fmt::format(", {} {:.4g}", task_.metric, *done.metric) : "", done.lr, done.sparsity, done.seconds);
    state_.history.epochs.push_back(done);
    if (learned_from_ == 0 && together_.is_first()) {
      log_warning("epoch {:.3g} had nothing to learn from: every label of {} is -100, which leaves it out", done.epoch, task_.data->describe());
    }
    learned_from_ = -1;
  }

  void judge(double metric, WeightMap weights) {
    const bool better = !state_.best || (task_.higher_is_better ? metric > *state_.best : metric < *state_.best);
    if (better) {
      state_.best = metric;
      state_.best_weights = std::move(weights);
      state_.best_masks = state_.masks();
      state_.history.best_epoch = static_cast<int64_t>(state_.history.epochs.size());
      state_.epochs_without_gain = 0;
    } else if (++state_.epochs_without_gain >= settings_.patience && settings_.patience > 0) {
      const bool captures_later = task_.capture_step && *task_.capture_step >= state_.step;  // what rounds rewind to
      state_.history.stopped_early = !captures_later;
    }
  }

  ///   batches  of the last step
  void save_if_due(const std::vector<Batch>& batches) {
    const bool interrupted = together_.sum(interrupt_requested() || cut_short_ ? 1 : 0) > 0;
    if (interrupted) together_.end();
    if (task_.checkpoints.empty()) {
      if (interrupted) throw InterruptedError{{.what = fmt::format("interrupted at step {} of {}", state_.step, total_), .where = task_.task, .fix = "run the same command again"}};
      return;
    }
    const bool by_time = seconds_since(saved_) > settings_.checkpoint_minutes * 60;
    const bool by_steps = settings_.checkpoint_steps > 0 && state_.step % settings_.checkpoint_steps == 0;
    if (!(save_due_ || interrupted || by_time || by_steps)) return;
    require_good_weights(batches);
    const double before = state_.seconds;
    state_.seconds = elapsed();
    state_.save();
    state_.seconds = before;
    saved_ = Clock::now();
    save_due_ = false;
    if (!interrupted) return;
    throw InterruptedError{{.what = fmt::format("interrupted at step {} of {}, after a checkpoint", state_.step, total_),
                            .where = task_.checkpoints,
                            .fix = "run the same command again with --resume"}};
  }

  const TrainTask& task_;
  const TrainSettings& settings_;
  Together together_;
  std::unique_ptr<Program> program_;
  int64_t per_epoch_;
  int64_t total_;
  std::unique_ptr<LrSchedule> schedule_;
  TrainState state_;
  std::unique_ptr<Objective> objective_;
  Progress* progress_ = nullptr;
  double lr_ = 0;
  double waited_ = 0;
  double learned_from_ = -1;  ///< the largest weight of a step of this epoch; -1: no step yet
  bool save_due_ = false;
  bool cut_short_ = false;  ///< an interruption came in the middle of a validation or a choice of masks
  int64_t checked_step_ = -1;
  Clock::time_point start_ = Clock::now();
  Clock::time_point saved_ = start_;
};

class LibTorchTrainer final : public Trainer {
 public:
  explicit LibTorchTrainer(const Options&) {}
  TrainResult train(const TrainTask& task) override { return Loop(task).run(); }
};

const Register<Trainer, LibTorchTrainer> entry{"libtorch", "trains the graph through the interpreter"};

}  // namespace
}  // namespace sparsify
