#pragma once

#include <vector>

#include "onnx/model_impl.h"
#include "onnx/splice.h"

namespace sparsify {

/// The edits of tensors that are stored in the .onnx file, without length prefixes. The splices refer to `impl`.
std::vector<Splice> edits_inside(const ModelFile::Impl& impl);

/// The edits of tensors in one data file.
/// throws ResourceError when an edited tensor shares bytes with another one
std::vector<Splice> edits_of_data_file(const ModelFile::Impl& impl, int data_file);

/// Whether any tensor in the data file is edited.
bool is_data_file_edited(const ModelFile::Impl& impl, int data_file);

}  // namespace sparsify
