#include "tensor/tensor_proto.h"

#include <fmt/core.h>

#include <cstring>
#include <fstream>
#include <string_view>

#include "base/error.h"

namespace sparsify {
namespace {

[[noreturn]] void fail(const std::string& where, std::string what,
                       std::string fix = "write the file again with onnx.save_tensor or its like") {
  throw ResourceError{{.what = std::move(what), .where = where, .fix = std::move(fix)}};
}

/// One field of a message: a number, or the bytes of a length-delimited field.
struct Field {
  uint32_t number = 0;
  uint32_t wire_type = 0;  // 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes
  uint64_t value = 0;
  std::span<const std::byte> bytes;
};

/// Walks over the fields of one message (protobuf.dev/programming-guides/encoding).
class WireReader {
 public:
  WireReader(std::span<const std::byte> bytes, const std::string& where)
      : bytes_(bytes), where_(where) {}

  bool done() const { return bytes_.empty(); }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      const auto byte = static_cast<uint64_t>(take(1)[0]);
      value |= (byte & 0x7F) << (shift & 63);
      if (byte < 0x80) return value;
    }
    fail(where_, "a number in the file is longer than 10 bytes: not a protobuf message");
  }

  Field next() {
    Field field;
    const uint64_t tag = varint();
    field.number = static_cast<uint32_t>(tag >> 3);
    field.wire_type = static_cast<uint32_t>(tag & 7);
    switch (field.wire_type) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.bytes = take(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        field.bytes = take(4);
        break;
      default:
        fail(where_, fmt::format("wire type {} does not occur in ONNX files", field.wire_type));
    }
    return field;
  }

 private:
  std::span<const std::byte> take(uint64_t size) {
    if (size > bytes_.size()) {
      fail(where_, fmt::format("the file ends {} bytes too early", size - bytes_.size()));
    }
    const auto taken = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return taken;
  }

  std::span<const std::byte> bytes_;
  const std::string& where_;
};

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A repeated varint field: packed, or one entry.
template <class T>
void append_varints(const Field& field, const std::string& where, std::vector<T>& out) {
  if (field.wire_type == 0) {
    out.push_back(static_cast<T>(field.value));
    return;
  }
  WireReader packed(field.bytes, where);
  while (!packed.done()) out.push_back(static_cast<T>(packed.varint()));
}

struct TensorFields {
  Shape shape;
  DType type = DType::Undefined;
  std::string name;
  bool has_raw = false;
  std::span<const std::byte> raw;
  std::vector<std::byte> fixed;   // float_data or double_data, little-endian
  std::vector<uint64_t> varints;  // int32_data, int64_data or uint64_data
  std::vector<std::string> strings;
};

TensorFields read_fields(std::span<const std::byte> bytes, const std::string& where) {
  TensorFields tensor;
  WireReader reader(bytes, where);
  while (!reader.done()) {
    const Field field = reader.next();
    switch (field.number) {
      case 1:
        append_varints(field, where, tensor.shape);
        break;
      case 2:
        tensor.type = static_cast<DType>(field.value);
        break;
      case 4:   // float_data
      case 10:  // double_data
        tensor.fixed.insert(tensor.fixed.end(), field.bytes.begin(), field.bytes.end());
        break;
      case 5:   // int32_data
      case 7:   // int64_data
      case 11:  // uint64_data
        append_varints(field, where, tensor.varints);
        break;
      case 6:
        tensor.strings.push_back(text_of(field.bytes));
        break;
      case 8:
        tensor.name = text_of(field.bytes);
        break;
      case 9:
        tensor.has_raw = true;
        tensor.raw = field.bytes;
        break;
      case 14:
        if (field.value == 1) {
          fail(where, "the tensor's data lie in another file",
               "store the tensor with its data inside");
        }
        break;
      default:
        break;
    }
  }
  return tensor;
}

HostTensor assemble(const TensorFields& fields, const std::string& where) {
  int64_t count = 1;
  for (const int64_t size : fields.shape) {
    if (size < 0 || __builtin_mul_overflow(count, size, &count)) {
      fail(where, fmt::format("the tensor's shape is {}", to_text(fields.shape)));
    }
  }
  if (fields.type == DType::String) {
    if (static_cast<int64_t>(fields.strings.size()) != count) {
      fail(where, fmt::format("shape {} needs {} strings, the file has {}", to_text(fields.shape),
                              count, fields.strings.size()));
    }
    return HostTensor::of_strings(fields.shape, fields.strings);
  }
  const int bits = bits_of(fields.type);
  if (bits == 0) fail(where, fmt::format("the tensor's element type is {}", name_of(fields.type)));
  if (count > (int64_t{1} << 56))
    fail(where, fmt::format("the tensor's shape is {}", to_text(fields.shape)));

  // Smaller types take one varint per element (per byte for the packed 4- and 2-bit types).
  const int64_t size = bytes_for(fields.type, count);
  const int64_t width = std::max(1, bits / 8);
  const int64_t stored = fields.has_raw ? static_cast<int64_t>(fields.raw.size())
                         : !fields.fixed.empty()
                             ? static_cast<int64_t>(fields.fixed.size())
                             : static_cast<int64_t>(fields.varints.size()) * width;
  if (stored != size) {
    fail(where, fmt::format("{}{} needs {} bytes, the file has {}", name_of(fields.type),
                            to_text(fields.shape), size, stored));
  }
  HostTensor tensor(fields.type, fields.shape);
  if (size == 0) return tensor;
  std::byte* out = tensor.mutable_bytes().data();
  if (fields.has_raw) {
    std::memcpy(out, fields.raw.data(), fields.raw.size());
  } else if (!fields.fixed.empty()) {
    std::memcpy(out, fields.fixed.data(), fields.fixed.size());
  } else {
    for (const uint64_t value : fields.varints) {
      std::memcpy(out, &value, width);
      out += width;
    }
  }
  return tensor;
}

ProtoValue read_tensor(std::span<const std::byte> bytes, const std::string& where) {
  const TensorFields fields = read_fields(bytes, where);
  return {.kind = ProtoKind::Tensor,
          .name = fields.name,
          .tensor = assemble(fields, where),
          .elements = {}};
}

/// SequenceProto and OptionalProto share their field numbers: 3 tensors, 5 sequences, 7 optionals.
/// They differ in 4 (sparse tensors) and 6 (maps) only by name.
ProtoValue read_container(std::span<const std::byte> bytes, ProtoKind kind,
                          const std::string& where, int depth) {
  if (depth > 16) fail(where, "sequences are nested more than 16 deep");
  ProtoValue value{.kind = kind, .name = "", .tensor = {}, .elements = {}};
  WireReader reader(bytes, where);
  while (!reader.done()) {
    const Field field = reader.next();
    switch (field.number) {
      case 1:
        value.name = text_of(field.bytes);
        break;
      case 3:
        value.elements.push_back(read_tensor(field.bytes, where));
        break;
      case 5:
        value.elements.push_back(
            read_container(field.bytes, ProtoKind::Sequence, where, depth + 1));
        break;
      case 7:
        value.elements.push_back(
            read_container(field.bytes, ProtoKind::Optional, where, depth + 1));
        break;
      case 4:
      case 6:
        fail(where, field.number == 4 ? "the value holds sparse tensors" : "the value holds maps",
             "use dense tensors");
      default:
        break;
    }
  }
  return value;
}

}  // namespace

ProtoValue read_proto_value(std::span<const std::byte> bytes, ProtoKind kind,
                            const std::string& where) {
  return kind == ProtoKind::Tensor ? read_tensor(bytes, where)
                                   : read_container(bytes, kind, where, 0);
}

ProtoValue read_proto_file(const std::string& path, ProtoKind kind) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw ResourceError{
        {.what = "the file cannot be opened", .where = path, .fix = "check path and permissions"}};
  }
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return read_proto_value(std::as_bytes(std::span(bytes.data(), bytes.size())), kind, path);
}

}  // namespace sparsify
