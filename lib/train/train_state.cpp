#include "train/train_state.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/rng.h"
#include "train/dynamic.h"
#include "train/movement.h"
#include "train/movement_scores.h"
#include "train/trained.h"
#include "train/unfolding.h"

namespace sparsify {
namespace {

/// Adds the time until it goes out of scope.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds) {}
  ~Stopwatch() { seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& seconds_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

TrainState::TrainState(const TrainTask& task, Program& program) : task_(task), program_(program), total_(total_steps(task.settings, *task.data)) {
  history.metric = task.validate ? task.metric : "";
  for (const auto& [id, weight] : task.start) put(id, weight);
  trainables_ = find_trainables(*task.file, program, task.settings);
  const std::vector<int> ids = find_running_statistics(*task.file);
  const std::set<int> fixed = find_fixed_norms(*task.file, task.settings);
  for (Parameter& parameter : program.parameters()) {
    const bool moves = std::find(ids.begin(), ids.end(), parameter.tensor_id) != ids.end() && !fixed.contains(parameter.tensor_id);
    if (moves) statistics_.push_back(&parameter);
  }
  if (task.settings.unfold) unfolding_ = std::make_unique<Unfolding>(*task.file, task.settings, trainables_);
  std::vector<Optimizer::Item> items;
  for (Trainable& one : trainables_) {
    if (one.parameter != nullptr && !one.is_narrow()) one.parameter->tensor = one.master;
    if (task.settings.ema > 0) one.average = one.master.detach().clone();
    items.push_back({std::to_string(one.id), one.master, one.lr, one.weight_decay});
  }
  optimizer_ = std::make_unique<Optimizer>(task.settings.optimizer, std::move(items));
  for (const Parameter& parameter : program.parameters()) {
    if (fixed.contains(parameter.tensor_id)) fixed_norms_.push_back(parameter.tensor);
  }
  if (task.movement) scores_ = std::make_unique<MovementScores>(*task.movement, trainables_);
}

TrainState::~TrainState() = default;

void TrainState::put(int id, const HostTensor& weight) {
  std::vector<Parameter>& parameters = program_.parameters();
  const auto known = std::find_if(parameters.begin(), parameters.end(), [id](const Parameter& one) { return one.tensor_id == id; });
  if (known != parameters.end()) known->tensor = from_host(weight).tensor().to(known->tensor.device());
  else if (program_.stored_values().contains(id)) program_.replace_stored(id, from_host(weight));
}

void TrainState::add_untrained(Checkpoint& checkpoint) const {
  for (const auto& [id, weight] : task_.start) {
    if (!checkpoint.tensors.contains(fmt::format("weight/{}", id))) checkpoint.tensors.emplace(fmt::format("untrained/{}", id), weight);
  }
}

void TrainState::hold(const MaskMap& masks) {
  const at::NoGradGuard not_recorded;
  for (size_t i = 0; i < trainables_.size(); ++i) {
    Trainable& one = trainables_[i];
    const auto mask = masks.find(one.id);
    if (mask == masks.end()) continue;
    one.pruned = pruned_tensor(mask->second, one.master);
    optimizer_->clear_state(i, one.pruned);
  }
  mask_weights();
  count_pruned();
}

void TrainState::count_pruned() {
  int64_t masked = 0;
  int64_t pruned = 0;
  for (const Trainable& one : trainables_) {
    if (!one.pruned.defined()) continue;
    masked += one.pruned.numel();
    pruned += one.pruned.sum().item<int64_t>();
  }
  sparsity_ = masked == 0 ? 0 : static_cast<double>(pruned) / static_cast<double>(masked);
}

/// masked_fill, not a product: that would leave -0.0.
void TrainState::mask_weights() {
  const Stopwatch watch(mask_seconds_);
  const at::NoGradGuard not_recorded;
  for (Trainable& one : trainables_) {
    if (!one.pruned.defined() || (scores_ && scores_->choose(one.id))) continue;
    one.master.masked_fill_(one.pruned, 0);
    if (one.average.defined()) one.average.masked_fill_(one.pruned, 0);
  }
}

MaskMap TrainState::masks() const {
  MaskMap masks;
  for (const Trainable& one : trainables_) {
    if (one.pruned.defined()) masks.emplace(one.id, bit_mask(~one.pruned));
  }
  return masks;
}

double TrainState::sparsity() const { return sparsity_; }

void TrainState::choose_by_scores(double progress) {
  if (!scores_ || !scores_->active()) return;
  const MovementSettings& settings = *task_.movement;
  const bool final = progress >= settings.end;
  if (!final && step % settings.every != 0) return;
  const at::NoGradGuard not_recorded;
  scores_->select(trainables_, progress);
  if (final) {
    scores_->finish();
    for (size_t i = 0; i < trainables_.size(); ++i) {
      Trainable& one = trainables_[i];
      if (!one.pruned.defined()) continue;
      optimizer_->clear_state(i, one.pruned);
      if (one.parameter != nullptr && !one.is_narrow()) one.parameter->tensor = one.master;  // in place of what the scores masked: trained from now on
    }
    mask_weights();
  }
  count_pruned();
}

void TrainState::begin_step() {
  for (Trainable& one : trainables_) {
    one.master.mutable_grad() = at::Tensor();
    if (!scores_ || !scores_->choose(one.id)) continue;
    const at::Tensor masked = one.master.detach().masked_fill(one.pruned, 0).set_requires_grad(true);
    scores_->set_masked(one.id, masked);
    one.parameter->tensor = masked;
  }
}

void TrainState::refresh() {
  for (Trainable& one : trainables_) {
    if (!one.is_narrow()) continue;
    one.parameter->tensor = (scores_ && scores_->choose(one.id) ? scores_->masked(one.id) : one.master).to(one.stored);
  }
}

std::vector<at::Tensor> TrainState::gradients() const {
  std::vector<at::Tensor> all;
  for (const Trainable& one : trainables_) {
    const at::Tensor& gradient = scores_ && scores_->choose(one.id) ? scores_->masked(one.id).grad() : one.master.grad();
    if (gradient.defined()) all.push_back(gradient);
  }
  return all;
}

void TrainState::attach(RunOptions& options) {
  if (unfolding_) unfolding_->attach(options, trainables_);
}

void TrainState::begin() {
  if (unfolding_) unfolding_->measure(program_, *task_.data, task_.settings, task_.bfloat16, trainables_);  // before the masks: their normalisation was that of the dense network
  hold(task_.masks);
}

void TrainState::finish_step(double clip_norm) {
  const at::NoGradGuard not_recorded;
  if (scores_) scores_->take_gradients(trainables_);
  {
    const Stopwatch watch(mask_seconds_);
    for (Trainable& one : trainables_) {
      if (one.master.grad().defined() && one.pruned.defined()) one.master.mutable_grad().masked_fill_(one.pruned, 0);
    }
  }
  if (clip_norm > 0) {
    double squares = 0;
    for (const Trainable& one : trainables_) {
      if (one.master.grad().defined()) squares += one.master.grad().to(at::kDouble).pow(2).sum().item<double>();
    }
    const double norm = std::sqrt(squares);
    if (norm > clip_norm) {
      for (Trainable& one : trainables_) {
        if (one.master.grad().defined()) one.master.mutable_grad().mul_(clip_norm / norm);
      }
    }
  }
  optimizer_->step();
  if (scores_) scores_->step(remaining_fraction((static_cast<double>(step) + 1) / static_cast<double>(total_), task_.movement->begin, task_.movement->end, 0));
  if (task_.settings.ema > 0) {
    const auto done = static_cast<double>(step);
    const double decay = std::min(task_.settings.ema, (1 + done) / (10 + done));  // begins with the weights as they are
    for (Trainable& one : trainables_) one.average.mul_(decay).add_(one.master.detach(), 1 - decay);
  }
  mask_weights();
}

void TrainState::replace_by_gradients(const DynamicSettings& settings, double position, uint64_t seed) {
  const at::NoGradGuard not_recorded;
  const double fraction = replaced_fraction(settings.fraction, position);
  for (size_t i = 0; i < trainables_.size(); ++i) {
    Trainable& one = trainables_[i];
    if (!one.pruned.defined() || !one.master.grad().defined()) continue;
    const int64_t kept = (~one.pruned).sum().item<int64_t>();
    const auto count = std::min(static_cast<int64_t>(static_cast<double>(kept) * fraction), one.pruned.numel() - kept);
    if (count == 0) continue;
    at::Tensor growth = one.master.grad().abs();
    if (settings.grow == "random") {
      const Rng rng(seed, one.name);
      std::vector<float> draws(static_cast<size_t>(growth.numel()));
      for (size_t k = 0; k < draws.size(); ++k) draws[k] = rng.uniform_at(k);
      growth = at::from_blob(draws.data(), growth.sizes(), at::kFloat).to(growth.device(), at::kFloat, false, /*copy=*/true);
    }
    one.pruned = ~drop_and_grow(one.master, growth, ~one.pruned, count);
    optimizer_->clear_state(i, one.pruned);
  }
  mask_weights();
  count_pruned();
}

WeightMap TrainState::gather(bool averaged) const {
  const at::NoGradGuard not_recorded;
  WeightMap weights;
  for (size_t i = 0; i < trainables_.size(); ++i) {
    const Trainable& one = trainables_[i];
    if (one.parameter == nullptr) continue;  // of an unfolded normalisation
    at::Tensor tensor = unfolding_ ? unfolding_->folded(i, averaged, trainables_) : (averaged && one.average.defined() ? one.average : one.master).detach();
    if (one.pruned.defined()) tensor = tensor.masked_fill(one.pruned, 0);
    weights.emplace(one.id, to_host(Value(tensor.to(at::kCPU, one.stored, false, /*copy=*/true))));
  }
  for (const Parameter* parameter : statistics_) {
    weights.emplace(parameter->tensor_id, to_host(Value(parameter->tensor.detach().to(at::kCPU))));
  }
  return weights;
}

TrainResult TrainState::result() {
  TrainResult result{.captured = captured, .history = history};
  if (best) {
    result.weights = best_weights;
    result.masks = best_masks;
  } else {
    result.weights = gather(/*averaged=*/true);
    result.masks = masks();
  }
  return result;
}

std::string TrainState::first_bad_weight() const {
  const at::NoGradGuard not_recorded;
  const auto is_finite = [](const at::Tensor& tensor, at::ScalarType stored) { return at::isfinite(tensor.to(stored)).all().item<bool>(); };
  for (const Trainable& one : trainables_) {
    if (!is_finite(one.master, one.stored)) return fmt::format("weight \"{}\"", one.name);
    if (one.average.defined() && !is_finite(one.average, one.stored)) return fmt::format("average of weight \"{}\"", one.name);
  }
  return "";
}

std::string TrainState::first_bad_statistic() const {
  for (const Parameter* one : statistics_) {
    if (!at::isfinite(one->tensor).all().item<bool>()) return fmt::format("running statistic \"{}\"", one->name);
  }
  return "";
}

void TrainState::look(const std::function<void()>& action) {
  begin_step();
  refresh();
  std::map<std::string, HostTensor> moved;
  if (unfolding_) unfolding_->save(moved);
  for (auto& [name, tensor] : moved) tensor = tensor.copy();
  action();
  if (unfolding_) unfolding_->load(moved);
}

}  // namespace sparsify
