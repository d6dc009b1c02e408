#include "data/npy.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "base/error.h"

namespace sparsify {
namespace {

struct NumpyType {
  std::string_view code;
  DType type;
};
constexpr NumpyType kTypes[] = {
    {"f2", DType::Float16}, {"f4", DType::Float32}, {"f8", DType::Float64}, {"b1", DType::Bool},
    {"i1", DType::Int8},    {"i2", DType::Int16},   {"i4", DType::Int32},   {"i8", DType::Int64},
    {"u1", DType::UInt8},   {"u2", DType::UInt16},  {"u4", DType::UInt32},  {"u8", DType::UInt64}};

[[noreturn]] void fail(const std::string& where, std::string what,
                       std::string fix = "save the array again with numpy") {
  throw ResourceError{{.what = std::move(what), .where = where, .fix = std::move(fix)}};
}

/// The text after `'key':` in the header, a Python dictionary as numpy writes it.
std::string_view entry_of(std::string_view header, std::string_view key, const std::string& where) {
  const size_t found = header.find(fmt::format("'{}':", key));
  if (found == std::string_view::npos)
    fail(where, fmt::format("the array's header has no {}", key));
  std::string_view rest = header.substr(found + key.size() + 3);
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  return rest;
}

Shape shape_of(std::string_view text, const std::string& where) {
  const size_t end = text.find(')');
  if (!text.starts_with('(') || end == std::string_view::npos)
    fail(where, "the array's header has no shape");
  Shape shape;
  const char* cursor = text.data() + 1;
  const char* last = text.data() + end;
  while (cursor < last) {
    if (*cursor == ' ' || *cursor == ',') {
      ++cursor;
      continue;
    }
    int64_t size = 0;
    const auto [next, error] = std::from_chars(cursor, last, size);
    if (error != std::errc{} || size < 0)
      fail(where, fmt::format("the array's shape is {}", text.substr(0, end + 1)));
    shape.push_back(size);
    cursor = next;
  }
  return shape;
}

}  // namespace

HostTensor read_npy(std::span<const std::byte> bytes, const std::string& where) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(kMagic) || text.size() < 12) fail(where, "the entry is not a numpy array");
  const bool is_version_1 = text[6] == 1;
  uint32_t header_size = 0;  // little-endian; 2 bytes in version 1, then 4
  std::memcpy(&header_size, text.data() + 8, is_version_1 ? 2 : 4);
  const size_t start = (is_version_1 ? 10 : 12) + size_t{header_size};
  if (text.size() < start) fail(where, "the array's header is cut off");
  const std::string_view header = text.substr(start - header_size, header_size);

  const std::string_view descr = entry_of(header, "descr", where);
  const bool is_simple = descr.starts_with('\'') && descr.size() >= 4;
  const size_t end = is_simple ? descr.find('\'', 1) : std::string_view::npos;
  const std::string_view code = end == std::string_view::npos ? "" : descr.substr(1, end - 1);
  const auto* known = code.size() < 2 ? std::end(kTypes)
                                      : std::ranges::find(kTypes, code.substr(1), &NumpyType::code);
  if (known == std::end(kTypes)) {
    fail(where,
         fmt::format("the array's type is {}",
                     descr.substr(0, std::min<size_t>(descr.find(','), 30))),
         "store bool, int8 to int64, uint8 to uint64, float16, float32 or float64");
  }
  const Shape shape = shape_of(entry_of(header, "shape", where), where);
  if (entry_of(header, "fortran_order", where).starts_with("True") && shape.size() > 1) {
    fail(where, "the array is stored in Fortran order", "store numpy.ascontiguousarray(array)");
  }
  int64_t count = 1;
  for (const int64_t size : shape) {
    if (__builtin_mul_overflow(count, size, &count))
      fail(where, "the array's shape is " + to_text(shape));
  }
  const int64_t width = bits_of(known->type) / 8;
  const auto stored = static_cast<int64_t>(bytes.size() - start);
  if (stored % width != 0 || stored / width != count) {
    fail(where, fmt::format("{}{} needs {} elements of {} bytes, {} bytes are there",
                            name_of(known->type), to_text(shape), count, width, stored));
  }
  HostTensor tensor(known->type, shape);
  std::span<std::byte> out = tensor.mutable_bytes();
  std::copy(bytes.begin() + static_cast<std::ptrdiff_t>(start), bytes.end(), out.begin());
  if (code[0] == '>') {
    for (int64_t i = 0; i < stored; i += width)
      std::reverse(out.begin() + i, out.begin() + i + width);
  }
  return tensor;
}

}  // namespace sparsify
