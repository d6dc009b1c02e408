// Sensitivity: what `sparsify sensitivity` measured one layer at a time says how much each layer can lose. Costs are taken to
// add up, which holds while the total damage is small (reference: Frantar & Alistarh 2022, "SPDY", arXiv:2201.13096, eq. 1).
#include "allocators/damage_curve.h"
#include "allocators/sharing.h"

namespace sparsify {
namespace {

class Sensitivity final : public Allocator {
 public:
  explicit Sensitivity(const Options& options)
      : measure_(options.choice("measure", "auto", {"auto", "divergence", "relative_error", "loss", "metric"},
                                "which column is the cost; auto: divergence where the table has it, else relative_error")),
        table_(options.required_text("table", "path of a sensitivity.json")) {}

  Budget allocate(const AllocationTask& task) const override {
    std::vector<std::pair<std::string, int64_t>> layers;
    for (const PrunableTensor& layer : task.layers) layers.emplace_back(layer.initializer, layer.count());
    DamageProblem problem{.curves = read_damage_curves(table_, measure_, task.pattern, layers), .units = task.units, .least = {}, .most = {}};
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

 private:
  std::string measure_;
  std::string table_;
};

const Register<Allocator, Sensitivity> entry{"sensitivity", "least total damage by a measured table; {name: sensitivity, table: FILE}"};

}  // namespace
}  // namespace sparsify
