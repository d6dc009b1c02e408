#include "train/optimizer.h"

#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>

#include "program/value.h"

namespace sparsify {
namespace {

using torch::optim::AdamOptions;
using torch::optim::AdamParamState;
using torch::optim::AdamWOptions;
using torch::optim::AdamWParamState;
using torch::optim::OptimizerOptions;
using torch::optim::OptimizerParamGroup;
using torch::optim::OptimizerParamState;
using torch::optim::SGDOptions;
using torch::optim::SGDParamState;

template <class Options>
std::unique_ptr<OptimizerOptions> adam_options(const OptimizerSettings& settings, double lr, double weight_decay) {
  return std::make_unique<Options>(Options(lr).betas({settings.beta1, settings.beta2}).eps(settings.epsilon).weight_decay(weight_decay));
}

std::unique_ptr<OptimizerOptions> options_of(const OptimizerSettings& settings, double lr, double weight_decay) {
  if (settings.name == "adam") return adam_options<AdamOptions>(settings, lr, weight_decay);
  if (settings.name == "adamw") return adam_options<AdamWOptions>(settings, lr, weight_decay);
  return std::make_unique<SGDOptions>(SGDOptions(lr).momentum(settings.momentum).nesterov(settings.nesterov).weight_decay(weight_decay));
}

/// LibTorch lets a group inherit what it was not given, and tells that by comparing with the constructors' defaults: the
/// optimizer's own defaults must therefore be these.
std::unique_ptr<torch::optim::Optimizer> make(const OptimizerSettings& settings, std::vector<OptimizerParamGroup> groups) {
  if (settings.name == "adam") return std::make_unique<torch::optim::Adam>(std::move(groups), AdamOptions());
  if (settings.name == "adamw") return std::make_unique<torch::optim::AdamW>(std::move(groups), AdamWOptions());
  return std::make_unique<torch::optim::SGD>(std::move(groups), SGDOptions(settings.lr));
}

}  // namespace

struct Optimizer::Impl {
  OptimizerSettings settings;
  std::vector<Item> items;
  std::unique_ptr<torch::optim::Optimizer> optimizer;

  OptimizerParamState* state_of(const Item& item) const {
    const auto found = optimizer->state().find(item.parameter.unsafeGetTensorImpl());
    return found == optimizer->state().end() ? nullptr : found->second.get();
  }

  template <class State>
  static void add_adam(const OptimizerParamState& any, std::map<std::string, at::Tensor>& tensors) {
    const auto& state = static_cast<const State&>(any);
    tensors["exp_avg"] = state.exp_avg();
    tensors["exp_avg_sq"] = state.exp_avg_sq();
    tensors["step"] = at::scalar_tensor(state.step(), at::kLong);
  }

  std::map<std::string, at::Tensor> tensors_of(const OptimizerParamState& state) const {
    std::map<std::string, at::Tensor> tensors;
    if (settings.name == "adam") {
      add_adam<AdamParamState>(state, tensors);
    } else if (settings.name == "adamw") {
      add_adam<AdamWParamState>(state, tensors);
    } else {
      tensors["momentum"] = static_cast<const SGDParamState&>(state).momentum_buffer();
    }
    return tensors;
  }

  template <class State>
  static std::unique_ptr<OptimizerParamState> adam_state(const std::function<at::Tensor(const char*)>& read) {
    auto state = std::make_unique<State>();
    state->exp_avg(read("exp_avg"));
    state->exp_avg_sq(read("exp_avg_sq"));
    state->step(read("step").template item<int64_t>());
    return state;
  }

  std::unique_ptr<OptimizerParamState> state_from(const std::function<at::Tensor(const char*)>& read) const {
    if (settings.name == "adam") return adam_state<AdamParamState>(read);
    if (settings.name == "adamw") return adam_state<AdamWParamState>(read);
    auto state = std::make_unique<SGDParamState>();
    state->momentum_buffer(read("momentum"));
    return state;
  }
};

Optimizer::Optimizer(const OptimizerSettings& settings, std::vector<Item> items) : impl_(std::make_unique<Impl>()) {
  std::vector<OptimizerParamGroup> groups;
  for (const Item& item : items) {
    groups.emplace_back(std::vector<at::Tensor>{item.parameter}, options_of(settings, item.lr, item.weight_decay));
  }
  impl_->settings = settings;
  impl_->items = std::move(items);
  impl_->optimizer = make(settings, std::move(groups));
}

Optimizer::~Optimizer() = default;

void Optimizer::set_factor(double factor) {
  auto& groups = impl_->optimizer->param_groups();
  for (size_t i = 0; i < groups.size(); ++i) groups[i].options().set_lr(impl_->items[i].lr * factor);
}

void Optimizer::step() { impl_->optimizer->step(); }

void Optimizer::clear_state(size_t item, const at::Tensor& pruned) {
  const OptimizerParamState* state = impl_->state_of(impl_->items[item]);
  if (state == nullptr) return;
  for (auto& [name, tensor] : impl_->tensors_of(*state)) {
    if (tensor.defined() && tensor.sizes() == pruned.sizes()) tensor.masked_fill_(pruned, 0);
  }
}

void Optimizer::save(std::map<std::string, HostTensor>& tensors) const {
  for (const Item& item : impl_->items) {
    const OptimizerParamState* state = impl_->state_of(item);
    if (state == nullptr) continue;
    for (const auto& [name, tensor] : impl_->tensors_of(*state)) {
      if (tensor.defined()) tensors.emplace("state/" + item.name + "/" + name, to_host(Value(tensor.detach())));
    }
  }
}

void Optimizer::load(const std::map<std::string, HostTensor>& tensors) {
  for (const Item& item : impl_->items) {
    const std::string prefix = "state/" + item.name + "/";
    const auto first = tensors.lower_bound(prefix);
    if (first == tensors.end() || !first->first.starts_with(prefix)) continue;
    impl_->optimizer->state()[item.parameter.unsafeGetTensorImpl()] = impl_->state_from([&](const char* name) {
      const at::Tensor tensor = from_host(tensors.at(prefix + name)).tensor();
      return tensor.dim() == 0 ? tensor : tensor.to(item.parameter.device());
    });
  }
}

}  // namespace sparsify
