#include "report/mask_picture.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/error.h"

namespace sparsify {
namespace {

constexpr int64_t kMostRows = 96;
constexpr int64_t kMostColumns = 160;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Kept elements in [first, last).
#if defined(__x86_64__)
__attribute__((target_clones("popcnt", "default")))
#endif
int64_t count_kept_in(const BitMask& mask, int64_t first, int64_t last) {
  const auto words = mask.words();
  int64_t kept = 0;
  while (first < last) {
    const int64_t word_end = std::min(last, (first / 64 + 1) * 64);
    uint64_t bits = words[static_cast<size_t>(first / 64)] >> (first % 64);
    const int64_t used = word_end - first;
    if (used < 64) bits &= (uint64_t{1} << used) - 1;
    kept += std::popcount(bits);
    first = word_end;
  }
  return kept;
}

}  // namespace

MaskPicture draw_mask(const std::string& initializer, const Mask& mask, int output_axis) {
  const auto axis = static_cast<size_t>(output_axis);
  invariant(output_axis < static_cast<int>(mask.shape.size()), "the output axis is one of the mask's");
  invariant(mask.bits.size() == element_count(mask.shape), "a mask has as many bits as its shape says");
  const int64_t channels = output_axis < 0 ? 1 : mask.shape[axis];
  int64_t inner = mask.bits.size();
  if (output_axis >= 0) inner = element_count(Shape(mask.shape.begin() + output_axis + 1, mask.shape.end()));
  MaskPicture picture{.initializer = initializer, .rows = 0, .columns = 0, .channels = channels, .fan_in = 0, .density = {}};
  if (mask.bits.size() == 0) return picture;
  picture.fan_in = mask.bits.size() / channels;

  const int64_t cell_height = divide_up(channels, kMostRows);
  const int64_t cell_width = divide_up(picture.fan_in, kMostColumns);
  picture.rows = static_cast<int>(divide_up(channels, cell_height));
  picture.columns = static_cast<int>(divide_up(picture.fan_in, cell_width));
  std::vector<int64_t> kept(static_cast<size_t>(picture.rows) * static_cast<size_t>(picture.columns));

  // Memory order: outer x channels x inner. A run of `inner` elements lies in one row of the picture.
  int64_t at = 0;
  for (int64_t column = 0; column < picture.fan_in; column += inner) {
    if (inner == 1) {  // channels lie side by side: a run of them shares a cell
      for (int64_t channel = 0; channel < channels; channel += cell_height) {
        const int64_t height = std::min(cell_height, channels - channel);
        const int64_t cell = channel / cell_height * picture.columns + column / cell_width;
        kept[static_cast<size_t>(cell)] += count_kept_in(mask.bits, at, at + height);
        at += height;
      }
      continue;
    }
    for (int64_t channel = 0; channel < channels; ++channel) {
      const int64_t row_start = channel / cell_height * picture.columns;
      for (int64_t x = column; x < column + inner;) {
        const int64_t cell = x / cell_width;
        const int64_t next = std::min((cell + 1) * cell_width, column + inner);
        kept[static_cast<size_t>(row_start + cell)] += count_kept_in(mask.bits, at, at + next - x);
        at += next - x;
        x = next;
      }
    }
  }

  picture.density.reserve(kept.size());
  for (int64_t row = 0; row < picture.rows; ++row) {
    const int64_t height = std::min(cell_height, channels - row * cell_height);
    for (int64_t cell = 0; cell < picture.columns; ++cell) {
      const int64_t weights = height * std::min(cell_width, picture.fan_in - cell * cell_width);
      const int64_t count = kept[static_cast<size_t>(row * picture.columns + cell)];
      picture.density.push_back(static_cast<uint8_t>((count * 255 + weights / 2) / weights));
    }
  }
  return picture;
}

std::vector<MaskPicture> draw_largest_masks(const MaskSet& masks, const std::map<std::string, int>& output_axes,
                                            size_t count) {
  std::vector<size_t> order(masks.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return masks[a].second.bits.size() > masks[b].second.bits.size();
  });
  order.resize(std::min(count, order.size()));
  std::sort(order.begin(), order.end());
  std::vector<MaskPicture> pictures;
  for (const size_t i : order) {
    const auto& [name, mask] = masks[i];
    const auto axis = output_axes.find(name);
    pictures.push_back(draw_mask(name, mask, axis == output_axes.end() ? -1 : axis->second));
  }
  return pictures;
}

}  // namespace sparsify
