#include "pipeline/prune.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/names.h"
#include "report/renderers.h"
#include "sparsify/command.h"
#include "sparsify/recipe_flags.h"

namespace sparsify {
namespace {

struct Flags {
  RecipeFlags recipe;
  std::string plan;
  bool dry_run = false;
  bool overwrite = false;
  bool print_config = false;
  bool allow_linked_data = false;
};

int run(const Flags& flags, const Context& context) {
  const Recipe recipe = flags.recipe.recipe();
  if (flags.print_config) {
    print(context.json ? to_json(resolved(recipe)).dump(2) + "\n" : to_yaml(resolved(recipe)));
    return kDone;
  }
  const PruneOutcome outcome = prune({.recipe = recipe,
                                      .command = context.command_line,
                                      .plan = flags.plan,
                                      .dry_run = flags.dry_run,
                                      .overwrite = flags.overwrite,
                                      .allow_linked_data = flags.allow_linked_data,
                                      .input_shapes = context.shapes()});
  if (context.json) {
    print(to_json_text(outcome.report));
  } else {
    print(to_terminal(outcome.report, {.width = context.width(),
                                       .colour = context.colour(),
                                       .utf8 = context.utf8(),
                                       .verbose = context.verbose,
                                       .html_path = outcome.html_path}));
  }
  if (outcome.passed) return kDone;
  std::vector<std::string> failed;
  for (const GateResult& gate : outcome.report.gates) {
    if (!gate.passed) failed.push_back("gate " + gate.name);
  }
  for (const VerificationResult& check : outcome.report.verification) {
    if (!check.passed) failed.push_back("verification " + check.check);
  }
  throw GateError{{.what = "no model was written: " + join(failed) + " failed",
                   .where = outcome.folder,
                   .fix = "prune less, choose other layers, or change the gate; the report there has the numbers"}};
}

std::function<int()> declare(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<Flags>();
  app.add_option("MODEL", flags->recipe.model, "ONNX file");
  app.add_option("-o,--output", flags->recipe.output, "ONNX file to write; the evidence goes to the folder NAME.sparsify beside it")
      ->type_name("FILE");
  flags->recipe.declare_pruning(app);
  flags->recipe.declare_data(app);
  flags->recipe.declare_run(app);
  app.add_option("--plan", flags->plan, "apply the decisions of another run to this checkpoint of the same graph")->type_name("FILE");
  app.add_flag("--dry-run", flags->dry_run, "show what would be pruned, write nothing");
  app.add_flag("--overwrite", flags->overwrite, "replace an existing output");
  app.add_flag("--print-config", flags->print_config, "print the complete recipe and stop");
  app.add_flag("--allow-linked-data", flags->allow_linked_data, "follow links from the model's folder to its external data");
  add_input_option(app, context);
  return [flags, &context] { return run(*flags, context); };
}

const RegisterCommand entry{{"prune", "prune a model: ONNX in, ONNX and evidence out", declare}};

}  // namespace
}  // namespace sparsify
