#include "onnx/skeleton.h"

namespace sparsify {
namespace {

std::string entry(std::string_view key, std::string_view value) {
  std::string text;
  wire::append_bytes(text, 1, key);
  wire::append_bytes(text, 2, value);
  return text;
}

void append_to_tensor(const ModelFile::Impl& impl, int id, std::string fields,
                      std::vector<Splice>& splices) {
  const int frame = impl.scan.tensors[static_cast<size_t>(id)].frames.back();
  const size_t at = impl.scan.frames[static_cast<size_t>(frame)].end;
  splices.push_back(replace_bytes(at, at, frame, std::move(fields)));
}

void remove_fields(const ModelFile::Impl& impl, int id, uint32_t number,
                   std::vector<Splice>& splices) {
  for (const PlacedField& placed : fields_of(impl, id, number)) {
    splices.push_back(replace_bytes(placed.field.begin, placed.field.end, placed.frame, ""));
  }
}

int64_t stored_bytes(const ModelFile::Impl& impl, int id) {
  if (impl.tensors[static_cast<size_t>(id)].storage == Storage::External) {
    return impl.tensors[static_cast<size_t>(id)].bytes;
  }
  int64_t bytes = 0;
  for (const FieldRun& run : impl.scan.tensors[static_cast<size_t>(id)].data) {
    bytes += static_cast<int64_t>(run.end - run.begin);
  }
  return bytes;
}

}  // namespace

std::vector<PlacedField> fields_of(const ModelFile::Impl& impl, int id, uint32_t number) {
  std::vector<PlacedField> found;
  for (const int frame : impl.scan.tensors[static_cast<size_t>(id)].frames) {
    const Frame& at = impl.scan.frames[static_cast<size_t>(frame)];
    wire::Reader reader(impl.file->bytes(), at.payload, at.end);
    wire::Field field;
    while (reader.next(field)) {
      if (field.number == number) found.push_back({field, frame});
    }
  }
  return found;
}

std::string ModelFile::skeleton(const std::string& location, int64_t limit) const {
  std::vector<Splice> splices;
  for (int id = 0; id < tensor_count(); ++id) {
    const TensorRecord& record = impl_->record(id);
    const bool external = record.storage == Storage::External;
    const bool large = stored_bytes(*impl_, id) > limit && record.stored.type != DType::String;
    if (!external && !large) continue;
    if (external) {
      remove_fields(*impl_, id, tensor_field::kExternalData, splices);
      remove_fields(*impl_, id, tensor_field::kDataLocation, splices);
    }
    for (const FieldRun& run : impl_->scan.tensors[static_cast<size_t>(id)].data) {
      splices.push_back(replace_bytes(run.begin, run.end, run.frame, ""));
    }
    std::string fields;
    if (large) {
      wire::append_bytes(fields, tensor_field::kExternalData, entry("location", location));
      wire::append_tag(fields, tensor_field::kDataLocation, wire::Varint);
      wire::append_varint(fields, 1);  // TensorProto.EXTERNAL
    } else {  // shape inference may need the values of a small tensor
      const auto bytes = impl_->external_bytes(record);
      wire::append_bytes(fields, tensor_field::kRawData,
                         {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
    append_to_tensor(*impl_, id, std::move(fields), splices);
  }
  return spliced_text(impl_->file->bytes(), impl_->scan.frames, std::move(splices));
}

}  // namespace sparsify
