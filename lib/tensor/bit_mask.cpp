#include "tensor/bit_mask.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "tensor/kernels.h"

namespace sparsify {
namespace {

constexpr int64_t kBlockWords = 64;  // 4096 elements: the shifted words stay in the first-level cache

/// Bits [first, first + 64) of a sequence of words; zero beyond its end.
uint64_t word_at(std::span<const uint64_t> words, int64_t first) {
  const auto index = static_cast<size_t>(first / 64);
  const int shift = static_cast<int>(first % 64);
  uint64_t word = index < words.size() ? words[index] >> shift : 0;
  if (shift != 0 && index + 1 < words.size()) word |= words[index + 1] << (64 - shift);
  return word;
}

}  // namespace

BitMask::BitMask(int64_t size, bool kept)
    : size_(size), words_(static_cast<size_t>((size + 63) / 64), kept ? ~uint64_t{0} : 0) {
  if (kept && size % 64 != 0) words_.back() = (uint64_t{1} << (size % 64)) - 1;
}

int64_t BitMask::kept() const {
  return kernels().count_bits(words_.data(), static_cast<int64_t>(words_.size()));
}

BitMask& BitMask::operator&=(const BitMask& other) {
  invariant(size_ == other.size_, "masks that are joined have the same size");
  for (size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
  return *this;
}

void BitMask::unpack(int64_t first, std::span<uint8_t> out) const {
  invariant(first >= 0 && first + static_cast<int64_t>(out.size()) <= size_, "unpack stays within the mask");
  for (size_t i = 0; i < out.size(); i += 64) {
    uint64_t word = word_at(words_, first + static_cast<int64_t>(i));
    const size_t end = std::min(out.size(), i + 64);
    for (size_t element = i; element < end; ++element, word >>= 1) out[element] = word & 1;
  }
}

BitMask BitMask::from_bytes(std::span<const uint8_t> bytes) {
  BitMask mask(static_cast<int64_t>(bytes.size()), /*kept=*/false);
  for (size_t i = 0; i < bytes.size(); ++i) mask.words_[i / 64] |= uint64_t{bytes[i] != 0} << (i % 64);
  return mask;
}

void apply_mask_(const BitMask& mask, int64_t first, std::span<std::byte> elements, int element_bytes) {
  invariant(element_bytes == 1 || element_bytes == 2 || element_bytes == 4 || element_bytes == 8,
            "a masked element has 1, 2, 4 or 8 bytes");
  const auto count = static_cast<int64_t>(elements.size()) / element_bytes;
  invariant(first >= 0 && first + count <= mask.size(), "masked elements lie within the mask");
  const std::span<const uint64_t> words = mask.words();
  const int64_t whole = count / 64;
  std::byte* to = elements.data();
  if (first % 64 == 0) {
    kernels().apply(words.data() + first / 64, whole, to, element_bytes);
  } else {
    uint64_t shifted[kBlockWords];
    for (int64_t begin = 0; begin < whole; begin += kBlockWords) {
      const int64_t now = std::min(kBlockWords, whole - begin);
      for (int64_t i = 0; i < now; ++i) shifted[i] = word_at(words, first + 64 * (begin + i));
      kernels().apply(shifted, now, to + 64 * begin * element_bytes, element_bytes);
    }
  }
  for (int64_t i = 64 * whole; i < count; ++i) {
    if (!mask[first + i]) std::memset(to + i * element_bytes, 0, static_cast<size_t>(element_bytes));
  }
}

}  // namespace sparsify
