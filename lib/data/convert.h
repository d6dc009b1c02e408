#pragma once

#include <cstddef>
#include <vector>

#include "tensor/host_tensor.h"

namespace sparsify {

/// Elements as float64: floats, integers and bool. throws ResourceError if one is NaN (`.where` is
/// for the caller to set)
std::vector<double> numbers_of(const HostTensor& tensor);

/// Whether write_number can write this type: float32/64, float16, bfloat16, 8- to 64-bit integers
/// and bool.
bool is_writable(DType type);
bool is_float(DType type);

/// Writes values as elements of `type`, every `stride` elements of `out`.
/// throws ResourceError for a value that an integer type or float16 cannot hold (`.where` is for
/// the caller to set)
void write_numbers(const double* values, int64_t count, DType type, std::byte* out, int64_t stride);

}  // namespace sparsify
