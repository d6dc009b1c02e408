#include "onnx/edit_splices.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace sparsify {
namespace {

bool is_edited(const ModelFile::Impl& impl, int id) {
  return impl.masks.contains(id) || impl.replacements.contains(id);
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

}  // namespace

std::vector<Splice> edits_inside(const ModelFile::Impl& impl) {
  std::vector<Splice> splices;
  for (int id = 0; id < static_cast<int>(impl.tensors.size()); ++id) {
    const TensorRecord& record = impl.record(id);
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
    if (is_edited(impl, id)) {
      const auto begin = static_cast<size_t>(record.offset);
      splices.push_back(
          edit_packed(impl, id, impl.data_files[static_cast<size_t>(data_file)].file->bytes(),
                      {begin, begin + static_cast<size_t>(record.bytes), -1}));
    }
  }
  return splices;
}

}  // namespace sparsify
