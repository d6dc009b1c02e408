#pragma once

#include <cstdint>

namespace sparsify {

/// What turns z of one output of a layer into its target and back (LinearSite, LayerFit).
struct RetargetedOutput {
  float scale;
  float shift;     ///< with what the fitted bias adds
  float constant;  ///< subtracted from the target
  float factor;    ///< the target in units of z
};

/// Inner loops over float32, once for every instruction set that is worth it. Internal to lib/solvers.
///
/// `planes` is any place from which the offsets count, a position is a float; rows of positions are a multiple of kLanes long
/// and may be read (not written) to their end.
struct SolverKernels {
  static constexpr int64_t kLanes = 8;
  const char* name;

  /// out[p] = sum over i < count of weights[i] * planes[offsets[i] + p], for p < positions.
  void (*multiply)(const float* planes, const int32_t* offsets, const float* weights, int64_t count, int64_t positions, float* out);

  /// sums[i] += sum over p < positions of target[p] * planes[offsets[i] + p], for i < count.
  void (*correlate)(const float* planes, const float* target, const int32_t* offsets, int64_t count, int64_t positions, double* sums);

  /// z of `rows` times `width` values, rows `stride` apart, becomes the target in front of Relu: that of the dense network where it is above
  /// zero, else what is there now, at most zero. What lies between the rows becomes zero up to `positions`. `dense` and `skip` (or null) are
  /// contiguous. Adds the sum and the sum of the squares of the result.
  void (*retarget)(float* z, const float* dense, const float* skip, int64_t rows, int64_t width, int64_t stride, int64_t positions,
                   const RetargetedOutput& output, double* sum, double* squares);
};

extern const SolverKernels kGenericSolverKernels;
#if defined(__x86_64__)
extern const SolverKernels kAvx2SolverKernels;
#endif

/// The fastest that this processor runs.
const SolverKernels& solver_kernels();

}  // namespace sparsify
