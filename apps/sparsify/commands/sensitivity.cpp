#include "pipeline/sensitivity.h"

#include <filesystem>

#include "base/error.h"
#include "sparsify/command.h"
#include "sparsify/recipe_flags.h"

namespace sparsify {
namespace {

struct Flags {
  RecipeFlags recipe;
  std::string folder;
  std::string sparsities = "0.5,0.7,0.8,0.9,0.95";
  std::string patterns = "unstructured";
  int64_t samples = 512;
  bool overwrite = false;
};

/// `0.5,0.9` and `unstructured,{block: [4, 1]}` are what stands between the brackets of a YAML list.
Setting::List list_of(const std::string& text, const char* flag) {
  const Setting value = parse_yaml("[" + text + "]", flag);
  Setting::List list;
  for (Setting element : value.list()) list.push_back(std::move(element.set_mark({flag, 0})));
  return list;
}

std::vector<double> numbers_of(const std::string& text, const char* flag) {
  std::vector<double> numbers;
  for (const Setting& value : list_of(text, flag)) {
    if (!value.is_number()) {
      throw ConfigError{{.what = "a sparsity is " + value.describe(), .where = flag, .fix = "use numbers between 0 and 1, such as 0.5,0.8,0.9"}};
    }
    numbers.push_back(value.number());
  }
  return numbers;
}

int run(const Flags& flags, const Context& context) {
  RecipeFlags with_rule = flags.recipe;
  // Without a recipe every layer is measured, the first and the last ones too: that is what the table is for.
  if (with_rule.config.empty()) with_rule.own_sets.emplace_back("prune.0.select.first_last=true");
  with_rule.include_flag = "--layers";
  const SensitivityRequest request{.recipe = with_rule.recipe(),
                                   .data = flags.recipe.data.empty() ? "" : "eval",
                                   .command = context.command_line,
                                   .folder = flags.folder,
                                   .sparsities = numbers_of(flags.sparsities, "--sparsities"),
                                   .patterns = list_of(flags.patterns, "--patterns"),
                                   .samples = flags.samples,
                                   .overwrite = flags.overwrite,
                                   .input_shapes = context.shapes()};
  const SensitivityReport report = measure_sensitivity(request);
  if (context.json) {
    print(to_json_text(report));
  } else {
    const std::string html = flags.folder.empty() ? "" : (std::filesystem::path(flags.folder) / "sensitivity.html").string();
    print(to_terminal(report, {.width = context.width(), .colour = context.colour(), .utf8 = context.utf8(), .html_path = html}));
  }
  return kDone;
}

std::function<int()> declare(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<Flags>();
  app.add_option("MODEL", flags->recipe.model, "ONNX file");
  app.add_option("-o,--output", flags->folder, "folder for sensitivity.json, .csv and .html; nothing is written without it")->type_name("DIR");
  app.add_option("--sparsities", flags->sparsities, "at which every layer is measured")->type_name("LIST")->capture_default_str();
  app.add_option("--patterns", flags->patterns, "such as unstructured,2:4,{block: [4, 1]}")->type_name("LIST")->capture_default_str();
  app.add_option("--layers", flags->recipe.include, "glob on node and initializer names, once for each; all when absent")->type_name("GLOB")->allow_extra_args(false);
  app.add_option("--exclude", flags->recipe.exclude, "glob on node and initializer names; once for each")->type_name("GLOB")->allow_extra_args(false);
  app.add_option("--criterion", flags->recipe.criterion, "which weights go first (`sparsify list criterion`)")->type_name("NAME");
  app.add_option("--samples", flags->samples, "at most so many, drawn with the seed; 0: all")->type_name("N")->capture_default_str();
  flags->recipe.declare_data(app);
  flags->recipe.declare_run(app);
  flags->recipe.declare_precision(app);
  app.add_flag("--overwrite", flags->overwrite, "replace existing results");
  add_input_option(app, context);
  return [flags, &context] { return run(*flags, context); };
}

const RegisterCommand entry{{"sensitivity", "what pruning each layer alone does to the model, by sparsity", declare}};

}  // namespace
}  // namespace sparsify
