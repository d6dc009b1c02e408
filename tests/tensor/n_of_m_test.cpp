#include "tensor/n_of_m.h"

#include <bit>
#include <cmath>
#include <stdexcept>

#include "score_samples.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

/// Every group sorted by itself.
BitMask naive_n_of_m(ScoreView scores, const Shape& shape, int axis, int n, int m) {
  int64_t inner = 1;
  for (size_t i = static_cast<size_t>(axis) + 1; i < shape.size(); ++i) inner *= shape[i];
  const int64_t length = shape[static_cast<size_t>(axis)];
  BitMask mask(scores.size(), /*kept=*/false);
  for (int64_t flat = 0; flat < scores.size(); ++flat) {
    const int64_t position = flat / inner % length;
    if (position % m != 0) continue;
    std::vector<float> group;
    for (int64_t i = 0; i < std::min<int64_t>(m, length - position); ++i) group.push_back(scores[flat + i * inner]);
    const BitMask best = naive_highest(group, n);
    for (int64_t i = 0; i < best.size(); ++i) {
      if (best[i]) mask.keep(flat + i * inner);
    }
  }
  return mask;
}

void compare_with_naive(std::mt19937& random, const Shape& shape, int axis, int n, int m) {
  int64_t size = 1;
  for (const int64_t dimension : shape) size *= dimension;
  const std::vector<float> scores = awkward_scores(random, size);
  for (const ScoreView view : {ScoreView(scores), ScoreView::magnitudes(scores)}) {
    const BitMask mask = select_n_of_m(view, shape, axis, n, m);
    std::string text;
    for (const int64_t dimension : shape) text += std::to_string(dimension) + " ";
    INFO("shape " << text << "axis " << axis << " keep " << n << " of " << m);
    REQUIRE(mask == naive_n_of_m(view, shape, axis, n, m));
    REQUIRE(mask.kept() == n_of_m_kept(shape, axis, n, m));
    REQUIRE(first_n_of_m_violation(mask, shape, axis, n, m) == -1);
  }
  std::vector<float> weights = scores;
  const BitMask mask = keep_n_of_m_(std::as_writable_bytes(std::span(weights)), shape, axis, n, m);
  REQUIRE(mask == select_n_of_m(ScoreView::magnitudes(scores), shape, axis, n, m));
  for (int64_t i = 0; i < size; ++i) {
    const auto at = static_cast<size_t>(i);
    REQUIRE(std::bit_cast<uint32_t>(weights[at]) == (mask[i] ? std::bit_cast<uint32_t>(scores[at]) : 0));
  }
}

/// Shares of sum |w| and of sum w^2 that the mask keeps.
std::pair<double, double> retention(const std::vector<float>& weights, const BitMask& mask) {
  double kept = 0, all = 0, kept_squares = 0, all_squares = 0;
  for (int64_t i = 0; i < mask.size(); ++i) {
    const double w = weights[static_cast<size_t>(i)];
    all += std::fabs(w);
    all_squares += w * w;
    kept += mask[i] ? std::fabs(w) : 0;
    kept_squares += mask[i] ? w * w : 0;
  }
  return {kept / all, kept_squares / all_squares};
}

}  // namespace

TEST_CASE("2:4 keeps the two largest of every four", "[tensor][n_of_m]") {
  const std::vector<float> scores = {1, 2, 3, 4, 5, 6, 7, 8};
  const BitMask mask = select_n_of_m(scores, {8}, 0, 2, 4);
  CHECK(mask.words()[0] == 0b11001100);
  double kept = 0;
  for (int64_t i = 0; i < 8; ++i) kept += mask[i] ? scores[static_cast<size_t>(i)] : 0;
  CHECK(kept == 22);  // of 36
}

TEST_CASE("equal scores in a group keep the lower index, -0.0 included", "[tensor][n_of_m]") {
  CHECK(select_n_of_m(std::vector<float>(8, 1.0f), {8}, 0, 2, 4).words()[0] == 0b00110011);
  CHECK(select_n_of_m(std::vector<float>{-0.0f, 0.0f, -0.0f, 0.0f}, {4}, 0, 2, 4).words()[0] == 0b0011);
  CHECK(select_n_of_m(std::vector<float>(16, 0.0f), {4, 4}, 0, 1, 4).words()[0] == 0b1111);
}

TEST_CASE("a partial last group keeps as if it were padded with pruned elements", "[tensor][n_of_m]") {
  // Rows of 6: a group of 4 and one of 2, which 2:4 keeps whole and 1:4 does not.
  const std::vector<float> scores = {1, 2, 3, 4, 5, 6};
  CHECK(select_n_of_m(scores, {1, 6}, 1, 2, 4).words()[0] == 0b111100);
  CHECK(select_n_of_m(scores, {1, 6}, 1, 1, 4).words()[0] == 0b101000);
  CHECK(n_of_m_kept({5, 6}, 1, 2, 4) == 5 * 4);
  CHECK(n_of_m_kept({5, 6}, 1, 1, 4) == 5 * 2);
  CHECK(n_of_m_kept({5, 6}, 0, 3, 4) == 6 * 4);
}

TEST_CASE("groups of a convolution run along its input channels", "[tensor][n_of_m]") {
  std::vector<float> scores(4 * 2);  // [1, 4, 1, 2]: columns of four, two elements apart
  for (int channel = 0; channel < 4; ++channel) {
    scores[static_cast<size_t>(2 * channel)] = static_cast<float>(channel);
    scores[static_cast<size_t>(2 * channel + 1)] = static_cast<float>(-channel);
  }
  CHECK(select_n_of_m(scores, {1, 4, 1, 2}, 1, 2, 4).words()[0] == 0b01011010);
}

TEST_CASE("N:M agrees with sorting every group for all layouts", "[tensor][n_of_m]") {
  std::mt19937 random(11);
  const std::pair<int, int> rules[] = {{2, 4}, {1, 4}, {3, 4}, {1, 2},  {2, 3},  {4, 8},   {2, 8},  {8, 16},
                                       {5, 7}, {1, 9}, {9, 24}, {7, 12}, {16, 32}, {63, 64}, {20, 40}, {3, 61}};
  for (const auto& [n, m] : rules) {
    for (int round = 0; round < 12; ++round) {
      const auto any = [&](int64_t limit) { return static_cast<int64_t>(random() % static_cast<uint64_t>(limit)); };
      compare_with_naive(random, {1 + any(5), m * (1 + any(12))}, 1, n, m);       // whole groups, contiguous
      compare_with_naive(random, {1 + any(5), 1 + any(150)}, 1, n, m);            // partial last groups
      compare_with_naive(random, {1 + any(4), 1 + any(70), 3, 3}, 1, n, m);       // 3x3 convolutions
      compare_with_naive(random, {1 + any(3), 1 + any(70), 1 + any(64)}, 1, n, m);
      compare_with_naive(random, {1 + any(100), 65 + any(100)}, 0, n, m);         // wide rows, as in MatMul
    }
  }
  compare_with_naive(random, {700, 124}, 1, 2, 4);  // several blocks of rows
  compare_with_naive(random, {77, 121, 3, 3}, 1, 2, 4);
  compare_with_naive(random, {0, 8}, 1, 2, 4);
  compare_with_naive(random, {8, 0}, 0, 2, 4);
  compare_with_naive(random, {1}, 0, 1, 2);
}

TEST_CASE("groups longer than 64 agree with sorting, and with the kernels where they are cut short", "[tensor][n_of_m]") {
  std::mt19937 random(13);
  const auto any = [&](int64_t limit) { return static_cast<int64_t>(random() % static_cast<uint64_t>(limit)); };
  for (const auto& [n, m] : {std::pair{1, 65}, {64, 128}, {100, 300}, {127, 128}, {65, 66}, {7, 1000}}) {
    for (int round = 0; round < 3; ++round) {
      compare_with_naive(random, {1 + any(4), m * (1 + any(3))}, 1, n, m);
      compare_with_naive(random, {1 + any(4), 1 + any(700)}, 1, n, m);
      compare_with_naive(random, {1 + any(3), 1 + any(300), 3, 3}, 1, n, m);
      compare_with_naive(random, {1 + any(300), 65 + any(40)}, 0, n, m);
    }
  }
  // A row of 64 is one short group of N:128, which keeps what N:64 keeps.
  for (const Shape& shape : {Shape{30, 64}, Shape{5, 64, 9}, Shape{2, 64, 100}}) {
    const std::vector<float> scores = awkward_scores(random, element_count(shape));
    for (const int n : {1, 20, 63}) CHECK(select_n_of_m(scores, shape, 1, n, 128) == select_n_of_m(scores, shape, 1, n, 64));
  }
  // The longest group: equal scores keep the lower index.
  const BitMask longest = select_n_of_m(std::vector<float>(70000, 1.0F), {70000}, 0, 3, kMaxGroupSize);
  CHECK(longest.kept() == 6);
  for (const int64_t at : {0, 1, 2, kMaxGroupSize, kMaxGroupSize + 1, kMaxGroupSize + 2}) CHECK(longest[at]);
}

TEST_CASE("a group with too many kept elements is found by its first element", "[tensor][n_of_m]") {
  BitMask mask(24, /*kept=*/false);  // [2, 6, 2]
  for (const int64_t element : {13, 15, 17}) mask.keep(element);  // row 1, channels 0..2, column 1
  CHECK(first_n_of_m_violation(mask, {2, 6, 2}, 1, 2, 4) == 13);
  CHECK(first_n_of_m_violation(mask, {2, 6, 2}, 1, 3, 4) == -1);
  CHECK(first_n_of_m_violation(BitMask(2), {2}, 0, 1, 4) == 0);
}

TEST_CASE("N:M of normal weights keeps what order statistics say", "[tensor][n_of_m]") {
  struct Expected {
    int n, m;
    double l1, energy;
  };
  // algorithms.md E27: share of |w| and of w^2 that is kept.
  const Expected table[] = {{2, 4, .74450, .86755},  {4, 8, .76829, .89669}, {8, 16, .78180, .91237},
                            {1, 4, .45894, .61755},  {1, 2, .70711, .81831}, {2, 8, .48419, .66464}};
  std::mt19937 random(12);
  std::normal_distribution<float> normal;
  std::vector<float> weights(1 << 21);
  for (float& weight : weights) weight = normal(random);
  for (const Expected& row : table) {
    const BitMask mask = select_n_of_m(ScoreView::magnitudes(weights), {1 << 21}, 0, row.n, row.m);
    const auto [l1, energy] = retention(weights, mask);
    INFO(row.n << ":" << row.m);
    CHECK(l1 == Approx(row.l1).margin(1e-3));
    CHECK(energy == Approx(row.energy).margin(1e-3));
  }
}

TEST_CASE("N:M refuses NaN in every layout", "[tensor][n_of_m]") {
  for (const auto& [shape, axis, m] : {std::tuple{Shape{4, 64}, 1, 4}, std::tuple{Shape{4, 64}, 1, 8},
                                       std::tuple{Shape{4, 63}, 1, 7}, std::tuple{Shape{2, 8, 16}, 1, 4},
                                       std::tuple{Shape{4, 64}, 1, 64}, std::tuple{Shape{4, 65}, 0, 4},
                                       std::tuple{Shape{4, 65}, 1, 65}, std::tuple{Shape{2, 65, 2}, 1, 200}}) {
    std::vector<float> scores(4 * 65, 1.0f);
    int64_t size = 1;
    for (const int64_t dimension : shape) size *= dimension;
    scores.resize(static_cast<size_t>(size));
    scores.back() = std::nanf("");
    CHECK_THROWS_AS(select_n_of_m(scores, shape, axis, 2, m), std::logic_error);
  }
}
