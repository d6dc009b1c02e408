#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sparsify::wire {

/// Protobuf's wire format, read in place: tag, value, tag, value ... All positions are offsets in the file.
enum Type : uint8_t { Varint = 0, Fixed64 = 1, Bytes = 2, GroupStart = 3, GroupEnd = 4, Fixed32 = 5 };

struct Field {
  uint32_t number = 0;
  Type type = Varint;
  size_t begin = 0;    ///< of the tag
  size_t length = 0;   ///< Bytes: of the length prefix; else as `payload`
  size_t payload = 0;  ///< of the value
  size_t end = 0;      ///< after the value
  uint64_t value = 0;  ///< Varint: the number; Bytes: the payload's length

  bool is(uint32_t field_number, Type field_type) const {
    return number == field_number && type == field_type;
  }
};

/// What is wrong and where; becomes a ResourceError where the path is known.
struct Fault {
  enum class Kind { Malformed, Overrun, TooDeep };
  Kind kind = Kind::Malformed;
  size_t offset = 0;
  uint64_t needed = 0;  ///< Overrun: the field needs bytes up to this offset ...
  size_t available = 0;  ///< ... and its message, or the file, ends here
};

/// The fields of one message, in the order of the file. Unknown groups are passed over as one field.
class Reader {
 public:
  Reader(std::span<const std::byte> file, size_t begin, size_t end)
      : file_(file), position_(begin), end_(end) {}

  /// False at the end of the message. Throws Fault.
  bool next(Field& field);
  /// A bare varint, as in a packed field. Throws Fault.
  uint64_t varint();
  size_t position() const { return position_; }
  bool at_end() const { return position_ >= end_; }

 private:
  void skip_group(uint32_t number, int depth);
  bool read_tag_and_value(Field& field);
  void require(uint64_t bytes) const;

  std::span<const std::byte> file_;
  size_t position_;
  size_t end_;
};

/// Messages and groups nest at most this deep, as protobuf's own parser has it.
inline constexpr int kMaxDepth = 100;

/// Appends the shortest encoding.
void append_varint(std::string& out, uint64_t value);
void append_tag(std::string& out, uint32_t number, Type type);
/// Tag, length and bytes.
void append_bytes(std::string& out, uint32_t number, std::string_view bytes);

}  // namespace sparsify::wire
