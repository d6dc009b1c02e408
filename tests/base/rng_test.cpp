#include "base/rng.h"

#include <array>
#include <set>
#include <vector>

#include "support/catch.h"

using namespace sparsify;

TEST_CASE("a stream has the same values on every platform", "[base][rng]") {
  // Computed with arbitrary-precision integers from the definition.
  const Rng zero(0);
  CHECK(zero.bits_at(0) == 0xa706dd2f4d197e6fULL);
  CHECK(zero.bits_at(1) == 0xb382a305f4414f5eULL);
  CHECK(zero.bits_at(2) == 0x631a9154fbabf717ULL);
  CHECK(zero.uniform_at(0) == 0.6524484753608704f);
  const Rng seven(42, 7);
  CHECK(seven.bits_at(0) == 0xc1aa9227bbdef407ULL);
  CHECK(seven.bits_at(2) == 0xfb82b3f884d832ccULL);
  const Rng named(0, "conv1.weight");
  CHECK(named.bits_at(0) == 0x8b231f58cd3be81bULL);
  CHECK(named.bits_at(2) == 0x248d6a2532cdc441ULL);
}

TEST_CASE("the sequence is the values by index", "[base][rng]") {
  Rng rng(42, 7);
  const Rng same = rng;
  CHECK(rng.next() == same.bits_at(0));
  CHECK(rng.next() == same.bits_at(1));
  Rng digits(42, 7);
  std::vector<uint64_t> drawn;
  for (int i = 0; i < 10; ++i) drawn.push_back(digits.below(10));
  CHECK(drawn == std::vector<uint64_t>{7, 5, 9, 8, 8, 3, 6, 7, 8, 7});
}

TEST_CASE("seeds, streams and names give different values", "[base][rng]") {
  std::set<uint64_t> seen;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    for (uint64_t stream = 0; stream < 50; ++stream) seen.insert(Rng(seed, stream).bits_at(0));
  }
  CHECK(seen.size() == 2500);
  CHECK(Rng(1, "a").bits_at(0) != Rng(1, "b").bits_at(0));
}

TEST_CASE("draws are uniform", "[base][rng]") {
  // Chi-square of 10^4 draws in 100 cells: 99 degrees of freedom, 99.9 % below 148.2, 0.1 %
  // below 61.1.
  const Rng rng(2026);
  std::array<int, 100> cells{};
  for (uint64_t i = 0; i < 10000; ++i) {
    const float uniform = rng.uniform_at(i);
    REQUIRE(uniform >= 0.0f);
    REQUIRE(uniform < 1.0f);
    ++cells[static_cast<size_t>(uniform * 100)];
  }
  double chi_square = 0;
  for (const int count : cells) chi_square += (count - 100.0) * (count - 100.0) / 100.0;
  CHECK(chi_square < 148.2);
  CHECK(chi_square > 61.1);
}

TEST_CASE("below has no bias, also where the bound does not divide 2^64", "[base][rng]") {
  Rng rng(7);
  std::array<int, 7> counts{};
  for (int i = 0; i < 14000; ++i) ++counts[rng.below(7)];
  double chi_square = 0;
  for (const int count : counts) chi_square += (count - 2000.0) * (count - 2000.0) / 2000.0;
  CHECK(chi_square < 22.5);  // 6 degrees of freedom, 99.9 %
  CHECK(rng.below(1) == 0);

  // A plain modulus would put two thirds of the draws into the lower half of this bound.
  const uint64_t bound = (uint64_t{3} << 62);
  int low = 0;
  for (int i = 0; i < 10000; ++i) low += rng.below(bound) < bound / 2 ? 1 : 0;
  CHECK(low > 4800);
  CHECK(low < 5200);
}
