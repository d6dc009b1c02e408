#include "tensor/tensor_proto.h"

#include <string>

#include "base/error.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

ProtoValue decode(const std::string& bytes, ProtoKind kind = ProtoKind::Tensor) {
  return read_proto_value(std::as_bytes(std::span(bytes.data(), bytes.size())), kind, "value.pb");
}

/// A length-delimited field shorter than 128 bytes.
std::string field(int number, const std::string& content) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(content.size())} +
         content;
}
std::string number(int field_number, int value) {
  return {static_cast<char>(field_number << 3), static_cast<char>(value)};
}

}  // namespace

TEST_CASE("raw bytes and typed fields of a TensorProto give the same tensor", "[tensor][proto]") {
  // dims [2] packed, data_type 1 (float), 1.0f and -2.0f
  const std::string floats("\x00\x00\x80\x3f\x00\x00\x00\xc0", 8);
  const std::string head = field(1, "\x02") + number(2, 1) + field(8, "x");
  const ProtoValue raw = decode(head + field(9, floats));
  const ProtoValue typed = decode(head + field(4, floats));

  CHECK(raw.name == "x");
  CHECK(raw.tensor.shape() == Shape{2});
  CHECK(raw.tensor.type() == DType::Float32);
  CHECK(raw.tensor.to_floats() == std::vector<float>{1.0f, -2.0f});
  CHECK(typed.tensor.to_floats() == raw.tensor.to_floats());
}

TEST_CASE("dims may be unpacked and small integers come from int32_data", "[tensor][proto]") {
  // Two dims as separate varints; -1 is a varint of ten bytes.
  const std::string minus_one = std::string(9, '\xff') + "\x01";
  const ProtoValue value =
      decode(number(1, 1) + number(1, 2) + number(2, 3) + field(5, "\x05" + minus_one));

  CHECK(value.tensor.shape() == Shape{1, 2});
  CHECK(value.tensor.to_integers() == std::vector<int64_t>{5, -1});
}

TEST_CASE("packed int4 takes one int32_data entry for two elements", "[tensor][proto]") {
  const ProtoValue value =
      decode(number(1, 3) + number(2, 22) + field(5, std::string("\x21\x03", 2)));
  REQUIRE(value.tensor.bytes().size() == 2);
  CHECK(value.tensor.bytes()[0] == std::byte{0x21});
  CHECK(value.tensor.bytes()[1] == std::byte{0x03});
}

TEST_CASE("strings, scalars and empty tensors are read", "[tensor][proto]") {
  const ProtoValue strings = decode(number(1, 2) + number(2, 8) + field(6, "ab") + field(6, ""));
  CHECK(strings.tensor.strings() == std::vector<std::string>{"ab", ""});

  const ProtoValue scalar = decode(number(2, 7) + field(7, "\x07"));
  CHECK(scalar.tensor.shape().empty());
  CHECK(scalar.tensor.to_integers() == std::vector<int64_t>{7});

  const ProtoValue empty = decode(number(1, 0) + number(2, 1));
  CHECK(empty.tensor.count() == 0);
}

TEST_CASE("sequences nest and an optional holds one value or none", "[tensor][proto]") {
  const std::string tensor = number(1, 1) + number(2, 7) + field(7, "\x09");
  const ProtoValue sequence = decode(
      field(1, "s") + number(2, 1) + field(3, tensor) + field(3, tensor), ProtoKind::Sequence);
  REQUIRE(sequence.elements.size() == 2);
  CHECK(sequence.elements[1].tensor.to_integers() == std::vector<int64_t>{9});

  const ProtoValue filled = decode(number(2, 3) + field(5, field(3, tensor)), ProtoKind::Optional);
  REQUIRE(filled.elements.size() == 1);
  CHECK(filled.elements[0].kind == ProtoKind::Sequence);
  CHECK(filled.elements[0].elements.size() == 1);
  CHECK(decode(number(2, 1), ProtoKind::Optional).elements.empty());
}

TEST_CASE("a damaged TensorProto is refused with the file's name", "[tensor][proto]") {
  const auto text = [](const std::string& bytes) -> std::string {
    try {
      decode(bytes);
    } catch (const ResourceError& error) {
      CHECK(error.problem().where == "value.pb");
      return error.problem().what;
    }
    return "nothing was thrown";
  };
  CHECK(text(number(1, 2) + number(2, 1) + field(9, "1234")) ==
        "float32[2] needs 8 bytes, the file has 4");
  CHECK(text(number(1, 2) + number(2, 1) + field(9, "12345678").substr(0, 6)) ==
        "the file ends 4 bytes too early");
  CHECK(text(number(2, 99)) == "the tensor's element type is type 99");
  CHECK(text(number(14, 1)) == "the tensor's data lie in another file");
  CHECK(text(std::string(12, '\xff')) ==
        "a number in the file is longer than 10 bytes: not a protobuf message");
}
