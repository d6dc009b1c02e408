#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "onnx/graph.h"
#include "onnx/graph_edits.h"
#include "tensor/bit_mask.h"

namespace sparsify {

struct LoadOptions {
  /// External data behind a symbolic or hard link is refused unless the user says so.
  bool allow_linked_data = false;
};

struct SaveOptions {
  bool overwrite = false;
};

struct SavedFile {
  std::string path;
  std::string sha256;  ///< of the .onnx file
  int64_t size_bytes = 0;  ///< with external data
  std::vector<std::string> data_paths;
};

/// How a tensor's elements are kept in the file; an edited tensor keeps its kind.
enum class Storage { Raw, Typed, External };

/// An ONNX file: mapped, not copied, and written back byte for byte where it was not edited.
///
/// The file is scanned at the level of the protobuf wire format, so unknown fields, unusual field order and
/// non-canonical encodings come back as they came. Tensor payloads stay in the mapping; only the rest is
/// parsed. The memory used is that of the graph, not of the weights.
class ModelFile {
 public:
  /// throws ResourceError: cannot be read, truncated, not ONNX, IR or opset outside what is known to work,
  ///        external data missing, too short, outside the folder, or a link; a tensor whose shape
  ///        disagrees with its bytes; a cycle; two producers of one value
  static ModelFile load(const std::string& path, const LoadOptions& options = {});

  ModelFile(ModelFile&&) noexcept;
  ModelFile& operator=(ModelFile&&) noexcept;
  ~ModelFile();

  const std::string& path() const;
  const ModelGraph& model() const;
  /// SHA-256 of the .onnx file itself.
  const std::string& sha256() const;
  /// Bytes of the .onnx file and of the external data it refers to.
  int64_t size_bytes() const;
  /// Things worth telling: a newer opset than known, duplicate metadata keys.
  const std::vector<std::string>& warnings() const;

  int tensor_count() const;
  const StoredTensor& tensor(int id) const;
  Storage storage(int id) const;
  /// A view into the mapping for raw and external storage, a decoded copy for typed fields. Ignores edits.
  /// throws ResourceError if external data were written to since loading
  HostTensor tensor_data(int id) const;
  /// The mapped pages of the tensor may leave memory; reading it again brings them back from the file. Keeps the footprint of
  /// a pass over a large model at one tensor.
  void release_tensor_data(int id) const;

  // Edits: kept in memory until write(). The last edit of a tensor wins.

  /// Writes +0.0 where the mask prunes; streamed, so no second copy of the weights exists.
  void mask_tensor_(int id, BitMask mask);
  /// Same type and shape as stored.
  void replace_tensor_(int id, HostTensor data);
  /// Replaces the edits of the graph given before; tensors keep their masks and replacements.
  void edit_graph_(GraphEdits edits);
  const GraphEdits& graph_edits() const;
  bool has_edits() const;

  /// The file with its edits. External data goes to `<output stem>.data...` beside the output, never into the
  /// input's files. Nothing is left behind on failure.
  /// throws ResourceError, ExhaustedError (disk full), ConfigError (exists, no overwrite)
  class Writer;
  std::unique_ptr<Writer> write(const std::string& path, const SaveOptions& options = {}) const;

  /// The model without its large payloads as serialised protobuf: input of checker and shape inference.
  /// Payloads above `limit` bytes are declared as external data in `location`.
  std::string skeleton(const std::string& location, int64_t limit = 4096) const;

  struct Impl;  ///< onnx/model_impl.h, for the files of this folder

 private:
  explicit ModelFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A finished output that has not got its name yet: checks read it back with reopen() and then call commit();
/// without commit() nothing is left and an old output stays as it was.
class ModelFile::Writer {
 public:
  virtual ~Writer() = default;
  /// What is on disk now, with its external data, read like any other file.
  virtual ModelFile reopen() const = 0;
  virtual SavedFile commit() = 0;
};

}  // namespace sparsify
