#include "pipeline/train_classes.h"

#include <algorithm>

#include "data/selection.h"

namespace sparsify {

int64_t stated_classes(const ValueInfo& output) {
  if (!output.shape || output.shape->size() < 2) return 0;
  const int64_t second = (*output.shape)[1].size;
  const int64_t last = output.shape->back().size;
  const int64_t most = std::max(second, last);
  return second < 0 || last < 0 || most < 2 ? 0 : most;
}

std::map<std::string, Setting> with_stated_classes(const Recipe& recipe, const TrainSettings& settings, const ModelFile& file, const std::string& set) {
  std::map<std::string, Setting> sets = recipe.data;
  const bool classifies = settings.loss.name == "auto" || settings.loss.name == "cross_entropy";
  const bool only_taught = settings.distill.active && settings.distill.weight == 1;
  if (!classifies || only_taught || !sets.contains(set) || resolve_set(set, sets).keys.find("classes") != nullptr) return sets;
  const std::vector<ValueInfo>& outputs = file.model().graph.outputs;
  const auto output = settings.loss.output.empty() ? outputs.begin()
                                                   : std::find_if(outputs.begin(), outputs.end(), [&](const ValueInfo& one) { return one.name == settings.loss.output; });
  if (output == outputs.end()) return sets;
  if (const int64_t classes = stated_classes(*output); classes > 0) sets.at(set).set("classes", Setting(classes));
  return sets;
}

}  // namespace sparsify
