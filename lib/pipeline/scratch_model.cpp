#include "pipeline/scratch_model.h"

#include <filesystem>

namespace sparsify {

ScratchModel::ScratchModel(const std::string& model, bool allow_linked_data, const WeightMap& weights, const std::string& folder) {
  std::filesystem::create_directories(folder);
  ModelFile copy = ModelFile::load(model, {.allow_linked_data = allow_linked_data});
  for (const auto& [id, weight] : weights) copy.replace_tensor_(id, weight);
  writer_ = copy.write((std::filesystem::path(folder) / "weights.onnx").string(), {.overwrite = true});
  file_ = std::make_unique<ModelFile>(writer_->reopen());
}

}  // namespace sparsify
