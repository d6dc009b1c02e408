#include "train/movement_scores.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

namespace sparsify {

MovementScores::MovementScores(const MovementSettings& settings, std::vector<Trainable>& trainables) : settings_(settings) {
  std::vector<Optimizer::Item> items;
  for (Trainable& one : trainables) {
    if (!settings.keep.contains(one.id)) continue;
    Entry& entry = entries_[one.id];
    entry.scores = at::zeros_like(one.master).detach().set_requires_grad(true);
    one.pruned = at::zeros_like(one.master, one.master.options().dtype(at::kBool).requires_grad(false));
    items.push_back({"score" + std::to_string(one.id), entry.scores, settings.lr, 0});
  }
  OptimizerSettings adam;
  adam.name = "adam";
  optimizer_ = std::make_unique<Optimizer>(adam, std::move(items));
}

void MovementScores::select(std::vector<Trainable>& trainables, double progress) const {
  for (Trainable& one : trainables) {
    const auto entry = entries_.find(one.id);
    if (entry == entries_.end()) continue;
    const auto count = static_cast<double>(one.master.numel());
    if (settings_.soft) {
      const double threshold = settings_.threshold * (1 - remaining_fraction(progress, settings_.begin, settings_.end, 0));
      one.pruned = ~above_threshold(entry->second.scores, one.master, threshold);
    } else {
      const auto last = settings_.keep.at(one.id);
      const double part = remaining_fraction(progress, settings_.begin, settings_.end, static_cast<double>(last) / count);
      one.pruned = ~highest_scores(entry->second.scores, one.master, std::max<int64_t>(last, std::llround(part * count)));
    }
  }
}

void MovementScores::take_gradients(std::vector<Trainable>& trainables) {
  if (!active_) return;
  for (Trainable& one : trainables) {
    const auto entry = entries_.find(one.id);
    if (entry == entries_.end() || !entry->second.masked.grad().defined()) continue;
    const MovementGradients gradients = movement_gradients(one.master, ~one.pruned, entry->second.masked.grad());
    one.master.mutable_grad() = gradients.weight;
    entry->second.scores.mutable_grad() = gradients.scores;
  }
}

void MovementScores::step(double remaining) {
  if (!active_) return;
  if (settings_.soft && settings_.penalty > 0) {
    const double lambda = settings_.penalty * (1 - remaining) / static_cast<double>(entries_.size());
    for (auto& [id, entry] : entries_) {
      if (!entry.scores.grad().defined()) continue;
      const at::Tensor sigma = at::sigmoid(entry.scores.detach());
      entry.scores.mutable_grad().add_(sigma * (1 - sigma), lambda / static_cast<double>(entry.scores.numel()));
    }
  }
  optimizer_->step();
}

void MovementScores::save(std::map<std::string, HostTensor>& tensors) const {
  for (const auto& [id, entry] : entries_) tensors.emplace("score/" + std::to_string(id), to_host(Value(entry.scores.detach().to(at::kCPU))));
  optimizer_->save(tensors);
}

void MovementScores::load(const std::map<std::string, HostTensor>& tensors) {
  const at::NoGradGuard not_recorded;
  for (auto& [id, entry] : entries_) entry.scores.copy_(from_host(tensors.at("score/" + std::to_string(id))).tensor());
  optimizer_->load(tensors);
}

}  // namespace sparsify
