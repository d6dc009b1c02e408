#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sparsify {

/// What pruning one layer alone costs, by its sparsity: piecewise linear through the measured points and (0, 0), never
/// falling (a measurement below an earlier one is noise), going on with its last slope.
class DamageCurve {
 public:
  DamageCurve() : DamageCurve(std::vector<std::pair<double, double>>{}) {}
  /// Points (sparsity in (0, 1], cost >= 0) in any order.
  explicit DamageCurve(std::vector<std::pair<double, double>> points);

  double at(double sparsity) const;
  /// The largest sparsity that was measured; 0 where none was.
  double largest() const { return points_.back().first; }

 private:
  std::vector<std::pair<double, double>> points_;
};

/// How much of each layer to prune so that the costs add up to the least.
struct DamageProblem {
  std::vector<DamageCurve> curves;
  std::vector<int64_t> units;   ///< per layer
  std::vector<int64_t> least;   ///< units pruned at least
  std::vector<int64_t> most;    ///< units pruned at most
  int64_t pruned = 0;           ///< in all; between the sums of least and most
};

/// Dynamic programming over the layers in steps of a two-thousandth of `pruned` (a knapsack, as in Frantar & Alistarh 2022,
/// "SPDY", arXiv:2201.13096), then single units where they cost least, so that the sum is exact.
std::vector<int64_t> least_damage(const DamageProblem& problem);

/// The curves of a file written by `sparsify sensitivity`, for layers by initializer name.
///
///   measure  divergence, relative_error (squared: errors of independent origin add in squares), loss, metric, or auto: the
///            divergence where the file has it, else the relative error
///   throws   ConfigError for a file that is no such table, a layer or a pattern that it lacks, a layer of another size
std::vector<DamageCurve> read_damage_curves(const std::string& path, const std::string& measure, const std::string& pattern,
                                            const std::vector<std::pair<std::string, int64_t>>& layers);

/// What such a file was measured on; "" for what it does not say.
struct DamageOrigin {
  std::string sha256;     ///< of the model file
  std::string criterion;
};
/// throws ConfigError for a file that is no such table
DamageOrigin read_damage_origin(const std::string& path);

}  // namespace sparsify
