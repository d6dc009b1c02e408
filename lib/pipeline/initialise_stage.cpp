#include "pipeline/initialise_stage.h"

#include <fmt/core.h>

#include <memory>
#include <vector>

#include "base/error.h"
#include "base/names.h"
#include "config/initialise.h"
#include "initialisers/initialiser.h"
#include "mask/prunable.h"
#include "onnx/flat_graph.h"

namespace sparsify {
namespace {

std::unique_ptr<Initialiser> initialiser_of(const Recipe& recipe) {
  const Setting setting = initialise_of(recipe);
  const NamedOptions named = split_name(setting, "initialise");
  const auto& registry = Registry<Initialiser>::instance();
  if (!registry.contains(named.name)) {
    throw ConfigError{{.what = fmt::format("no initialiser is named \"{}\"", named.name),
                       .where = fmt::format("{} (initialise)", setting.mark().text()),
                       .fix = suggest(named.name, registry.names())}};
  }
  auto initialiser = registry.make(named.name, named.options);
  named.options.reject_unread();
  return initialiser;
}

/// Values of scale, shift, mean and variance by the position of the input.
std::map<size_t, float> normal_values(const std::string& op) {
  if (op == "BatchNormalization") return {{1, 1}, {2, 0}, {3, 0}, {4, 1}};
  if (op == "LayerNormalization" || op == "GroupNormalization" || op == "InstanceNormalization") return {{1, 1}, {2, 0}};
  if (op == "RMSNormalization" || op == "SimplifiedLayerNormalization") return {{1, 1}};
  if (op == "SkipLayerNormalization") return {{2, 1}, {3, 0}, {4, 0}};
  if (op == "SkipSimplifiedLayerNormalization") return {{2, 1}, {3, 0}};
  if (op == "EmbedLayerNormalization") return {{5, 1}, {6, 0}};
  return {};
}

std::map<int, float> normalisations(const ModelFile& file) {
  const FlatGraph graph = flatten(file.model());
  std::map<std::string, float> by_value;
  for (const FlatNode& node : graph.nodes) {
    for (const auto& [position, value] : normal_values(node.node->op_type)) {
      if (position < node.inputs.size() && !node.inputs[position].empty()) by_value.emplace(node.inputs[position], value);
    }
  }
  std::map<int, float> by_id;
  for (const FlatTensor& tensor : graph.tensors) {
    const auto found = by_value.find(tensor.value);
    if (found != by_value.end() && tensor.tensor.id >= 0) by_id.emplace(tensor.tensor.id, found->second);
  }
  return by_id;
}

}  // namespace

bool initialises(const Recipe& recipe) {
  if (initialise_of(recipe).is_null()) return false;
  initialiser_of(recipe);
  return true;
}

FreshWeights fresh_weights(const ModelFile& file, const Recipe& recipe) {
  const std::unique_ptr<Initialiser> initialiser = initialiser_of(recipe);
  const auto seed = static_cast<uint64_t>(recipe.seed);
  const std::map<int, float> normals = normalisations(file);
  FreshWeights fresh;
  int64_t drawn = 0;
  int64_t zeroed = 0;
  size_t written_out = 0;
  std::vector<std::string> kept;
  for (const PrunableTensor& tensor : find_tensors(file)) {
    if (tensor.scale_id >= 0 || !is_prunable_float(tensor.type)) {
      throw ResourceError{{.what = fmt::format("weight \"{}\" is quantised ({}): fresh weights are floating-point numbers", tensor.initializer, name_of(tensor.type)),
                           .where = file.path(),
                           .fix = "start from a float model, or leave initialise out"}};
    }
    const auto normal = normals.find(tensor.id);
    if (normal != normals.end()) {
      fresh.tensors.emplace(tensor.id, filled(tensor.type, tensor.shape, normal->second));
    } else if (tensor.kind == "weight" || tensor.kind == "embedding") {
      fresh.tensors.emplace(tensor.id, initialiser->draw(tensor, seed));
      ++drawn;
    } else if (tensor.kind == "bias" && !tensor.shape.empty()) {
      fresh.tensors.emplace(tensor.id, filled(tensor.type, tensor.shape, 0));
      ++zeroed;
    } else if (tensor.kind == "norm" && (tensor.op == "Mul" || tensor.op == "Add" || tensor.op == "Sub")) {  // written out in small operators
      fresh.tensors.emplace(tensor.id, filled(tensor.type, tensor.shape, tensor.op == "Mul" ? 1 : 0));
      ++written_out;
    } else if (tensor.count() > 1) {
      kept.push_back(tensor.initializer);
    }
  }
  const std::string name = split_name(initialise_of(recipe), "initialise").name;
  fresh.note = fmt::format("Fresh weights ({} {}): {} tensors drawn, {} biases 0, {} tensors of normalisations reset", name, initialiser->describe(seed), drawn, zeroed,
                           normals.size() + written_out);
  if (!kept.empty()) fresh.note += fmt::format("; constants stay: {}", join(kept));
  return fresh;
}

}  // namespace sparsify
