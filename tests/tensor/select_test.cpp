#include "tensor/select.h"

#include <bit>
#include <cmath>
#include <stdexcept>

#include "score_samples.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

std::vector<std::vector<float>> awkward_arrays(std::mt19937& random, int count) {
  std::vector<std::vector<float>> arrays;
  for (int i = 0; i < count; ++i) arrays.push_back(awkward_scores(random, random() % 200));
  return arrays;
}

ScoreArrays view(const std::vector<std::vector<float>>& arrays, bool magnitude) {
  ScoreArrays scores;
  for (const auto& array : arrays) scores.sizes.push_back(static_cast<int64_t>(array.size()));
  scores.read = [&arrays, magnitude](size_t i, std::vector<float>&) {
    return magnitude ? ScoreView::magnitudes(arrays[i]) : ScoreView(arrays[i]);
  };
  return scores;
}

/// The mask over all arrays that select_jointly and select_by_threshold give, and whether the counts agree.
BitMask joint_mask(const ScoreArrays& arrays, int64_t keep, bool& counts_agree) {
  JointSelection selection = select_jointly(arrays, keep);
  std::vector<uint8_t> bytes;
  std::vector<float> buffer;
  counts_agree = selection.kept.size() == arrays.sizes.size();
  for (size_t i = 0; i < arrays.sizes.size(); ++i) {
    const BitMask mask = select_by_threshold(arrays.read(i, buffer), selection.threshold);
    counts_agree = counts_agree && mask.kept() == selection.kept[i];
    std::vector<uint8_t> part(static_cast<size_t>(mask.size()));
    mask.unpack(0, part);
    bytes.insert(bytes.end(), part.begin(), part.end());
  }
  counts_agree = counts_agree && selection.threshold.ties_to_keep == 0;
  return BitMask::from_bytes(bytes);
}

std::vector<float> normal_scores(int64_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> scores(static_cast<size_t>(size));
  for (float& score : scores) score = normal(random);
  return scores;
}

}  // namespace

TEST_CASE("of equal scores the lower index is kept", "[tensor][select]") {
  const std::vector<float> scores = {1, 3, 1, 3, 1};
  CHECK(select_highest(scores, 3) == BitMask::from_bytes(std::vector<uint8_t>{1, 1, 0, 1, 0}));
  CHECK(select_highest(std::vector<float>(16, 0.5f), 8).words()[0] == 0xff);
}

TEST_CASE("-0.0 and +0.0 are equal, denormals are not zero", "[tensor][select]") {
  CHECK(select_highest(std::vector<float>{-0.0f, 0.0f, -0.0f}, 2).words()[0] == 0b011);
  const float tiny = std::numeric_limits<float>::denorm_min();
  CHECK(select_highest(std::vector<float>{0.0f, tiny, -tiny, tiny}, 3).words()[0] == 0b1011);
  CHECK(score_key(-0.0f) == score_key(0.0f));
  CHECK(score_key(-tiny) < score_key(0.0f));
}

TEST_CASE("selection agrees with a stable sort on thousands of awkward arrays", "[tensor][select]") {
  std::mt19937 random(3);
  for (int round = 0; round < 4000; ++round) {
    const int64_t sizes[] = {0, 1, 63, 64, 65, static_cast<int64_t>(random() % 400)};
    const std::vector<float> scores = awkward_scores(random, sizes[random() % std::size(sizes)]);
    const auto size = static_cast<int64_t>(scores.size());
    const int64_t keep = static_cast<int64_t>(random() % static_cast<uint64_t>(size + 3)) - 1;
    const ScoreView view = random() % 2 != 0 ? ScoreView(scores) : ScoreView::magnitudes(scores);
    const BitMask mask = select_highest(view, keep);
    INFO("round " << round << ", size " << size << ", keep " << keep);
    REQUIRE(mask.kept() == std::clamp<int64_t>(keep, 0, size));
    REQUIRE(mask == naive_highest(view, keep));
  }
}

TEST_CASE("selection over several arrays breaks ties in array order", "[tensor][select]") {
  std::mt19937 random(4);
  for (int round = 0; round < 1500; ++round) {
    const auto arrays = awkward_arrays(random, static_cast<int>(random() % 6));
    std::vector<float> joined;
    for (const auto& array : arrays) joined.insert(joined.end(), array.begin(), array.end());
    const bool magnitude = random() % 2 != 0;
    const auto total = static_cast<int64_t>(joined.size());
    const int64_t keep = static_cast<int64_t>(random() % static_cast<uint64_t>(total + 3)) - 1;
    bool counts_agree = false;
    const BitMask mask = joint_mask(view(arrays, magnitude), keep, counts_agree);
    INFO("round " << round << ", total " << total << ", keep " << keep);
    REQUIRE(counts_agree);
    REQUIRE(mask == naive_highest(magnitude ? ScoreView::magnitudes(joined) : ScoreView(joined), keep));
  }
}

TEST_CASE("large arrays, whose threshold is found from a sample, give the exact mask", "[tensor][select]") {
  const std::vector<float> scores = normal_scores(300'001, 5);
  for (const int64_t keep : {1, 2, 30'000, 150'000, 299'999, 300'000}) {
    CHECK(select_highest(scores, keep) == naive_highest(scores, keep));
    CHECK(select_highest(ScoreView::magnitudes(scores), keep) == naive_highest(ScoreView::magnitudes(scores), keep));
  }
}

TEST_CASE("large arrays full of ties give the exact mask", "[tensor][select]") {
  const int64_t size = 400'000;
  std::vector<float> constant(size, -2.0f);
  std::vector<float> levels = normal_scores(size, 6);
  for (float& score : levels) score = std::round(score);  // about nine values
  std::vector<float> mostly_zero = normal_scores(size, 7);
  for (size_t i = 0; i < mostly_zero.size(); ++i) mostly_zero[i] = i % 10 == 0 ? mostly_zero[i] : i % 2 != 0 ? -0.0f : 0.0f;
  std::vector<float> two_spikes = normal_scores(size, 8);  // the k-th score lies between two crowded values
  for (size_t i = 0; i < two_spikes.size(); ++i) two_spikes[i] = i % 1000 == 0 ? two_spikes[i] / 1000 : i % 2 != 0 ? 1.0f : -1.0f;
  for (const auto& scores : {constant, levels, mostly_zero, two_spikes}) {
    for (const int64_t keep : {1, 1000, 200'000, 200'150, 399'999}) {
      bool counts_agree = false;
      CHECK(select_highest(scores, keep) == naive_highest(scores, keep));
      const std::vector<std::vector<float>> halves = {{scores.begin(), scores.begin() + 123'457},
                                                      {scores.begin() + 123'457, scores.end()}};
      CHECK(joint_mask(view(halves, false), keep, counts_agree) == naive_highest(scores, keep));
      CHECK(counts_agree);
    }
  }
}

TEST_CASE("a joint selection over very different layers is exact", "[tensor][select]") {
  std::vector<std::vector<float>> arrays;
  for (unsigned i = 0; i < 30; ++i) {
    arrays.push_back(normal_scores(i % 7 == 0 ? 40'000 : 100 + 37 * i, i));
    for (float& score : arrays.back()) score *= static_cast<float>(1 << (i % 5));
  }
  std::vector<float> joined;
  for (const auto& array : arrays) joined.insert(joined.end(), array.begin(), array.end());
  for (const double density : {0.001, 0.1, 0.5, 0.9}) {
    const auto keep = static_cast<int64_t>(density * static_cast<double>(joined.size()));
    bool counts_agree = false;
    CHECK(joint_mask(view(arrays, true), keep, counts_agree) == naive_highest(ScoreView::magnitudes(joined), keep));
    CHECK(counts_agree);
  }
}

TEST_CASE("more arrays than samples are selected exactly", "[tensor][select]") {
  std::vector<std::vector<float>> arrays(140'000);
  for (size_t i = 0; i < arrays.size(); ++i) arrays[i] = {static_cast<float>(i % 1000)};
  const JointSelection selection = select_jointly(view(arrays, false), 70'070);
  CHECK(selection.threshold.key == score_key(499.0f));
  CHECK(selection.threshold.ties_to_keep == 70);
  int64_t kept = 0;
  for (const int64_t count : selection.kept) kept += count;
  CHECK(kept == 70'070);
}

TEST_CASE("a NaN score is refused wherever it is", "[tensor][select]") {
  for (const size_t place : {0, 63, 64, 99}) {
    std::vector<float> scores(100, 1.0f);
    scores[place] = std::nanf("");
    CHECK_THROWS_AS(select_highest(scores, 50), std::logic_error);
    scores[place] = -std::nanf("");
    CHECK_THROWS_AS(select_highest(ScoreView::magnitudes(scores), 50), std::logic_error);
  }
}

TEST_CASE("the first weight that is not finite is found", "[tensor][select]") {
  std::vector<float> weights(10'000, -3.0f);
  CHECK(first_non_finite(weights) == -1);
  CHECK(first_non_finite(std::vector<float>{}) == -1);
  weights[9'999] = std::nanf("");
  CHECK(first_non_finite(weights) == 9'999);
  weights[4'097] = -std::numeric_limits<float>::infinity();
  CHECK(first_non_finite(ScoreView::magnitudes(weights)) == 4'097);
}
