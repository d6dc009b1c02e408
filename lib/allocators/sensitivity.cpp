// Sensitivity: what `sparsify sensitivity` measured one layer at a time says how much each layer can lose. Costs are taken to
// add up, which holds while the total damage is small (reference: Frantar & Alistarh 2022, "SPDY", arXiv:2201.13096, eq. 1).
#include <fmt/core.h>

#include "allocators/budget_warnings.h"
#include "allocators/damage_curve.h"
#include "allocators/sharing.h"
#include "base/names.h"

namespace sparsify {
namespace {

class Sensitivity final : public Allocator, public BudgetWarnings {
 public:
  explicit Sensitivity(const Options& options)
      : measure_(options.choice("measure", "auto", {"auto", "divergence", "relative_error", "loss", "metric"},
                                "which column is the cost; auto: divergence where the table has it, else relative_error")),
        table_(options.required_text("table", "path of a sensitivity.json")) {}

  Budget allocate(const AllocationTask& task) const override {
    DamageProblem problem{.curves = curves_for(task), .units = task.units, .least = {}, .most = {}};
    int64_t all = 0;
    for (size_t i = 0; i < task.units.size(); ++i) {
      problem.least.push_back(task.units[i] - task.ceiling(i));
      problem.most.push_back(task.units[i] - task.floors[i]);
      all += task.units[i];
    }
    problem.pruned = all - target_kept(task);
    const std::vector<int64_t> pruned = least_damage(problem);
    Budget budget;
    for (size_t i = 0; i < pruned.size(); ++i) budget.push_back(task.units[i] - pruned[i]);
    return budget;
  }

  /// Layers pruned by more than a unit beyond their last measurement: there the cost is a guess.
  std::vector<std::string> warnings(const AllocationTask& task, const Budget& budget) const override {
    const std::vector<DamageCurve> curves = curves_for(task);
    std::vector<std::string> beyond;
    for (size_t i = 0; i < budget.size(); ++i) {
      if (task.units[i] == 0) continue;
      const auto units = static_cast<double>(task.units[i]);
      const double sparsity = 1 - static_cast<double>(budget[i]) / units;
      if (sparsity <= curves[i].largest() + 1 / units) continue;
      beyond.push_back(fmt::format("\"{}\" ({:.4g} %, measured up to {:.4g} %)", task.layers[i].layer, 100 * sparsity, 100 * curves[i].largest()));
    }
    if (beyond.empty()) return {};
    return {fmt::format("the sensitivity table ends before the sparsity of {}: the cost there is its last slope carried on; measure higher --sparsities",
                        join(beyond))};
  }

 private:
  std::vector<DamageCurve> curves_for(const AllocationTask& task) const {
    std::vector<std::pair<std::string, int64_t>> layers;
    for (const PrunableTensor& layer : task.layers) layers.emplace_back(layer.initializer, layer.count());
    return read_damage_curves(table_, measure_, task.pattern, layers);
  }

  std::string measure_;
  std::string table_;
};

const Register<Allocator, Sensitivity> entry{"sensitivity", "least total damage by a measured table; {name: sensitivity, table: FILE}"};

}  // namespace
}  // namespace sparsify
