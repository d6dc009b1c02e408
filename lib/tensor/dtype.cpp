#include "tensor/dtype.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>

namespace sparsify {
namespace {

struct TypeFacts {
  const char* name;
  int bits;
};

constexpr std::array<TypeFacts, 27> kTypes{{
    {"undefined", 0},       {"float32", 32},     {"uint8", 8},           {"int8", 8},
    {"uint16", 16},         {"int16", 16},       {"int32", 32},          {"int64", 64},
    {"string", 0},          {"bool", 8},         {"float16", 16},        {"float64", 64},
    {"uint32", 32},         {"uint64", 64},      {"complex64", 64},      {"complex128", 128},
    {"bfloat16", 16},       {"float8e4m3fn", 8}, {"float8e4m3fnuz", 8},  {"float8e5m2", 8},
    {"float8e5m2fnuz", 8},  {"uint4", 4},        {"int4", 4},            {"float4e2m1", 4},
    {"float8e8m0", 8},      {"uint2", 2},        {"int2", 2},
}};

}  // namespace

int bits_of(DType type) {
  const auto number = static_cast<size_t>(type);
  return number < kTypes.size() ? kTypes[number].bits : 0;
}

int64_t bytes_for(DType type, int64_t count) {
  const __int128 bytes = (static_cast<__int128>(count) * bits_of(type) + 7) / 8;
  const int64_t most = std::numeric_limits<int64_t>::max();
  return bytes > most ? most : static_cast<int64_t>(bytes);
}

bool is_prunable_float(DType type) {
  return type == DType::Float32 || type == DType::Float16 || type == DType::BFloat16 ||
         type == DType::Float64;
}

std::string name_of(DType type) {
  const auto number = static_cast<size_t>(type);
  return number < kTypes.size() ? kTypes[number].name
                                : fmt::format("type {}", static_cast<int32_t>(type));
}

DType dtype_named(std::string_view name) {
  std::string key(name);
  std::transform(key.begin(), key.end(), key.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  if (key.starts_with("tensor(") && key.ends_with(")")) key = key.substr(7, key.size() - 8);
  if (key == "float") return DType::Float32;
  if (key == "double") return DType::Float64;
  for (size_t number = 1; number < kTypes.size(); ++number) {
    if (key == kTypes[number].name) return static_cast<DType>(number);
  }
  return DType::Undefined;
}

}  // namespace sparsify
