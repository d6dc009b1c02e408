#include "train/unfolding.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/zeros.h>
#include <fmt/core.h>

#include <set>

#include "base/error.h"
#include "base/interrupt.h"
#include "program/batch_norm.h"

namespace sparsify {
namespace {

constexpr double kEpsilon = 1e-5;
constexpr double kMomentum = 0.9;  // of what is stored, as ONNX counts it

/// Values that a BatchNormalization reads already.
std::set<std::string> normalised_values(const Graph& graph) {
  std::set<std::string> values;
  for (const Node& node : graph.nodes) {
    if (node.op_type == "BatchNormalization" && !node.inputs.empty()) values.insert(node.inputs.front());
  }
  return values;
}

at::Tensor per_channel(const at::Tensor& values, const at::Tensor& weight) {
  std::vector<int64_t> shape(static_cast<size_t>(weight.dim()), 1);
  shape[0] = -1;
  return values.view(shape);
}

}  // namespace

Unfolding::Unfolding(const ModelFile& file, const TrainSettings& settings, std::vector<Trainable>& trainables) {
  std::map<std::string, size_t> by_name;
  std::map<int, bool> single;
  for (const PrunableTensor& tensor : find_tensors(file)) single[tensor.id] = tensor.used_by.size() == 1 && !tensor.nested;
  for (size_t i = 0; i < trainables.size(); ++i) {
    if (single[trainables[i].id] && !trainables[i].is_narrow()) by_name.emplace(trainables[i].name, i);
  }
  const Graph& graph = file.model().graph;
  const std::set<std::string> normalised = normalised_values(graph);
  for (const Node& node : graph.nodes) {
    if (node.op_type != "Conv" || !node.domain.empty() || node.inputs.size() < 3 || normalised.contains(node.outputs.front())) continue;
    const auto weight = by_name.find(node.inputs[1]);
    const auto bias = by_name.find(node.inputs[2]);
    if (weight == by_name.end() || bias == by_name.end()) continue;
    Place place{.output = node.outputs.front(), .weight = weight->second, .bias = bias->second};
    const at::Tensor like = trainables[place.bias].master.detach();
    place.mean = at::zeros(like.sizes(), like.options());
    place.variance = at::ones(like.sizes(), like.options());
    const auto add = [&](const char* part) {
      Trainable one{.name = fmt::format("{} of \"{}\"", part, node.label()), .id = -2 - static_cast<int>(trainables.size()), .kind = "norm"};
      one.master = at::ones(like.sizes(), like.options()).set_requires_grad(true);
      one.stored = one.master.scalar_type();
      one.lr = trainables[place.weight].lr;
      one.weight_decay = settings.optimizer.decay_all ? settings.optimizer.weight_decay : 0;
      trainables.push_back(std::move(one));
      return trainables.size() - 1;
    };
    place.scale = add("scale");
    place.shift = add("shift");
    place_of_[place.weight] = place_of_[place.bias] = places_.size();
    places_.push_back(std::move(place));
  }
  if (!places_.empty()) return;
  throw ConfigError{{.what = "the model has no convolution that a BatchNormalization could have been folded into",
                     .where = "train.unfold",
                     .fix = "remove unfold: it is for Conv nodes with a bias, trained weights of their own and no BatchNormalization behind them"}};
}

void Unfolding::measure(Program& program, const DataSource& data, const TrainSettings& settings, bool bfloat16, std::vector<Trainable>& trainables) {
  RunOptions options;
  options.bfloat16 = bfloat16;
  for (const Place& place : places_) options.taps.push_back(place.output);
  std::vector<at::Tensor> sums(places_.size());
  std::vector<at::Tensor> squares(places_.size());
  double samples = 0;
  const auto stream = data.stream({.batch_size = settings.batch_size, .workers = static_cast<int>(settings.workers)});
  for (int64_t seen = 0; seen < kMeasured; ++seen) {
    check_interrupt();
    const std::optional<Batch> batch = stream->next();
    if (!batch) break;
    std::vector<Value> inputs;
    for (const HostTensor& input : batch->inputs) inputs.push_back(from_host(input));
    const RunResult result = program.run(inputs, options);
    for (size_t i = 0; i < places_.size(); ++i) {
      const at::Tensor output = result.taps.at(places_[i].output).tensor().narrow(0, 0, batch->count).to(at::kDouble).transpose(0, 1).flatten(1);
      const at::Tensor mean = output.mean(1) * static_cast<double>(batch->count);
      const at::Tensor square = output.square().mean(1) * static_cast<double>(batch->count);
      sums[i] = seen == 0 ? mean.clone() : sums[i] + mean;
      squares[i] = seen == 0 ? square.clone() : squares[i] + square;
    }
    samples += static_cast<double>(batch->count);
  }
  const at::NoGradGuard not_recorded;
  for (size_t i = 0; i < places_.size() && samples > 0; ++i) {
    Place& place = places_[i];
    const at::Tensor mean = sums[i] / samples;
    const at::Tensor variance = (squares[i] / samples - mean.square()).clamp_min(0);
    place.mean.copy_(mean);
    place.variance.copy_(variance);
    trainables[place.scale].master.copy_(at::sqrt(place.variance + kEpsilon));
    trainables[place.shift].master.copy_(place.mean);
    for (const size_t one : {place.scale, place.shift}) {
      if (trainables[one].average.defined()) trainables[one].average.copy_(trainables[one].master);
    }
  }
}

void Unfolding::attach(RunOptions& options, const std::vector<Trainable>& trainables) {
  for (Place& place : places_) {
    options.after[place.output] = [&place, &trainables](const at::Tensor& output) {
      const NormalisedBatch batch = normalise_batch(output, trainables[place.scale].master, trainables[place.shift].master, kEpsilon, BatchShareGuard::share());
      const at::NoGradGuard not_recorded;
      place.mean.mul_(kMomentum).add_(batch.mean, 1 - kMomentum);
      place.variance.mul_(kMomentum).add_(batch.variance, 1 - kMomentum);
      return batch.output;
    };
  }
}

at::Tensor Unfolding::folded(size_t trainable, bool averaged, const std::vector<Trainable>& trainables) const {
  const auto now = [&](size_t i) {
    const Trainable& one = trainables[i];
    return (averaged && one.average.defined() ? one.average : one.master).detach();
  };
  const at::Tensor own = now(trainable);
  const auto found = place_of_.find(trainable);
  if (found == place_of_.end()) return own;
  const Place& place = places_[found->second];
  const at::Tensor factor = now(place.scale) * at::rsqrt(place.variance + kEpsilon);
  if (trainable == place.weight) return own * per_channel(factor, own);
  return (own - place.mean) * factor + now(place.shift);
}

void Unfolding::save(std::map<std::string, HostTensor>& tensors) const {
  for (size_t i = 0; i < places_.size(); ++i) {
    tensors.emplace(fmt::format("unfolded/{}/mean", i), to_host(Value(places_[i].mean.to(at::kCPU))));
    tensors.emplace(fmt::format("unfolded/{}/variance", i), to_host(Value(places_[i].variance.to(at::kCPU))));
  }
}

void Unfolding::load(const std::map<std::string, HostTensor>& tensors) {
  const at::NoGradGuard not_recorded;
  for (size_t i = 0; i < places_.size(); ++i) {
    places_[i].mean.copy_(from_host(tensors.at(fmt::format("unfolded/{}/mean", i))).tensor());
    places_[i].variance.copy_(from_host(tensors.at(fmt::format("unfolded/{}/variance", i))).tensor());
  }
}

}  // namespace sparsify
