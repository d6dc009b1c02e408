#pragma once

#include <cstdint>
#include <string_view>

namespace sparsify {

/// Counter-based generator: a stream is named by (seed, stream), a value by its index, so results do
/// not depend on the order of calls, the thread or the platform.
/// splitmix64 of Steele, Lea & Flood 2014 (doi:10.1145/2660193.2660195), applied to the counter.
class Rng {
 public:
  explicit Rng(uint64_t seed, uint64_t stream = 0) : key_(mix(seed) ^ mix(stream + kGolden)) {}

  /// A stream named by text, such as an initializer's name: independent of the order of tensors.
  Rng(uint64_t seed, std::string_view stream) : Rng(seed, hash(stream)) {}

  uint64_t bits_at(uint64_t index) const { return mix(key_ + (index + 1) * kGolden); }
  /// Uniform in [0, 1), 24 random bits: exactly representable in float32.
  float uniform_at(uint64_t index) const {
    return static_cast<float>(bits_at(index) >> 40) * 0x1.0p-24f;
  }

  uint64_t next() { return bits_at(counter_++); }
  /// Uniform in [0, bound) without modulo bias (Lemire 2019, arXiv:1805.10941); bound >= 1.
  uint64_t below(uint64_t bound) {
    unsigned __int128 product = static_cast<unsigned __int128>(next()) * bound;
    while (static_cast<uint64_t>(product) < -bound % bound) {
      product = static_cast<unsigned __int128>(next()) * bound;
    }
    return static_cast<uint64_t>(product >> 64);
  }

 private:
  static constexpr uint64_t kGolden = 0x9E3779B97F4A7C15ULL;

  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  static uint64_t hash(std::string_view text) {  // FNV-1a
    uint64_t h = 0xCBF29CE484222325ULL;
    for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    return h;
  }

  uint64_t key_;
  uint64_t counter_ = 0;
};

}  // namespace sparsify
