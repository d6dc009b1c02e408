#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"
#include "pipeline/starter_recipe.h"
#include "sparsify/command.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

struct Flags {
  std::string model;
  std::string output;
  bool overwrite = false;
};

int run(const Flags& flags) {
  const ModelFile file = ModelFile::load(flags.model);
  const fs::path folder = flags.output.empty() ? fs::path() : fs::path(flags.output).parent_path();
  // Paths in a recipe are relative to the recipe.
  const fs::path model = fs::path(flags.model).is_absolute() ? fs::path(flags.model)
                                                             : fs::relative(flags.model, folder.empty() ? fs::path(".") : folder);
  const std::string text = starter_recipe(file, model.string(), model.stem().string() + ".slim.onnx");
  std::error_code ignored;
  if (fs::equivalent(flags.model, flags.output, ignored)) {
    throw ConfigError{{.what = "the recipe would replace the model", .where = flags.output, .fix = "choose another name, such as recipe.yaml"}};
  }
  if (flags.output.empty()) print(text);
  else write_file_atomically(flags.output, text, flags.overwrite);
  return kDone;
}

std::function<int()> declare(CLI::App& app, Context&) {
  const auto flags = std::make_shared<Flags>();
  app.add_option("MODEL", flags->model, "ONNX file")->required();
  app.add_option("-o,--output", flags->output, "recipe to write; stdout when absent")->type_name("FILE");
  app.add_flag("--overwrite", flags->overwrite, "replace an existing recipe");
  return [flags] { return run(*flags); };
}

const RegisterCommand entry{{"init", "write a commented recipe for a model", declare}};

}  // namespace
}  // namespace sparsify
