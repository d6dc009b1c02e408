#include "tensor/half.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "tensor/host_tensor.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sparsify {

float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000U) << 16;
  const uint32_t exponent = (half >> 10) & 31U;
  const uint32_t fraction = half & 0x3ffU;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, magnitude) | sign);
  }
  if (exponent == 31) {
    // The processor's instruction makes a signalling NaN quiet; do the same.
    const uint32_t quiet = fraction != 0 ? 0x400000U : 0U;
    return __builtin_bit_cast(float, sign | 0x7f800000U | (fraction << 13) | quiet);
  }
  return __builtin_bit_cast(float, sign | ((exponent + 112) << 23) | (fraction << 13));
}

uint16_t float_to_half(float value) {
  const auto bits = __builtin_bit_cast(uint32_t, value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
  const uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) {
    return static_cast<uint16_t>(sign | 0x7e00U | ((magnitude >> 13) & 0x3ffU));
  }
  if (magnitude >= 0x477ff000U) return sign | 0x7c00U;  // rounds to 65536 or is larger
  if (magnitude < 0x38800000U) {
    // Below 2^-14: adding 0.5 puts the half's unit in the last place of the sum, which rounds to even.
    const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (__builtin_bit_cast(uint32_t, shifted) - 0x3f000000U));
  }
  const uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13) & 1U) - (112U << 23);
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

uint16_t float_to_bfloat16(float value) {
  const auto bits = __builtin_bit_cast(uint32_t, value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<uint16_t>((bits >> 16) | 0x40U);
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

namespace {

#if defined(__x86_64__)
bool has_f16c() {
  static const bool has = __builtin_cpu_supports("avx") != 0 && __builtin_cpu_supports("f16c") != 0;
  return has;
}

__attribute__((target("avx,f16c"))) size_t halves_to_floats_f16c(const std::byte* halves,
                                                                 float* floats, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i eight = _mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + 2 * i));
    _mm256_storeu_ps(floats + i, _mm256_cvtph_ps(eight));
  }
  return i;
}

__attribute__((target("avx,f16c"))) size_t floats_to_halves_f16c(const float* floats,
                                                                 std::byte* halves, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i eight =
        _mm256_cvtps_ph(_mm256_loadu_ps(floats + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(halves + 2 * i), eight);
  }
  return i;
}
#else
bool has_f16c() { return false; }
size_t halves_to_floats_f16c(const std::byte*, float*, size_t) { return 0; }
size_t floats_to_halves_f16c(const float*, std::byte*, size_t) { return 0; }
#endif

uint16_t load16(const std::byte* from) {
  uint16_t bits = 0;
  std::memcpy(&bits, from, sizeof bits);
  return bits;
}

}  // namespace

void halves_to_floats(const std::byte* halves, float* floats, size_t count) {
  for (size_t i = has_f16c() ? halves_to_floats_f16c(halves, floats, count) : 0; i < count; ++i) {
    floats[i] = half_to_float(load16(halves + 2 * i));
  }
}

void floats_to_halves(const float* floats, std::byte* halves, size_t count) {
  for (size_t i = has_f16c() ? floats_to_halves_f16c(floats, halves, count) : 0; i < count; ++i) {
    const uint16_t bits = float_to_half(floats[i]);
    std::memcpy(halves + 2 * i, &bits, sizeof bits);
  }
}

void bfloat16s_to_floats(const std::byte* bits, float* floats, size_t count) {
  for (size_t i = 0; i < count; ++i) floats[i] = bfloat16_to_float(load16(bits + 2 * i));
}

float small_float_to_float(uint8_t bits, int exponent_bits, bool finite, bool fnuz) {
  const int fraction_bits = 7 - exponent_bits;
  const int top = (1 << exponent_bits) - 1;
  const int exponent = (bits >> fraction_bits) & top;
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const int bias = (top >> 1) + (fnuz ? 1 : 0);
  const float sign = (bits & 0x80U) != 0 ? -1.0f : 1.0f;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  if (fnuz && bits == 0x80U) return nan;
  if (!fnuz && exponent == top) {
    if (finite && fraction == (1 << fraction_bits) - 1) return nan;
    if (!finite) return fraction != 0 ? nan : sign * std::numeric_limits<float>::infinity();
  }
  const int implied = exponent == 0 ? 0 : 1 << fraction_bits;
  const int power = (exponent == 0 ? 1 : exponent) - bias - fraction_bits;
  return sign * std::ldexp(static_cast<float>(fraction + implied), power);
}

}  // namespace sparsify
