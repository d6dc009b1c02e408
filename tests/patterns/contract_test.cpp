#include <numeric>
#include <random>

#include "mask/scores.h"
#include "patterns/pattern.h"
#include "support/catch.h"
#include "support/layers.h"
#include "support/plugins.h"

using namespace sparsify;

namespace {

/// Layers of every layout that patterns meet.
std::vector<PrunableTensor> some_layers() {
  return {conv_layer({8, 12, 3, 3}), conv_layer({7, 10}), conv_layer({6, 9, 1, 1}), matmul_layer(24, 10),
          matmul_layer(70, 130)};
}

std::vector<float> normal_scores(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> scores(static_cast<size_t>(count));
  for (float& score : scores) score = normal(random);
  return scores;
}

int64_t kept_units(const Pattern& pattern, const PrunableTensor& layer, const BitMask& mask) {
  const std::vector<float> as_scores = [&] {
    std::vector<float> bits(static_cast<size_t>(mask.size()));
    for (int64_t i = 0; i < mask.size(); ++i) bits[static_cast<size_t>(i)] = mask[i];
    return bits;
  }();
  std::vector<float> buffer;
  const ScoreView units = pattern.unit_scores(layer, as_scores, buffer);
  int64_t kept = 0;
  for (int64_t i = 0; i < units.size(); ++i) kept += units[i] > 0;
  return kept;
}

template <class Visit>
void for_every_pattern(Visit visit) {
  for (const std::string& name : Registry<Pattern>::instance().names()) {
    const auto pattern = Registry<Pattern>::instance().make(name, Options{});
    for (const PrunableTensor& layer : some_layers()) {
      INFO(name << " on a " << layer.op << " of " << to_text(layer.shape));
      REQUIRE(pattern->refuses(layer).empty());
      visit(*pattern, layer);
    }
  }
}

}  // namespace

TEST_CASE("every pattern registers itself once", "[patterns][contract]") {
  CHECK(Registry<Pattern>::instance().names().size() == plugin_files("patterns"));
}

TEST_CASE("every pattern keeps exactly what it is told, constant scores included", "[patterns][contract]") {
  for_every_pattern([](const Pattern& pattern, const PrunableTensor& layer) {
    const int64_t units = pattern.units(layer);
    for (const auto& scores : {normal_scores(layer.count(), 1), std::vector<float>(static_cast<size_t>(layer.count()), 0.5f)}) {
      for (const int64_t keep : {int64_t{0}, int64_t{1}, units / 3, units - 1, units}) {
        const BitMask mask = pattern.select(layer, scores, keep);
        CHECK(mask.size() == layer.count());
        CHECK(pattern.violation(layer, mask).empty());
        if (const auto fixed = pattern.fixed_sparsity(layer)) {
          CHECK(mask.kept() == kept_count(layer.count(), *fixed));
        } else {
          CHECK(kept_units(pattern, layer, mask) == keep);
        }
      }
    }
  });
}

TEST_CASE("selecting again from masked scores changes nothing", "[patterns][contract]") {
  for_every_pattern([](const Pattern& pattern, const PrunableTensor& layer) {
    std::vector<float> scores = normal_scores(layer.count(), 2);
    for (float& score : scores) score = std::fabs(score) + 0.01f;
    const int64_t keep = pattern.units(layer) / 2;
    const BitMask once = pattern.select(layer, scores, keep);
    for (int64_t i = 0; i < once.size(); ++i) {
      if (!once[i]) scores[static_cast<size_t>(i)] = 0;
    }
    CHECK(pattern.select(layer, scores, keep) == once);
  });
}

TEST_CASE("every pattern prefers the higher score", "[patterns][contract]") {
  for_every_pattern([](const Pattern& pattern, const PrunableTensor& layer) {
    const std::vector<float> scores = normal_scores(layer.count(), 3);
    const BitMask mask = pattern.select(layer, scores, pattern.units(layer) / 2);
    double kept = 0;
    double pruned = 0;
    for (int64_t i = 0; i < mask.size(); ++i) (mask[i] ? kept : pruned) += scores[static_cast<size_t>(i)];
    CHECK(kept / static_cast<double>(mask.kept()) > pruned / static_cast<double>(mask.pruned()));
  });
}

TEST_CASE("relabelled output channels keep the same weights", "[patterns][contract]") {
  // Groups of whole blocks are moved, so that a pattern of four rows sees the same rows together.
  for (const std::string& name : Registry<Pattern>::instance().names()) {
    const auto pattern = Registry<Pattern>::instance().make(name, Options{});
    const PrunableTensor layer = conv_layer({16, 12, 3, 3});
    const int64_t row = layer.count() / 16;
    const std::vector<float> scores = normal_scores(layer.count(), 4);
    const int64_t order[] = {8, 9, 10, 11, 0, 1, 2, 3, 12, 13, 14, 15, 4, 5, 6, 7};
    std::vector<float> moved(scores.size());
    for (int64_t i = 0; i < 16; ++i) std::copy_n(scores.begin() + order[i] * row, row, moved.begin() + i * row);
    const int64_t keep = pattern->units(layer) / 16 * 8;  // the same share for every row
    const BitMask mask = pattern->select(layer, scores, keep);
    const BitMask moved_mask = pattern->select(layer, moved, keep);
    bool same = true;
    for (int64_t i = 0; i < 16; ++i) {
      for (int64_t column = 0; column < row; ++column) same = same && moved_mask[i * row + column] == mask[order[i] * row + column];
    }
    INFO(name);
    CHECK(same);
  }
}
