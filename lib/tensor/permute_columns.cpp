#include "tensor/permute_columns.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"

namespace sparsify {
namespace {

constexpr int64_t kBlock = 128;  ///< rows that are worked on at once: the running maxima stay in the cache
constexpr int kLargestExhaustive = 4;

/// Place of the pair (a, b), a < b, of eight in the order (0,1), (0,2) ... (6,7).
constexpr size_t pair_index(int a, int b) { return static_cast<size_t>(a * (15 - a) / 2 + b - a - 1); }

/// The pairs that make up the two groups of each division of eight places, in the order of divisions_of(4).
constexpr std::array<std::array<size_t, 4>, 35> all_divisions() {
  std::array<std::array<size_t, 4>, 35> all{};
  size_t next = 0;
  for (int x = 1; x < 8; ++x) {
    for (int y = x + 1; y < 8; ++y) {
      for (int z = y + 1; z < 8; ++z) {
        std::array<int, 4> rest{};
        size_t count = 0;
        for (int place = 1; place < 8; ++place) {
          if (place != x && place != y && place != z) rest[count++] = place;
        }
        all[next++] = {pair_index(0, x), pair_index(y, z), pair_index(rest[0], rest[1]), pair_index(rest[2], rest[3])};
      }
    }
  }
  return all;
}
constexpr auto kDivisions = all_divisions();

/// Columns one after another, so that a group of them is compared over many rows at once.
class ColumnStore {
 public:
  ColumnStore(std::span<const float> matrix, int64_t rows, int64_t columns, int64_t padded)
      : rows_((rows + kBlock - 1) / kBlock * kBlock), data_(static_cast<size_t>(rows_ * padded)) {
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t column = 0; column < columns; ++column) {
        data_[static_cast<size_t>(column * rows_ + row)] = matrix[static_cast<size_t>(row * columns + column)];
      }
    }
  }

  /// Sum over the rows of the n largest among these columns.
  double kept(const int64_t* group, int m, int n) const {
    if (m == 4) return kept_of_four(group, n);
    double sum = 0;
    std::array<float, kBlock * 64> top;
    for (int64_t row = 0; row < rows_; row += kBlock) {
      std::fill_n(top.begin(), kBlock * n, 0.0F);
      for (int i = 0; i < m; ++i) {
        const float* values = data_.data() + group[i] * rows_ + row;
        std::array<float, kBlock> rest;
        std::copy_n(values, kBlock, rest.begin());
        for (int rank = 0; rank < n; ++rank) insert(top.data() + rank * kBlock, rest.data());
      }
      std::array<float, 8> lanes{};
      for (int64_t i = 0; i < kBlock * n; i += 8) {
        for (size_t lane = 0; lane < 8; ++lane) lanes[lane] += top[static_cast<size_t>(i) + lane];
      }
      for (const float lane : lanes) sum += lane;
    }
    return sum;
  }

  /// Sum over the rows of what n of 4 keeps in both halves of eight columns, for all divisions of divisions_of(4) at once: the
  /// larger and the smaller of every two columns are all that a group of four needs.
  std::array<double, 35> kept_by_division(const int64_t* eight, int n) const {
    std::array<double, 35> sums{};
    constexpr int64_t kRows = 64;
    std::array<std::array<float, kRows>, 28> high;
    std::array<std::array<float, kRows>, 28> low;
    for (int64_t row = 0; row < rows_; row += kRows) {
      size_t pair = 0;
      for (int a = 0; a < 8; ++a) {
        for (int b = a + 1; b < 8; ++b, ++pair) {
          const float* one = data_.data() + eight[a] * rows_ + row;
          const float* two = data_.data() + eight[b] * rows_ + row;
          for (int64_t i = 0; i < kRows; ++i) {
            const auto at = static_cast<size_t>(i);
            high[pair][at] = one[i] > two[i] ? one[i] : two[i];
            low[pair][at] = one[i] > two[i] ? two[i] : one[i];
          }
        }
      }
      for (size_t d = 0; d < kDivisions.size(); ++d) {
        const auto& p = kDivisions[d];
        sums[d] += static_cast<double>(of_four(high[p[0]], low[p[0]], high[p[1]], low[p[1]], n)) +
                   static_cast<double>(of_four(high[p[2]], low[p[2]], high[p[3]], low[p[3]], n));
      }
    }
    return sums;
  }

 private:
  template <size_t Rows>
  static float of_four(const std::array<float, Rows>& high_a, const std::array<float, Rows>& low_a, const std::array<float, Rows>& high_b,
                       const std::array<float, Rows>& low_b, int n) {
    constexpr size_t kLanes = 16;
    std::array<float, kLanes> lanes{};
    for (size_t first = 0; first < Rows; first += kLanes) {
      for (size_t lane = 0; lane < kLanes; ++lane) {
        const size_t i = first + lane;
        const float most = high_a[i] > high_b[i] ? high_a[i] : high_b[i];
        if (n == 1) {
          lanes[lane] += most;
          continue;
        }
        const float other_high = high_a[i] > high_b[i] ? high_b[i] : high_a[i];
        const float best_low = low_a[i] > low_b[i] ? low_a[i] : low_b[i];
        const float second = other_high > best_low ? other_high : best_low;
        const float third = other_high > best_low ? best_low : other_high;  // the least is below both
        lanes[lane] += n == 2 ? most + second : most + second + third;
      }
    }
    float sum = 0;
    for (const float lane : lanes) sum += lane;
    return sum;
  }

  double kept_of_four(const int64_t* group, int n) const {
    const float* a = data_.data() + group[0] * rows_;
    const float* b = data_.data() + group[1] * rows_;
    const float* c = data_.data() + group[2] * rows_;
    const float* d = data_.data() + group[3] * rows_;
    double sum = 0;
    for (int64_t row = 0; row < rows_; row += kBlock) {
      std::array<float, kBlock> high_a;
      std::array<float, kBlock> low_a;
      std::array<float, kBlock> high_b;
      std::array<float, kBlock> low_b;
      for (int64_t i = 0; i < kBlock; ++i) {
        const auto at = static_cast<size_t>(i);
        high_a[at] = a[row + i] > b[row + i] ? a[row + i] : b[row + i];
        low_a[at] = a[row + i] > b[row + i] ? b[row + i] : a[row + i];
        high_b[at] = c[row + i] > d[row + i] ? c[row + i] : d[row + i];
        low_b[at] = c[row + i] > d[row + i] ? d[row + i] : c[row + i];
      }
      sum += static_cast<double>(of_four(high_a, low_a, high_b, low_b, n));
    }
    return sum;
  }

  /// The larger of each pair goes to `best`, the other one stays to be compared with the next rank.
  static void insert(float* best, float* rest) {
    for (int64_t i = 0; i < kBlock; ++i) {
      const float high = best[i] > rest[i] ? best[i] : rest[i];
      const float low = best[i] > rest[i] ? rest[i] : best[i];
      best[i] = high;
      rest[i] = low;
    }
  }

  int64_t rows_;
  std::vector<float> data_;
};

/// Subsets of m of 2 m places, as bits, in lexicographic order; of a subset and its complement the one with place 0.
std::vector<uint32_t> divisions_of(int m) {
  std::vector<uint32_t> subsets;
  for (uint32_t bits = 0; bits < 1U << (2 * m); ++bits) {
    if (std::popcount(bits) == m && (bits & 1U) != 0) subsets.push_back(bits);
  }
  const auto reversed = [m](uint32_t bits) {
    uint32_t out = 0;
    for (int i = 0; i < 2 * m; ++i) out |= (bits >> i & 1U) << (2 * m - 1 - i);
    return out;
  };
  std::sort(subsets.begin(), subsets.end(), [&](uint32_t a, uint32_t b) { return reversed(a) > reversed(b); });
  return subsets;
}

/// The best rearrangement of two stripes: which division, or for long stripes which swap.
struct Pair {
  double gain = 0;
  int64_t choice = -1;
};

class Search {
 public:
  Search(std::span<const float> matrix, int64_t rows, int64_t columns, int n, int m)
      : n_(n), m_(m), columns_(columns), stripes_((columns + m - 1) / m), store_(matrix, rows, columns, stripes_ * m) {
    if (m_ <= kLargestExhaustive) divisions_ = divisions_of(m_);
    state_.order.resize(static_cast<size_t>(stripes_ * m_));
    std::iota(state_.order.begin(), state_.order.end(), int64_t{0});
    state_.kept.resize(static_cast<size_t>(stripes_));
    for (int64_t stripe = 0; stripe < stripes_; ++stripe) refresh(stripe);
    state_.pairs.resize(static_cast<size_t>(stripes_ * stripes_));
    tiny_ = 1e-6 * std::max(total(), 1e-30) / static_cast<double>(stripes_);  // above the rounding of the sums
  }

  double total() const { return std::accumulate(state_.kept.begin(), state_.kept.end(), 0.0); }

  void climb() { climb_from(std::vector<bool>(static_cast<size_t>(stripes_), true)); }

  /// Swaps of two columns of different stripes, taken when they gain and with probability exp(gain / temperature) when they
  /// lose; the temperature falls from a tenth to a sixtieth of what a random swap changes. Ends where most was kept, climbed.
  void anneal(int64_t swaps, Rng& random) {
    if (stripes_ < 2 || swaps < 1) return;
    constexpr int kProbes = 64;
    double typical = 0;
    for (int i = 0; i < kProbes; ++i) {
      const Swap swap = draw(random);
      typical += std::fabs(gain_of(swap)) / kProbes;
      undo(swap);
    }
    if (typical <= tiny_) return;
    std::vector<int64_t> best_order = state_.order;
    double now = total();
    double best = now;
    for (int64_t i = 0; i < swaps; ++i) {
      const double temperature = typical / 10 * std::pow(1.0 / 6, static_cast<double>(i) / static_cast<double>(swaps));
      const Swap swap = draw(random);
      const double gain = gain_of(swap);
      if (gain <= 0 && static_cast<double>(random.next() >> 11) * 0x1.0p-53 >= std::exp(gain / temperature)) {
        undo(swap);
        continue;
      }
      state_.kept[static_cast<size_t>(swap.one / m_)] = swap.kept_one;
      state_.kept[static_cast<size_t>(swap.two / m_)] = swap.kept_two;
      now += gain;
      if (now <= best + tiny_) continue;
      best = now;
      best_order = state_.order;
    }
    state_.order = std::move(best_order);
    for (int64_t stripe = 0; stripe < stripes_; ++stripe) refresh(stripe);
    climb();
  }

  std::vector<int64_t> order() const {
    std::vector<std::vector<int64_t>> groups;
    for (int64_t stripe = 0; stripe < stripes_; ++stripe) {
      const int64_t* first = state_.order.data() + stripe * m_;
      groups.emplace_back(first, first + m_);
      std::sort(groups.back().begin(), groups.back().end());
    }
    const auto complete = groups.end() - (columns_ % m_ == 0 ? 0 : 1);
    std::sort(groups.begin(), complete);
    std::vector<int64_t> order;
    for (const auto& group : groups) {
      for (const int64_t column : group) {
        if (!is_padding(column)) order.push_back(column);
      }
    }
    return order;
  }

 private:
  /// Two places of `order` in different stripes, exchanged already, and what their stripes then keep.
  struct Swap {
    int64_t one = 0;
    int64_t two = 0;
    double kept_one = 0;
    double kept_two = 0;
  };

  Swap draw(Rng& random) {
    Swap swap;
    do {  // of more than M columns, two at least are in different stripes
      swap.one = static_cast<int64_t>(random.below(static_cast<uint64_t>(columns_)));
      swap.two = static_cast<int64_t>(random.below(static_cast<uint64_t>(columns_)));
    } while (swap.one / m_ == swap.two / m_);
    undo(swap);
    swap.kept_one = store_.kept(stripe_of(swap.one / m_), m_, n_);
    swap.kept_two = store_.kept(stripe_of(swap.two / m_), m_, n_);
    return swap;
  }
  void undo(const Swap& swap) { std::swap(state_.order[static_cast<size_t>(swap.one)], state_.order[static_cast<size_t>(swap.two)]); }
  double gain_of(const Swap& swap) const {
    return swap.kept_one + swap.kept_two - state_.kept[static_cast<size_t>(swap.one / m_)] - state_.kept[static_cast<size_t>(swap.two / m_)];
  }

  struct State {
    std::vector<int64_t> order;  ///< stripes one after another; columns from columns_ on are padding
    std::vector<double> kept;    ///< by stripe
    std::vector<Pair> pairs;     ///< [stripe, later stripe]
  };

  bool is_padding(int64_t column) const { return column >= columns_; }
  int64_t* stripe_of(int64_t stripe) { return state_.order.data() + stripe * m_; }
  void refresh(int64_t stripe) { state_.kept[static_cast<size_t>(stripe)] = store_.kept(stripe_of(stripe), m_, n_); }
  Pair& pair_of(int64_t a, int64_t b) { return state_.pairs[static_cast<size_t>(a * stripes_ + b)]; }

  /// Applies improvements from the largest down until there is none; only pairs with a changed stripe are looked at.
  void climb_from(std::vector<bool> changed) {
    while (true) {
      std::vector<std::pair<double, std::pair<int64_t, int64_t>>> gains;
      for (int64_t a = 0; a < stripes_; ++a) {
        for (int64_t b = a + 1; b < stripes_; ++b) {
          if (changed[static_cast<size_t>(a)] || changed[static_cast<size_t>(b)]) pair_of(a, b) = best_of(a, b);
          if (pair_of(a, b).gain > tiny_) gains.push_back({-pair_of(a, b).gain, {a, b}});
        }
      }
      if (gains.empty()) return;
      std::sort(gains.begin(), gains.end());
      std::fill(changed.begin(), changed.end(), false);
      for (const auto& [gain, stripes] : gains) {
        const auto [a, b] = stripes;
        if (changed[static_cast<size_t>(a)] || changed[static_cast<size_t>(b)]) continue;
        apply(a, b, pair_of(a, b).choice);
        for (const int64_t stripe : {a, b}) {
          refresh(stripe);
          changed[static_cast<size_t>(stripe)] = true;
        }
      }
    }
  }

  bool exhaustive() const { return m_ <= kLargestExhaustive; }

  /// Padding is last: it stays in the later stripe, which is the last one.
  std::vector<int64_t> sorted_columns(int64_t a, int64_t b) {
    std::vector<int64_t> both(stripe_of(a), stripe_of(a) + m_);
    both.insert(both.end(), stripe_of(b), stripe_of(b) + m_);
    std::sort(both.begin(), both.end());
    return both;
  }

  /// The two groups of a division; the one with padding comes second. False where both would have some.
  bool divide(const std::vector<int64_t>& both, int64_t choice, std::vector<int64_t>& first, std::vector<int64_t>& second) const {
    const uint32_t bits = divisions_[static_cast<size_t>(choice)];
    first.clear();
    second.clear();
    for (int place = 0; place < 2 * m_; ++place) {
      ((bits >> place & 1U) != 0 ? first : second).push_back(both[static_cast<size_t>(place)]);
    }
    if (is_padding(first.back())) first.swap(second);
    return !is_padding(first.back());
  }

  void apply(int64_t a, int64_t b, int64_t choice) {
    if (!exhaustive()) {
      std::swap(stripe_of(a)[choice / m_], stripe_of(b)[choice % m_]);
      return;
    }
    std::vector<int64_t> first;
    std::vector<int64_t> second;
    divide(sorted_columns(a, b), choice, first, second);
    std::copy(first.begin(), first.end(), stripe_of(a));
    std::copy(second.begin(), second.end(), stripe_of(b));
  }

  Pair best_of(int64_t a, int64_t b) {
    const double now = state_.kept[static_cast<size_t>(a)] + state_.kept[static_cast<size_t>(b)];
    return exhaustive() ? best_division(sorted_columns(a, b), now) : best_swap(a, b, now);
  }

  Pair best_division(const std::vector<int64_t>& both, double now) const {
    std::array<double, 35> sums{};
    if (m_ == 4) sums = store_.kept_by_division(both.data(), n_);
    Pair best;
    std::vector<int64_t> first;
    std::vector<int64_t> second;
    for (size_t i = 0; i < divisions_.size(); ++i) {
      if (m_ == 4 && sums[i] - now <= best.gain + tiny_) continue;
      if (!divide(both, static_cast<int64_t>(i), first, second)) continue;
      const double sum = m_ == 4 ? sums[i] : store_.kept(first.data(), m_, n_) + store_.kept(second.data(), m_, n_);
      if (sum - now > best.gain + tiny_) best = {sum - now, static_cast<int64_t>(i)};
    }
    return best;
  }

  Pair best_swap(int64_t a, int64_t b, double now) {
    Pair best;
    std::vector<int64_t> first(stripe_of(a), stripe_of(a) + m_);
    std::vector<int64_t> second(stripe_of(b), stripe_of(b) + m_);
    for (int64_t i = 0; i < m_ * m_; ++i) {
      int64_t& one = first[static_cast<size_t>(i / m_)];
      int64_t& two = second[static_cast<size_t>(i % m_)];
      if (is_padding(two)) continue;
      std::swap(one, two);
      const double gain = store_.kept(first.data(), m_, n_) + store_.kept(second.data(), m_, n_) - now;
      if (gain > best.gain + tiny_) best = {gain, i};
      std::swap(one, two);
    }
    return best;
  }

  int n_;
  int m_;
  int64_t columns_;
  int64_t stripes_;
  ColumnStore store_;
  std::vector<uint32_t> divisions_;
  State state_;
  double tiny_ = 0;
};

}  // namespace

double kept_magnitude(std::span<const float> magnitudes, int64_t rows, const std::vector<int64_t>& order, int n, int m) {
  const auto columns = static_cast<int64_t>(order.size());
  double sum = 0;
  std::vector<float> group;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t first = 0; first < columns; first += m) {
      group.clear();
      for (int64_t i = first; i < std::min(first + m, columns); ++i) {
        group.push_back(magnitudes[static_cast<size_t>(row * columns + order[static_cast<size_t>(i)])]);
      }
      std::sort(group.rbegin(), group.rend());
      for (size_t i = 0; i < std::min(group.size(), static_cast<size_t>(n)); ++i) sum += group[i];
    }
  }
  return sum;
}

ColumnPermutation permute_columns(std::span<const float> magnitudes, int64_t rows, int64_t columns, int n, int m,
                                  const PermutationSearch& search) {
  invariant(1 <= n && n < m && m <= kMaxPermutedGroup, "a permuted N:M has 1 <= N < M <= 64");
  invariant(static_cast<int64_t>(magnitudes.size()) == rows * columns, "the matrix has rows times columns elements");
  ColumnPermutation result;
  result.order.resize(static_cast<size_t>(columns));
  std::iota(result.order.begin(), result.order.end(), int64_t{0});
  result.kept_before = result.kept = kept_magnitude(magnitudes, rows, result.order, n, m);
  if (columns <= m || rows == 0) return result;
  Search climber(magnitudes, rows, columns, n, m);
  climber.climb();
  Rng random(search.seed, "permute columns");
  climber.anneal(static_cast<int64_t>(search.effort * 2e8 / static_cast<double>(rows)), random);
  std::vector<int64_t> order = climber.order();
  const double kept = kept_magnitude(magnitudes, rows, order, n, m);
  if (kept > result.kept) {
    result.order = std::move(order);
    result.kept = kept;
  }
  return result;
}

}  // namespace sparsify
