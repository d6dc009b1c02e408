#include "pipeline/gradient_use.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/names.h"
#include "criteria/criterion.h"
#include "evidence/evidence.h"
#include "pipeline/operators.h"

namespace sparsify {

bool scores_by_gradients(const Recipe& recipe) {
  return std::any_of(recipe.prune.begin(), recipe.prune.end(), [](const PruneRule& rule) {
    const NamedOptions named = split_name(rule.criterion, "criterion");
    if (!Registry<Criterion>::instance().contains(named.name)) return false;  // one of the cut's own, which looks at activations or at nothing
    return needs(Registry<Criterion>::instance().make(named.name, named.options)->needs(), kFromGradients);
  });
}

std::vector<GradientCutRow> gradient_cuts_of(const ModelFile& file) { return make_operator_catalog()->needs(file).gradient_cuts; }

std::vector<std::string> warnings_of(const std::vector<GradientCutRow>& cuts) {
  std::vector<std::string> warnings;
  for (const GradientCutRow& cut : cuts) {
    if (cut.weights.empty()) continue;
    warnings.push_back(fmt::format("the gradient ends at node \"{}\" ({}: {}): training does not move {}", cut.node, cut.op, cut.reason, join(cut.weights)));
  }
  return warnings;
}

}  // namespace sparsify
