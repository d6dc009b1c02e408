#include "tensor/kernels.h"

#include <cstring>
#include <iostream>

#include "score_samples.h"
#include "support/catch.h"

using namespace sparsify;

#if defined(__x86_64__)

namespace {

/// Both instruction sets on the same input; everything they write must agree.
class Pair {
 public:
  explicit Pair(const std::vector<float>& scores) : scores_(reinterpret_cast<const std::byte*>(scores.data())) {}

  template <class Call>
  bool agree(Call call) const {
    std::vector<uint64_t> wide(1200, 0);
    std::vector<uint64_t> plain(1200, 0);
    return call(kAvx2Kernels, scores_, wide.data()) == call(kGenericKernels, scores_, plain.data()) && wide == plain;
  }

 private:
  const std::byte* scores_;
};

uint8_t* bytes(uint64_t* words) { return reinterpret_cast<uint8_t*>(words); }

}  // namespace

TEST_CASE("the AVX2 loops and the portable loops give the same bits", "[tensor][kernels]") {
  if (&kernels() != &kAvx2Kernels) {
    std::cout << "SKIPPED: kernels: this processor has no AVX2\n";
    return;
  }
  std::mt19937 random(21);
  for (int round = 0; round < 60; ++round) {
    const std::vector<float> scores = awkward_scores(random, 64 * 256);
    const Pair pair(scores);
    const bool magnitude = random() % 2 != 0;
    const int n = 1 + static_cast<int>(random() % 3);
    const int32_t low = score_key(scores[1]);
    const int32_t high = score_key(scores[2]);
    CHECK(pair.agree([&](const Kernels& k, const std::byte* from, uint64_t* to) {
      int64_t count = 0;
      const int32_t largest = k.scan(from, magnitude, 128, low, high, to, to + 300, &count);
      return std::pair(largest, count);
    }));
    CHECK(pair.agree([&](const Kernels& k, const std::byte* from, uint64_t*) { return k.largest(from, 1001); }));
    CHECK(pair.agree([&](const Kernels& k, const std::byte* from, uint64_t* to) {
      return std::pair(k.small_groups(from, magnitude, 4, 333, n, bytes(to)),
                       k.small_groups(from, magnitude, 2, 333, 1, bytes(to + 100)));
    }));
    for (const int m : {8, 16, 24, 2, 5, 61, 64}) {
      CHECK(pair.agree([&](const Kernels& k, const std::byte* from, uint64_t* to) {
        return k.groups_of_m(from, magnitude, m, 16384 / 8 / m, std::min(n, m - 1), bytes(to));
      }));
    }
    for (const int inner : {2, 9, 25, 64}) {
      CHECK(pair.agree([&](const Kernels& k, const std::byte* from, uint64_t* to) {
        return k.columns(from, magnitude, 30, 4, inner, n, to, 5);
      }));
      CHECK(pair.agree([&](const Kernels& k, const std::byte* from, uint64_t* to) {
        return k.wide_columns(from, magnitude, 11, 100, inner, n, to);
      }));
    }
    CHECK(pair.agree([&](const Kernels& k, const std::byte* from, uint64_t* to) {
      return k.count_bits(reinterpret_cast<const uint64_t*>(from), 500) + static_cast<int64_t>(to[0]);
    }));
    for (const int size : {1, 2, 4, 8}) {
      CHECK(pair.agree([&](const Kernels& k, const std::byte* from, uint64_t* to) {
        uint64_t mask[8];
        std::memcpy(mask, from, sizeof mask);
        for (uint64_t& word : mask) word ^= 0x123456789abcdefULL;
        std::memset(to, 0xab, 8 * 512);
        k.apply(mask, 8, reinterpret_cast<std::byte*>(to), size);
        return 0;
      }));
    }
  }
}

#endif
