#include <algorithm>
#include <cctype>
#include <string_view>

#include "onnx/model_impl.h"

namespace sparsify {

std::string guess_format(std::span<const std::byte> file) {
  const std::string_view head(reinterpret_cast<const char*>(file.data()),
                              std::min<size_t>(file.size(), 512));
  struct Signature {
    std::string_view bytes;
    size_t at;
    const char* meaning;
  };
  using namespace std::string_view_literals;
  static constexpr Signature kSignatures[] = {
      {"PK\x03\x04"sv, 0, "a zip archive (a PyTorch checkpoint or a Keras file?)"},
      {"\x1f\x8b"sv, 0, "gzip data: unpack it first"},
      {"\xfd" "7zXZ"sv, 0, "xz data: unpack it first"},
      {"\x28\xb5\x2f\xfd"sv, 0, "zstd data: unpack it first"},
      {"\x89HDF\r\n"sv, 0, "an HDF5 file (Keras?)"},
      {"TFL3"sv, 4, "a TensorFlow Lite model"},
      {"ORTM"sv, 4, "an ORT-format model: use the .onnx it was made from"},
      {"GGUF"sv, 0, "a GGUF file"},
      {"\x7f" "ELF"sv, 0, "a program"},
      {"\x89PNG"sv, 0, "a PNG image"},
      {"\x80\x02"sv, 0, "a Python pickle"},
      {"\x80\x04"sv, 0, "a Python pickle"},
      {"version https://git-lfs"sv, 0, "a Git LFS pointer: run git lfs pull"},
  };
  for (const Signature& signature : kSignatures) {
    if (head.size() >= signature.at && head.substr(signature.at).starts_with(signature.bytes)) {
      return signature.meaning;
    }
  }
  const bool text = !head.empty() && std::all_of(head.begin(), head.end(), [](unsigned char letter) {
    return std::isprint(letter) != 0 || std::isspace(letter) != 0 || letter >= 0x80;
  });
  const bool ascii = std::none_of(head.begin(), head.end(),
                                  [](unsigned char letter) { return letter >= 0x80; });
  if (text && ascii) return "a text file";
  return "";
}

}  // namespace sparsify
