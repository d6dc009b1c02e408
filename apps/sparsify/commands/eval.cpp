#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "pipeline/evaluate.h"
#include "pipeline/precision.h"
#include "sparsify/command.h"
#include "sparsify/recipe_flags.h"

namespace sparsify {
namespace {

struct Flags {
  RecipeFlags recipe;
  std::string runtime = "libtorch";
};

int run(const Flags& flags, const Context& context) {
  const Recipe recipe = flags.recipe.recipe();
  if (recipe.model.empty() || !recipe.data.contains("eval")) {
    throw ConfigError{{.what = recipe.model.empty() ? "no model is named" : "no data set is named",
                       .where = "eval",
                       .fix = "sparsify eval MODEL --data FORMAT:PATH[,key=value...]"}};
  }
  const ModelFile file = ModelFile::load(recipe.model);
  const DataSource data("eval", recipe.data, file.model().graph.inputs, static_cast<uint64_t>(recipe.seed));
  const MetricResult result = evaluate(file, data,
                                       {.metric = recipe.metric,
                                        .runtime = flags.runtime,
                                        .session = {.threads = static_cast<int>(recipe.threads), .device = recipe.device,
                                                    .bfloat16 = computes_in_bfloat16(recipe, file)}});
  if (context.json) {
    const nlohmann::ordered_json document = {
        {"metric", {{"name", result.name}, {"value", *result.after}, {"samples", result.samples}, {"unit", result.unit}}},
        {"model", {{"path", file.path()}, {"sha256", file.sha256()}}},
        {"data", result.data},
        {"runtime", make_runtime(flags.runtime)->version()}};
    print(document.dump(2) + "\n");
  } else {
    print(fmt::format("{} {:.6g}{} over {} samples ({})\n", result.name, *result.after, result.unit.empty() ? "" : " " + result.unit,
                      result.samples, result.data));
  }
  return kDone;
}

std::function<int()> declare(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<Flags>();
  app.add_option("MODEL", flags->recipe.model, "ONNX file");
  flags->recipe.declare_data(app);
  flags->recipe.declare_run(app);
  flags->recipe.declare_precision(app);
  app.add_option("--runtime", flags->runtime, "what runs the model (`sparsify list runtime`)")->type_name("NAME")->capture_default_str();
  return [flags, &context] { return run(*flags, context); };
}

const RegisterCommand entry{{"eval", "measure a metric of a model over a data set", declare}};

}  // namespace
}  // namespace sparsify
