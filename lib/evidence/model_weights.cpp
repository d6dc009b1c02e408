#include "evidence/model_weights.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/autograd.h>

#include "base/error.h"

namespace sparsify {
namespace {

at::Tensor as_tensor(const BitMask& mask, const Shape& shape) {
  at::Tensor kept = at::empty(shape, at::TensorOptions(at::kByte));
  mask.unpack(0, {kept.data_ptr<uint8_t>(), static_cast<size_t>(kept.numel())});
  return kept.to(at::kBool);
}

}  // namespace

ModelWeights::ModelWeights(Program& program, const CollectorTask& task, const std::vector<LayerSurroundings>& surroundings)
    : program_(program) {
  for (size_t i = 0; i < task.layers.size(); ++i) {
    const PrunableTensor& layer = task.layers[i];
    Parameter* leaf = layer.scale_id < 0 ? program.find_parameter(layer.initializer) : nullptr;
    leaves_.push_back(leaf);
    stored_.push_back(leaf != nullptr ? leaf->tensor : at::Tensor());
    real_values_.push_back(leaf != nullptr ? std::vector<std::string>{} : surroundings[i].real_values);
    for (const std::string& value : real_values_.back()) taps_.push_back(value);
    // What DequantizeLinear makes is recorded only if something in front of it wants a gradient.
    if (layer.scale_id >= 0) {
      Parameter* scale = program.find_parameter(task.file->tensor(layer.scale_id).name);
      if (scale != nullptr) scale->tensor = scale->tensor.detach().requires_grad_(true);
    }
  }
  set_masks({});
}

void ModelWeights::replace(size_t layer, const at::Tensor& tensor) {
  leaves_[layer]->tensor = tensor.detach().requires_grad_(true);
}

void ModelWeights::set_masks(const std::vector<BitMask>& masks) {
  masked_ = stored_;
  for (size_t i = 0; i < leaves_.size(); ++i) {
    if (leaves_[i] == nullptr) {
      invariant(masks.empty() || masks[i].pruned() == 0, "integer weights are not masked while evidence is collected");
      continue;
    }
    if (!masks.empty() && masks[i].pruned() > 0) {
      const at::Tensor kept = as_tensor(masks[i], stored_[i].sizes().vec()).to(stored_[i].device());
      masked_[i] = stored_[i].masked_fill(kept.logical_not(), 0);
    }
    replace(i, masked_[i]);
  }
  program_.parameters_changed();
}

void ModelWeights::with_moved(const std::vector<at::Tensor>& directions, double step, const std::function<void()>& function) {
  std::vector<at::Tensor> before;
  for (const Parameter* leaf : leaves_) before.push_back(leaf != nullptr ? leaf->tensor : at::Tensor());
  for (size_t i = 0; i < leaves_.size(); ++i) {
    if (leaves_[i] == nullptr || !directions[i].defined()) continue;
    replace(i, masked_[i] + (step * directions[i]).to(masked_[i].scalar_type()));
  }
  program_.parameters_changed();
  function();
  for (size_t i = 0; i < leaves_.size(); ++i) {
    if (leaves_[i] != nullptr) leaves_[i]->tensor = before[i];
  }
  program_.parameters_changed();
}

at::Tensor ModelWeights::value(size_t layer, const RunResult& result) const {
  if (leaves_[layer] != nullptr) return masked_[layer];
  return real_values_[layer].empty() ? at::Tensor() : result.taps.at(real_values_[layer].front()).tensor().detach();
}

std::vector<at::Tensor> ModelWeights::gradients(const at::Tensor& scalar, const RunResult& result, const std::vector<bool>& wanted,
                                                bool create_graph) const {
  std::vector<at::Tensor> points;
  std::vector<size_t> layer_of;
  for (size_t i = 0; i < leaves_.size(); ++i) {
    if (!wanted[i]) continue;
    const auto add = [&](const at::Tensor& point) {
      if (!point.requires_grad()) return;
      points.push_back(point);
      layer_of.push_back(i);
    };
    if (leaves_[i] != nullptr) add(leaves_[i]->tensor);
    for (const std::string& value : real_values_[i]) add(result.taps.at(value).tensor());
  }
  std::vector<at::Tensor> found(leaves_.size());
  if (points.empty() || !scalar.requires_grad()) return found;
  const auto parts = torch::autograd::grad({scalar}, points, {}, /*retain_graph=*/true, create_graph, /*allow_unused=*/true);
  for (size_t k = 0; k < parts.size(); ++k) {
    if (!parts[k].defined()) continue;
    at::Tensor& sum = found[layer_of[k]];
    sum = sum.defined() ? sum + parts[k] : parts[k];
  }
  return found;
}

}  // namespace sparsify
