#include "onnx/edit_splices.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "onnx/skeleton.h"

namespace sparsify {
namespace {

bool is_edited(const ModelFile::Impl& impl, int id) {
  return impl.masks.contains(id) || impl.replacements.contains(id) || is_resized(impl, id);
}

/// Elements that lie as in raw_data, masked in pieces so that no copy of the tensor exists.
///   first   number of the first element in the tensor
void emit_masked(std::span<const std::byte> elements, const BitMask& mask, int64_t first,
                 int element_bytes, const Sink& sink) {
  constexpr size_t piece = size_t{1} << 18;  // fits the second-level cache; a multiple of any element
  std::vector<std::byte> buffer(std::min(piece, elements.size()));
  for (size_t at = 0; at < elements.size(); at += piece) {
    const auto part = elements.subspan(at, std::min(piece, elements.size() - at));
    std::memcpy(buffer.data(), part.data(), part.size());
    const std::span<std::byte> masked(buffer.data(), part.size());
    apply_mask_(mask, first + static_cast<int64_t>(at) / element_bytes, masked, element_bytes);
    sink(masked);
  }
}

constexpr uint32_t kDims = 1;  // of TensorProto

Shape edited_shape(const ModelFile::Impl& impl, int id) {
  const auto other = impl.edits.tensors.find(id);
  if (other != impl.edits.tensors.end()) return other->second.shape();
  return sliced_shape(impl.record(id).stored.shape, impl.edits.slices.at(id));
}

TypedEdit edit_of(const ModelFile::Impl& impl, int id) {
  const auto mask = impl.masks.find(id);
  if (mask != impl.masks.end()) return {&mask->second, nullptr};
  return {nullptr, &impl.replacements.at(id)};
}

/// The edit of elements that lie packed in file[begin, end).
///   offset   of these bytes in the whole tensor, where it is spread over several fields
Splice edit_packed(const ModelFile::Impl& impl, int id, std::span<const std::byte> file,
                   const ByteRange& range, size_t offset = 0) {
  const size_t size = range.end - range.begin;
  const TypedEdit edit = edit_of(impl, id);
  Splice splice{range.begin, range.end, range.frame, size, nullptr};
  if (edit.mask != nullptr) {
    const int width = bits_of(impl.record(id).stored.type) / 8;
    const auto first = static_cast<int64_t>(offset) / width;
    splice.emit = [elements = file.subspan(range.begin, size), mask = edit.mask, first,
                   width](const Sink& sink) { emit_masked(elements, *mask, first, width, sink); };
  } else {
    splice.emit = [bytes = edit.tensor->bytes().subspan(offset, size)](const Sink& sink) {
      emit_bytes(bytes, sink);
    };
  }
  return splice;
}

void edit_varints(const ModelFile::Impl& impl, int id, const FieldRun& run, int64_t& first,
                  std::vector<Splice>& splices) {
  const auto file = impl.file->bytes();
  const TypedEdit edit = edit_of(impl, id);
  const int64_t start = first;
  std::string text = rewrite_run(file, run, first, edit);
  constexpr size_t small = size_t{1} << 20;
  if (text.size() <= small) {
    splices.push_back(replace_bytes(run.begin, run.end, run.frame, std::move(text)));
    return;
  }
  // Only its size is needed now; made again when its turn comes, so that one is in memory at a time.
  Splice splice{run.begin, run.end, run.frame, text.size(), nullptr};
  splice.emit = [file, run, start, edit](const Sink& sink) {
    int64_t index = start;
    const std::string again = rewrite_run(file, run, index, edit);
    emit_bytes(std::as_bytes(std::span(again.data(), again.size())), sink);
  };
  splices.push_back(std::move(splice));
}

void edit_typed(const ModelFile::Impl& impl, int id, std::vector<Splice>& splices) {
  const auto file = impl.file->bytes();
  const uint32_t number = typed_field_of(impl.record(id).stored.type);
  const auto width = static_cast<size_t>(fixed_width(number));
  int64_t first = 0;
  for (const FieldRun& run : impl.scan.tensors[static_cast<size_t>(id)].data) {
    if (run.number != number) continue;
    if (width == 0 || run.type != wire::Bytes) {
      edit_varints(impl, id, run, first, splices);
      continue;
    }
    wire::Reader reader(file, run.begin, run.end);
    wire::Field field;
    while (reader.next(field)) {  // packed values of fixed width lie as in raw_data
      const size_t offset = static_cast<size_t>(first) * width;
      splices.push_back(edit_packed(impl, id, file, {field.payload, field.end, run.frame}, offset));
      first += static_cast<int64_t>(field.value / width);
    }
  }
}

void resize_dims(const ModelFile::Impl& impl, int id, const Shape& shape, std::vector<Splice>& splices) {
  const std::vector<PlacedField> old = fields_of(impl, id, kDims);
  const bool packed = !old.empty() && old.front().field.type == wire::Bytes;
  std::string fields;
  for (const int64_t size : shape) {
    if (!packed) wire::append_tag(fields, kDims, wire::Varint);
    wire::append_varint(fields, static_cast<uint64_t>(size));
  }
  if (packed) {
    std::string values = std::move(fields);
    fields.clear();
    wire::append_bytes(fields, kDims, values);
  }
  if (old.empty()) {
    const int frame = impl.scan.tensors[static_cast<size_t>(id)].frames.front();
    const size_t at = impl.scan.frames[static_cast<size_t>(frame)].payload;
    splices.push_back(replace_bytes(at, at, frame, std::move(fields)));
    return;
  }
  for (const PlacedField& placed : old) {
    splices.push_back(replace_bytes(placed.field.begin, placed.field.end, placed.frame, std::exchange(fields, "")));
  }
}

void resize_raw(const ModelFile::Impl& impl, int id, int64_t bytes, std::vector<Splice>& splices) {
  std::string prefix;
  const std::vector<PlacedField> old = fields_of(impl, id, tensor_field::kRawData);
  const int frame = old.empty() ? impl.scan.tensors[static_cast<size_t>(id)].frames.back() : old.back().frame;
  const size_t end = impl.scan.frames[static_cast<size_t>(frame)].end;
  if (old.empty()) wire::append_tag(prefix, tensor_field::kRawData, wire::Bytes);
  wire::append_varint(prefix, static_cast<uint64_t>(bytes));
  Splice splice{old.empty() ? end : old.back().field.length, old.empty() ? end : old.back().field.end, frame,
                prefix.size() + static_cast<uint64_t>(bytes), nullptr};
  splice.emit = [&impl, id, prefix](const Sink& sink) {
    sink(std::as_bytes(std::span(prefix.data(), prefix.size())));
    emit_bytes(edited_elements(impl, id).bytes(), sink);
  };
  splices.push_back(std::move(splice));
}

void resize_typed(const ModelFile::Impl& impl, int id, std::vector<Splice>& splices) {
  const uint32_t number = typed_field_of(impl.record(id).stored.type);
  bool first = true;
  for (const FieldRun& run : impl.scan.tensors[static_cast<size_t>(id)].data) {
    if (run.number != number) continue;
    std::string text = first ? encode_typed(edited_elements(impl, id), run.type == wire::Bytes) : "";
    splices.push_back(replace_bytes(run.begin, run.end, run.frame, std::move(text)));
    first = false;
  }
}

/// Dims and data of a tensor that gets another shape. A removed one goes with its field (graph_splices.cpp).
void resize(const ModelFile::Impl& impl, int id, std::vector<Splice>& splices) {
  if (impl.edits.removed_tensors.contains(id)) return;
  const TensorRecord& record = impl.record(id);
  const Shape shape = edited_shape(impl, id);
  resize_dims(impl, id, shape, splices);
  if (record.storage == Storage::Raw) resize_raw(impl, id, bytes_for(record.stored.type, element_count(shape)), splices);
  if (record.storage == Storage::Typed) resize_typed(impl, id, splices);
}

/// Bytes that the tensor and its padding take in its data file once resized.
struct ResizedData {
  int64_t bytes = 0;
  int64_t padding = 0;
};

ResizedData resized_data(const ModelFile::Impl& impl, int id, int64_t alignment) {
  ResizedData data;
  const TensorRecord& record = impl.record(id);
  if (!impl.edits.removed_tensors.contains(id)) data.bytes = bytes_for(record.stored.type, element_count(edited_shape(impl, id)));
  data.padding = ((record.bytes - data.bytes) % alignment + alignment) % alignment;
  return data;
}

/// The largest power of two, up to a page, that divides the offsets of all tensors in the file.
int64_t alignment_of(const ModelFile::Impl& impl, int data_file) {
  int64_t bits = 4096;
  for (const TensorRecord& record : impl.tensors) {
    if (record.data_file == data_file) bits |= record.offset;
  }
  return bits & -bits;
}

}  // namespace

bool is_resized(const ModelFile::Impl& impl, int id) {
  return impl.edits.slices.contains(id) || impl.edits.tensors.contains(id) || impl.edits.removed_tensors.contains(id);
}

HostTensor edited_elements(const ModelFile::Impl& impl, int id) {
  const auto other = impl.edits.tensors.find(id);
  if (other != impl.edits.tensors.end()) return other->second;
  const auto replacement = impl.replacements.find(id);
  HostTensor tensor = replacement != impl.replacements.end() ? replacement->second : impl.data(id);
  const auto mask = impl.masks.find(id);
  if (mask != impl.masks.end()) {
    tensor = tensor.copy();
    apply_mask_(mask->second, 0, tensor.mutable_bytes(), bits_of(tensor.type()) / 8);
  }
  const auto slices = impl.edits.slices.find(id);
  return slices == impl.edits.slices.end() ? tensor : sliced(tensor, slices->second);
}

std::map<int, MovedData> moved_data(const ModelFile::Impl& impl, int data_file) {
  std::vector<int> ids;
  for (int id = 0; id < static_cast<int>(impl.tensors.size()); ++id) {
    if (impl.record(id).data_file == data_file) ids.push_back(id);
  }
  std::stable_sort(ids.begin(), ids.end(), [&](int a, int b) { return impl.record(a).offset < impl.record(b).offset; });
  const int64_t alignment = alignment_of(impl, data_file);
  std::map<int, MovedData> moved;
  int64_t shift = 0;
  for (const int id : ids) {
    const TensorRecord& record = impl.record(id);
    const int64_t offset = record.offset + shift;
    const bool resized = is_resized(impl, id) && record.bytes > 0;
    if (!resized) {
      if (shift != 0) moved[id] = {offset, record.bytes};
      continue;
    }
    const ResizedData data = resized_data(impl, id, alignment);
    moved[id] = {offset, data.bytes};
    shift += data.bytes + data.padding - record.bytes;
  }
  return moved;
}

std::vector<Splice> edits_inside(const ModelFile::Impl& impl) {
  std::vector<Splice> splices;
  for (int id = 0; id < static_cast<int>(impl.tensors.size()); ++id) {
    const TensorRecord& record = impl.record(id);
    if (is_resized(impl, id)) {
      resize(impl, id, splices);
      continue;
    }
    if (!is_edited(impl, id) || record.bytes == 0) continue;
    if (record.storage == Storage::Raw) {
      splices.push_back(edit_packed(impl, id, impl.file->bytes(), record.raw));
    } else if (record.storage == Storage::Typed) {
      edit_typed(impl, id, splices);
    }
  }
  return splices;
}

bool is_data_file_edited(const ModelFile::Impl& impl, int data_file) {
  for (int id = 0; id < static_cast<int>(impl.tensors.size()); ++id) {
    if (impl.record(id).data_file == data_file && is_edited(impl, id)) return true;
  }
  return false;
}

std::vector<Splice> edits_of_data_file(const ModelFile::Impl& impl, int data_file) {
  std::vector<int> ids;
  for (int id = 0; id < static_cast<int>(impl.tensors.size()); ++id) {
    if (impl.record(id).data_file == data_file && impl.record(id).bytes > 0) ids.push_back(id);
  }
  std::stable_sort(ids.begin(), ids.end(), [&](int a, int b) {
    return impl.record(a).offset < impl.record(b).offset;
  });
  const int64_t alignment = alignment_of(impl, data_file);
  std::vector<Splice> splices;
  int last = -1;  // the tensor that reaches furthest so far
  bool touched = false;
  int64_t end = 0;
  for (const int id : ids) {
    const TensorRecord& record = impl.record(id);
    const bool overlaps = last >= 0 && record.offset < end;
    if (overlaps && (touched || is_edited(impl, id))) {
      throw ResourceError{
          {.what = fmt::format("{} shares its bytes in \"{}\" with {}", tensor_label(record.stored),
                               impl.data_files[static_cast<size_t>(data_file)].location,
                               tensor_label(impl.record(last).stored)),
           .where = fmt::format("{}: {}", impl.path, tensor_label(record.stored)),
           .fix = "save the model again so that each tensor has its own bytes, or exclude both"}};
    }
    touched = overlaps ? touched || is_edited(impl, id) : is_edited(impl, id);
    if (!overlaps || record.offset + record.bytes > end) {
      end = record.offset + record.bytes;
      last = id;
    }
    const auto begin = static_cast<size_t>(record.offset);
    if (is_resized(impl, id)) {
      const ResizedData data = resized_data(impl, id, alignment);
      Splice splice{begin, begin + static_cast<size_t>(record.bytes), -1, static_cast<uint64_t>(data.bytes + data.padding), nullptr};
      splice.emit = [&impl, id, data](const Sink& sink) {
        if (data.bytes > 0) emit_bytes(edited_elements(impl, id).bytes(), sink);
        const std::vector<std::byte> zeros(static_cast<size_t>(data.padding));
        emit_bytes(zeros, sink);
      };
      splices.push_back(std::move(splice));
    } else if (is_edited(impl, id)) {
      splices.push_back(
          edit_packed(impl, id, impl.data_files[static_cast<size_t>(data_file)].file->bytes(),
                      {begin, begin + static_cast<size_t>(record.bytes), -1}));
    }
  }
  return splices;
}

}  // namespace sparsify
