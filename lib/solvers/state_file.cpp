// safetensors: 8 bytes header length (little-endian), a JSON header, then the tensors' bytes.
#include "solvers/state_file.h"

#include <fmt/core.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/folders.h"
#include "base/sha256.h"

namespace sparsify {
namespace {

using Json = nlohmann::ordered_json;

std::string file_of(const std::string& folder, int id) {
  return (std::filesystem::path(folder) / fmt::format("solved-{}.safetensors", id)).string();
}

const std::map<DType, std::string>& names() {
  static const auto* table = new std::map<DType, std::string>{
      {DType::Float32, "F32"}, {DType::Float16, "F16"}, {DType::BFloat16, "BF16"}, {DType::Float64, "F64"}, {DType::Bool, "BOOL"}};
  return *table;
}

Json or_null(const std::optional<double>& number) { return number ? Json(*number) : Json(nullptr); }

std::optional<double> number_or_nothing(const Json& json) {
  return json.is_number() ? std::optional(json.get<double>()) : std::nullopt;
}

/// SHA-256 of the header, without the digest itself, and of the tensors' bytes: nothing in the file can change unseen.
std::string digest_of(const Json& header, const std::vector<std::span<const std::byte>>& data) {
  Sha256 digest;
  const std::string text = header.dump();
  digest.update(std::as_bytes(std::span(text)));
  for (const std::span<const std::byte> bytes : data) digest.update(bytes);
  return digest.finish();
}

LayerState unpack(const Json& header, std::string_view data, int id) {
  const Json facts = Json::parse(header.at("__metadata__").at("facts").get<std::string>());
  LayerState state;
  state.layer.id = id;
  state.layer.error_before = number_or_nothing(facts.at("error_before"));
  state.layer.error = number_or_nothing(facts.at("error"));
  state.layer.seconds = facts.at("seconds").get<double>();
  state.layer.resumed = true;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    DType type = DType::Undefined;
    for (const auto& [one, text] : names()) {
      if (entry.at("dtype") == text) type = one;
    }
    HostTensor values(type, entry.at("shape").get<Shape>());
    std::memcpy(values.mutable_bytes().data(), data.data() + entry.at("data_offsets").at(0).get<size_t>(), values.bytes().size());
    if (name == "mask") {
      state.layer.mask = BitMask::from_bytes({values.data<uint8_t>(), static_cast<size_t>(values.count())});
    } else {
      state.tensors.emplace(std::stoi(name), values);
    }
  }
  return state;
}

}  // namespace

void write_state(const std::string& folder, const std::string& fingerprint, const LayerState& state) {
  const NewFolders folders(folder);
  std::map<std::string, HostTensor> tensors;
  for (const auto& [id, values] : state.tensors) tensors.emplace(std::to_string(id), values);
  HostTensor mask(DType::Bool, {state.layer.mask.size()});
  state.layer.mask.unpack(0, {mask.mutable_data<uint8_t>(), static_cast<size_t>(mask.count())});
  tensors.emplace("mask", mask);
  const Json facts = {{"error_before", or_null(state.layer.error_before)}, {"error", or_null(state.layer.error)}, {"seconds", state.layer.seconds}, {"layer", state.layer.id}};
  Json header = {{"__metadata__", {{"format", "sparsify"}, {"run", fingerprint}, {"facts", facts.dump()}}}};
  size_t offset = 0;
  std::vector<std::span<const std::byte>> data;
  for (const auto& [name, values] : tensors) {
    data.push_back(values.bytes());
    const size_t size = values.bytes().size();
    header[name] = {{"dtype", names().at(values.type())}, {"shape", values.shape()}, {"data_offsets", {offset, offset + size}}};
    offset += size;
  }
  const std::string sha256 = digest_of(header, data);
  header["__metadata__"]["sha256"] = sha256;
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  AtomicFile file(file_of(folder, state.layer.id), /*overwrite=*/true);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(text);
  for (const std::span<const std::byte> bytes : data) file.write(bytes);
  file.commit();
}

StoredLayer read_state(const std::string& folder, const std::string& fingerprint, int id) {
  const std::string path = file_of(folder, id);
  std::ifstream in(path, std::ios::binary);
  if (!in) return {};
  const std::string content((std::istreambuf_iterator<char>(in)), {});
  const StoredLayer damaged{.state = std::nullopt, .damage = path};
  uint64_t length = 0;
  if (content.size() < sizeof(length)) return damaged;
  std::memcpy(&length, content.data(), sizeof(length));
  if (length > content.size() - sizeof(length)) return damaged;
  const std::string_view data = std::string_view(content).substr(sizeof(length) + length);
  try {
    Json header = Json::parse(std::string_view(content).substr(sizeof(length), length));
    const auto sha256 = header.at("__metadata__").at("sha256").get<std::string>();
    header.at("__metadata__").erase("sha256");
    if (digest_of(header, {std::as_bytes(std::span(data))}) != sha256) return damaged;
    const Json& metadata = header.at("__metadata__");
    if (Json::parse(metadata.at("facts").get<std::string>()).at("layer") != id) return damaged;  // a file under another's name
    if (metadata.at("run") != fingerprint) return {};
    return {.state = unpack(header, data, id), .damage = ""};
  } catch (const nlohmann::json::exception&) {
    return damaged;
  }
}

}  // namespace sparsify
