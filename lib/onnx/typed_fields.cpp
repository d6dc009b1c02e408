#include "onnx/typed_fields.h"

#include <fmt/core.h>

#include <cstring>

#include "base/error.h"

namespace sparsify {
namespace {

using namespace tensor_field;

int fixed_width(uint32_t number) {
  return number == kFloatData ? 4 : number == kDoubleData ? 8 : 0;
}

/// Bytes that one value of the type's field gives to the tensor's buffer.
int bytes_per_entry(DType type) {
  switch (type) {
    case DType::Complex64: return 4;
    case DType::Complex128: return 8;
    default: return bits_of(type) < 8 ? 1 : bits_of(type) / 8;
  }
}

uint64_t load_fixed(const std::byte* from, int width) {
  uint64_t bits = 0;
  std::memcpy(&bits, from, static_cast<size_t>(width));
  return bits;
}

/// Calls visit(bits) for each value of a run.
template <class Visit>
void for_each_value(std::span<const std::byte> file, const FieldRun& run, Visit&& visit) {
  const int width = fixed_width(run.number);
  wire::Reader reader(file, run.begin, run.end);
  wire::Field field;
  while (reader.next(field)) {
    if (field.type == wire::Varint) {
      visit(field.value);
    } else if (width > 0) {
      for (size_t at = field.payload; at < field.end; at += static_cast<size_t>(width)) {
        visit(load_fixed(file.data() + at, width));
      }
    } else {
      wire::Reader packed(file, field.payload, field.end);
      while (!packed.at_end()) visit(packed.varint());
    }
  }
}

void append_value(std::string& out, int width, uint64_t bits) {
  if (width == 0) {
    wire::append_varint(out, bits);
  } else {
    out.append(reinterpret_cast<const char*>(&bits), static_cast<size_t>(width));
  }
}

HostTensor decode_strings(std::span<const std::byte> file, const std::vector<FieldRun>& runs,
                          const Shape& shape) {
  std::vector<std::string> strings;
  for (const FieldRun& run : runs) {
    if (run.number != kStringData) continue;
    wire::Reader reader(file, run.begin, run.end);
    wire::Field field;
    while (reader.next(field)) {
      strings.emplace_back(reinterpret_cast<const char*>(file.data()) + field.payload, field.value);
    }
  }
  return HostTensor::of_strings(shape, std::move(strings));
}

}  // namespace

uint32_t typed_field_of(DType type) {
  switch (type) {
    case DType::Float32:
    case DType::Complex64: return kFloatData;
    case DType::Float64:
    case DType::Complex128: return kDoubleData;
    case DType::Int64: return kInt64Data;
    case DType::UInt32:
    case DType::UInt64: return kUint64Data;
    case DType::String: return kStringData;
    default: return bits_of(type) == 0 ? 0 : kInt32Data;
  }
}

std::string field_name(uint32_t number) {
  switch (number) {
    case kFloatData: return "float_data";
    case kInt32Data: return "int32_data";
    case kStringData: return "string_data";
    case kInt64Data: return "int64_data";
    case kRawData: return "raw_data";
    case kDoubleData: return "double_data";
    case kUint64Data: return "uint64_data";
    default: return fmt::format("field {}", number);
  }
}

int64_t entries_for(DType type, int64_t count) {
  if (type == DType::Complex64 || type == DType::Complex128) return 2 * count;
  return bits_of(type) > 0 && bits_of(type) < 8 ? bytes_for(type, count) : count;
}

int64_t count_entries(std::span<const std::byte> file, const std::vector<FieldRun>& runs,
                      uint32_t number) {
  const int width = fixed_width(number);
  int64_t count = 0;
  for (const FieldRun& run : runs) {
    if (run.number != number) continue;
    wire::Reader reader(file, run.begin, run.end);
    wire::Field field;
    while (reader.next(field)) {
      if (field.type != wire::Bytes || number == kStringData) {
        ++count;
      } else if (width > 0) {
        if (field.value % static_cast<uint64_t>(width) != 0) {
          throw wire::Fault{wire::Fault::Kind::Malformed, field.payload, 0, 0};
        }
        count += static_cast<int64_t>(field.value) / width;
      } else {
        wire::Reader packed(file, field.payload, field.end);
        for (; !packed.at_end(); ++count) packed.varint();
      }
    }
  }
  return count;
}

HostTensor decode_typed(std::span<const std::byte> file, const std::vector<FieldRun>& runs,
                        DType type, const Shape& shape) {
  if (type == DType::String) return decode_strings(file, runs, shape);
  HostTensor tensor(type, shape);
  const auto width = static_cast<size_t>(bytes_per_entry(type));
  const uint32_t number = typed_field_of(type);
  std::span<std::byte> out = tensor.mutable_bytes();
  for (const FieldRun& run : runs) {
    if (run.number != number) continue;
    for_each_value(file, run, [&](uint64_t bits) {
      if (type == DType::Bool) bits = bits != 0 ? 1 : 0;
      invariant(out.size() >= width, "the values of a typed field were counted");
      std::memcpy(out.data(), &bits, width);
      out = out.subspan(width);
    });
  }
  invariant(out.empty(), "a typed field fills its tensor");
  return tensor;
}

std::optional<ByteRange> raw_range(std::span<const std::byte> file,
                                   const std::vector<FieldRun>& runs) {
  std::optional<ByteRange> range;
  for (const FieldRun& run : runs) {
    if (run.number != kRawData) continue;
    wire::Reader reader(file, run.begin, run.end);
    wire::Field field;
    while (reader.next(field)) range = ByteRange{field.payload, field.end, run.frame};
  }
  return range;
}

std::string rewrite_run(std::span<const std::byte> file, const FieldRun& run, int64_t& first,
                        const NewValue& value) {
  const auto* text = reinterpret_cast<const char*>(file.data());
  const int width = fixed_width(run.number);
  std::string out;
  out.reserve(run.end - run.begin);
  const auto rewrite = [&](std::string& to, size_t begin, size_t end, uint64_t bits) {
    const uint64_t fresh = value(first++, bits);
    if (fresh == bits) {
      to.append(text + begin, end - begin);
    } else {
      append_value(to, width, fresh);
    }
  };
  wire::Reader reader(file, run.begin, run.end);
  wire::Field field;
  while (reader.next(field)) {
    if (field.type != wire::Bytes) {
      const uint64_t bits =
          width > 0 ? load_fixed(file.data() + field.payload, width) : field.value;
      out.append(text + field.begin, field.payload - field.begin);
      rewrite(out, field.payload, field.end, bits);
      continue;
    }
    std::string packed;
    packed.reserve(field.value);
    if (width > 0) {
      for (size_t at = field.payload; at < field.end; at += static_cast<size_t>(width)) {
        rewrite(packed, at, at + static_cast<size_t>(width), load_fixed(file.data() + at, width));
      }
    } else {
      wire::Reader values(file, field.payload, field.end);
      while (!values.at_end()) {
        const size_t begin = values.position();
        const uint64_t bits = values.varint();
        rewrite(packed, begin, values.position(), bits);
      }
    }
    if (packed.size() == field.value) {
      out.append(text + field.begin, field.payload - field.begin);
    } else {
      out.append(text + field.begin, field.length - field.begin);
      wire::append_varint(out, packed.size());
    }
    out += packed;
  }
  return out;
}

uint64_t typed_value(const HostTensor& tensor, int64_t index) {
  const DType type = tensor.type();
  const int width = bytes_per_entry(type);
  const uint64_t bits = load_fixed(tensor.bytes().data() + index * width, width);
  switch (type) {
    case DType::Int8: return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int8_t>(bits)));
    case DType::Int16: return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int16_t>(bits)));
    case DType::Int32: return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(bits)));
    default: return bits;
  }
}

}  // namespace sparsify
