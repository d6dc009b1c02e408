#include "tensor/permute_columns.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <random>

#include "support/catch.h"
#include "support/half_of_each_row.h"
#include "tensor/n_of_m.h"

using namespace sparsify;

namespace {

std::vector<float> uniform_matrix(int64_t rows, int64_t columns, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(0, 1);
  std::vector<float> matrix(static_cast<size_t>(rows * columns));
  for (float& value : matrix) value = uniform(random);
  return matrix;
}

bool is_permutation_of_columns(std::vector<int64_t> order, int64_t columns) {
  std::sort(order.begin(), order.end());
  std::vector<int64_t> all(static_cast<size_t>(columns));
  std::iota(all.begin(), all.end(), int64_t{0});
  return order == all;
}

}  // namespace

TEST_CASE("the best permutation of small matrices is found", "[tensor][permutation]") {
  const std::vector<float> one = {1, 2, 3, 4, 5, 6, 7, 8};
  const ColumnPermutation of_one = permute_columns(one, 1, 8, 2, 4, {.effort = 0});
  CHECK(of_one.kept_before == 22);
  CHECK(of_one.kept == 26);
  CHECK(of_one.order == std::vector<int64_t>{0, 1, 4, 5, 2, 3, 6, 7});

  const std::vector<float> two = {9, 8, 7, 6, 1, 1, 1, 1, 9, 8, 1, 1, 7, 6, 1, 1};
  const ColumnPermutation of_two = permute_columns(two, 2, 8, 2, 4, {.effort = 0});
  CHECK(of_two.kept_before == 49);
  CHECK(of_two.kept == 60);
  CHECK(of_two.order == std::vector<int64_t>{0, 1, 6, 7, 2, 3, 4, 5});
}

TEST_CASE("two stripes are divided as well as a search over all permutations", "[tensor][permutation]") {
  for (unsigned seed = 0; seed < 10; ++seed) {
    const std::vector<float> matrix = uniform_matrix(5, 8, seed);
    std::vector<int64_t> order(8);
    std::iota(order.begin(), order.end(), int64_t{0});
    double best = 0;
    int divisions = 0;
    do {
      if (!std::is_sorted(order.begin(), order.begin() + 4) || !std::is_sorted(order.begin() + 4, order.end()) || order[0] != 0) continue;
      ++divisions;
      best = std::max(best, kept_magnitude(matrix, 5, order, 2, 4));
    } while (std::next_permutation(order.begin(), order.end()));
    CHECK(divisions == 35);
    CHECK(permute_columns(matrix, 5, 8, 2, 4, {.effort = 0}).kept == Approx(best));
  }
}

namespace {

/// Every division of the columns into groups of four, each once: groups and what is in them ascending.
void for_each_division(std::vector<int64_t>& order, std::vector<bool>& used, const std::function<void()>& visit) {
  const auto columns = static_cast<int64_t>(used.size());
  if (static_cast<int64_t>(order.size()) == columns) return visit();
  const size_t place = order.size() % 4;
  const int64_t lowest = std::find(used.begin(), used.end(), false) - used.begin();
  for (int64_t column = place == 0 ? lowest : order.back() + 1; column < (place == 0 ? lowest + 1 : columns); ++column) {
    if (used[static_cast<size_t>(column)]) continue;
    used[static_cast<size_t>(column)] = true;
    order.push_back(column);
    for_each_division(order, used, visit);
    order.pop_back();
    used[static_cast<size_t>(column)] = false;
  }
}

int64_t count_divisions(size_t columns) {
  std::vector<int64_t> order;
  std::vector<bool> used(columns, false);
  int64_t count = 0;
  for_each_division(order, used, [&] { ++count; });
  return count;
}

}  // namespace

TEST_CASE("C columns have C! / (4!^(C/4) (C/4)!) divisions, and of 12 the search finds the best", "[tensor][permutation][gold]") {
  CHECK(count_divisions(8) == 35);  // E25
  CHECK(count_divisions(12) == 5775);
  CHECK(count_divisions(16) == 2627625);
  for (unsigned seed = 0; seed < 3; ++seed) {
    const std::vector<float> matrix = uniform_matrix(6, 12, seed);
    double best = 0;
    std::vector<int64_t> order;
    std::vector<bool> used(12, false);
    for_each_division(order, used, [&] { best = std::max(best, kept_magnitude(matrix, 6, order, 2, 4)); });
    CHECK(permute_columns(matrix, 6, 12, 2, 4, {.effort = 0.001}).kept == Approx(best));
  }
}

TEST_CASE("the magnitude counted is what selecting N:M in the permuted matrix keeps", "[tensor][permutation]") {
  for (const auto& [n, m, columns] : {std::tuple{2, 4, 24}, std::tuple{1, 4, 22}, std::tuple{4, 8, 24}, std::tuple{2, 4, 9}, std::tuple{1, 2, 7}}) {
    INFO(n << ":" << m << " over " << columns);
    const std::vector<float> matrix = uniform_matrix(16, columns, 3);
    const ColumnPermutation found = permute_columns(matrix, 16, columns, n, m, {.effort = 0.002});
    REQUIRE(is_permutation_of_columns(found.order, columns));
    std::vector<float> permuted(matrix.size());
    for (int64_t row = 0; row < 16; ++row) {
      for (int64_t i = 0; i < columns; ++i) {
        permuted[static_cast<size_t>(row * columns + i)] = matrix[static_cast<size_t>(row * columns + found.order[static_cast<size_t>(i)])];
      }
    }
    const BitMask mask = select_n_of_m(permuted, {16, columns}, 1, n, m);
    double kept = 0;
    for (int64_t i = 0; i < mask.size(); ++i) kept += mask[i] ? permuted[static_cast<size_t>(i)] : 0;
    CHECK(found.kept == Approx(kept));
    CHECK(found.kept > found.kept_before);
  }
}

TEST_CASE("on random 64 columns by 128 rows 36 % of what 2:4 loses to row-wise pruning is recovered", "[tensor][permutation]") {
  double efficacy = 0;
  for (unsigned seed = 0; seed < 3; ++seed) {
    const std::vector<float> matrix = uniform_matrix(128, 64, seed);
    const ColumnPermutation found = permute_columns(matrix, 128, 64, 2, 4);
    efficacy += (found.kept - found.kept_before) / (half_of_each_row(matrix, 128, 64) - found.kept_before) / 3;
  }
  INFO("efficacy " << efficacy);
  CHECK(efficacy >= 0.36);
}

TEST_CASE("annealing never loses, and the same seed gives the same order", "[tensor][permutation]") {
  const std::vector<float> matrix = uniform_matrix(32, 32, 7);
  const ColumnPermutation climbed = permute_columns(matrix, 32, 32, 2, 4, {.effort = 0});
  const ColumnPermutation annealed = permute_columns(matrix, 32, 32, 2, 4, {.effort = 0.01, .seed = 1});
  CHECK(annealed.kept >= climbed.kept);
  CHECK(permute_columns(matrix, 32, 32, 2, 4, {.effort = 0.01, .seed = 1}).order == annealed.order);
}

TEST_CASE("a matrix that no permutation helps keeps its order", "[tensor][permutation]") {
  const std::vector<float> constant(64, 1.0F);
  const ColumnPermutation found = permute_columns(constant, 4, 16, 2, 4, {.effort = 0.001});
  CHECK(found.kept == found.kept_before);
  CHECK(std::is_sorted(found.order.begin(), found.order.end()));
  CHECK(permute_columns(constant, 16, 4, 2, 4).order == std::vector<int64_t>{0, 1, 2, 3});
  CHECK(permute_columns({}, 0, 8, 2, 4).order.size() == 8);
}
