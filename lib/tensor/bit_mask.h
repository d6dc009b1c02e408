#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sparsify {

/// One bit per element, row-major; **set = kept**. Bits past size() are zero.
class BitMask {
 public:
  BitMask() = default;
  explicit BitMask(int64_t size, bool kept = true);

  int64_t size() const { return size_; }
  bool operator[](int64_t index) const { return (words_[index >> 6] >> (index & 63)) & 1U; }
  void keep(int64_t index) { words_[index >> 6] |= uint64_t{1} << (index & 63); }
  void prune(int64_t index) { words_[index >> 6] &= ~(uint64_t{1} << (index & 63)); }
  int64_t kept() const;
  int64_t pruned() const { return size_ - kept(); }

  /// 64 elements a word, element i in bit i % 64 of word i / 64.
  std::span<const uint64_t> words() const { return words_; }
  std::span<uint64_t> words() { return words_; }

  /// Keeps what both keep.
  BitMask& operator&=(const BitMask& other);
  bool operator==(const BitMask& other) const = default;

  /// Elements [first, first + out.size()) as bytes: 1 kept, 0 pruned.
  void unpack(int64_t first, std::span<uint8_t> out) const;
  static BitMask from_bytes(std::span<const uint8_t> bytes);

 private:
  int64_t size_ = 0;
  std::vector<uint64_t> words_;
};

/// Writes +0.0 (all bits clear) where the mask prunes: `elements` holds the elements
/// [first, first + elements.size() / element_bytes) of the masked tensor. element_bytes is 1, 2, 4 or 8.
void apply_mask_(const BitMask& mask, int64_t first, std::span<std::byte> elements,
                 int element_bytes);

}  // namespace sparsify
