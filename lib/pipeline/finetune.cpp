#include "pipeline/finetune.h"

#include <fmt/core.h>

#include "base/error.h"
#include "patterns/pattern.h"

namespace sparsify {
namespace {

/// Zeros of either sign.
BitMask nonzeros(const HostTensor& tensor) {
  BitMask mask(tensor.count(), /*kept=*/true);
  std::vector<float> chunk(1 << 16);
  for (int64_t first = 0; first < tensor.count(); first += static_cast<int64_t>(chunk.size())) {
    chunk.resize(static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(chunk.size()), tensor.count() - first)));
    tensor.read_floats(first, chunk);
    for (size_t i = 0; i < chunk.size(); ++i) {
      if (chunk[i] == 0) mask.prune(first + static_cast<int64_t>(i));
    }
  }
  return mask;
}

/// The narrowest N:M rule that the zeros obey.
std::string rule_of(const PrunableTensor& tensor, const BitMask& mask) {
  for (const char* rule : {"1:8", "1:4", "2:8", "2:4", "4:8", "8:16"}) {
    const auto pattern = make_pattern(Setting(rule), "pattern");
    if (pattern->refuses(tensor).empty() && pattern->violation(tensor, mask).empty()) return rule;
  }
  return "";
}

}  // namespace

Decisions hold_zeros(const ModelFile& file) {
  Decisions decisions;
  for (const PrunableTensor& tensor : find_tensors(file)) {
    const bool prunable = tensor.kind == "weight" || tensor.kind == "embedding";  // a bias may well begin as zeros
    if (!prunable || tensor.scale_id >= 0 || !is_prunable_float(tensor.type)) {
      decisions.skipped.push_back({tensor, tensor.scale_id >= 0 ? "quantised: not trained" : tensor.kind + ": zeros are not held"});
      continue;
    }
    BitMask mask = nonzeros(file.tensor_data(tensor.id));
    if (mask.pruned() == 0) {
      decisions.skipped.push_back({tensor, "has no zeros"});
      continue;
    }
    const std::string rule = rule_of(tensor, mask);
    decisions.decided.push_back({.tensor = tensor,
                                 .pattern = rule.empty() ? "unstructured" : rule,
                                 .pattern_setting = Setting(rule.empty() ? "unstructured" : rule),
                                 .mask = std::move(mask)});
  }
  if (decisions.decided.empty()) {
    decisions.warnings.emplace_back("no weight of the model is zero: all are trained freely");  // a model that was cut
  }
  return decisions;
}

}  // namespace sparsify
