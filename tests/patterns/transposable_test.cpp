#include <algorithm>
#include <bit>
#include <numeric>

#include "base/error.h"
#include "patterns/pattern.h"
#include "support/catch.h"
#include "support/layers.h"
#include "tensor/n_of_m.h"
#include "tensor/transposable.h"

using namespace sparsify;
using Catch::Contains;

namespace {

std::unique_ptr<Pattern> transposable(const std::string& numbers) {
  return make_pattern(parse_yaml("{n_of_m: {" + numbers + ", transposable: true}}", "r.yaml"), "pattern");
}

double kept(const std::vector<float>& scores, const BitMask& mask) {
  double sum = 0;
  for (int64_t i = 0; i < mask.size(); ++i) sum += mask[i] ? scores[static_cast<size_t>(i)] : 0;
  return sum;
}

}  // namespace

TEST_CASE("of 4x4 tiles 90 keep two in every row and column", "[patterns][transposable][gold]") {
  const std::vector<uint32_t> tiles = transposable_tiles(2, 4);
  CHECK(tiles.size() == 90);  // E26
  CHECK(transposable_tiles(1, 4).size() == 24);
  CHECK(transposable_tiles(3, 4).size() == 24);
  CHECK(transposable_tiles(1, 2).size() == 2);
  CHECK(tiles.front() == 0b1100'1100'0011'0011);  // the first row keeps its first two, the second row too
  std::vector<uint32_t> sorted = tiles;
  std::sort(sorted.begin(), sorted.end());
  CHECK(std::unique(sorted.begin(), sorted.end()) == sorted.end());
}

TEST_CASE("the best transposable 2:4 of a tile keeps 38 where 2:4 by rows keeps 42", "[patterns][transposable][gold]") {
  const std::vector<float> tile = {9, 1, 7, 4, 1, 2, 3, 0, 8, 3, 5, 4, 1, 2, 6, 2};  // E26
  const PrunableTensor layer = conv_layer({4, 4});
  CHECK(kept(tile, make_pattern(Setting("2:4"), "pattern")->select(layer, tile, 0)) == 42);
  const auto pattern = transposable("n: 2, m: 4");
  const BitMask mask = pattern->select(layer, tile, 0);
  CHECK(kept(tile, mask) == 38);
  CHECK(pattern->violation(layer, mask).empty());
  CHECK(pattern->describe() == "2:4 transposable");
  CHECK(pattern->fixed_sparsity(layer) == 0.5);
}

TEST_CASE("a transposable mask is N:M along inputs and outputs at every kernel position", "[patterns][transposable]") {
  const PrunableTensor layer = conv_layer({8, 12, 3, 3});
  std::vector<float> scores(static_cast<size_t>(layer.count()));
  for (size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<float>((i * 7919) % 1009);
  const auto pattern = transposable("n: 1, m: 4");
  const BitMask mask = pattern->select(layer, scores, 0);
  CHECK(mask.kept() == layer.count() / 4);
  CHECK(first_n_of_m_violation(mask, layer.shape, 0, 1, 4) == -1);
  CHECK(first_n_of_m_violation(mask, layer.shape, 1, 1, 4) == -1);
  const BitMask by_rows = make_pattern(Setting("1:4"), "pattern")->select(layer, scores, 0);
  CHECK_THAT(pattern->violation(layer, by_rows), Contains("keeps more than 1"));
  CHECK(kept(scores, mask) < kept(scores, by_rows));
  // Of equal scores the first cells stay.
  const std::vector<float> equal(16, 1.0F);
  const BitMask first = transposable("n: 2, m: 4")->select(conv_layer({4, 4}), equal, 0);
  CHECK((first[0] && first[1] && first[4] && first[5] && first[10] && first[11] && first[14] && first[15]));
}

TEST_CASE("what has no tiles is refused with the reason", "[patterns][transposable]") {
  CHECK_THAT(transposable("n: 2, m: 4")->refuses(conv_layer({6, 8, 1, 1})), Contains("6 outputs and 8 inputs: not both multiples of 4"));
  CHECK(transposable("n: 2, m: 4")->refuses(conv_layer({8, 8, 1, 1})).empty());
  CHECK_THROWS_WITH(transposable("n: 2, m: 8"), Contains("for M of at most 4"));
}
