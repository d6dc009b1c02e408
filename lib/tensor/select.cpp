#include "tensor/select.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "base/error.h"
#include "base/rng.h"
#include "tensor/kernels.h"

namespace sparsify {
namespace {

constexpr int64_t kSampleSize = 1 << 16;
constexpr int64_t kBlockWords = 64;
constexpr int32_t kKeepNone = std::numeric_limits<int32_t>::max();
constexpr int32_t kKeepAll = std::numeric_limits<int32_t>::min();

/// Keys in [low, high] hold the k-th highest one, if the guess is right.
struct Bracket {
  int32_t low = kKeepAll;
  int32_t high = kKeepNone;
  int64_t expected = 0;  ///< elements inside, judged by the sample
};

void refuse_nan(int32_t largest_key) { invariant(largest_key <= kInfinityKey, "scores that are selected are not NaN"); }

/// Calls on_block(first word, words, above, inside) for blocks of 64 words; bits past the end are clear.
/// Returns the number of keys above the bracket.
template <class OnBlock>
int64_t scan(ScoreView scores, int32_t low, int32_t high, OnBlock on_block) {
  uint64_t above[kBlockWords];
  uint64_t inside[kBlockWords];
  int64_t count = 0;
  int32_t largest = 0;
  const int64_t whole = scores.size() / 64;
  for (int64_t first = 0; first < whole; first += kBlockWords) {
    const int64_t words = std::min(kBlockWords, whole - first);
    largest = std::max(largest, kernels().scan(scores.bytes() + 256 * first, scores.by_magnitude(), words, low, high,
                                               above, inside, &count));
    on_block(first, words, above, inside);
  }
  if (const int64_t rest = scores.size() % 64; rest != 0) {
    std::byte padded[256] = {};
    std::memcpy(padded, scores.bytes() + 256 * whole, static_cast<size_t>(4 * rest));
    int64_t with_padding = 0;
    largest = std::max(largest,
                       kernels().scan(padded, scores.by_magnitude(), 1, low, high, above, inside, &with_padding));
    const uint64_t valid = (uint64_t{1} << rest) - 1;
    above[0] &= valid;
    inside[0] &= valid;
    count += std::popcount(above[0]);
    on_block(whole, 1, above, inside);
  }
  refuse_nan(largest);
  return count;
}

/// `share` of `total` samples at random places of equal strata: reproducible, and not in step with rows.
void take_sample(ScoreView scores, int64_t share, uint64_t stream, std::vector<int32_t>& sample) {
  const Rng rng(/*seed=*/0x5eed, stream);
  const double stratum = static_cast<double>(scores.size()) / static_cast<double>(share);
  for (int64_t i = 0; i < share; ++i) {
    const double place = (static_cast<double>(i) + rng.uniform_at(static_cast<uint64_t>(i))) * stratum;
    sample.push_back(score_key(scores[std::min(static_cast<int64_t>(place), scores.size() - 1)]));
  }
}

/// Four standard deviations of a sample quantile on either side: a miss costs time, not exactness.
Bracket bracket_from(std::vector<int32_t>& sample, int64_t total, int64_t keep) {
  const auto size = static_cast<int64_t>(sample.size());
  const double share = static_cast<double>(keep) / static_cast<double>(total);
  const double place = share * static_cast<double>(size);
  const double margin = 4 * std::sqrt(static_cast<double>(size) * share * (1 - share)) + 4;
  const auto first = static_cast<int64_t>(place - margin);
  const auto last = static_cast<int64_t>(place + margin);
  const auto at_rank = [&](int64_t rank) {
    std::nth_element(sample.begin(), sample.begin() + rank, sample.end(), std::greater<>());
    return sample[static_cast<size_t>(rank)];
  };
  Bracket bracket;
  if (first > 0) bracket.high = at_rank(first);
  if (last < size) bracket.low = at_rank(last);
  const auto inside = std::count_if(sample.begin(), sample.end(),
                                    [&](int32_t key) { return bracket.low <= key && key <= bracket.high; });
  bracket.expected = static_cast<int64_t>(static_cast<double>(inside) / static_cast<double>(size) *
                                          static_cast<double>(total));
  return bracket;
}

int64_t collection_limit(int64_t total) { return std::max(2 * kSampleSize, total / 8); }

/// The threshold among the collected keys, when `missing` of them are to be kept.
Threshold threshold_within(std::vector<int32_t>& keys, int64_t missing) {
  std::nth_element(keys.begin(), keys.begin() + (missing - 1), keys.end(), std::greater<>());
  const int32_t key = keys[static_cast<size_t>(missing - 1)];
  const auto greater = std::count_if(keys.begin(), keys.begin() + (missing - 1), [&](int32_t k) { return k > key; });
  return {key, missing - greater};
}

int64_t total_of(const ScoreArrays& arrays) {
  int64_t total = 0;
  for (const int64_t size : arrays.sizes) total += size;
  return total;
}

ScoreView read_array(const ScoreArrays& arrays, size_t i, std::vector<float>& buffer) {
  const ScoreView scores = arrays.read(i, buffer);
  invariant(scores.size() == arrays.sizes[i], "a score array has the size that was announced");
  return scores;
}

/// Per array: keys above the threshold, and equal to it.
struct Counts {
  std::vector<int64_t> above;
  std::vector<int64_t> equal;
};

Counts count_at(const ScoreArrays& arrays, int32_t key) {
  Counts counts;
  std::vector<float> buffer;
  for (size_t i = 0; i < arrays.sizes.size(); ++i) {
    int64_t equal = 0;
    counts.above.push_back(scan(read_array(arrays, i, buffer), key, key,
                                [&](int64_t, int64_t words, const uint64_t*, const uint64_t* inside) {
                                  equal += kernels().count_bits(inside, words);
                                }));
    counts.equal.push_back(equal);
  }
  return counts;
}

int64_t sum(const std::vector<int64_t>& values) {
  int64_t total = 0;
  for (const int64_t value : values) total += value;
  return total;
}

JointSelection share_ties(const Counts& counts, int32_t key, int64_t keep) {
  JointSelection selection;
  selection.threshold = {key, keep - sum(counts.above)};
  int64_t ties = selection.threshold.ties_to_keep;
  for (size_t i = 0; i < counts.above.size(); ++i) {
    const int64_t taken = std::min(ties, counts.equal[i]);
    selection.kept.push_back(counts.above[i] + taken);
    ties -= taken;
  }
  return selection;
}

/// One pass: counts above the bracket, collects inside it. Nothing when the k-th key is outside or the bracket is crowded.
std::optional<JointSelection> select_in_bracket(const ScoreArrays& arrays, const Bracket& bracket, int64_t keep,
                                                int64_t limit) {
  Counts counts;
  std::vector<int32_t> collected;
  std::vector<size_t> ends;  // of each array's part of `collected`
  std::vector<float> buffer;
  for (size_t i = 0; i < arrays.sizes.size(); ++i) {
    const ScoreView scores = read_array(arrays, i, buffer);
    counts.above.push_back(scan(scores, bracket.low, bracket.high,
                                [&](int64_t first, int64_t words, const uint64_t*, const uint64_t* inside) {
                                  if (static_cast<int64_t>(collected.size()) > limit) return;
                                  for (int64_t word = 0; word < words; ++word) {
                                    for (uint64_t bits = inside[word]; bits != 0; bits &= bits - 1) {
                                      const int64_t index = 64 * (first + word) + std::countr_zero(bits);
                                      collected.push_back(score_key(scores[index]));
                                    }
                                  }
                                }));
    if (static_cast<int64_t>(collected.size()) > limit) return std::nullopt;
    ends.push_back(collected.size());
  }
  const int64_t missing = keep - sum(counts.above);
  if (missing <= 0 || missing > static_cast<int64_t>(collected.size())) return std::nullopt;
  std::vector<int32_t> ranked = collected;
  const Threshold threshold = threshold_within(ranked, missing);
  for (size_t i = 0, begin = 0; i < ends.size(); begin = ends[i], ++i) {
    int64_t equal = 0;
    for (size_t j = begin; j < ends[i]; ++j) {
      counts.above[i] += collected[j] > threshold.key;
      equal += collected[j] == threshold.key;
    }
    counts.equal.push_back(equal);
  }
  return share_ties(counts, threshold.key, keep);
}

/// Order-preserving image of a key as an unsigned number, for digits.
uint32_t digits_of(int32_t key) { return static_cast<uint32_t>(key) ^ 0x80000000U; }

/// Most significant digits first, 16 bits at a time. Four histograms in turn, so that equal scores in a row do not wait
/// for one counter.
int32_t key_by_radix(const ScoreArrays& arrays, int64_t keep) {
  constexpr int kDigits = 1 << 16;
  uint32_t prefix = 0;
  int64_t missing = keep;
  std::vector<float> buffer;
  for (int shift = 16; shift >= 0; shift -= 16) {
    std::vector<int64_t> histogram(4 * kDigits, 0);
    for (size_t i = 0; i < arrays.sizes.size(); ++i) {
      const ScoreView scores = read_array(arrays, i, buffer);
      for (int64_t j = 0; j < scores.size(); ++j) {
        const uint32_t digits = digits_of(score_key(scores[j]));
        if (shift == 0 && digits >> 16 != prefix >> 16) continue;
        ++histogram[static_cast<size_t>((j % 4) * kDigits + ((digits >> shift) & 0xffff))];
      }
    }
    for (int digit = kDigits - 1; digit >= 0; --digit) {
      int64_t count = 0;
      for (int part = 0; part < 4; ++part) count += histogram[static_cast<size_t>(part * kDigits + digit)];
      if (count >= missing) {
        prefix |= static_cast<uint32_t>(digit) << shift;
        break;
      }
      missing -= count;
    }
  }
  return static_cast<int32_t>(prefix ^ 0x80000000U);
}

void keep_first_ties(std::span<uint64_t> words, const uint64_t* ties, int64_t first, int64_t count, int64_t& to_keep) {
  for (int64_t word = 0; word < count && to_keep > 0; ++word) {
    for (uint64_t bits = ties[word]; bits != 0 && to_keep > 0; bits &= bits - 1, --to_keep) {
      words[static_cast<size_t>(first + word)] |= bits & -bits;
    }
  }
}

/// As select_in_bracket for one array, writing the mask in the same pass.
std::optional<BitMask> mask_in_bracket(ScoreView scores, const Bracket& bracket, int64_t keep, int64_t limit) {
  BitMask mask(scores.size(), /*kept=*/false);
  std::vector<int32_t> keys;
  std::vector<int64_t> places;
  const int64_t above =
      scan(scores, bracket.low, bracket.high,
           [&](int64_t first, int64_t words, const uint64_t* greater, const uint64_t* inside) {
             std::copy_n(greater, words, mask.words().begin() + first);
             if (static_cast<int64_t>(keys.size()) > limit) return;
             for (int64_t word = 0; word < words; ++word) {
               for (uint64_t bits = inside[word]; bits != 0; bits &= bits - 1) {
                 places.push_back(64 * (first + word) + std::countr_zero(bits));
                 keys.push_back(score_key(scores[places.back()]));
               }
             }
           });
  const int64_t missing = keep - above;
  if (static_cast<int64_t>(keys.size()) > limit || missing <= 0 || missing > static_cast<int64_t>(keys.size())) {
    return std::nullopt;
  }
  std::vector<int32_t> ranked = keys;
  Threshold threshold = threshold_within(ranked, missing);
  for (size_t i = 0; i < keys.size(); ++i) {
    const bool kept = keys[i] > threshold.key || (keys[i] == threshold.key && threshold.ties_to_keep-- > 0);
    if (kept) mask.keep(places[i]);
  }
  return mask;
}

JointSelection select_without_bracket(const ScoreArrays& arrays, int32_t guess, int64_t keep) {
  const Counts at_guess = count_at(arrays, guess);  // one value that many elements share: zeros, quantised weights
  const int64_t above = sum(at_guess.above);
  if (above < keep && keep <= above + sum(at_guess.equal)) return share_ties(at_guess, guess, keep);
  const int32_t key = key_by_radix(arrays, keep);
  return share_ties(count_at(arrays, key), key, keep);
}

std::vector<int32_t> sample_all(const ScoreArrays& arrays, int64_t total) {
  std::vector<int32_t> sample;
  std::vector<float> buffer;
  for (size_t i = 0; i < arrays.sizes.size(); ++i) {
    const auto share = static_cast<int64_t>(static_cast<double>(arrays.sizes[i]) / static_cast<double>(total) *
                                            static_cast<double>(kSampleSize));
    if (share > 0) take_sample(read_array(arrays, i, buffer), share, i, sample);
  }
  return sample;
}

int32_t guess_from(std::vector<int32_t>& sample, int64_t total, int64_t keep) {
  const auto rank = static_cast<size_t>(static_cast<double>(keep) / static_cast<double>(total) *
                                        static_cast<double>(sample.size()));
  const auto middle = sample.begin() + static_cast<int64_t>(std::min(rank, sample.size() - 1));
  std::nth_element(sample.begin(), middle, sample.end(), std::greater<>());
  return *middle;
}

}  // namespace

JointSelection select_jointly(const ScoreArrays& arrays, int64_t keep) {
  const int64_t total = total_of(arrays);
  if (keep <= 0) return {{kKeepNone, 0}, std::vector<int64_t>(arrays.sizes.size(), 0)};
  if (keep >= total) return {{kKeepAll, 0}, arrays.sizes};
  const int64_t limit = collection_limit(total);
  if (total <= limit) return *select_in_bracket(arrays, Bracket{}, keep, limit);
  std::vector<int32_t> sample = sample_all(arrays, total);
  if (sample.empty()) return select_without_bracket(arrays, 0, keep);  // more arrays than samples
  const Bracket bracket = bracket_from(sample, total, keep);
  if (bracket.expected <= limit) {
    if (auto selection = select_in_bracket(arrays, bracket, keep, limit)) return *selection;
  }
  return select_without_bracket(arrays, guess_from(sample, total, keep), keep);
}

BitMask select_highest(ScoreView scores, int64_t keep) {
  const int64_t total = scores.size();
  if (keep <= 0 || keep >= total) return BitMask(total, keep > 0);
  const int64_t limit = collection_limit(total);
  Bracket bracket;
  if (total > limit) {
    std::vector<int32_t> sample;
    take_sample(scores, kSampleSize, 0, sample);
    bracket = bracket_from(sample, total, keep);
  }
  if (bracket.expected <= limit) {
    if (auto mask = mask_in_bracket(scores, bracket, keep, limit)) return std::move(*mask);
  }
  const ScoreArrays alone{{total}, [&](size_t, std::vector<float>&) { return scores; }};
  Threshold threshold = select_jointly(alone, keep).threshold;
  return select_by_threshold(scores, threshold);
}

BitMask select_by_threshold(ScoreView scores, Threshold& threshold) {
  if (threshold.key == kKeepAll) return BitMask(scores.size());
  BitMask mask(scores.size(), /*kept=*/false);
  scan(scores, threshold.key, threshold.key,
       [&](int64_t first, int64_t words, const uint64_t* above, const uint64_t* ties) {
         std::copy_n(above, words, mask.words().begin() + first);
         if (threshold.ties_to_keep > 0) keep_first_ties(mask.words(), ties, first, words, threshold.ties_to_keep);
       });
  return mask;
}

int64_t first_non_finite(ScoreView scores) {
  constexpr int64_t kBlock = 4096;
  for (int64_t first = 0; first < scores.size(); first += kBlock) {
    const int64_t count = std::min(kBlock, scores.size() - first);
    if (kernels().largest(scores.bytes() + 4 * first, count) < kInfinityKey) continue;
    for (int64_t i = first; i < first + count; ++i) {
      if (!std::isfinite(scores[i])) return i;
    }
  }
  return -1;
}

}  // namespace sparsify
