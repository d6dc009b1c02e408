#include "pipeline/cut_scores.h"

#include <fmt/core.h>

#include <cmath>
#include <memory>
#include <set>

#include "criteria/checked_scores.h"

namespace sparsify {
namespace {

/// Of all weights that some group touches, collected once: what the criterion says of them does not change with the cut.
std::shared_ptr<std::map<int, LayerEvidence>> evidence_for(const ModelFile& file, const Structure& structure, const CutScope& scope, const CutRule& rule, EvidenceStage* stage,
                                                           std::vector<std::string>& warnings) {
  if (!rule.plugin || rule.plugin->needs() == Evidence::None) return nullptr;
  if (needs(rule.plugin->needs(), Evidence::Movement)) {
    refuse_setting(rule.rule->criterion.mark(), rule.path + ".criterion", "the criterion scores what training moved, and this run does not train",
                   "choose a criterion that looks at the trained weights: magnitude, taylor");
  }
  EvidenceWish wish{.kinds = rule.plugin->needs(), .options = rule.plugin->evidence_options(), .wanted_by = "the criterion " + rule.criterion};
  std::set<int> members;
  for (const Group& group : structure.groups()) {
    for (const Member& member : group.members) members.insert(member.tensor_id);
  }
  for (const Block& block : find_blocks(file, structure)) members.insert(block.tensors.begin(), block.tensors.end());
  for (const auto& [id, tensor] : scope.tensors()) {
    if (members.contains(id) && tensor.kind == "weight" && !tensor.nested) wish.layers.push_back(tensor);
  }
  const std::vector<LayerSurroundings> surroundings = find_surroundings(file, wish.layers);
  std::string refused;  // of the first weight
  for (size_t i = wish.layers.size(); i-- > 0;) {
    const std::string reason = rule.plugin->refuses(wish.layers[i], surroundings[i]);
    if (reason.empty()) continue;
    refused = fmt::format("\"{}\": {}", wish.layers[i].initializer, reason);
    wish.layers.erase(wish.layers.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (wish.layers.empty() && !refused.empty()) {
    refuse_setting(rule.rule->criterion.mark(), rule.path + ".criterion", fmt::format("the criterion {} can score no weight of any group; {}", rule.criterion, refused),
                   "choose a criterion that scores every kind of layer: magnitude, taylor");
  }
  std::vector<LayerEvidence> found = std::move(stage->collect({wish}).front());
  auto all = std::make_shared<std::map<int, LayerEvidence>>();
  for (size_t i = 0; i < wish.layers.size(); ++i) {
    if (found[i].missing.empty()) all->emplace(wish.layers[i].id, std::move(found[i]));
    else warnings.push_back(fmt::format("weight \"{}\" has no say in the scores: {}", wish.layers[i].initializer, found[i].missing));
  }
  return all;
}

}  // namespace

GroupScorer::WeightScores weight_scores(const ModelFile& file, const Structure& structure, const CutScope& scope, const CutRule& rule, uint64_t seed, EvidenceStage* stage,
                                        std::vector<std::string>& warnings) {
  const auto evidence = evidence_for(file, structure, scope, rule, stage, warnings);
  const PluginName name{.family = Criterion::kFamily, .name = rule.criterion,
                        .where = fmt::format("{} ({}.criterion)", rule.rule->criterion.mark().text(), rule.path)};
  return [&file, plugin = rule.plugin, name, evidence, seed, held = std::make_shared<HostTensor>(), last = std::make_shared<int>(-1)](
             const PrunableTensor& tensor, std::vector<float>& buffer) {
    if (evidence && !evidence->contains(tensor.id)) return ScoreView();
    *held = HostTensor();
    if (*last >= 0) file.release_tensor_data(*last);
    *last = tensor.id;
    if (tensor.scale_id < 0) {
      *held = file.tensor_data(tensor.id);
    } else {
      *held = HostTensor(DType::Float32, tensor.shape);
      read_weights(file, tensor, {held->mutable_data<float>(), static_cast<size_t>(held->count())});
    }
    if (!is_prunable_float(held->type())) *held = HostTensor::of<float>(DType::Float32, tensor.shape, held->to_floats());  // integers of one scale
    require_finite(tensor, *held);
    if (evidence) return checked_scores(*plugin, name, tensor, *held, evidence->at(tensor.id), buffer);
    if (plugin) return checked_scores(*plugin, name, tensor, *held, LayerEvidence{.seed = seed}, buffer);
    buffer = held->to_floats();
    for (float& value : buffer) value = std::fabs(value);
    return ScoreView(buffer);
  };
}

}  // namespace sparsify
