#include <fmt/core.h>

#include <filesystem>

#include "base/error.h"
#include "onnx/model_impl.h"

namespace sparsify {
namespace {

constexpr const char* kDamaged = "the file is damaged: export the model again, or get a fresh copy";

[[noreturn]] void refuse(const StoredTensor& tensor, std::string what) {
  throw ResourceError{{.what = std::move(what), .where = tensor_label(tensor), .fix = kDamaged}};
}

void check_type_and_shape(const StoredTensor& tensor) {
  if (tensor.type != DType::String && bits_of(tensor.type) == 0) {
    refuse(tensor, fmt::format("the element type is {}, which ONNX does not define",
                               static_cast<int32_t>(tensor.type)));
  }
  int64_t count = 1;
  bool overflow = false;
  bool empty = false;
  for (const int64_t size : tensor.shape) {
    if (size < 0) {
      refuse(tensor, fmt::format("the shape {} has a negative size", to_text(tensor.shape)));
    }
    empty = empty || size == 0;
    overflow = overflow || __builtin_mul_overflow(count, size, &count);
  }
  if (overflow && !empty) {
    refuse(tensor, fmt::format("the shape {} has more elements than can be counted",
                               to_text(tensor.shape)));
  }
}

void locate_inside(ModelFile::Impl& impl, TensorRecord& record, const ScannedTensor& scanned) {
  const StoredTensor& tensor = record.stored;
  const auto file = impl.file->bytes();
  const auto raw = raw_range(file, scanned.data);
  const uint32_t expected = typed_field_of(tensor.type);
  int64_t entries = 0;
  for (const FieldRun& run : scanned.data) {
    if (run.number == tensor_field::kRawData) continue;
    const int64_t count = count_entries(file, {run}, run.number);
    if (count == 0) continue;
    if (run.number != expected) {
      refuse(tensor, fmt::format("{} values are in {}, they belong in {}", name_of(tensor.type),
                                 field_name(run.number), field_name(expected)));
    }
    entries += count;
  }
  if (raw && raw->end > raw->begin) {
    if (entries > 0) {
      refuse(tensor, fmt::format("there are values in raw_data and in {}", field_name(expected)));
    }
    if (tensor.type == DType::String) refuse(tensor, "strings are in raw_data");
    if (static_cast<int64_t>(raw->end - raw->begin) != record.bytes) {
      refuse(tensor, fmt::format("{} of shape {} takes {} bytes, raw_data has {}",
                                 name_of(tensor.type), to_text(tensor.shape), record.bytes,
                                 raw->end - raw->begin));
    }
    record.raw = *raw;
    return;
  }
  const int64_t needed = entries_for(tensor.type, element_count(tensor.shape));
  if (entries != needed) {
    refuse(tensor, fmt::format("{} of shape {} takes {} values, {} has {}", name_of(tensor.type),
                               to_text(tensor.shape), needed, field_name(expected), entries));
  }
  if (needed == 0) {
    record.raw = raw.value_or(ByteRange{});
  } else {
    record.storage = Storage::Typed;
  }
}

class ExternalFiles {
 public:
  ExternalFiles(ModelFile::Impl& impl, const LoadOptions& options, const Redirects& redirects)
      : impl_(impl),
        options_(options),
        redirects_(redirects),
        folder_(std::filesystem::path(impl.path).parent_path().string()) {}

  void locate(TensorRecord& record,
              const std::vector<std::pair<std::string, std::string>>& entries) {
    const StoredTensor& tensor = record.stored;
    const std::string where = tensor_label(tensor);
    if (tensor.type == DType::String) refuse(tensor, "strings are stored externally");
    const ExternalEntry entry = parse_external_entry(entries, where);
    record.data_file = open(entry.location, where);
    record.offset = entry.offset;
    if (entry.length >= 0 && entry.length != record.bytes) {
      refuse(tensor, fmt::format("{} of shape {} takes {} bytes, its external data has the length {}",
                                 name_of(tensor.type), to_text(tensor.shape), record.bytes,
                                 entry.length));
    }
    const auto size = static_cast<int64_t>(impl_.data_files[record.data_file].file->bytes().size());
    if (entry.offset > size || record.bytes > size - entry.offset) {
      throw ResourceError{
          {.what = fmt::format("the external data file \"{}\" has {} bytes, the tensor is at {} and "
                               "takes {}",
                               entry.location, size, entry.offset, record.bytes),
           .where = where,
           .fix = "the data file is truncated or belongs to another model: get a fresh copy"}};
    }
  }

 private:
  int open(const std::string& location, const std::string& where) {
    const auto [found, fresh] =
        numbers_.emplace(location, static_cast<int>(impl_.data_files.size()));
    if (fresh) {
      const auto redirect = redirects_.find(location);
      impl_.data_files.push_back(
          {location, redirect != redirects_.end()
                         ? MappedFile::open(redirect->second)
                         : open_external_data(folder_, location, options_.allow_linked_data, where)});
    }
    return found->second;
  }

  ModelFile::Impl& impl_;
  const LoadOptions& options_;
  const Redirects& redirects_;
  std::string folder_;
  std::map<std::string, int> numbers_;
};

}  // namespace

std::string tensor_label(const StoredTensor& tensor) {
  return tensor.name.empty() ? fmt::format("tensor {} of the file", tensor.id)
                             : fmt::format("tensor \"{}\"", tensor.name);
}

void locate_tensors(ModelFile::Impl& impl, const LoadOptions& options, const Redirects& redirects,
                    const std::vector<std::vector<std::pair<std::string, std::string>>>& entries) {
  ExternalFiles external(impl, options, redirects);
  for (size_t id = 0; id < impl.tensors.size(); ++id) {
    TensorRecord& record = impl.tensors[id];
    const ScannedTensor& scanned = impl.scan.tensors[id];
    if (record.stored.id < 0) {
      // The parser has dropped it: an attribute whose type names another field. Nothing reads it.
      record.stored.id = static_cast<int>(id);
      continue;
    }
    if (scanned.has_segment) refuse(record.stored, "the tensor is stored in segments");
    check_type_and_shape(record.stored);
    record.bytes = bytes_for(record.stored.type, element_count(record.stored.shape));
    if (record.storage != Storage::External) {
      locate_inside(impl, record, scanned);
    } else {
      for (const FieldRun& run : scanned.data) {
        if (count_entries(impl.file->bytes(), {run}, run.number) == 0) continue;
        if (run.number == tensor_field::kRawData && !raw_range(impl.file->bytes(), {run})) continue;
        refuse(record.stored, fmt::format("the tensor is stored externally and in {}",
                                          field_name(run.number)));
      }
      external.locate(record, entries[id]);
    }
  }
}

}  // namespace sparsify
