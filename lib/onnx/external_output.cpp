#include "onnx/external_output.h"

#include <fmt/core.h>

#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "onnx/edit_splices.h"
#include "onnx/skeleton.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

bool is_taken(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() != fs::file_type::not_found;
}

std::string_view text_of(const ModelFile::Impl& impl, const wire::Field& field) {
  return {reinterpret_cast<const char*>(impl.file->bytes().data()) + field.payload,
          field.end - field.payload};
}

/// Key and value of a StringStringEntryProto; the last of each counts.
struct Entry {
  std::string_view key;
  wire::Field value;
};

Entry read_entry(const ModelFile::Impl& impl, const wire::Field& message) {
  Entry entry;
  wire::Reader reader(impl.file->bytes(), message.payload, message.end);
  wire::Field field;
  while (reader.next(field)) {
    if (field.is(1, wire::Bytes)) entry.key = text_of(impl, field);
    if (field.is(2, wire::Bytes)) entry.value = field;
  }
  return entry;
}

}  // namespace

std::vector<OutputData> name_output_data(const ModelFile::Impl& impl, const std::string& output) {
  const fs::path folder = fs::path(output).parent_path();
  const std::string stem = fs::path(output).stem().string();
  std::set<std::string> used{fs::path(output).filename().string()};
  std::vector<OutputData> names;
  for (int index = 0; index < static_cast<int>(impl.data_files.size()); ++index) {
    const std::string& location = impl.data_files[static_cast<size_t>(index)].location;
    OutputData name{location, false, is_data_file_edited(impl, index)};
    const auto is_free = [&](const std::string& candidate) {
      return !used.contains(candidate) && !is_taken(folder / candidate);
    };
    const bool plain = location.find('/') == std::string::npos;
    if (name.edited || !plain || !is_free(location)) {
      name.renamed = true;
      name.location = stem + ".data";
      for (int number = 1; !is_free(name.location); ++number) {
        name.location = fmt::format("{}.data.{}", stem, number);
      }
    }
    used.insert(name.location);
    names.push_back(std::move(name));
  }
  return names;
}

std::vector<Splice> location_edits(const ModelFile::Impl& impl, const std::vector<OutputData>& names,
                                   std::vector<Frame>& frames) {
  std::vector<Splice> splices;
  std::vector<std::map<int, MovedData>> moved;
  for (size_t file = 0; file < impl.data_files.size(); ++file) moved.push_back(moved_data(impl, static_cast<int>(file)));
  const auto set_value = [&](const PlacedField& placed, const Entry& entry, const std::string& value) {
    std::string text;
    wire::append_varint(text, value.size());
    text += value;
    frames.push_back({placed.frame, placed.field.length, placed.field.payload, placed.field.end});
    splices.push_back(replace_bytes(entry.value.length, entry.value.end, static_cast<int>(frames.size()) - 1, std::move(text)));
  };
  for (int id = 0; id < static_cast<int>(impl.tensors.size()); ++id) {
    const int file = impl.record(id).data_file;
    if (file < 0) continue;
    const OutputData& name = names[static_cast<size_t>(file)];
    const auto place = moved[static_cast<size_t>(file)].find(id);
    const bool moves = place != moved[static_cast<size_t>(file)].end();
    bool has_offset = false;
    for (const PlacedField& placed : fields_of(impl, id, tensor_field::kExternalData)) {
      if (placed.field.type != wire::Bytes) continue;
      const Entry entry = read_entry(impl, placed.field);
      if (entry.key == "checksum" && name.edited) {
        splices.push_back(replace_bytes(placed.field.begin, placed.field.end, placed.frame, ""));
      }
      has_offset = has_offset || entry.key == "offset";
      if (entry.key == "location" && name.renamed) set_value(placed, entry, name.location);
      if (entry.key == "offset" && moves) set_value(placed, entry, std::to_string(place->second.offset));
      if (entry.key == "length" && moves) set_value(placed, entry, std::to_string(place->second.length));
    }
    if (moves && !has_offset && place->second.offset > 0) {
      std::string text;
      wire::append_bytes(text, 1, "offset");
      wire::append_bytes(text, 2, std::to_string(place->second.offset));
      std::string field;
      wire::append_bytes(field, tensor_field::kExternalData, text);
      const int frame = impl.scan.tensors[static_cast<size_t>(id)].frames.back();
      const size_t end = impl.scan.frames[static_cast<size_t>(frame)].end;
      splices.push_back(replace_bytes(end, end, frame, std::move(field)));
    }
  }
  return splices;
}

std::vector<std::string> stale_data_of(const std::string& path) {
  std::vector<std::string> stale;
  std::error_code error;
  if (!fs::exists(path, error)) return stale;
  const std::string ours = fs::path(path).stem().string() + ".data";
  try {
    const auto old = ModelFile::Impl::load(path, {});
    for (const DataFile& data : old->data_files) {
      const bool named_by_us = data.location == ours || data.location.starts_with(ours + ".");
      if (named_by_us && data.location.find('/') == std::string::npos) {
        stale.push_back((fs::path(path).parent_path() / data.location).string());
      }
    }
  } catch (const Error&) {
    // What is to be overwritten is no readable model; then nothing is known to belong to it.
  }
  return stale;
}

}  // namespace sparsify
