#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "onnx/wire.h"

namespace sparsify {

/// A folder of its own for one test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "sparsify-test.XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string operator/(std::string_view name) const { return (path_ / name).string(); }
  const std::filesystem::path& path() const { return path_; }
  int files() const {
    return static_cast<int>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

inline void write_bytes(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Wire bytes by hand, for files that no protobuf library writes.
inline std::string number_field(uint32_t field, uint64_t value) {
  std::string out;
  wire::append_tag(out, field, wire::Varint);
  wire::append_varint(out, value);
  return out;
}

inline std::string bytes_field(uint32_t field, std::string_view bytes) {
  std::string out;
  wire::append_bytes(out, field, bytes);
  return out;
}

/// `value` in exactly `size` bytes, with continuation bits that a canonical writer leaves out.
inline std::string long_varint(uint64_t value, int size) {
  std::string out;
  for (int i = 0; i < size; ++i) {
    out += static_cast<char>((value & 127) | (i + 1 < size ? 128 : 0));
    value >>= 7;
  }
  return out;
}

inline std::string long_bytes_field(uint32_t field, std::string_view bytes) {
  return long_varint(field << 3 | 2, 3) + long_varint(bytes.size(), 5) + std::string(bytes);
}

template <class T>
std::string packed(std::initializer_list<T> values) {
  std::string out;
  for (const T value : values) out.append(reinterpret_cast<const char*>(&value), sizeof value);
  return out;
}

inline std::string varints(std::initializer_list<uint64_t> values) {
  std::string out;
  for (const uint64_t value : values) wire::append_varint(out, value);
  return out;
}

/// A model whose graph is `x[2] -> Op(x, w) -> y[2]`, with `tensor` (a serialised TensorProto) as w.
///   extra   more fields of the model, before the graph
std::string model_with(std::string_view tensor, std::string_view extra = "", int elements = 2,
                       int type = 1, int64_t opset = 17);

/// TensorProto fields: dims, data_type and name.
std::string tensor_head(std::initializer_list<int64_t> dims, int type, std::string_view name = "w");

}  // namespace sparsify
