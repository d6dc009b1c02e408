// Every criterion with every pattern and every allocation, on a small network: either it runs and is exact, or it is refused with a reason before any
// weight is decided. composition_solver_test.cpp crosses the solvers and the cuts.
#include "pipeline/composition.h"

#include "pipeline/decide.h"

using namespace sparsify;
using namespace sparsify::composition;

namespace {

void check_exact(const Decisions& decisions, const std::string& allocation) {
  REQUIRE_FALSE(decisions.decided.empty());
  int64_t units = 0;
  int64_t kept = 0;
  for (const Decision& one : decisions.decided) {
    INFO(one.tensor.layer);
    const auto pattern = make_pattern(one.pattern_setting, "test");
    REQUIRE(one.mask.size() == one.tensor.count());
    CHECK(pattern->violation(one.tensor, one.mask).empty());
    const int64_t own = kept_units(*pattern, one);
    if (const auto fixed = pattern->fixed_sparsity(one.tensor)) {
      CHECK(one.mask.kept() == kept_count(one.tensor.count(), *fixed));
      continue;
    }
    if (allocation == "uniform") CHECK(own == kept_count(pattern->units(one.tensor), kSparsity));
    units += pattern->units(one.tensor);
    kept += own;
  }
  const bool by_layer = allocation == "uniform" || allocation == "auto";  // which may choose uniform
  if (units > 0 && !by_layer) CHECK(kept == kept_count(units, kSparsity));
}

}  // namespace

TEST_CASE("every criterion with every pattern and allocation runs exactly or is refused with a reason", "[pipeline][composition]") {
  int ran = 0;
  std::set<std::string> reasons;
  for (const std::string& criterion : Registry<Criterion>::instance().names()) {
    for (const std::string& pattern : patterns(/*structured=*/false)) {
      const bool fixed = is_fixed(pattern);
      for (const std::string& allocation : allocations()) {
        INFO(criterion << " x " << pattern << " x " << allocation);
        const std::string rule = rule_of(criterion, pattern, allocation);
        const ModelFile& file = model_of(rule);
        try {
          check_exact(decide(file, recipe_of(rule)), allocation == "null" ? "global" : allocation);
          ++ran;
        } catch (const ConfigError& refusal) {
          check_refusal(refusal, rule, [&](const Recipe& recipe) { decide(file, recipe); });
          reasons.insert(refusal.problem().what);
          // Magnitude goes with everything; only a pattern that fixes the density leaves nothing to allocate, and without a solver
          // there is no error to divide by.
          if (criterion == "magnitude") CHECK(((fixed && allocation != "null" && allocation != "uniform") || allocation == "reconstruction"));
        }
      }
    }
  }
  std::string all;
  for (const std::string& reason : reasons) all += reason + "\n";
  INFO(all);
  CHECK(ran > 400);
  CHECK(reasons.size() <= 40);  // families of reasons, not one for every combination
}
