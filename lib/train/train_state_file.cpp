// What a checkpoint of a training run holds. Tensors are named by what they are and the id of the tensor in the file.
#include <ATen/core/grad_mode.h>
#include <fmt/core.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "train/checkpoint.h"
#include "train/movement_scores.h"
#include "train/running_curves.h"
#include "train/train_state.h"
#include "train/unfolding.h"

namespace sparsify {
namespace {

using Json = nlohmann::ordered_json;

std::string key(const char* part, int id) { return fmt::format("{}/{}", part, id); }

HostTensor host(const at::Tensor& tensor) { return to_host(Value(tensor.detach().to(at::kCPU))); }

HostTensor host(const BitMask& mask) {
  HostTensor tensor(DType::UInt8, {mask.size()});
  mask.unpack(0, {tensor.mutable_data<uint8_t>(), static_cast<size_t>(mask.size())});
  return tensor;
}

BitMask mask_of(const HostTensor& tensor) { return BitMask::from_bytes({tensor.data<uint8_t>(), static_cast<size_t>(tensor.count())}); }

/// Entries `part/<id>`.
template <class Take>
void each(const std::map<std::string, HostTensor>& tensors, const std::string& part, const Take& take) {
  const std::string prefix = part + "/";
  for (auto entry = tensors.lower_bound(prefix); entry != tensors.end() && entry->first.starts_with(prefix); ++entry) {
    take(std::stoi(entry->first.substr(prefix.size())), entry->second);
  }
}

Json average_json(const Average& average) { return {{"sum", average.sum}, {"count", average.count}}; }
Average average_from(const Json& json) { return {json.at("sum"), json.at("count")}; }

}  // namespace

Checkpoint TrainState::snapshot() const {
  Checkpoint checkpoint{.identity = task_.identity};
  auto& tensors = checkpoint.tensors;
  for (const Trainable& one : trainables_) {
    tensors.emplace(key("weight", one.id), host(one.master));
    if (one.average.defined()) tensors.emplace(key("average", one.id), host(one.average));
    if (one.pruned.defined()) tensors.emplace(key("mask", one.id), host(bit_mask(~one.pruned)));
  }
  for (const Parameter* parameter : statistics_) tensors.emplace(key("statistic", parameter->tensor_id), host(parameter->tensor));
  for (const auto& [id, weight] : best_weights) tensors.emplace(key("best", id), weight);
  for (const auto& [id, mask] : best_masks) tensors.emplace(key("best_mask", id), host(mask));
  for (const auto& [id, weight] : captured) tensors.emplace(key("captured", id), weight);
  optimizer_->save(tensors);
  if (scores_) scores_->save(tensors);
  if (unfolding_) unfolding_->save(tensors);
  Json state{{"step", step}, {"seconds", seconds}, {"epoch", average_json(epoch)}, {"logged", average_json(logged)}};
  state["best"] = best ? Json(*best) : Json();
  state["epochs_without_gain"] = epochs_without_gain;
  state["scores_active"] = scores_ && scores_->active();
  state["history"] = to_json(history);
  checkpoint.state = state.dump();
  return checkpoint;
}

void TrainState::save() const {
  write_checkpoint(task_.checkpoints, step, snapshot());
  write_running_curves(history, task_.checkpoints);
}

bool TrainState::restore() {
  const std::optional<Checkpoint> checkpoint = read_checkpoint(task_.checkpoints, task_.identity);
  if (!checkpoint) return false;
  take(*checkpoint);
  ++history.resumed;
  log_info("resumed at step {}", step);
  return true;
}

void TrainState::take(const Checkpoint& checkpoint) {
  const auto& tensors = checkpoint.tensors;
  const Json state = Json::parse(checkpoint.state);
  const at::NoGradGuard not_recorded;
  each(tensors, "untrained", [&](int id, const HostTensor& weight) { put(id, weight); });
  for (Trainable& one : trainables_) {
    one.master.copy_(from_host(tensors.at(key("weight", one.id))).tensor());
    if (one.average.defined()) one.average.copy_(from_host(tensors.at(key("average", one.id))).tensor());
    const auto mask = tensors.find(key("mask", one.id));
    one.pruned = mask == tensors.end() ? at::Tensor() : pruned_tensor(mask_of(mask->second), one.master);
  }
  for (Parameter* parameter : statistics_) parameter->tensor.copy_(from_host(tensors.at(key("statistic", parameter->tensor_id))).tensor());
  each(tensors, "best", [&](int id, const HostTensor& weight) { best_weights.emplace(id, weight); });
  each(tensors, "best_mask", [&](int id, const HostTensor& mask) { best_masks.emplace(id, mask_of(mask)); });
  each(tensors, "captured", [&](int id, const HostTensor& weight) { captured.emplace(id, weight); });
  optimizer_->load(tensors);
  if (unfolding_) unfolding_->load(tensors);
  if (scores_) {
    scores_->load(tensors);
    if (!state.at("scores_active").get<bool>()) scores_->finish();
  }
  step = state.at("step");
  seconds = state.at("seconds");
  epoch = average_from(state.at("epoch"));
  logged = average_from(state.at("logged"));
  if (!state.at("best").is_null()) best = state.at("best").get<double>();
  epochs_without_gain = state.at("epochs_without_gain");
  history = history_from_json(state.at("history"));
  count_pruned();
}

}  // namespace sparsify
