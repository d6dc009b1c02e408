#include "tensor/bit_mask.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <stdexcept>

#include "support/catch.h"

using namespace sparsify;

TEST_CASE("a new mask keeps everything or nothing and no bit beyond its size", "[tensor][bit_mask]") {
  for (const int64_t size : {0, 1, 63, 64, 65, 1000}) {
    CHECK(BitMask(size).kept() == size);
    CHECK(BitMask(size, false).kept() == 0);
    CHECK(BitMask(size).pruned() == 0);
  }
  CHECK(BitMask(65).words()[1] == 1);
}

TEST_CASE("bytes become a mask and come back", "[tensor][bit_mask]") {
  std::mt19937 random(1);
  std::vector<uint8_t> bytes(200);
  for (uint8_t& byte : bytes) byte = random() % 2;
  const BitMask mask = BitMask::from_bytes(bytes);
  for (const int64_t first : {0, 1, 63, 64, 70, 199, 200}) {
    std::vector<uint8_t> unpacked(static_cast<size_t>(200 - first));
    mask.unpack(first, unpacked);
    CHECK(std::equal(unpacked.begin(), unpacked.end(), bytes.begin() + first));
  }
}

TEST_CASE("masks are joined by keeping what both keep", "[tensor][bit_mask]") {
  BitMask left = BitMask::from_bytes(std::vector<uint8_t>{1, 1, 0, 0});
  left &= BitMask::from_bytes(std::vector<uint8_t>{1, 0, 1, 0});
  CHECK(left == BitMask::from_bytes(std::vector<uint8_t>{1, 0, 0, 0}));
  CHECK_THROWS_AS(left &= BitMask(5), std::logic_error);
}

TEST_CASE("a mask clears all bits of what it prunes, for every element size and offset", "[tensor][bit_mask]") {
  std::mt19937 random(2);
  BitMask mask(700);
  for (int64_t i = 0; i < mask.size(); ++i) {
    if (random() % 3 == 0) mask.prune(i);
  }
  for (const int bytes : {1, 2, 4, 8}) {
    for (const int64_t first : {0, 1, 37, 64, 128, 300}) {
      for (const int64_t count : {0, 1, 63, 64, 65, 130, 400}) {
        std::vector<std::byte> elements(static_cast<size_t>(count * bytes) + 1);
        for (std::byte& byte : elements) byte = static_cast<std::byte>(0x80 | random());
        const std::vector<std::byte> before = elements;
        const auto unaligned = std::span(elements).subspan(1);
        apply_mask_(mask, first, unaligned, bytes);
        bool right = elements[0] == before[0];
        for (int64_t i = 0; i < count * bytes; ++i) {
          const auto at = static_cast<size_t>(1 + i);
          right = right && elements[at] == (mask[first + i / bytes] ? before[at] : std::byte{0});
        }
        INFO(bytes << " bytes, first " << first << ", count " << count);
        CHECK(right);
      }
    }
  }
}

TEST_CASE("a pruned negative weight becomes +0.0 and NaN payloads vanish", "[tensor][bit_mask]") {
  float weights[] = {-1.5f, -0.0f, std::nanf(""), 2.0f};
  apply_mask_(BitMask::from_bytes(std::vector<uint8_t>{0, 0, 0, 1}), 0, std::as_writable_bytes(std::span(weights)), 4);
  for (int i = 0; i < 3; ++i) CHECK(std::bit_cast<uint32_t>(weights[i]) == 0);
  CHECK(weights[3] == 2.0f);
}
