#include "pipeline/scratch_model.h"

#include <filesystem>

#include "onnx/file_on_disk.h"

namespace sparsify {

ScratchModel::ScratchModel(const ModelFile& model, const WeightMap& weights, const std::string& folder) : folders_(folder) {
  const FileOnDisk source(model);
  ModelFile copy = ModelFile::load(source.path(), {.allow_linked_data = true});  // `model` was let in already
  for (const auto& [id, weight] : weights) copy.replace_tensor_(id, weight);
  writer_ = copy.write((std::filesystem::path(folder) / "weights.onnx").string(), {.overwrite = true});
  file_ = std::make_unique<ModelFile>(writer_->reopen());
}

}  // namespace sparsify
