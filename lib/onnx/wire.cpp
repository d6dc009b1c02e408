#include "onnx/wire.h"

namespace sparsify::wire {

void Reader::require(uint64_t bytes) const {
  if (bytes > end_ - position_) {
    const uint64_t needed = position_ + bytes < bytes ? ~uint64_t{0} : position_ + bytes;
    throw Fault{Fault::Kind::Overrun, position_, needed, end_};
  }
}

uint64_t Reader::varint() {
  const size_t begin = position_;
  uint64_t value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    require(1);
    const auto byte = static_cast<uint64_t>(file_[position_++]);
    if (shift < 64) value |= (byte & 127) << shift;
    if (byte < 128) return value;
  }
  throw Fault{Fault::Kind::Malformed, begin, 0, 0};
}

bool Reader::read_tag_and_value(Field& field) {
  if (at_end()) return false;
  field.begin = position_;
  const uint64_t tag = varint();
  if (tag > 0xffffffffU || tag >> 3 == 0 || (tag & 7) > 5) {
    throw Fault{Fault::Kind::Malformed, field.begin, 0, 0};
  }
  field.number = static_cast<uint32_t>(tag >> 3);
  field.type = static_cast<Type>(tag & 7);
  field.length = position_;
  field.payload = position_;
  switch (field.type) {
    case Varint: field.value = varint(); break;
    case Fixed64: require(8); position_ += 8; break;
    case Fixed32: require(4); position_ += 4; break;
    case Bytes:
      field.value = varint();
      field.payload = position_;
      require(field.value);
      position_ += field.value;
      break;
    case GroupStart:
    case GroupEnd: break;
  }
  field.end = position_;
  return true;
}

void Reader::skip_group(uint32_t number, int depth) {
  const size_t begin = position_;
  if (depth > kMaxDepth) throw Fault{Fault::Kind::TooDeep, begin, 0, 0};
  Field field;
  while (read_tag_and_value(field)) {
    if (field.type == GroupStart) skip_group(field.number, depth + 1);
    if (field.type == GroupEnd) {
      if (field.number != number) throw Fault{Fault::Kind::Malformed, field.begin, 0, 0};
      return;
    }
  }
  throw Fault{Fault::Kind::Overrun, begin, end_ + uint64_t{1}, end_};
}

bool Reader::next(Field& field) {
  if (!read_tag_and_value(field)) return false;
  if (field.type == GroupEnd) throw Fault{Fault::Kind::Malformed, field.begin, 0, 0};
  if (field.type == GroupStart) {
    skip_group(field.number, 1);
    field.end = position_;
  }
  return true;
}

void append_varint(std::string& out, uint64_t value) {
  while (value >= 128) {
    out += static_cast<char>((value & 127) | 128);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

void append_tag(std::string& out, uint32_t number, Type type) {
  append_varint(out, number << 3 | type);
}

void append_bytes(std::string& out, uint32_t number, std::string_view bytes) {
  append_tag(out, number, Bytes);
  append_varint(out, bytes.size());
  out += bytes;
}

}  // namespace sparsify::wire
