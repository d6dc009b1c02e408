#include "program/value.h"

#include <ATen/ops/allclose.h>

#include "support/catch.h"

using namespace sparsify;

TEST_CASE("packed int4 values survive the way into the program and back", "[program][value]") {
  HostTensor packed(DType::Int4, {3});
  packed.mutable_bytes()[0] = std::byte{0x8F};  // low nibble first: -1, -8
  packed.mutable_bytes()[1] = std::byte{0x07};  // 7

  const Value value = from_host(packed);

  REQUIRE(value.type() == DType::Int4);
  const auto* elements = value.tensor().const_data_ptr<int8_t>();
  CHECK(static_cast<int>(elements[0]) == -1);
  CHECK(static_cast<int>(elements[1]) == -8);
  CHECK(static_cast<int>(elements[2]) == 7);
  const HostTensor back = to_host(value);
  CHECK(back.bytes()[0] == std::byte{0x8F});
  CHECK(back.bytes()[1] == std::byte{0x07});
}

TEST_CASE("types that LibTorch lacks wrap into their range", "[program][value]") {
  const Value value(from_host(HostTensor::of<int32_t>(DType::Int32, {2}, {65536 + 5, -1})).tensor(), DType::UInt16);

  const auto* elements = value.tensor().const_data_ptr<int32_t>();
  CHECK(elements[0] == 5);
  CHECK(elements[1] == 65535);
}
