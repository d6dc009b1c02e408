#include "onnx/model_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <fmt/core.h>

#include <limits>

#include "base/error.h"
#include "base/sha256.h"
#include "onnx/graph_check.h"
#include "onnx/model_impl.h"

namespace sparsify {
namespace {

[[noreturn]] void refuse_format(const MappedFile& file, const std::string& detail) {
  const std::string guess = guess_format(file.bytes());
  throw ResourceError{
      {.what = guess.empty() ? "the file is not an ONNX model: " + detail
                             : "the file is not an ONNX model but " + guess,
       .where = file.path(),
       .fix = "name an .onnx file, such as torch.onnx.export writes"}};
}

/// Whether the first field is one that a model has: tells a truncated model from something else.
bool begins_like_model(std::span<const std::byte> bytes) {
  try {
    wire::Reader reader(bytes, 0, bytes.size());
    const uint64_t tag = reader.varint();
    const uint64_t number = tag >> 3;
    const bool is_number = number == 1 || number == 5;
    const bool is_bytes = (number >= 2 && number <= 8 && number != 5) || number == 14 ||
                          number == 20 || number == 25 || number == 26;
    return (is_number && (tag & 7) == wire::Varint) || (is_bytes && (tag & 7) == wire::Bytes);
  } catch (const wire::Fault&) {
    return false;
  }
}

[[noreturn]] void refuse_fault(const MappedFile& file, const wire::Fault& fault) {
  const size_t size = file.bytes().size();
  if (fault.kind == wire::Fault::Kind::TooDeep) {
    throw ResourceError{{.what = fmt::format("the model nests messages deeper than {} levels at byte {}",
                                             wire::kMaxDepth, fault.offset),
                         .where = file.path(),
                         .fix = "export the model again with fewer nested subgraphs"}};
  }
  const bool overrun = fault.kind == wire::Fault::Kind::Overrun;
  if (overrun && fault.available == size && begins_like_model(file.bytes()) &&
      guess_format(file.bytes()).empty()) {
    throw ResourceError{{.what = fmt::format("the file is truncated: what begins at byte {} goes to byte "
                                             "{}, the file ends at byte {}",
                                             fault.offset, fault.needed, size),
                         .where = fmt::format("{}: byte {}", file.path(), size),
                         .fix = "copy or download the file again"}};
  }
  refuse_format(file, fmt::format("the protobuf message is malformed at byte {}", fault.offset));
}

void scan_file(ModelFile::Impl& impl) {
  const MappedFile& file = *impl.file;
  const size_t size = file.bytes().size();
  if (size == 0) {
    throw ResourceError{{.what = "the file is empty",
                         .where = file.path(),
                         .fix = "copy or download the file again"}};
  }
  if (size > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    throw ResourceError{{.what = fmt::format("the model message has {} bytes; protobuf ends at 2 GB", size),
                         .where = file.path(),
                         .fix = "save the weights as external data: onnx.save(model, path, "
                                "save_as_external_data=True)"}};
  }
  try {
    impl.scan = scan_model(file.bytes());
  } catch (const wire::Fault& fault) {
    refuse_fault(file, fault);
  }
  if (!impl.scan.has_graph) refuse_format(file, "it has no graph");
  if (!impl.scan.has_ir_version) refuse_format(file, "it has no IR version");
}

}  // namespace

std::unique_ptr<ModelFile::Impl> ModelFile::Impl::load(const std::string& path,
                                                       const LoadOptions& options,
                                                       const Redirects& redirects) {
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  impl->file = MappedFile::open(path);
  scan_file(*impl);
  try {
    const auto entries = parse_model(*impl);
    locate_tensors(*impl, options, redirects, entries);
    check_graphs(impl->model);
  } catch (const wire::Fault& fault) {
    refuse_fault(*impl->file, fault);
  } catch (Error& error) {
    const std::string& inside = error.problem().where;
    if (inside != path) error.set_where(inside.empty() ? path : path + ": " + inside);
    throw;
  }
  return impl;
}

const TensorRecord& ModelFile::Impl::record(int id) const {
  invariant(id >= 0 && id < static_cast<int>(tensors.size()), "a tensor id comes from this file");
  return tensors[static_cast<size_t>(id)];
}

std::span<const std::byte> ModelFile::Impl::external_bytes(const TensorRecord& record) const {
  return data_files[static_cast<size_t>(record.data_file)].file->bytes().subspan(
      static_cast<size_t>(record.offset), static_cast<size_t>(record.bytes));
}

HostTensor ModelFile::Impl::data(int id) const {
  const TensorRecord& tensor = record(id);
  const StoredTensor& stored = tensor.stored;
  switch (tensor.storage) {
    case Storage::Typed:
      return decode_typed(file->bytes(), scan.tensors[static_cast<size_t>(id)].data, stored.type,
                          stored.shape);
    case Storage::External: {
      const auto& source = data_files[static_cast<size_t>(tensor.data_file)].file;
      source->require_not_written();
      return HostTensor(stored.type, stored.shape, external_bytes(tensor), source);
    }
    case Storage::Raw: break;
  }
  if (stored.type == DType::String || stored.type == DType::Undefined) {
    return HostTensor(stored.type, stored.shape);
  }
  return HostTensor(stored.type, stored.shape,
                    file->bytes().subspan(tensor.raw.begin, tensor.raw.end - tensor.raw.begin),
                    file);
}

ModelFile::ModelFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ModelFile::ModelFile(ModelFile&&) noexcept = default;
ModelFile& ModelFile::operator=(ModelFile&&) noexcept = default;
ModelFile::~ModelFile() = default;

ModelFile ModelFile::load(const std::string& path, const LoadOptions& options) {
  return ModelFile(Impl::load(path, options));
}

const std::string& ModelFile::path() const { return impl_->path; }
const ModelGraph& ModelFile::model() const { return impl_->model; }
const std::vector<std::string>& ModelFile::warnings() const { return impl_->warnings; }

const std::string& ModelFile::sha256() const {
  std::call_once(impl_->digest_once, [&] {
    Sha256 digest;
    constexpr size_t piece = size_t{16} << 20;
    for (std::span<const std::byte> left = impl_->file->bytes(); !left.empty(); left = left.subspan(std::min(piece, left.size()))) {
      digest.update(left.first(std::min(piece, left.size())));
      impl_->file->release();
    }
    impl_->digest = digest.finish();
  });
  return impl_->digest;
}

int64_t ModelFile::size_bytes() const {
  auto size = static_cast<int64_t>(impl_->file->bytes().size());
  for (const DataFile& data : impl_->data_files) {
    size += static_cast<int64_t>(data.file->bytes().size());
  }
  return size;
}

int ModelFile::tensor_count() const { return static_cast<int>(impl_->tensors.size()); }
const StoredTensor& ModelFile::tensor(int id) const { return impl_->record(id).stored; }
Storage ModelFile::storage(int id) const { return impl_->record(id).storage; }
HostTensor ModelFile::tensor_data(int id) const { return impl_->data(id); }

void ModelFile::release_tensor_data(int id) const {
  if (storage(id) == Storage::Typed || impl_->record(id).stored.type == DType::String) return;  // decoded copies
  const HostTensor view = impl_->data(id);
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(view.bytes().data()) + page - 1) / page * page;
  const auto end = (reinterpret_cast<uintptr_t>(view.bytes().data()) + view.bytes().size()) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void ModelFile::mask_tensor_(int id, BitMask mask) {
  const StoredTensor& tensor = impl_->record(id).stored;
  invariant(mask.size() == element_count(tensor.shape), "a mask has as many bits as its tensor elements");
  invariant(bits_of(tensor.type) >= 8 && bits_of(tensor.type) <= 64 && tensor.type != DType::Complex64,
            "elements to mask are real numbers of whole bytes");
  impl_->replacements.erase(id);
  impl_->masks[id] = std::move(mask);
}

void ModelFile::replace_tensor_(int id, HostTensor data) {
  const StoredTensor& tensor = impl_->record(id).stored;
  invariant(data.type() == tensor.type && data.shape() == tensor.shape && tensor.type != DType::String,
            "a replacement has the type and shape of the stored tensor");
  impl_->masks.erase(id);
  impl_->replacements[id] = std::move(data);
}

void ModelFile::edit_graph_(GraphEdits edits) {
  for (const auto& [id, tensor] : edits.tensors) {
    invariant(tensor.type() == impl_->record(id).stored.type && tensor.type() != DType::String, "an edited tensor keeps its type");
    invariant(!edits.slices.contains(id), "a tensor is sliced or replaced, not both");
  }
  for (const auto& [id, slices] : edits.slices) sliced_shape(impl_->record(id).stored.shape, slices);
  impl_->edits = std::move(edits);
}

void edit_nodes_(ModelFile& file, NodeEdits edits) { ModelFile::Impl::of(file).node_edits = std::move(edits); }

const GraphEdits& ModelFile::graph_edits() const { return impl_->edits; }

bool ModelFile::has_edits() const { return !impl_->masks.empty() || !impl_->replacements.empty() || !impl_->edits.empty() || !impl_->node_edits.empty(); }

}  // namespace sparsify
