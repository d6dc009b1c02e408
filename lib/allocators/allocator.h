#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/registry.h"
#include "config/options.h"
#include "mask/scores.h"
#include "tensor/bit_mask.h"

namespace sparsify {

class Allocator;

/// What an allocator divides: layers with their units (what the pattern keeps or prunes as one).
struct AllocationTask {
  std::vector<PrunableTensor> layers;
  std::vector<int64_t> units;    ///< per layer
  std::vector<int64_t> floors;   ///< least units each layer keeps; floors[i] <= units[i]
  std::vector<int64_t> ceilings{};  ///< most units each layer keeps, not below its floor; empty: all of them
  double sparsity = 0;           ///< global target over all units
  std::string pattern{};         ///< Pattern::describe(), for tables that were measured with one
  /// Unit scores of a layer (Pattern::unit_scores), produced when asked for; valid until the next call.
  std::function<ScoreView(size_t layer, std::vector<float>& buffer)> scores;
  /// The mask with which the pattern keeps so many units of a layer.
  std::function<BitMask(size_t layer, int64_t keep)> select{};
  /// What a budget does to the model's outputs on calibration data, lower is better; null unless needs_damage().
  std::function<double(const Budget&)> damage{};
  std::string damage_name{};     ///< `divergence from the dense outputs over 256 samples`
  /// How another allocator's answer is fitted to what was asked for; null: by its allocate().
  std::function<Budget(const Allocator&)> fit{};
  std::vector<std::string>* notes = nullptr;  ///< what the report is to say; null: nobody asks

  int64_t ceiling(size_t layer) const { return ceilings.empty() ? units[layer] : ceilings[layer]; }
};

/// Says how many units each layer keeps. Knows nothing of the pattern's geometry.
class Allocator {
 public:
  static constexpr const char* kFamily = "allocation";
  virtual ~Allocator() = default;

  /// Whether AllocationTask::damage is asked for: then calibration data is, too.
  virtual bool needs_damage() const { return false; }

  /// Keeps kept_count(sum of units, sparsity) units in all (for `uniform`: per layer), more or fewer only where floors or
  /// ceilings demand it.
  virtual Budget allocate(const AllocationTask& task) const = 0;
};

}  // namespace sparsify
