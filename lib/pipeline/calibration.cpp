#include "pipeline/calibration.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"

namespace sparsify {

void require_calibration(const Recipe& recipe, const std::string& wanted_by, int64_t samples) {
  if (recipe.data.contains("calibration") || recipe.data.contains("train")) return;
  const bool has_eval = recipe.data.contains("eval");
  throw ConfigError{{.what = fmt::format("{} needs calibration data, and {}", wanted_by,
                                         has_eval ? "only evaluation data is given, which must stay unseen" : "no data is given"),
                     .where = "data.calibration",
                     .fix = fmt::format("give training data: --train-data FORMAT:PATH,... ({} samples of it are used), or "
                                        "--calibration-data FORMAT:PATH,..., or data.calibration in the recipe",
                                        samples)}};
}

DataSource open_calibration(const ModelFile& file, const Recipe& recipe, const std::string& wanted_by, int64_t samples) {
  require_calibration(recipe, wanted_by, samples);
  const InputSignature& signature = file.model().graph.inputs;
  const auto seed = static_cast<uint64_t>(recipe.seed);
  if (recipe.data.contains("calibration")) {
    const Setting* from = recipe.data.at("calibration").find("from");
    if (from != nullptr && from->describe().find("eval") != std::string::npos) {
      log_warning("calibrating on data.eval, as data.calibration says: what is measured there afterwards is no test");
    }
    return DataSource("calibration", recipe.data, signature, seed);
  }
  const DataSource train("train", recipe.data, signature, seed);
  std::map<std::string, Setting> sets = recipe.data;
  Setting calibration(Setting::Map{});
  calibration.set("from", Setting("train"));
  calibration.set("samples", Setting(std::min(samples, train.size())));
  sets["calibration"] = calibration;
  return DataSource("calibration", sets, signature, seed);
}

}  // namespace sparsify
