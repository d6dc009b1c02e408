#include <nlohmann/json.hpp>

#include "base/error.h"
#include "sparsify/command.h"
#include "sparsify/recipe_flags.h"
#include "sparsify/show_outcome.h"

namespace sparsify {
namespace {

struct Flags {
  RecipeFlags recipe;
  std::string plan;
  bool dry_run = false;
  bool overwrite = false;
  bool resume = false;
  bool print_config = false;
  bool allow_linked_data = false;
};

int run(const Flags& flags, const Context& context) {
  const Recipe recipe = flags.recipe.recipe();
  if (flags.print_config) {
    print(context.json ? to_json(resolved(recipe)).dump(2) + "\n" : to_yaml(resolved(recipe)));
    return kDone;
  }
  return show_outcome(prune({.recipe = recipe,
                             .command = context.command_line,
                             .plan = flags.plan,
                             .dry_run = flags.dry_run,
                             .overwrite = flags.overwrite,
                             .resume = flags.resume,
                             .allow_linked_data = flags.allow_linked_data,
                             .input_shapes = context.shapes()}),
                      context);
}

std::function<int()> declare(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<Flags>();
  app.add_option("MODEL", flags->recipe.model, "ONNX file");
  app.add_option("-o,--output", flags->recipe.output, "ONNX file to write; the evidence goes to the folder NAME.sparsify beside it")
      ->type_name("FILE");
  flags->recipe.declare_pruning(app);
  flags->recipe.declare_training(app);
  flags->recipe.declare_data(app);
  flags->recipe.declare_run(app);
  flags->recipe.declare_precision(app);
  app.add_option("--plan", flags->plan, "plan.json, or its folder NAME.sparsify: apply the masks of another run to this checkpoint of the same graph; with --train-data the weights that stay are solved on them")->type_name("FILE");
  app.add_flag("--dry-run", flags->dry_run, "show what would be pruned, write nothing");
  app.add_flag("--overwrite", flags->overwrite, "replace an existing output, drop checkpoints of an unfinished run");
  app.add_flag("--resume", flags->resume, "go on with what an interrupted run of the same recipe has finished");
  app.add_flag("--print-config", flags->print_config, "print the complete recipe and stop");
  app.add_flag("--allow-linked-data", flags->allow_linked_data, "follow links from the model's folder to its external data");
  add_input_option(app, context);
  return [flags, &context] { return run(*flags, context); };
}

const RegisterCommand entry{{"prune", "prune a model: ONNX in, ONNX and evidence out", declare}};

}  // namespace
}  // namespace sparsify
