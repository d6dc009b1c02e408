// Every pattern with every allocation and solver, every criterion with every solver, and everything with the patterns that remove structure: exact, or
// refused with a reason before any work.
#include "pipeline/composition.h"

#include <cmath>

#include "base/module.h"
#include "pipeline/correct.h"
#include "pipeline/cut_plan.h"
#include "pipeline/decide.h"
#include "solvers/solver.h"

using namespace sparsify;
using namespace sparsify::composition;

namespace {

std::vector<std::string> solvers() {
  load_module("torch");
  return Registry<Solver>::instance().names();
}

/// Short of steps: what counts here is that it runs.
std::string written(const std::string& solver) { return solver == "gradual" ? "{name: gradual, steps: 2}" : solver; }

/// Weights of N:M, units of other patterns.
int64_t kept_of(const Decisions& decisions) {
  int64_t kept = 0;
  for (const Decision& one : decisions.decided) {
    const auto pattern = make_pattern(one.pattern_setting, "test");
    kept += pattern->fixed_sparsity(one.tensor) ? one.mask.kept() : kept_units(*pattern, one);
  }
  return kept;
}

/// Decides and solves; false where it was refused.
bool solves(const ModelFile& file, const std::string& rule) {
  Decisions decisions;
  try {
    decisions = decide(file, recipe_of(rule));
  } catch (const ConfigError& refusal) {
    check_refusal(refusal, rule, [&](const Recipe& recipe) { decide(file, recipe); });
    return false;
  }
  REQUIRE_FALSE(decisions.decided.empty());
  const int64_t kept_before = kept_of(decisions);
  const bool shares = decisions.decided.front().share >= 0;
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("sparsify-composition-" + std::to_string(::getpid()));
  const Correction correction = correct(file, recipe_of(rule), folder.string(), false, decisions);
  std::filesystem::remove_all(folder);
  for (size_t i = 0; i < decisions.decided.size(); ++i) {
    const Decision& one = decisions.decided[i];
    INFO(one.tensor.layer);
    CHECK(correction.layers[i].note.empty());
    CHECK(make_pattern(one.pattern_setting, "test")->violation(one.tensor, one.mask).empty());
    if (!shares) CHECK(correction.layers[i].keep == one.keep);
    if (!correction.tensors.contains(one.tensor.id)) {  // nothing was taken from it
      CHECK(one.mask.pruned() == 0);
      continue;
    }
    const HostTensor& values = correction.tensors.at(one.tensor.id);
    bool obeys = values.count() == one.mask.size();
    for (int64_t at = 0; obeys && at < values.count(); ++at) {
      const float value = values.data<float>()[at];
      obeys = std::isfinite(value) && (one.mask[at] || __builtin_bit_cast(uint32_t, value) == 0);
    }
    CHECK(obeys);  // +0.0 where pruned, a number elsewhere
  }
  CHECK(kept_of(decisions) == kept_before);
  return true;
}

}  // namespace

TEST_CASE("every pattern with every allocation and solver is solved exactly or refused with a reason", "[pipeline][composition]") {
  const ModelFile file = ModelFile::load(kModel);
  std::map<std::string, int> solved;
  std::map<std::string, int> refused;
  for (const std::string& pattern : patterns(/*structured=*/false)) {
    for (const std::string& solver : solvers()) {
      for (const std::string& allocation : allocations()) {
        // How a budget came about is nothing to a solver: all of them with one pattern, with the others those that differ in kind.
        static const std::set<std::string> kKinds = {"uniform", "global", "reconstruction"};
        if (pattern != "unstructured" && !kKinds.contains(allocation)) continue;
        INFO(pattern << " x " << allocation << " x " << solver);
        ++(solves(file, rule_of("magnitude", pattern, allocation, written(solver))) ? solved : refused)[solver];
      }
    }
  }
  for (const std::string& solver : solvers()) {
    INFO(solver << ": solved " << solved[solver] << ", refused " << refused[solver]);
    CHECK(solved[solver] >= 9);  // unstructured with every allocation at least
  }
}

TEST_CASE("every criterion with every solver is solved exactly or refused with a reason", "[pipeline][composition]") {
  const ModelFile file = ModelFile::load(kModel);
  int solved = 0;
  for (const std::string& criterion : Registry<Criterion>::instance().names()) {
    for (const std::string& solver : solvers()) {
      INFO(criterion << " x " << solver);
      solved += solves(file, rule_of(criterion, "unstructured", "null", written(solver)));
    }
  }
  CHECK(solved >= 40);
}

TEST_CASE("every pattern that removes structure, with every criterion, allocation and solver, cuts or is refused with a reason", "[pipeline][composition]") {
  const ModelFile file = ModelFile::load(kModel);
  int cut = 0;
  const auto attempt = [&](const std::string& rule) {
    INFO(rule);
    try {
      const CutPlan plan = plan_cut(file, recipe_of(rule));
      CHECK(plan.after.params < plan.before.params);
      ++cut;
    } catch (const ConfigError& refusal) {
      check_refusal(refusal, rule, [&](const Recipe& recipe) { plan_cut(file, recipe); });
    }
  };
  for (const std::string& pattern : patterns(/*structured=*/true)) {
    for (const std::string& criterion : Registry<Criterion>::instance().names()) attempt(rule_of(criterion, pattern, "null"));
    for (const std::string& allocation : allocations()) attempt(rule_of("magnitude", pattern, allocation));
    for (const std::string& solver : solvers()) attempt(rule_of("magnitude", pattern, "null", written(solver)));
  }
  CHECK(cut >= 15);
}
