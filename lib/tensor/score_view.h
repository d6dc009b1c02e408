#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace sparsify {

/// Scores where they lie: float32 at any address, taken as they are or by magnitude. Selecting by |w| reads the bytes of
/// a mapped file in place; a buffer of scores never exists. Higher = keep.
class ScoreView {
 public:
  ScoreView() = default;
  /// Not explicit: every span of floats is a sequence of scores.
  ScoreView(std::span<const float> scores)
      : bytes_(reinterpret_cast<const std::byte*>(scores.data())),
        size_(static_cast<int64_t>(scores.size())) {}

  ScoreView(const std::vector<float>& scores) : ScoreView(std::span(scores)) {}

  /// |w| of float32 bytes, which need not be aligned.
  static ScoreView magnitudes(std::span<const std::byte> float32) {
    ScoreView view;
    view.bytes_ = float32.data();
    view.size_ = static_cast<int64_t>(float32.size() / sizeof(float));
    view.by_magnitude_ = true;
    return view;
  }
  static ScoreView magnitudes(std::span<const float> weights) { return magnitudes(std::as_bytes(weights)); }

  int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  bool by_magnitude() const { return by_magnitude_; }
  const std::byte* bytes() const { return bytes_; }

  /// Scores [first, first + count).
  ScoreView part(int64_t first, int64_t count) const {
    ScoreView view = *this;
    view.bytes_ += first * static_cast<int64_t>(sizeof(float));
    view.size_ = count;
    return view;
  }

  float operator[](int64_t index) const {
    float score;
    std::memcpy(&score, bytes_ + index * static_cast<int64_t>(sizeof(float)), sizeof(float));
    return by_magnitude_ ? std::fabs(score) : score;
  }

 private:
  const std::byte* bytes_ = nullptr;
  int64_t size_ = 0;
  bool by_magnitude_ = false;
};

/// Monotone image of a float: a < b <=> score_key(a) < score_key(b); both zeros are 0, NaN is beyond the infinities.
inline int32_t score_key(float score) {
  const auto bits = __builtin_bit_cast(int32_t, score);
  const int32_t magnitude = bits & 0x7fffffff;
  return bits < 0 ? -magnitude : magnitude;
}

/// The key of infinity; a larger magnitude is NaN.
inline constexpr int32_t kInfinityKey = 0x7f800000;

}  // namespace sparsify
