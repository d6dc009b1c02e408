#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "onnx/external_data.h"
#include "onnx/mapped_file.h"
#include "onnx/model_file.h"
#include "onnx/node_edits.h"
#include "onnx/tensor_scan.h"
#include "onnx/typed_fields.h"

namespace sparsify {

/// One tensor of the file: what it is, and where its bytes are.
struct TensorRecord {
  StoredTensor stored;
  Storage storage = Storage::Raw;
  ByteRange raw;       ///< Raw: in the .onnx file; empty where a tensor has no elements and no field
  int data_file = -1;  ///< External: index into data_files, and the range in it
  int64_t offset = 0;
  int64_t bytes = 0;  ///< of the elements, packed
};

struct DataFile {
  std::string location;  ///< as the model spells it
  std::shared_ptr<const MappedFile> file;
};

/// Where external data is for the time being: location in the model -> path on disk (Writer::reopen).
using Redirects = std::map<std::string, std::string>;

struct ModelFile::Impl {
  std::string path;
  std::shared_ptr<const MappedFile> file;
  ModelScan scan;
  ModelGraph model;
  std::vector<TensorRecord> tensors;
  std::vector<DataFile> data_files;
  std::vector<std::string> warnings;

  std::map<int, BitMask> masks;
  std::map<int, HostTensor> replacements;
  GraphEdits edits;
  NodeEdits node_edits;

  mutable std::once_flag digest_once;
  mutable std::string digest;

  static std::unique_ptr<Impl> load(const std::string& path, const LoadOptions& options,
                                    const Redirects& redirects = {});
  /// For friends of the class that need a file of an Impl.
  static ModelFile wrap(std::unique_ptr<Impl> impl) { return ModelFile(std::move(impl)); }
  static const Impl& of(const ModelFile& file) { return *file.impl_; }
  static Impl& of(ModelFile& file) { return *file.impl_; }

  const TensorRecord& record(int id) const;
  HostTensor data(int id) const;
  std::span<const std::byte> external_bytes(const TensorRecord& record) const;
};

/// `tensor "conv1.weight"`, for messages.
std::string tensor_label(const StoredTensor& tensor);

/// What the bytes are when they are no ONNX model: `a zip archive (a PyTorch checkpoint?)`; "" if unknown.
std::string guess_format(std::span<const std::byte> file);

/// Type, shape and storage of every tensor against the bytes there are; fills records and data_files.
///   entries   external_data of each tensor (by id), empty where it is not stored externally
void locate_tensors(ModelFile::Impl& impl, const LoadOptions& options, const Redirects& redirects,
                    const std::vector<std::vector<std::pair<std::string, std::string>>>& entries);

/// Parses all but the tensors' payloads, fills model, tensors[].stored and warnings.
///   returns the external_data entries of each tensor
std::vector<std::vector<std::pair<std::string, std::string>>> parse_model(ModelFile::Impl& impl);

}  // namespace sparsify
