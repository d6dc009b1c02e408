// safetensors: 8 bytes header length (little-endian), a JSON header, then the tensors' bytes in the header's order.
// https://github.com/huggingface/safetensors#format
#include "train/tensor_file.h"

#include <fmt/core.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/sha256.h"

namespace sparsify {
namespace {

using Json = nlohmann::ordered_json;

const std::map<DType, std::string>& type_names() {
  static const auto* names = new std::map<DType, std::string>{
      {DType::Float32, "F32"}, {DType::Float16, "F16"}, {DType::BFloat16, "BF16"}, {DType::Float64, "F64"},
      {DType::Int64, "I64"},   {DType::Int32, "I32"},   {DType::UInt8, "U8"},      {DType::Bool, "BOOL"}};
  return *names;
}

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
  throw ResourceError{{.what = what, .where = path, .fix = "start the run again without --resume (--overwrite drops the checkpoint)"}};
}

/// Everything in front of the tensors' bytes; `size` is theirs.
std::string header_of(const std::map<std::string, HostTensor>& tensors, size_t& size) {
  Json header = Json::object();
  size = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto type = type_names().find(tensor.type());
    invariant(type != type_names().end(), "a checkpoint holds only types that safetensors has");
    header[name] = {{"dtype", type->second}, {"shape", tensor.shape()}, {"data_offsets", {size, size + tensor.bytes().size()}}};
    size += tensor.bytes().size();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string length(8, '\0');
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(text.size() >> (8 * i));
  return length + text;
}

}  // namespace

std::string write_tensors(const std::string& path, const std::map<std::string, HostTensor>& tensors) {
  size_t size = 0;
  const std::string header = header_of(tensors, size);
  AtomicFile file(path, /*overwrite=*/true);
  file.reserve(static_cast<int64_t>(header.size() + size));
  file.write(header);
  for (const auto& [name, tensor] : tensors) file.write(tensor.bytes());
  return file.commit();
}

std::map<std::string, HostTensor> read_tensors(const std::string& path, const std::string& sha256) {
  std::ifstream file(path, std::ios::binary);
  if (!file) refuse(path, "the checkpoint's file of tensors cannot be read");
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (sha256_of(std::as_bytes(std::span(bytes))) != sha256) refuse(path, "the checkpoint is damaged: its SHA-256 is not the one that was written");
  return unpack_tensors(bytes);
}

std::string pack_tensors(const std::map<std::string, HostTensor>& tensors) {
  size_t size = 0;
  std::string bytes = header_of(tensors, size);
  bytes.reserve(bytes.size() + size);
  for (const auto& [name, tensor] : tensors) bytes.append(reinterpret_cast<const char*>(tensor.bytes().data()), tensor.bytes().size());
  return bytes;
}

std::map<std::string, HostTensor> unpack_tensors(const std::string& bytes) {
  uint64_t length = 0;
  for (size_t i = 0; i < 8; ++i) length |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  const Json header = Json::parse(bytes.substr(8, length));
  std::map<std::string, HostTensor> tensors;
  for (const auto& [name, entry] : header.items()) {
    DType type = DType::Undefined;
    for (const auto& [known, text] : type_names()) {
      if (text == entry.at("dtype")) type = known;
    }
    HostTensor tensor(type, entry.at("shape").get<Shape>());
    const size_t begin = 8 + length + entry.at("data_offsets").at(0).get<size_t>();
    std::memcpy(tensor.mutable_bytes().data(), bytes.data() + begin, tensor.bytes().size());
    tensors.emplace(name, std::move(tensor));
  }
  return tensors;
}

}  // namespace sparsify
