#include "patterns/checked_mask.h"

#include <fmt/core.h>

#include "tensor/select.h"

namespace sparsify {

int64_t checked_units(const Pattern& pattern, const PluginName& name, const PrunableTensor& layer) {
  const int64_t units = call_plugin(name, [&] { return pattern.units(layer); });
  if (units < 0 || units > layer.count()) {
    refuse_result(name, fmt::format("divides the {} weights of \"{}\" into {} units", layer.count(), layer.initializer, units));
  }
  return units;
}

ScoreView checked_unit_scores(const Pattern& pattern, const PluginName& name, const PrunableTensor& layer, ScoreView scores, std::vector<float>& buffer) {
  const ScoreView units = call_plugin(name, [&] { return pattern.unit_scores(layer, scores, buffer); });
  if (units.bytes() == scores.bytes() && units.size() == scores.size()) return units;
  if (units.size() != pattern.units(layer)) {
    refuse_result(name, fmt::format("gives {} unit scores of \"{}\", which has {} units", units.size(), layer.initializer, pattern.units(layer)));
  }
  if (const int64_t unit = first_non_finite(units); unit >= 0) {
    refuse_result(name, fmt::format("scores unit {} of \"{}\" with {}", unit, layer.initializer, units[unit]));
  }
  return units;
}

void require_kept(const Pattern& pattern, const PluginName& name, const PrunableTensor& layer, const BitMask& mask, int64_t keep) {
  if (pattern.fixed_sparsity(layer)) return;
  const int64_t units = pattern.units(layer);
  const int64_t kept = mask.kept();
  const bool whole = units == layer.count();
  const bool right = whole ? kept == keep : kept >= keep && mask.size() - kept >= units - keep && (keep > 0 || kept == 0) && (keep < units || kept == mask.size());
  if (!right) {
    refuse_result(name, fmt::format("keeps {} weights of \"{}\", where {} of {} {} were asked for", kept, layer.initializer, keep, units, whole ? "weights" : "units"));
  }
}

BitMask checked_mask(const Pattern& pattern, const PluginName& name, const PrunableTensor& layer, ScoreView scores, int64_t keep) {
  BitMask mask = call_plugin(name, [&] { return pattern.select(layer, scores, keep); });
  if (mask.size() != layer.count()) {
    refuse_result(name, fmt::format("gives a mask of {} elements for \"{}\", which has {}", mask.size(), layer.initializer, layer.count()));
  }
  require_kept(pattern, name, layer, mask, keep);
  return mask;
}

}  // namespace sparsify
