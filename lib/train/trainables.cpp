#include "train/trainables.h"

#include <ATen/ops/empty.h>
#include <fmt/core.h>

#include <set>

#include "base/error.h"
#include "base/names.h"
#include "mask/tensor_globs.h"
#include "train/trained.h"

namespace sparsify {
namespace {

/// Tensors that arithmetic is made of (epsilons, scales of quantisation, running statistics) stay as they are.
std::set<int> fixed_ids(const ModelFile& file, const std::vector<PrunableTensor>& tensors) {
  std::set<int> ids;
  for (const int id : find_running_statistics(file)) ids.insert(id);
  for (const PrunableTensor& tensor : tensors) {
    if (tensor.scale_id >= 0) ids.insert({tensor.id, tensor.scale_id});
  }
  return ids;
}

}  // namespace

std::vector<Trainable> find_trainables(const ModelFile& file, Program& program, const TrainSettings& settings) {
  const std::vector<PrunableTensor> tensors = find_tensors(file);
  const std::set<int> fixed = fixed_ids(file, tensors);
  std::map<int, Parameter*> parameters;
  for (Parameter& parameter : program.parameters()) parameters.emplace(parameter.tensor_id, &parameter);
  std::vector<bool> used(settings.groups.size(), false);
  std::set<int> seen;
  std::vector<Trainable> found;
  for (const PrunableTensor& tensor : tensors) {
    const auto parameter = parameters.find(tensor.id);
    if (parameter == parameters.end() || fixed.contains(tensor.id) || !seen.insert(tensor.id).second) continue;
    Trainable one{.name = tensor.initializer, .id = tensor.id, .kind = tensor.kind, .parameter = parameter->second};
    const OptimizerSettings& optimizer = settings.optimizer;
    const bool decays = optimizer.decay_all || tensor.kind == "weight" || tensor.kind == "embedding";
    one.lr = optimizer.lr;
    one.weight_decay = decays ? optimizer.weight_decay : 0;
    for (size_t i = 0; i < settings.groups.size(); ++i) {
      const ParameterGroup& group = settings.groups[i];
      if (!matches_any(group.include, tensor)) continue;
      used[i] = true;
      if (group.lr) one.lr = *group.lr;
      if (group.weight_decay) one.weight_decay = *group.weight_decay;
    }
    if (freezing_of(settings, tensor).frozen) continue;
    at::Tensor& stored = parameter->second->tensor;
    one.stored = stored.scalar_type();
    one.master = (one.stored == at::kDouble ? stored.clone() : stored.to(at::kFloat, false, /*copy=*/true)).set_requires_grad(true);
    found.push_back(std::move(one));
  }
  for (size_t i = 0; i < used.size(); ++i) {
    if (used[i]) continue;
    throw ConfigError{{.what = fmt::format("no trainable tensor matches \"{}\"", join(settings.groups[i].include, "\", \"")),
                       .where = fmt::format("train.groups.{}.include", i),
                       .fix = "use names that `sparsify inspect MODEL` lists, with * for any part"}};
  }
  if (found.empty()) {
    throw ConfigError{{.what = "the model has no floating-point weights to train, or all are frozen", .where = file.path(), .fix = "train a float model, or freeze less"}};
  }
  return found;
}

at::Tensor pruned_tensor(const BitMask& mask, const at::Tensor& like) {
  at::Tensor kept = at::empty(like.sizes(), at::kByte);
  mask.unpack(0, {kept.data_ptr<uint8_t>(), static_cast<size_t>(kept.numel())});
  return kept.eq(0).to(like.device());
}

BitMask bit_mask(const at::Tensor& kept) {
  const at::Tensor bytes = kept.to(at::kCPU).to(at::kByte).contiguous();
  return BitMask::from_bytes({bytes.data_ptr<uint8_t>(), static_cast<size_t>(bytes.numel())});
}

}  // namespace sparsify
