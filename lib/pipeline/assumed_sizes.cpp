#include "pipeline/assumed_sizes.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/names.h"
#include "pipeline/cut_limits.h"
#include "pipeline/figures.h"
#include "report/text.h"

namespace sparsify {

std::string assumed_sizes(const ModelFile& file, const Structure& structure, const std::map<std::string, Shape>& inputs) {
  std::vector<std::string> all;
  for (const std::string& name : open_inputs(file, inputs)) {
    std::vector<std::string> sizes;
    for (const int64_t size : structure.shape(name)) sizes.push_back(std::to_string(size));
    if (!sizes.empty()) all.push_back(name + ":" + join(sizes, ","));
  }
  return join(all, " ");
}

void warn_of_assumed_sizes_(CutPlan& plan, const ModelFile& file, const Recipe& recipe, const std::map<std::string, Shape>& inputs) {
  for (const PruneRule& rule : recipe.prune) {
    const auto budget = budget_of(rule);
    const bool macs = budget && budget->kind == "macs";
    if (!macs && !(budget && budget->kind == "memory")) continue;
    const std::string text = fmt::format("the budget {{{}: {}}}", budget->kind, budget->fraction);
    if (const std::string assumed = assumed_sizes(file, *plan.structure, inputs); !assumed.empty()) {
      const int64_t before = macs ? plan.before.macs : plan.before.memory;
      const int64_t after = macs ? plan.after.macs : plan.after.memory;
      plan.warnings.push_back(fmt::format("{} is counted with assumed sizes, because the model leaves them open: {}. With them {} of {} {} stay ({:.4f}), with others "
                                          "another share; --input states yours",
                                          text, assumed, with_commas(after), with_commas(before), unit_of_budget(budget->kind),
                                          static_cast<double>(after) / static_cast<double>(std::max<int64_t>(before, 1))));
    }
    const CutCosts costs(file, *plan.structure, inputs);
    const std::vector<std::string> uncounted = macs ? costs.uncounted() : std::vector<std::string>{};
    if (!uncounted.empty()) {
      plan.warnings.push_back(fmt::format("{} leaves out {} of the nodes that multiply, whose shapes only a run decides: \"{}\"{}", text, uncounted.size(),
                                          uncounted.front(), uncounted.size() > 1 ? " and others" : ""));
    }
    if (const size_t unsized = macs ? 0 : costs.unsized(); unsized > 0) {
      plan.warnings.push_back(fmt::format("{} leaves out {} activations, whose shapes only a run decides", text, unsized));
    }
  }
}

}  // namespace sparsify
