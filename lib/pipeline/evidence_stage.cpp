#include "pipeline/evidence_stage.h"

#include <algorithm>
#include <cmath>

#include "config/precision.h"
#include "pipeline/calibration.h"

namespace sparsify {
namespace {

bool runs_the_model(const EvidenceWish& wish) { return needs(wish.kinds, kFromData | Evidence::SynapticFlow); }

}  // namespace

double sparsity_of_round(double target, int64_t round, int64_t rounds) {
  if (round == rounds) return target;
  return 1 - std::pow(1 - target, static_cast<double>(round) / static_cast<double>(rounds));
}

/// Seed, and what the graph alone says.
std::vector<LayerEvidence> EvidenceStage::without_running(const EvidenceWish& wish) const {
  std::vector<LayerEvidence> evidence(wish.layers.size());
  for (LayerEvidence& layer : evidence) layer.seed = static_cast<uint64_t>(recipe_.seed);
  if (needs(wish.kinds, Evidence::BatchNormScale)) {
    const std::vector<LayerSurroundings> surroundings = find_surroundings(file_, wish.layers);
    for (size_t i = 0; i < evidence.size(); ++i) evidence[i].batch_norm_scale = surroundings[i].batch_norm_scale;
  }
  return evidence;
}

std::unique_ptr<EvidenceCollector> EvidenceStage::open(const std::vector<const EvidenceWish*>& wishes) {
  CollectorTask task{.file = &file_,
                     .options = wishes.front()->options,
                     .seed = static_cast<uint64_t>(recipe_.seed),
                     .device = recipe_.device,
                     .threads = static_cast<int>(recipe_.threads),
                     .bfloat16 = precision_of(recipe_) == "bf16"};
  for (const EvidenceWish* wish : wishes) {
    task.layers.insert(task.layers.end(), wish->layers.begin(), wish->layers.end());
    task.kinds.insert(task.kinds.end(), wish->layers.size(), wish->kinds);
  }
  std::unique_ptr<EvidenceCollector> collector = make_evidence_collector();
  collector->open(task);
  return collector;
}

CollectedEvidence EvidenceStage::run(EvidenceCollector& collector, const std::vector<const EvidenceWish*>& wishes,
                                     const std::vector<BitMask>& masks) {
  bool from_data = false;
  for (const EvidenceWish* wish : wishes) {
    if (!needs(wish->kinds, kFromData)) continue;
    from_data = true;
    if (!data_) data_.emplace(open_calibration(file_, recipe_, wish->wanted_by));
  }
  CollectedEvidence found = collector.collect(from_data ? &*data_ : nullptr, masks);
  for (std::string& warning : found.warnings) {
    if (std::find(warnings_.begin(), warnings_.end(), warning) == warnings_.end()) warnings_.push_back(std::move(warning));
  }
  return found;
}

std::vector<std::vector<LayerEvidence>> EvidenceStage::collect(const std::vector<EvidenceWish>& wishes) {
  std::vector<std::vector<LayerEvidence>> all;
  for (const EvidenceWish& wish : wishes) all.push_back(without_running(wish));
  std::vector<bool> done(wishes.size(), false);
  for (size_t first = 0; first < wishes.size(); ++first) {
    if (done[first] || !runs_the_model(wishes[first])) continue;
    std::vector<size_t> members;
    std::vector<const EvidenceWish*> group;
    for (size_t i = first; i < wishes.size(); ++i) {
      if (done[i] || !runs_the_model(wishes[i]) || wishes[i].options != wishes[first].options) continue;
      done[i] = true;
      members.push_back(i);
      group.push_back(&wishes[i]);
    }
    if (data_ == std::nullopt) {  // before the model is loaded: what is missing is said at once
      for (const EvidenceWish* wish : group) {
        if (needs(wish->kinds, kFromData) && !data_) data_.emplace(open_calibration(file_, recipe_, wish->wanted_by));
      }
    }
    CollectedEvidence found = run(*open(group), group, {});
    size_t next = 0;
    for (const size_t member : members) {
      for (LayerEvidence& layer : all[member]) {
        std::vector<double> scale = std::move(layer.batch_norm_scale);
        layer = std::move(found.layers[next++]);
        layer.batch_norm_scale = std::move(scale);
      }
    }
  }
  return all;
}

std::vector<LayerEvidence> EvidenceStage::collect_round(const EvidenceWish& wish, const std::vector<BitMask>& masks) {
  if (!runs_the_model(wish)) return without_running(wish);
  std::vector<int> layers;
  for (const PrunableTensor& layer : wish.layers) layers.push_back(layer.id);
  if (!rounds_ || layers != round_layers_) {
    if (needs(wish.kinds, kFromData) && !data_) data_.emplace(open_calibration(file_, recipe_, wish.wanted_by));
    rounds_ = open({&wish});
    round_layers_ = layers;
  }
  return run(*rounds_, {&wish}, masks).layers;
}

}  // namespace sparsify
