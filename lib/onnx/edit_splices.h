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

/// Whether the tensor's bytes change their number: sliced, replaced by one of another shape, or removed.
bool is_resized(const ModelFile::Impl& impl, int id);

/// The elements as they are to be written: masked or replaced, then sliced.
HostTensor edited_elements(const ModelFile::Impl& impl, int id);

/// Where an external tensor lies once its data file was written anew.
struct MovedData {
  int64_t offset = 0;
  int64_t length = 0;
};

/// Tensors of a data file whose offset or length changes, by id. The tensors behind a resized one move by a multiple of
/// the alignment that all offsets of the file share (at most a page).
std::map<int, MovedData> moved_data(const ModelFile::Impl& impl, int data_file);

}  // namespace sparsify
