#pragma once

#include <cstddef>
#include <cstdint>

namespace sparsify {

/// The inner loops of selection, once for every instruction set that is worth it. Internal to lib/tensor; use
/// bit_mask.h, select.h and n_of_m.h.
///
/// Scores are float32 at any address, `magnitude` takes their absolute value. A key is score_key() of a score. Every loop
/// that reads scores returns the largest |key| it met, so that the caller can refuse NaN.
struct Kernels {
  const char* name;

  /// For `words` times 64 scores: bit = key > high in `above`, bit = low <= key <= high in `inside`.
  /// Adds the number of bits set in `above` to `above_count`.
  int32_t (*scan)(const std::byte* scores, bool magnitude, int64_t words, int32_t low, int32_t high, uint64_t* above,
                  uint64_t* inside, int64_t* above_count);

  /// The largest |key| of `count` scores.
  int32_t (*largest)(const std::byte* scores, int64_t count);

  /// `bytes` times 8 scores in consecutive groups of m = 2 or 4: keeps n of each group.
  int32_t (*small_groups)(const std::byte* scores, bool magnitude, int m, int64_t bytes, int n, uint8_t* kept);

  /// `units` times 8 consecutive groups of m <= 64 scores: keeps n of each; a unit's 8 * m bits go to m bytes.
  int32_t (*groups_of_m)(const std::byte* scores, bool magnitude, int m, int64_t units, int n, uint8_t* kept);

  /// `blocks` consecutive blocks of m rows of `inner` <= 64 scores: keeps n of the m in each column.
  /// blocks * m * inner bits are appended at bit `first` of `kept`, which is zero from there on.
  int32_t (*columns)(const std::byte* scores, bool magnitude, int64_t blocks, int m, int inner, int n, uint64_t* kept,
                     int64_t first);

  /// m rows, `stride` scores apart, of `width` <= 64 scores: keeps n of the m in each column; row i goes to kept[i].
  int32_t (*wide_columns)(const std::byte* scores, bool magnitude, int m, int64_t stride, int width, int n,
                          uint64_t* kept);

  /// Clears the elements of `words` times 64 whose bit is zero. element_bytes is 1, 2, 4 or 8.
  void (*apply)(const uint64_t* kept, int64_t words, std::byte* elements, int element_bytes);

  int64_t (*count_bits)(const uint64_t* words, int64_t count);
};

extern const Kernels kGenericKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
#endif

/// The fastest that this processor runs.
const Kernels& kernels();

}  // namespace sparsify
