#include "support/catch.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "tensor/half.h"
#include "tensor/host_tensor.h"

using namespace sparsify;

TEST_CASE("half precision has the values of IEEE 754", "[tensor][half]") {
  CHECK(half_to_float(0x3c00) == 1.0f);
  CHECK(half_to_float(0xc000) == -2.0f);
  CHECK(half_to_float(0x7bff) == 65504.0f);
  CHECK(half_to_float(0x0001) == std::ldexp(1.0f, -24));
  CHECK(half_to_float(0x0400) == std::ldexp(1.0f, -14));
  CHECK(std::signbit(half_to_float(0x8000)));
  CHECK(half_to_float(0x7c00) == std::numeric_limits<float>::infinity());
  CHECK(std::isnan(half_to_float(0x7e00)));
}

TEST_CASE("every half survives the way to float and back", "[tensor][half]") {
  int differing = 0;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const bool is_nan = (half & 0x7c00) == 0x7c00 && (half & 0x3ff) != 0;
    const auto expected = static_cast<uint16_t>(is_nan ? half | 0x200 : half);  // quiet
    differing += float_to_half(half_to_float(half)) != expected;
  }
  CHECK(differing == 0);
}

TEST_CASE("floats round to the nearest half and to even in the middle", "[tensor][half]") {
  CHECK(float_to_half(1.0f + 0x1p-11f) == 0x3c00);
  CHECK(float_to_half(1.0f + 0x1p-11f + 0x1p-20f) == 0x3c01);
  CHECK(float_to_half(1.0f + 3 * 0x1p-11f) == 0x3c02);
  CHECK(float_to_half(65519.9f) == 0x7bff);
  CHECK(float_to_half(65520.0f) == 0x7c00);
  CHECK(float_to_half(0x1p-25f) == 0x0000);
  CHECK(float_to_half(-0x1.8p-24f) == 0x8002);
  CHECK(float_to_bfloat16(1.0f + 0x1p-8f) == 0x3f80);
  CHECK(float_to_bfloat16(1.0f + 3 * 0x1p-8f) == 0x3f82);
  CHECK(std::isnan(bfloat16_to_float(float_to_bfloat16(std::nanf("")))));
}

TEST_CASE("whole arrays convert like single values", "[tensor][half]") {
  std::vector<std::byte> halves(2 * 65536 + 1);
  std::vector<float> floats(65536);
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    std::memcpy(halves.data() + 1 + 2 * bits, &half, 2);  // on an odd address, as in a file
  }
  halves_to_floats(halves.data() + 1, floats.data(), floats.size());
  int differing = 0;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    differing += __builtin_bit_cast(uint32_t, floats[bits]) !=
                 __builtin_bit_cast(uint32_t, half_to_float(static_cast<uint16_t>(bits)));
  }
  CHECK(differing == 0);

  std::vector<std::byte> back(2 * floats.size());
  floats_to_halves(floats.data(), back.data(), floats.size());
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    uint16_t half = 0;
    std::memcpy(&half, back.data() + 2 * bits, 2);
    differing += half != float_to_half(floats[bits]);
  }
  CHECK(differing == 0);
}
