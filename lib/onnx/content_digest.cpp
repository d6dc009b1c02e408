#include "onnx/content_digest.h"

#include <algorithm>

#include "base/sha256.h"
#include "onnx/model_impl.h"

namespace sparsify {

std::string content_digest(const ModelFile& file) {
  const ModelFile::Impl& impl = ModelFile::Impl::of(file);
  if (impl.data_files.empty()) return file.sha256();
  Sha256 digest;
  digest.update(std::as_bytes(std::span(file.sha256())));
  constexpr size_t piece = size_t{16} << 20;
  for (const DataFile& data : impl.data_files) {
    digest.update(std::as_bytes(std::span(data.location)));
    for (std::span<const std::byte> left = data.file->bytes(); !left.empty(); left = left.subspan(std::min(piece, left.size()))) {
      digest.update(left.first(std::min(piece, left.size())));
      data.file->release();
    }
  }
  return digest.finish();
}

}  // namespace sparsify
