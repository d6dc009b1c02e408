#pragma once

#include <cstdint>

namespace sparsify {

/// What turns z of one output of a layer into its target and back (LinearSite, LayerFit).
struct RetargetedOutput {
  float scale;
  float shift;     ///< with what the fitted bias adds
  float constant;  ///< subtracted from the target
  float factor;    ///< the target in units of z
  float pull = 0;  ///< in front of Relu, of the way from a value at most zero to the dense one at most zero: 0 stays, 1 goes all of it
};

/// Four rows against a list of places in planes, over several images: SolverKernels::correlate_tiles.
struct CorrelationTiles {
  const float* rows;       ///< of the first image
  int64_t row_distance;    ///< from one of the four rows to the next
  int64_t row_image;       ///< from one image to the next
  const float* planes;
  int64_t plane_image;
  const int32_t* offsets;  ///< [columns]
  int64_t columns;         ///< a multiple of kTileColumns
  int64_t images;
  int64_t positions;       ///< of each image
};

/// Inner loops, once for every instruction set that is worth it. Internal to lib/solvers.
///
/// Of convolutions, in float32: `planes` is any place from which the offsets count, a position is a float; there are a multiple of kLanes of them.
struct SolverKernels {
  static constexpr int64_t kLanes = 8;
  static constexpr int64_t kTileRows = 4;
  static constexpr int64_t kTileColumns = 3;
  const char* name;
  bool wide;  ///< in registers of kLanes floats: false where a library is faster

  /// out[p] = sum over i < count of weights[i] * planes[offsets[i] + p], for p < positions.
  void (*multiply)(const float* planes, const int32_t* offsets, const float* weights, int64_t count, int64_t positions, float* out);

  /// sums[i] += sum over p < positions of target[p] * planes[offsets[i] + p], for i < count.
  void (*correlate)(const float* planes, const float* target, const int32_t* offsets, int64_t count, int64_t positions, double* sums);

  /// sums[r * columns + j] += sum over images and positions of row r times planes[offsets[j] + p].
  void (*correlate_tiles)(const CorrelationTiles& tiles, double* sums);

  /// to = (dense - skip - constant) * factor for `count` numbers; `skip` may be null. Adds the sum and the sum of the squares.
  void (*target)(const float* dense, const float* skip, int64_t count, const RetargetedOutput& output, float* to, double* sum, double* squares);

  /// z of `rows` times `width` values, rows `stride` apart, becomes the target in front of Relu: that of the dense network where it is above
  /// zero, else what is there now, at most zero, moved towards the dense value by `pull`. What lies between the rows becomes zero up to `positions`. `dense` and `skip` (or null) are
  /// contiguous. Adds the sum and the sum of the squares of the result.
  void (*retarget)(float* z, const float* dense, const float* skip, int64_t rows, int64_t width, int64_t stride, int64_t positions,
                   const RetargetedOutput& output, double* sum, double* squares);

  /// a = u^T u in place, [n, n] with n a multiple of kLanes: reads and writes the upper triangle, what is below becomes anything.
  /// False: not positive definite.
  bool (*factor)(float* a, int64_t n);

  /// Solves u^T u x = right with what factor() left. `right` becomes anything.
  void (*substitute)(const float* u, int64_t n, float* right, float* x);

  /// sum over i < count of row[i] * x[i], and of row[places[i]] * x[i].
  double (*dot)(const double* row, const double* x, int64_t count);
  double (*dot_at)(const double* row, const int32_t* places, const double* x, int64_t count);
};

extern const SolverKernels kGenericSolverKernels;
#if defined(__x86_64__)
extern const SolverKernels kAvx2SolverKernels;
#endif

/// The fastest that this processor runs.
const SolverKernels& solver_kernels();

}  // namespace sparsify
