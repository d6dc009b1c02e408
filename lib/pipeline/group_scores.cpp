#include "pipeline/group_scores.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "structure/cut.h"
#include "tensor/slice.h"

namespace sparsify {
const std::map<std::string, std::string>& GroupScorer::own_criteria() {
  static const auto* names = new std::map<std::string, std::string>{{"batchnorm_scale", "|gamma| of the normalisation behind a channel"},
                                                                    {"geometric_median", "distance to the other channels of the group"},
                                                                    {"reconstruction", "what is lost once the weights that read a channel are solved again, for each MAC saved"},
                                                                    {"random", "a seeded number for each unit: the baseline"}};
  return *names;
}

GroupScorer::GroupScorer(const ModelFile& file, const Structure& structure, std::string criterion, StructuredOptions options, uint64_t seed,
                         WeightScores weights, bool outputs_only)
    : file_(file), structure_(structure), criterion_(std::move(criterion)), options_(std::move(options)), seed_(seed), weights_(std::move(weights)), outputs_only_(outputs_only) {
  for (PrunableTensor& tensor : find_tensors(file)) tensors_.emplace(tensor.id, std::move(tensor));
  std::map<std::string, int> ids;
  for (const FlatTensor& tensor : structure.graph().tensors) ids.emplace(tensor.value, tensor.tensor.id);
  for (const FlatNode& node : structure.graph().nodes) {
    const std::string& op = node.node->op_type;
    if (op != "BatchNormalization" && op != "InstanceNormalization" && op != "GroupNormalization" && op != "LayerNormalization") continue;
    const auto scale = node.inputs.size() > 1 ? ids.find(node.inputs[1]) : ids.end();
    if (scale != ids.end()) scales_.insert(scale->second);
  }
}

bool GroupScorer::counts(const Member& member) const {
  if (!tensors_.contains(member.tensor_id)) return false;
  const bool scale = scales_.contains(member.tensor_id);
  if (criterion_ == "batchnorm_scale") return scale;
  if (outputs_only_) return member.role == Role::Output && !scale;
  return scale || member.role == Role::Output || member.role == Role::Input;
}

GroupScorer::AxisSums GroupScorer::sum_axes(const std::vector<size_t>& groups, const Removed& removed) {
  std::map<int, std::set<int>> axes;
  for (const size_t index : groups) {
    for (const Member& member : structure_.groups()[index].members) {
      if (counts(member)) axes[member.tensor_id].insert(member.axis);
    }
  }
  const std::map<int, BitMask> masks = cut_masks(file_, structure_, removed);
  AxisSums sums;
  std::vector<float> buffer;
  for (const auto& [id, wanted] : axes) {
    const PrunableTensor& tensor = tensors_.at(id);
    const ScoreView scores = weights_(tensor, buffer);
    if (scores.empty()) continue;
    const auto mask = masks.find(id);
    const double power = options_.power > 0 ? options_.power : 1.0;
    const int64_t count = tensor.count();
    std::vector<double> raised(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      if (mask != masks.end() && !mask->second[i]) continue;
      const double score = scores[i];
      raised[static_cast<size_t>(i)] = power == 2.0 ? score * score : power == 1.0 ? score : std::pow(std::fabs(score), power);
    }
    for (const int axis : wanted) {
      const AxisSplit at = split_at(tensor.shape, axis);
      std::vector<double>& sum = sums[{id, axis}];
      sum.assign(static_cast<size_t>(at.size), 0);
      const double* next = raised.data();
      for (int64_t outer = 0; outer < at.outer; ++outer) {
        for (double& one : sum) {
          for (int64_t inner = 0; inner < at.inner; ++inner) one += *next++;
        }
      }
    }
  }
  return sums;
}

std::vector<double> GroupScorer::joined(const Group& group, const AxisSums& sums) const {
  std::vector<double> scores(static_cast<size_t>(group.units), 0);
  int64_t members = 0;
  for (const Member& member : group.members) {
    const auto found = counts(member) ? sums.find({member.tensor_id, member.axis}) : sums.end();
    if (found == sums.end()) continue;
    const std::vector<double>& sum = found->second;
    ++members;
    for (size_t unit = 0; unit < scores.size(); ++unit) {
      double slice = 0;
      for (const int64_t index : member.indices[unit]) slice += sum[static_cast<size_t>(index)];
      scores[unit] = options_.aggregate == "max" ? (members == 1 ? slice : std::max(scores[unit], slice)) : scores[unit] + slice;
    }
  }
  if (members == 0) return {};
  if (options_.aggregate == "mean") {
    for (double& score : scores) score /= static_cast<double>(members);
  }
  return scores;
}

/// sum over j of ||F_k - F_j|| with F_k the unit's slices of all weights that produce it.
std::vector<double> GroupScorer::medians(const Group& group) const {
  std::vector<std::vector<float>> filters(static_cast<size_t>(group.units));
  for (const Member& member : group.members) {
    if (member.role != Role::Output || !tensors_.contains(member.tensor_id)) continue;
    const PrunableTensor& tensor = tensors_.at(member.tensor_id);
    std::vector<float> weights(static_cast<size_t>(tensor.count()));
    read_weights(file_, tensor, weights);
    const AxisSplit at = split_at(tensor.shape, member.axis);
    for (size_t unit = 0; unit < filters.size(); ++unit) {
      for (const int64_t index : member.indices[unit]) {
        for (int64_t outer = 0; outer < at.outer; ++outer) {
          const auto first = weights.begin() + (outer * at.size + index) * at.inner;
          filters[unit].insert(filters[unit].end(), first, first + at.inner);
        }
      }
    }
  }
  if (filters.empty() || filters[0].empty()) return {};
  std::vector<double> scores(filters.size(), 0);
  for (size_t a = 0; a < filters.size(); ++a) {
    for (size_t b = a + 1; b < filters.size(); ++b) {
      double squares = 0;
      const size_t length = std::min(filters[a].size(), filters[b].size());
      for (size_t i = 0; i < length; ++i) {
        const double gap = static_cast<double>(filters[a][i]) - filters[b][i];
        squares += gap * gap;
      }
      scores[a] += std::sqrt(squares);
      scores[b] += std::sqrt(squares);
    }
  }
  return scores;
}

void GroupScorer::normalise_(std::vector<double>& scores, const std::vector<bool>& removed) const {
  double sum = 0;
  double largest = 0;
  int64_t present = 0;
  for (size_t unit = 0; unit < scores.size(); ++unit) {
    if (removed[unit]) continue;
    sum += scores[unit];
    largest = std::max(largest, scores[unit]);
    ++present;
  }
  const double by = options_.normalise == "mean" ? sum / static_cast<double>(std::max<int64_t>(present, 1))
                    : options_.normalise == "sum" ? sum
                    : options_.normalise == "max" ? largest
                                                  : 1;
  if (by <= 0) return;
  for (double& score : scores) score /= by;
}

std::map<size_t, std::vector<double>> GroupScorer::score(const std::vector<size_t>& groups, const Removed& removed) {
  std::map<size_t, std::vector<double>> result;
  if (unit_scores_) {
    for (const size_t index : groups) result[index] = unit_scores_(index, removed);
    return result;
  }
  const bool by_weight = criterion_ != "geometric_median" && criterion_ != "random";
  const AxisSums sums = by_weight ? sum_axes(groups, removed) : AxisSums{};
  for (const size_t index : groups) {
    const Group& group = structure_.groups()[index];
    std::vector<double>& scores = result[index];
    if (criterion_ == "random") {
      const Rng random(seed_, group.name);
      for (int64_t unit = 0; unit < group.units; ++unit) scores.push_back(random.uniform_at(static_cast<uint64_t>(unit)));
    } else {
      scores = by_weight ? joined(group, sums) : medians(group);
      if (!scores.empty()) normalise_(scores, removed[index]);
    }
  }
  return result;
}

}  // namespace sparsify
