#include "tensor/n_of_m.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <functional>
#include <vector>

#include "base/error.h"
#include "tensor/kernels.h"

namespace sparsify {
namespace {

/// The longest group that the kernels take.
constexpr int kKernelGroup = 64;
static_assert(std::has_single_bit(static_cast<unsigned>(kMaxGroupSize)), "an index in a group is the low bits of its key");

/// The tensor seen as [outer, length, inner]; groups run along the middle.
struct Layout {
  int64_t outer = 1;
  int64_t length = 1;
  int64_t inner = 1;
};

Layout layout_of(const Shape& shape, int axis, int n, int m) {
  invariant(axis >= 0 && axis < static_cast<int>(shape.size()), "an N:M axis is one of the tensor's");
  invariant(n >= 1 && n < m && m <= kMaxGroupSize, "N:M has 1 <= N < M <= 65536");
  Layout layout;
  for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
    const int64_t size = shape[static_cast<size_t>(i)];
    (i < axis ? layout.outer : i == axis ? layout.length : layout.inner) *= size;
  }
  if (layout.length > m && layout.length % m == 0) {  // a group is as good as a row
    layout.outer *= layout.length / m;
    layout.length = m;
  }
  return layout;
}

/// Sets `count` <= 64 bits from bit `first` on in zeroed words.
void put_bits(std::span<uint64_t> words, int64_t first, uint64_t bits, int count) {
  const auto word = static_cast<size_t>(first / 64);
  const int shift = static_cast<int>(first % 64);
  words[word] |= bits << shift;
  if (shift + count > 64) words[word + 1] |= bits >> (64 - shift);
}

class Selection {
 public:
  Selection(ScoreView scores, Layout layout, int n, int m)
      : scores_(scores), layout_(layout), n_(n), m_(m), mask_(scores.size(), /*kept=*/false) {}

  /// Rows [begin, end) of the outer axes.
  void select_rows(int64_t begin, int64_t end) {
    const int64_t row_size = layout_.length * layout_.inner;
    const int64_t rest = layout_.length % m_;
    if (m_ > kKernelGroup) {
      for (int64_t row = begin; row < end; ++row) select_long(row * row_size);
    } else if (layout_.inner == 1 && rest == 0) {
      select_groups(begin * row_size, (end - begin) * layout_.length / m_);  // groups of all rows follow each other
    } else if (layout_.inner <= 64 && rest == 0) {
      select_blocks(begin * row_size, (end - begin) * layout_.length / m_);
    } else {
      for (int64_t row = begin; row < end; ++row) {
        if (layout_.inner > 1) {
          select_columns(row * row_size);
        } else {
          select_groups(row * row_size, layout_.length / m_);
          select_partial((row + 1) * row_size - rest, static_cast<int>(rest), 1);
        }
      }
    }
    invariant(largest_ <= kInfinityKey, "scores that are selected are not NaN");
  }

  const BitMask& mask() const { return mask_; }
  BitMask take_mask() { return std::move(mask_); }

 private:
  const std::byte* at(int64_t index) const { return scores_.bytes() + 4 * index; }
  void note(int32_t largest) { largest_ = std::max(largest_, largest); }

  /// `groups` consecutive groups of m from element `first` on.
  void select_groups(int64_t first, int64_t groups) {
    const bool small = m_ == 2 || m_ == 4;
    const int64_t unit = small ? 8 / m_ : 8;                        // groups a kernel handles at least
    const int64_t unit_bytes = small ? 1 : m_;                      // mask bytes of a unit
    const int64_t units = groups / unit;
    if (std::endian::native == std::endian::little && first % 8 == 0) {
      select_units(first, units, reinterpret_cast<uint8_t*>(mask_.words().data()) + first / 8);
    } else {
      std::array<uint8_t, 512> kept;
      const int64_t units_a_block = static_cast<int64_t>(kept.size()) / unit_bytes;
      for (int64_t done = 0; done < units; done += units_a_block) {
        const int64_t now = std::min(units_a_block, units - done);
        const int64_t begin = first + done * unit * m_;
        select_units(begin, now, kept.data());
        for (int64_t i = 0; i < now * unit_bytes; ++i) {
          put_bits(mask_.words(), begin + 8 * i, kept[static_cast<size_t>(i)], 8);
        }
      }
    }
    for (int64_t group = units * unit; group < groups; ++group) select_one(first + group * m_, m_, 1);
  }

  void select_units(int64_t first, int64_t units, uint8_t* kept) {
    if (m_ == 2 || m_ == 4) {
      note(kernels().small_groups(at(first), scores_.by_magnitude(), m_, units, n_, kept));
      return;
    }
    note(kernels().groups_of_m(at(first), scores_.by_magnitude(), m_, units, n_, kept));
  }

  /// `groups` consecutive blocks of m x inner elements, inner <= 64.
  void select_blocks(int64_t first, int64_t groups) {
    note(kernels().columns(at(first), scores_.by_magnitude(), groups, m_, static_cast<int>(layout_.inner), n_,
                           mask_.words().data(), first));
  }

  /// The row of the outer axes that begins at element `first`.
  void select_columns(int64_t first) {
    const int64_t rest = layout_.length % m_;
    const int64_t groups = layout_.length / m_;
    if (layout_.inner <= 64) {
      select_blocks(first, groups);
    } else {
      for (int64_t group = 0; group < groups; ++group) select_wide(first + group * m_ * layout_.inner, m_);
    }
    if (rest == 0) return;
    const int64_t last = first + groups * m_ * layout_.inner;
    if (layout_.inner > 64 && rest > n_) {
      select_wide(last, static_cast<int>(rest));
    } else {
      for (int64_t column = 0; column < layout_.inner; ++column) {
        select_partial(last + column, static_cast<int>(rest), layout_.inner);
      }
    }
  }

  void select_wide(int64_t first, int m) {
    std::array<uint64_t, kKernelGroup> kept;
    for (int64_t column = 0; column < layout_.inner; column += 64) {
      const int width = static_cast<int>(std::min<int64_t>(64, layout_.inner - column));
      note(kernels().wide_columns(at(first + column), scores_.by_magnitude(), m, layout_.inner, width, n_, kept.data()));
      for (int row = 0; row < m; ++row) {
        put_bits(mask_.words(), first + column + row * layout_.inner, kept[static_cast<size_t>(row)], width);
      }
    }
  }

  void select_partial(int64_t first, int size, int64_t stride) {
    if (size > n_) return select_one(first, size, stride);
    for (int i = 0; i < size; ++i) mask_.keep(first + i * stride);
  }

  /// One group of `size` > n elements.
  void select_one(int64_t first, int size, int64_t stride) {
    std::array<int32_t, kKernelGroup> keys;
    for (int i = 0; i < size; ++i) {
      keys[static_cast<size_t>(i)] = score_key(scores_[first + i * stride]);
      note(std::abs(keys[static_cast<size_t>(i)]));
    }
    for (int i = 0; i < size; ++i) {
      int rank = 0;
      for (int j = 0; j < size; ++j) {
        const int32_t rival = keys[static_cast<size_t>(j)];
        const int32_t key = keys[static_cast<size_t>(i)];
        rank += rival > key || (rival == key && j < i);
      }
      if (rank < n_) mask_.keep(first + i * stride);
    }
  }

  /// The row of the outer axes that begins at element `first`, in groups of any length.
  void select_long(int64_t first) {
    for (int64_t group = 0; group < layout_.length; group += m_) {
      const int64_t size = std::min<int64_t>(m_, layout_.length - group);
      for (int64_t column = 0; column < layout_.inner; ++column) select_any(first + group * layout_.inner + column, size, layout_.inner);
    }
  }

  /// One group: the keys are ordered by score, then by index from the last to the first, so no two are equal.
  void select_any(int64_t first, int64_t size, int64_t stride) {
    long_keys_.resize(static_cast<size_t>(size));
    for (int64_t i = 0; i < size; ++i) {
      const int32_t key = score_key(scores_[first + i * stride]);
      note(std::abs(key));
      long_keys_[static_cast<size_t>(i)] = int64_t{key} * kMaxGroupSize + (size - 1 - i);
    }
    const int64_t keep = std::min<int64_t>(n_, size);
    if (keep < size) std::nth_element(long_keys_.begin(), long_keys_.begin() + keep, long_keys_.end(), std::greater<>());
    for (int64_t i = 0; i < keep; ++i) {
      mask_.keep(first + (size - 1 - (long_keys_[static_cast<size_t>(i)] & (kMaxGroupSize - 1))) * stride);
    }
  }

  ScoreView scores_;
  Layout layout_;
  int n_;
  int m_;
  BitMask mask_;
  int32_t largest_ = 0;
  std::vector<int64_t> long_keys_;
};

}  // namespace

BitMask select_n_of_m(ScoreView scores, const Shape& shape, int axis, int n, int m) {
  const Layout layout = layout_of(shape, axis, n, m);
  invariant(scores.size() == layout.outer * layout.length * layout.inner, "there is one score for every element");
  Selection selection(scores, layout, n, m);
  if (!scores.empty()) selection.select_rows(0, layout.outer);
  return selection.take_mask();
}

BitMask keep_n_of_m_(std::span<std::byte> float32, const Shape& shape, int axis, int n, int m) {
  constexpr int64_t kCached = 1 << 16;  // elements: 256 KB stay in the second-level cache
  const Layout layout = layout_of(shape, axis, n, m);
  const ScoreView scores = ScoreView::magnitudes(float32);
  const int64_t row_size = layout.length * layout.inner;
  invariant(scores.size() == layout.outer * row_size, "there is one weight for every element");
  Selection selection(scores, layout, n, m);
  if (scores.empty()) return selection.take_mask();
  int64_t rows = std::max<int64_t>(1, kCached / row_size);
  if (layout.inner == 1) rows = (rows + 7) / 8 * 8;  // whole bytes of the mask
  for (int64_t begin = 0; begin < layout.outer; begin += rows) {
    const int64_t end = std::min(begin + rows, layout.outer);
    selection.select_rows(begin, end);
    const auto first = static_cast<size_t>(4 * begin * row_size);
    const auto bytes = static_cast<size_t>(4 * (end - begin) * row_size);
    apply_mask_(selection.mask(), begin * row_size, float32.subspan(first, bytes), 4);
  }
  return selection.take_mask();
}

int64_t first_n_of_m_violation(const BitMask& mask, const Shape& shape, int axis, int n, int m) {
  const Layout layout = layout_of(shape, axis, n, m);
  invariant(mask.size() == layout.outer * layout.length * layout.inner, "a mask has one bit for every element");
  std::vector<int> kept(static_cast<size_t>(layout.inner));
  for (int64_t row = 0; row < layout.outer; ++row) {
    for (int64_t group = 0; group < layout.length; group += m) {
      std::fill(kept.begin(), kept.end(), 0);
      const int64_t begin = (row * layout.length + group) * layout.inner;
      const int64_t rows = std::min<int64_t>(m, layout.length - group);
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t column = 0; column < layout.inner; ++column) {
          kept[static_cast<size_t>(column)] += mask[begin + i * layout.inner + column];
        }
      }
      const auto crowded = std::find_if(kept.begin(), kept.end(), [n](int count) { return count > n; });
      if (crowded != kept.end()) return begin + (crowded - kept.begin());
    }
  }
  return -1;
}

int64_t n_of_m_kept(const Shape& shape, int axis, int n, int m) {
  const Layout layout = layout_of(shape, axis, n, m);
  const int64_t along = layout.length / m * n + std::min<int64_t>(n, layout.length % m);
  return layout.outer * along * layout.inner;
}

}  // namespace sparsify
