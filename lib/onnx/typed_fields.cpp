#include "onnx/typed_fields.h"

#include <fmt/core.h>

#include <cstring>

#include "base/error.h"

namespace sparsify {
namespace {

using namespace tensor_field;

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

/// Varints in [begin, end): one ends at each byte without the continuation bit.
int64_t count_varints(std::span<const std::byte> file, size_t begin, size_t end) {
  int64_t count = 0;
  int length = 0;
  bool too_long = false;
  for (size_t at = begin; at < end; ++at) {
    const bool ends = (file[at] & std::byte{128}) == std::byte{0};
    too_long |= ++length > 10;
    length = ends ? 0 : length;
    count += ends;
  }
  if (too_long || length != 0) throw wire::Fault{wire::Fault::Kind::Malformed, begin, 0, 0};
  return count;
}

}  // namespace

int fixed_width(uint32_t number) {
  return number == kFloatData ? 4 : number == kDoubleData ? 8 : 0;
}

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
        count += count_varints(file, field.payload, field.end);
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

namespace {

/// The bits of value `index` of a typed field, sign-extended where the field is signed.
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

/// One run of a tensor whose value number i becomes fresh(i, old bits).
template <class Fresh>
class RunWriter {
 public:
  RunWriter(std::span<const std::byte> file, int width, int64_t& index, Fresh fresh)
      : file_(file), width_(width), index_(index), fresh_(std::move(fresh)) {}

  std::string write(const FieldRun& run) {
    std::string out;
    out.reserve(run.end - run.begin);
    wire::Reader reader(file_, run.begin, run.end);
    wire::Field field;
    while (reader.next(field)) {
      if (field.type != wire::Bytes) {
        append(out, field.begin, field.payload);
        value(out, field.payload, field.end, width_ > 0 ? fixed(field.payload) : field.value);
        continue;
      }
      const std::string packed = pack(field);
      if (packed.size() == field.value) {
        append(out, field.begin, field.payload);
      } else {
        append(out, field.begin, field.length);
        wire::append_varint(out, packed.size());
      }
      out += packed;
    }
    return out;
  }

 private:
  std::string pack(const wire::Field& field) {
    std::string packed;
    packed.reserve(field.value);
    if (width_ > 0) {
      const auto step = static_cast<size_t>(width_);
      for (size_t at = field.payload; at < field.end; at += step) {
        value(packed, at, at + step, fixed(at));
      }
      return packed;
    }
    wire::Reader values(file_, field.payload, field.end);
    while (!values.at_end()) {
      const size_t begin = values.position();
      const uint64_t bits = values.varint();
      value(packed, begin, values.position(), bits);
    }
    return packed;
  }

  void value(std::string& out, size_t begin, size_t end, uint64_t bits) {
    const uint64_t fresh = fresh_(index_++, bits);
    if (fresh == bits) {
      append(out, begin, end);
    } else {
      append_value(out, width_, fresh);
    }
  }

  uint64_t fixed(size_t at) const { return load_fixed(file_.data() + at, width_); }
  void append(std::string& out, size_t begin, size_t end) const {
    out.append(reinterpret_cast<const char*>(file_.data()) + begin, end - begin);
  }

  std::span<const std::byte> file_;
  int width_;
  int64_t& index_;
  Fresh fresh_;
};

}  // namespace

std::string rewrite_run(std::span<const std::byte> file, const FieldRun& run, int64_t& first,
                        const TypedEdit& edit) {
  const int width = fixed_width(run.number);
  if (edit.mask != nullptr) {
    const auto masked = [mask = edit.mask](int64_t index, uint64_t bits) {
      return (*mask)[index] ? bits : 0;
    };
    return RunWriter(file, width, first, masked).write(run);
  }
  const auto replaced = [tensor = edit.tensor](int64_t index, uint64_t) {
    return typed_value(*tensor, index);
  };
  return RunWriter(file, width, first, replaced).write(run);
}

std::string encode_typed(const HostTensor& tensor, bool packed) {
  const uint32_t number = typed_field_of(tensor.type());
  const int width = fixed_width(number);
  const wire::Type single = width == 4 ? wire::Fixed32 : width == 8 ? wire::Fixed64 : wire::Varint;
  const int64_t entries = entries_for(tensor.type(), tensor.count());
  std::string values;
  for (int64_t i = 0; i < entries; ++i) {
    if (!packed) wire::append_tag(values, number, single);
    append_value(values, width, typed_value(tensor, i));
  }
  if (!packed) return values;
  std::string field;
  wire::append_bytes(field, number, values);
  return field;
}

}  // namespace sparsify
