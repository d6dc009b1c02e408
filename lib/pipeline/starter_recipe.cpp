#include "pipeline/starter_recipe.h"

#include <fmt/core.h>

#include "config/recipe.h"
#include "mask/prunable.h"

namespace sparsify {
namespace {

std::string quoted(const std::string& text) {
  std::string yaml = to_yaml(Setting(text));
  while (!yaml.empty() && yaml.back() == '\n') yaml.pop_back();
  return yaml;
}

}  // namespace

std::string starter_recipe(const ModelFile& file, const std::string& model_path, const std::string& output_path) {
  const std::vector<PrunableTensor> tensors = find_tensors(file);
  int64_t weights = 0;
  int64_t selected = 0;
  std::vector<std::string> kept;
  for (const PrunableTensor& tensor : tensors) {
    if (tensor.kind != "weight") continue;
    weights += tensor.count();
    if (tensor.first || tensor.last) kept.push_back(tensor.layer);
    else selected += tensor.count();
  }
  std::string inputs;
  for (const ValueInfo& input : file.model().graph.inputs) inputs += fmt::format("#   {} {}\n", input.name, input.signature());
  std::string text = fmt::format(
      "# A recipe for `sparsify prune --config THIS_FILE`. Keys that are left out keep their defaults;\n"
      "# `sparsify prune --config THIS_FILE --print-config` prints them all, `sparsify schema` describes them.\n"
      "model: {}\noutput: {}\nseed: 0\n\n"
      "# What the model wants:\n{}"
      "# Name a data set and accuracy is measured before and after; formats: `sparsify list \"data format\"`.\n"
      "# data:\n"
      "#   eval: {{format: npz, path: eval.npz, scale: 255}}\n\n",
      quoted(model_path), quoted(output_path), inputs);
  text += fmt::format(
      "# Rules are applied in order; a tensor belongs to the last rule that selects it.\n"
      "prune:\n"
      "  - select:\n"
      "      ops: [Conv, Gemm, MatMul]   # {} of {} weights; biases, norms and embeddings are left alone\n"
      "      include: [\"*\"]              # globs on node and initializer names\n"
      "      exclude: []\n",
      selected, weights);
  for (const std::string& name : kept) text += fmt::format("      # kept dense (first or last layer) unless named in include: {}\n", name);
  text +=
      "    criterion: magnitude          # `sparsify list criterion`\n"
      "    pattern: unstructured         # or \"2:4\" (then without sparsity and allocation), {block: [4, 1]}\n"
      "    allocation: global            # or uniform: the same sparsity everywhere\n"
      "    sparsity: 0.5                 # fraction of zeros in [0, 1)\n"
      "    min_density: 0.01             # least fraction that every layer keeps\n\n"
      "# A missed gate writes no model and exits with 4.\n"
      "gates: {min_sparsity: 0.49}       # with data: max_accuracy_drop: 0.5 (points)\n"
      "report: {formats: [json, html, csv, junit]}\n";
  return text;
}

}  // namespace sparsify
