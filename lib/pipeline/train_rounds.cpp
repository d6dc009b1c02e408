// Iterative magnitude pruning: train, prune, rewind, again.
#include <fmt/core.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "pipeline/train_run.h"
#include "train/checkpoint.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// Between two rounds: what a resumed run needs to begin the next one.
struct Rounds {
  int64_t done = 0;       ///< trainings finished, the dense one included
  WeightMap weights{};    ///< after the last of them
  WeightMap rewound{};    ///< what survivors go back to
  MaskMap masks{};        ///< that the last training held
  TrainHistory history{};
};

void put(std::map<std::string, HostTensor>& tensors, const std::string& part, const WeightMap& weights) {
  for (const auto& [id, weight] : weights) tensors.emplace(fmt::format("{}/{}", part, id), weight);
}

WeightMap get(const std::map<std::string, HostTensor>& tensors, const std::string& part) {
  WeightMap weights;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(part + "/")) weights.emplace(std::stoi(name.substr(part.size() + 1)), tensor);
  }
  return weights;
}

WeightMap as_tensors(const MaskMap& masks) {
  WeightMap tensors;
  for (const auto& [id, mask] : masks) {
    HostTensor bytes(DType::UInt8, {mask.size()});
    mask.unpack(0, {bytes.mutable_data<uint8_t>(), static_cast<size_t>(mask.size())});
    tensors.emplace(id, std::move(bytes));
  }
  return tensors;
}

MaskMap as_masks(const WeightMap& tensors) {
  MaskMap masks;
  for (const auto& [id, bytes] : tensors) masks.emplace(id, BitMask::from_bytes({bytes.data<uint8_t>(), static_cast<size_t>(bytes.count())}));
  return masks;
}

void save(const Rounds& rounds, const TrainTask& task) {
  Checkpoint checkpoint{.identity = task.identity};
  put(checkpoint.tensors, "weight", rounds.weights);
  put(checkpoint.tensors, "rewound", rounds.rewound);
  put(checkpoint.tensors, "mask", as_tensors(rounds.masks));
  checkpoint.state = Json{{"done", rounds.done}, {"history", to_json(rounds.history)}}.dump();
  write_checkpoint((fs::path(task.checkpoints) / "rounds").string(), rounds.done, checkpoint);
}

Rounds restore(const TrainTask& task) {
  const auto checkpoint = read_checkpoint((fs::path(task.checkpoints) / "rounds").string(), task.identity);
  if (!checkpoint) return {};
  const Json state = Json::parse(checkpoint->state);
  return {.done = state.at("done"), .weights = get(checkpoint->tensors, "weight"), .rewound = get(checkpoint->tensors, "rewound"),
          .masks = as_masks(get(checkpoint->tensors, "mask")), .history = history_from_json(state.at("history"))};
}

/// The largest target decides how many rounds there are: all rules share them.
double largest_target(const Recipe& recipe) {
  double target = 0;
  for (const PruneRule& rule : recipe.prune) target = std::max(target, rule.sparsity.number());
  return target;
}

/// Rounds train from the step that is rewound to: at or behind their end none would train.
void require_step_of_round(const Imp& imp, int64_t to_step, int64_t steps) {
  if (to_step < steps) return;
  const std::string asked = imp.to_epoch() ? fmt::format("to_epoch {:.4g} is step {}", *imp.to_epoch(), to_step) : fmt::format("to_step {}", to_step);
  throw ConfigError{{.what = fmt::format("rounds would rewind to their end and train nothing: {}, a round has {} steps", asked, steps),
                     .where = "schedule.rewind",
                     .fix = fmt::format("rewind to an earlier step, such as {{to_step: {}}}, or make rounds longer (train.epochs is that of a round)", steps / 10)}};
}

/// The rows stay those of the last round; samples, seconds and restarts count from the first one on.
void count_rounds_before(const TrainHistory& before, TrainHistory& history) {
  history.samples += before.samples;
  history.resumed += before.resumed;
  if (before.epochs.empty()) return;
  for (std::vector<TrainRow>* rows : {&history.steps, &history.epochs}) {
    for (TrainRow& row : *rows) {
      row.seconds += before.epochs.back().seconds;
      row.wait_seconds += before.epochs.back().wait_seconds;
    }
  }
}

/// One training over all rounds with one schedule of the learning rate.
TrainOutcome train_through(TrainRun& run, const Imp& imp, const WeightMap& start, double target) {
  TrainTask task = run.task();
  const int64_t each = total_steps(run.settings(), run.data());
  const int64_t rounds = imp.rounds(target);
  task.settings.steps = each * rounds;
  task.start = start;
  for (int64_t round = 0; round < rounds; ++round) task.mask_steps.push_back(round * each);
  task.new_masks = [&](const WeightMap& weights, int64_t step, int64_t) {
    return run.decide_at(weights, [&](double own) { return imp.sparsity_of(step / each + 1, own); });
  };
  task.final_masks_from = static_cast<double>(rounds - 1) / static_cast<double>(rounds);
  TrainResult result = make_trainer()->train(task);
  run.take(result.masks);
  return {.weights = std::move(result.weights), .history = std::move(result.history)};
}

}  // namespace

TrainOutcome train_rounds(TrainRun& run, const Imp& imp, const WeightMap& start) {
  const double target = largest_target(run.stage().recipe);
  const int64_t rounds = imp.rounds(target);
  TrainOutcome outcome;
  for (int64_t round = 1; round <= rounds; ++round) outcome.round_sparsities.push_back(imp.sparsity_of(round, target));
  if (imp.rewind() == Imp::Rewind::Nothing) {
    TrainOutcome through = train_through(run, imp, start, target);
    through.round_sparsities = outcome.round_sparsities;
    return through;
  }
  const bool rewinds = imp.rewind() == Imp::Rewind::Weights;
  const TrainTask base = run.task();
  const int64_t to_step = imp.to_epoch() ? std::llround(*imp.to_epoch() * static_cast<double>(steps_per_epoch(run.settings(), run.data()))) : imp.to_step();
  if (rewinds) require_step_of_round(imp, to_step, total_steps(run.settings(), run.data()));
  Rounds state = run.stage().resume ? restore(base) : Rounds{};
  const int64_t first = rewinds ? 0 : 1;  // round 0 trains the dense network, whose step `to_step` is what is rewound to
  for (int64_t round = first + state.done; round <= rounds; ++round) {
    TrainTask task = base;
    task.checkpoints = (fs::path(base.checkpoints) / fmt::format("round-{}", round)).string();
    task.task = fmt::format("training, round {} of {}", round, rounds);
    task.start = start;
    if (round > 0) {
      const WeightMap& judged = state.done == 0 ? start : state.weights;
      task.masks = run.decide_at(judged, [&](double own) { return imp.sparsity_of(round, own); });
      state.masks = task.masks;
      task.start = rewinds ? state.rewound : judged;
      task.first_step = rewinds ? to_step : 0;
    } else {
      task.capture_step = to_step;
    }
    log_info("round {} of {}: sparsity {:.4f}", round, rounds, round == 0 ? 0.0 : imp.sparsity_of(round, target));
    TrainResult result = make_trainer()->train(task);
    if (round == 0) state.rewound = std::move(result.captured);
    state.weights = std::move(result.weights);
    count_rounds_before(state.history, result.history);
    state.history = std::move(result.history);
    ++state.done;
    save(state, base);
    remove_checkpoints(task.checkpoints);
  }
  run.take(state.masks);
  outcome.weights = std::move(state.weights);
  outcome.history = std::move(state.history);
  return outcome;
}

}  // namespace sparsify
