#include "pipeline/advice.h"

#include <fmt/core.h>

#include <algorithm>

#include "mask/normalised.h"

namespace sparsify {

std::vector<std::string> speed_notes(const Decisions& decisions, double sparsity) {
  const auto uses = [&](auto&& predicate) {
    return std::any_of(decisions.decided.begin(), decisions.decided.end(), [&](const Decision& d) { return predicate(d.pattern); });
  };
  std::vector<std::string> notes;
  if (decisions.cut && sparsity <= 0) return {"Nothing was removed: the warnings say why."};
  if (decisions.cut) {
    notes.emplace_back("What was removed is gone from the graph: every runtime gains. Widths that are multiples of 8 or 16 gain more on most processors "
                       "(round_to: 8).");
    return notes;
  }
  notes.emplace_back("Zeros are not speed: ONNX Runtime and OpenVINO multiply them like any other number, and the file keeps "
                     "its size until it is compressed.");
  if (uses([](const std::string& pattern) { return pattern == "2:4"; })) {
    notes.emplace_back("2:4 is faster on NVIDIA GPUs from Ampere on, in fp16 or int8 through TensorRT, mostly for layers with more "
                       "than 256 input and output channels; no CPU runtime uses it.");
  }
  if (uses([](const std::string& pattern) { return pattern == "unstructured"; }) && sparsity >= 0.8) {
    notes.emplace_back("From about 80 % zeros on, kernels for compressed rows (LibTorch's CSR product with MKL) beat dense ones on CPUs.");
  }
  return notes;
}

std::string data_note(const Recipe& recipe, const Decisions& decisions) {
  if (recipe.data.contains("train") || recipe.data.contains("calibration") || decisions.cut || decisions.decided.empty()) return "";
  return "No calibration data: with --train-data FORMAT:PATH (no labels needed) the weights that stay are solved again "
         "(ResNet-20, 90 % uniform: 16.9 % top-1 becomes 83.1 %, docs/results.md).";
}

std::string unfold_note(const Recipe& recipe, const ModelFile& file) {
  if (recipe.train.is_null() || recipe.train.find("unfold") != nullptr || recipe.train.find("batch_norm") != nullptr) return "";
  int64_t convolutions = 0;
  int64_t biased = 0;
  for (const Node& node : file.model().graph.nodes) {
    if (node.op_type.ends_with("Normalization")) return "";
    if (node.op_type != "Conv") continue;
    ++convolutions;
    biased += node.inputs.size() > 2 && !node.inputs[2].empty() ? 1 : 0;
  }
  if (biased < 3 || 2 * biased < convolutions || !find_normalised_values(file, flatten(file.model())).empty()) return "";
  return fmt::format("{} convolutions have biases and the graph has no normalisation: if BatchNormalization was folded into them when it was exported, "
                     "train: {{unfold: true}} trains with it (ResNet-20: docs/results.md); a network that never had any is better off without.", biased);
}

}  // namespace sparsify
