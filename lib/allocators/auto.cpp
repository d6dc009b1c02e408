// Auto: no allocation is best everywhere (docs/allocation.md), so several are tried on calibration data and the one that
// changes the model's outputs least is taken.
#include <fmt/core.h>

#include <cmath>

#include "allocators/checked_allocator.h"
#include "base/error.h"
#include "base/names.h"

namespace sparsify {
namespace {

class Auto final : public Allocator {
 public:
  explicit Auto(const Options& options)
      : names_(options.texts("candidates", {"uniform", "global", "erk", "lamp"}, "the allocations to try, with their defaults")) {
    for (const std::string& name : names_) {
      if (!Registry<Allocator>::instance().contains(name) || name == "auto") {
        std::vector<std::string> known = Registry<Allocator>::instance().names();
        std::erase(known, "auto");
        throw ConfigError{{.what = fmt::format("\"{}\" is no allocation to try", name), .where = options.where("candidates"), .fix = suggest(name, known)}};
      }
      candidates_.push_back(Registry<Allocator>::instance().make(name, Options()));
    }
    where_ = options.where("candidates");
    if (names_.empty()) {
      throw ConfigError{{.what = "there is no allocation to try", .where = options.where("candidates"), .fix = "name some, as in [uniform, global]"}};
    }
  }

  bool needs_damage() const override { return true; }

  /// The first of those with the least damage. A candidate that refuses the scores is passed over with its reason.
  Budget allocate(const AllocationTask& task) const override {
    invariant(task.damage != nullptr, "an allocator that needs damage is given it");
    Budget best;
    double least = INFINITY;
    std::string chosen;
    std::vector<std::string> told;
    for (size_t i = 0; i < candidates_.size(); ++i) {
      try {
        const CheckedAllocator candidate(*candidates_[i], {.family = kFamily, .name = names_[i], .where = where_});
        Budget budget = task.fit ? task.fit(candidate) : candidate.allocate(task);
        const double damage = task.damage(budget);
        told.push_back(fmt::format("{} {:.4g}", names_[i], damage));
        if (chosen.empty() || damage < least) {  // a NaN is never less
          best = std::move(budget);
          least = std::isnan(damage) ? INFINITY : damage;
          chosen = names_[i];
        }
      } catch (const ConfigError& error) {
        told.push_back(fmt::format("{} does not fit ({})", names_[i], error.problem().what));
      }
    }
    if (chosen.empty()) {
      throw ConfigError{{.what = "no candidate can allocate here: " + join(told), .where = "allocation: auto", .fix = "name other candidates"}};
    }
    if (task.notes != nullptr) {
      task.notes->push_back(fmt::format("allocation: {} was chosen because it has the least {}: {}", chosen, task.damage_name, join(told)));
    }
    return best;
  }

 private:
  std::vector<std::string> names_;
  std::string where_;
  std::vector<std::unique_ptr<Allocator>> candidates_;
};

const Register<Allocator, Auto> entry{"auto", "tries several on calibration data, takes the one that changes the outputs least"};

}  // namespace
}  // namespace sparsify
