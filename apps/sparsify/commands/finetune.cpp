#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "sparsify/recipe_flags.h"
#include "sparsify/show_outcome.h"

namespace sparsify {
namespace {

struct Flags {
  RecipeFlags recipe;
  bool overwrite = false;
  bool resume = false;
  bool print_config = false;
  bool allow_linked_data = false;
};

int run(const Flags& flags, const Context& context) {
  Recipe recipe = flags.recipe.recipe();
  if (recipe.train.is_null()) recipe.train = Setting(Setting::Map{});
  if (!recipe.prune.empty()) {
    throw ConfigError{{.what = "finetune holds the zeros that are there and prunes nothing, but the recipe has rules",
                       .where = recipe.prune.front().mark.text() + " (prune)",
                       .fix = "use `sparsify prune` with this recipe, or take prune: out of it"}};
  }
  if (recipe.repair != "auto" && recipe.repair != "none") {
    throw ConfigError{{.what = fmt::format("finetune trains and repairs nothing, and the recipe asks for repair: {}", recipe.repair),
                       .where = recipe.source.find("repair")->mark().text() + " (repair)",
                       .fix = "repair in the run that prunes, `sparsify prune`, or remove it"}};
  }
  if (flags.print_config) {
    print(context.json ? to_json(resolved(recipe)).dump(2) + "\n" : to_yaml(resolved(recipe)));
    return kDone;
  }
  return show_outcome(prune({.recipe = recipe,
                             .command = context.command_line,
                             .overwrite = flags.overwrite,
                             .resume = flags.resume,
                             .hold_zeros = true,
                             .allow_linked_data = flags.allow_linked_data,
                             .input_shapes = context.shapes()}),
                      context);
}

std::function<int()> declare(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<Flags>();
  app.add_option("MODEL", flags->recipe.model, "pruned ONNX file");
  app.add_option("-o,--output", flags->recipe.output, "ONNX file to write; the evidence goes to the folder NAME.sparsify beside it")
      ->type_name("FILE");
  app.add_option("--train-data", flags->recipe.train_data, "data set to train with: FORMAT:PATH[,key=value...]")->type_name("DATA");
  flags->recipe.declare_training(app);
  flags->recipe.declare_data(app);
  flags->recipe.declare_run(app);
  flags->recipe.declare_precision(app);
  app.add_flag("--overwrite", flags->overwrite, "replace an existing output, drop checkpoints of an unfinished run");
  app.add_flag("--resume", flags->resume, "go on from the checkpoint of an unfinished run, if there is one");
  app.add_flag("--print-config", flags->print_config, "print the complete recipe and stop");
  app.add_flag("--allow-linked-data", flags->allow_linked_data, "follow links from the model's folder to its external data");
  add_input_option(app, context);
  return [flags, &context] { return run(*flags, context); };
}

const RegisterCommand entry{{"finetune", "train a pruned model with its zeros held: ONNX in, ONNX and evidence out", declare}};

}  // namespace
}  // namespace sparsify
