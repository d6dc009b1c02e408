#include <algorithm>

#include "criteria/criterion.h"
#include "support/catch.h"
#include "support/layers.h"
#include "tensor/select.h"

using namespace sparsify;

namespace {

std::vector<float> random_scores(uint64_t seed, const std::string& name, int64_t count) {
  const auto criterion = Registry<Criterion>::instance().make("random", Options{});
  const std::vector<float> weights(static_cast<size_t>(count), 1.0f);
  std::vector<float> scores(weights.size());
  criterion->score(conv_layer({count}, name), weights, LayerEvidence{.seed = seed}, scores);
  return scores;
}

}  // namespace

TEST_CASE("random scores depend on the seed and the initializer's name alone", "[criteria][random]") {
  CHECK(random_scores(1, "a", 100) == random_scores(1, "a", 100));
  CHECK(random_scores(1, "a", 100) != random_scores(2, "a", 100));
  CHECK(random_scores(1, "a", 100) != random_scores(1, "b", 100));
  const std::vector<float> longer = random_scores(1, "a", 200);
  CHECK(std::equal(longer.begin(), longer.begin() + 100, random_scores(1, "a", 100).begin()));
  CHECK(random_scores(0, "conv.weight", 1)[0] == 0x1.cc88d2p-1f);  // the same on every platform; computed apart
}

TEST_CASE("random pruning keeps every place equally often", "[criteria][random]") {
  constexpr int kPlaces = 20;
  constexpr int kDraws = 10'000;
  std::vector<int> kept(kPlaces, 0);
  for (int draw = 0; draw < kDraws; ++draw) {
    const BitMask mask = select_highest(random_scores(static_cast<uint64_t>(draw), "w", kPlaces), kPlaces / 2);
    for (int i = 0; i < kPlaces; ++i) kept[static_cast<size_t>(i)] += mask[i];
  }
  double chi_squared = 0;
  for (const int count : kept) chi_squared += (count - kDraws / 2.0) * (count - kDraws / 2.0) / (kDraws / 4.0);
  // Sum of 20 squared standard normals with one linear constraint, scaled by 19/20: about 19 +- 6.
  CHECK(chi_squared < 45);
  CHECK(chi_squared > 4);
}
