#pragma once

#include <cstddef>
#include <cstdint>

namespace sparsify {

/// `count` values at a time, with F16C where the processor has it. Neither side needs to be aligned; sources
/// and targets may not overlap.
void halves_to_floats(const std::byte* halves, float* floats, size_t count);
void floats_to_halves(const float* floats, std::byte* halves, size_t count);
void bfloat16s_to_floats(const std::byte* bits, float* floats, size_t count);

/// One element of an 8-bit float format with the given split; `finite` formats (E4M3FN) have no infinity, `fnuz`
/// ones (E4M3FNUZ, E5M2FNUZ) neither infinity nor negative zero and a bias that is one larger.
float small_float_to_float(uint8_t bits, int exponent_bits, bool finite, bool fnuz);

}  // namespace sparsify
