// safetensors: 8 bytes header length (little-endian), a JSON header, then the tensors' bytes in the header's order.
// https://github.com/huggingface/safetensors#format
#include "mask/mask_set.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"

namespace sparsify {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kHeaderLimit = 100'000'000;  // safetensors' own
constexpr size_t kChunk = 1 << 20;
constexpr const char* kMetadata = "__metadata__";

std::string header_of(const std::string& path, const MaskSet& masks) {
  Json header;
  header[kMetadata] = {{"format", "sparsify"}, {"keep", "1"}};
  int64_t offset = 0;
  for (const auto& [name, mask] : masks) {
    if (header.contains(name)) {
      throw ResourceError{{.what = fmt::format("two masks are named \"{}\"", name),
                           .where = path,
                           .fix = "rename the initializer in the model"}};
    }
    header[name] = {{"dtype", "BOOL"}, {"shape", mask.shape}, {"data_offsets", {offset, offset + mask.bits.size()}}};
    offset += mask.bits.size();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    throw ResourceError{{.what = "the name of an initializer is not UTF-8 text",
                         .where = path,
                         .fix = "rename the initializers of the model"}};
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
  throw ResourceError{{.what = what,
                       .where = path,
                       .fix = "use the masks.safetensors of a run of sparsify"}};
}

struct Entry {
  std::string name = {};
  Shape shape = {};
  int64_t begin = 0;
  int64_t end = 0;
};

/// A list of whole numbers >= 0; nothing else.
bool read_counts(const Json& json, std::vector<int64_t>& counts) {
  if (!json.is_array()) return false;
  for (const Json& element : json) {
    if (!element.is_number_integer() || element.is_number_unsigned() != (element >= 0) ||
        (element.is_number_unsigned() && element.get<uint64_t>() > INT64_MAX) || element.get<int64_t>() < 0) {
      return false;
    }
    counts.push_back(element.get<int64_t>());
  }
  return true;
}

/// The number of elements, or -1 when it is more than `limit`.
int64_t bounded_product(const Shape& shape, int64_t limit) {
  int64_t product = 1;
  for (const int64_t size : shape) {
    if (size != 0 && product > limit / size) return -1;
    product *= size;
  }
  return product;
}

Entry read_entry(const std::string& path, const std::string& name, const Json& json, int64_t data_bytes) {
  Entry entry;
  entry.name = name;
  std::vector<int64_t> offsets;
  if (!json.is_object() || !json.contains("dtype") || !json.contains("shape") || !json.contains("data_offsets")) {
    refuse(path, fmt::format("the mask \"{}\" has no dtype, shape or data_offsets", name));
  }
  if (json["dtype"] != "BOOL") {
    refuse(path, fmt::format("the tensor \"{}\" is {}, masks are \"BOOL\"", name, json["dtype"].dump()));
  }
  if (!read_counts(json["shape"], entry.shape)) {
    refuse(path, fmt::format("the shape of the mask \"{}\" is {}", name, json["shape"].dump()));
  }
  if (!read_counts(json["data_offsets"], offsets) || offsets.size() != 2 || offsets[0] > offsets[1] ||
      offsets[1] > data_bytes) {
    refuse(path, fmt::format("the mask \"{}\" lies at {} of {} bytes", name, json["data_offsets"].dump(), data_bytes));
  }
  entry.begin = offsets[0];
  entry.end = offsets[1];
  if (bounded_product(entry.shape, data_bytes) != entry.end - entry.begin) {
    refuse(path, fmt::format("the mask \"{}\" has shape {} and {} bytes", name, to_text(entry.shape),
                             entry.end - entry.begin));
  }
  return entry;
}

std::vector<Entry> read_header(const std::string& path, const std::string& text, int64_t data_bytes) {
  const Json header = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!header.is_object()) refuse(path, "the header is not a JSON object");
  const auto metadata = header.find(kMetadata);
  if (metadata == header.end() || !metadata->is_object() || metadata->value("keep", Json()) != "1") {
    refuse(path, "the metadata does not say that 1 means kept (\"keep\": \"1\")");
  }
  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items()) {
    if (name != kMetadata) entries.push_back(read_entry(path, name, json, data_bytes));
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  int64_t expected = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != expected) refuse(path, fmt::format("the mask \"{}\" begins at byte {}, not {}", entry.name, entry.begin, expected));
    expected = entry.end;
  }
  if (expected != data_bytes) refuse(path, fmt::format("the masks end at byte {} of {}", expected, data_bytes));
  return entries;
}

void read_exactly(std::ifstream& file, const std::string& path, char* to, size_t count) {
  if (!file.read(to, static_cast<std::streamsize>(count))) refuse(path, "the file ends too early");
}

Mask read_mask(std::ifstream& file, const std::string& path, const Entry& entry) {
  Mask mask{entry.shape, BitMask(entry.end - entry.begin, /*kept=*/false)};
  std::vector<char> bytes(std::min<size_t>(kChunk, static_cast<size_t>(mask.bits.size())));
  for (int64_t first = 0; first < mask.bits.size(); first += static_cast<int64_t>(bytes.size())) {
    const auto count = std::min<int64_t>(static_cast<int64_t>(bytes.size()), mask.bits.size() - first);
    read_exactly(file, path, bytes.data(), static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      const char byte = bytes[static_cast<size_t>(i)];
      if (byte != 0 && byte != 1) refuse(path, fmt::format("element {} of the mask \"{}\" is neither 0 nor 1", first + i, entry.name));
      if (byte == 1) mask.bits.keep(first + i);
    }
  }
  return mask;
}

}  // namespace

std::string write_masks(const std::string& path, const MaskSet& masks, bool overwrite) {
  const std::string header = header_of(path, masks);
  AtomicFile file(path, overwrite);
  std::array<std::byte, 8> length;
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<std::byte>(header.size() >> (8 * i));
  file.write(length);
  file.write(header);
  std::vector<uint8_t> chunk;
  for (const auto& [name, mask] : masks) {
    for (int64_t first = 0; first < mask.bits.size(); first += static_cast<int64_t>(kChunk)) {
      chunk.resize(std::min<size_t>(kChunk, static_cast<size_t>(mask.bits.size() - first)));
      mask.bits.unpack(first, chunk);
      file.write(std::as_bytes(std::span(chunk)));
    }
  }
  return file.commit();
}

MaskSet read_masks(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) {
    throw ResourceError{{.what = "the file cannot be read", .where = path, .fix = "check the path and its permissions"}};
  }
  const auto size = static_cast<uint64_t>(std::max<std::streamoff>(0, file.tellg()));
  file.seekg(0);
  std::array<char, 8> bytes;
  read_exactly(file, path, bytes.data(), bytes.size());
  uint64_t length = 0;
  for (size_t i = 0; i < 8; ++i) length |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  if (length > kHeaderLimit || length > size - 8) {
    refuse(path, fmt::format("the header claims {} bytes in a file of {}", length, size));
  }
  std::string text(length, '\0');
  read_exactly(file, path, text.data(), text.size());
  MaskSet masks;
  for (const Entry& entry : read_header(path, text, static_cast<int64_t>(size - 8 - length))) {
    masks.emplace_back(entry.name, read_mask(file, path, entry));
  }
  return masks;
}

}  // namespace sparsify
