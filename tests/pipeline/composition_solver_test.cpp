// Every criterion with every pattern and solver, every pattern with every allocation and solver, and everything with the patterns that remove structure:
// exact, or refused with a reason before any work.
#include "pipeline/composition.h"

#include <algorithm>
#include <cmath>
#include <tuple>

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

/// Decides, and solves unless the rule's solver is `none`; false where it was refused.
bool solves(const std::string& rule) {
  const ModelFile& file = model_of(rule);
  Decisions decisions;
  try {
    decisions = decide(file, recipe_of(rule));
  } catch (const ConfigError& refusal) {
    check_refusal(refusal, rule, [&](const Recipe& recipe) { decide(file, recipe); });
    return false;
  }
  REQUIRE_FALSE(decisions.decided.empty());
  const bool corrects = std::any_of(decisions.decided.begin(), decisions.decided.end(), [](const Decision& one) { return split_name(one.solver, "solver").name != "none"; });
  if (!corrects) {
    for (const Decision& one : decisions.decided) CHECK(make_pattern(one.pattern_setting, "test")->violation(one.tensor, one.mask).empty());
    return true;
  }
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
  std::map<std::string, int> solved;
  std::map<std::string, int> refused;
  for (const std::string& pattern : patterns(/*structured=*/false)) {
    for (const std::string& solver : solvers()) {
      for (const std::string& allocation : allocations()) {
        INFO(pattern << " x " << allocation << " x " << solver);
        ++(solves(rule_of("magnitude", pattern, allocation, written(solver))) ? solved : refused)[solver];
      }
    }
  }
  for (const std::string& solver : solvers()) {
    INFO(solver << ": solved " << solved[solver] << ", refused " << refused[solver]);
    CHECK(solved[solver] >= 9);  // unstructured with every allocation at least
  }
}

TEST_CASE("every criterion with every pattern and solver is solved exactly or refused with a reason", "[pipeline][composition]") {
  std::vector<std::string> with_none = solvers();
  with_none.emplace_back("none");
  std::map<std::tuple<std::string, std::string, std::string>, bool> runs;
  for (const std::string& criterion : Registry<Criterion>::instance().names()) {
    for (const std::string& pattern : patterns(/*structured=*/false)) {
      for (const std::string& solver : with_none) {
        INFO(criterion << " x " << pattern << " x " << solver);
        runs[{criterion, pattern, solver}] = solves(rule_of(criterion, pattern, "null", written(solver)));
      }
    }
  }
  // Three things go together where any two of them do: no combination is refused that nothing in it explains.
  int solved = 0;
  for (const auto& [names, run] : runs) {
    const auto& [criterion, pattern, solver] = names;
    INFO(criterion << " x " << pattern << " x " << solver);
    CHECK(run == (runs.at({criterion, pattern, "none"}) && runs.at({"magnitude", pattern, solver}) && runs.at({criterion, "unstructured", solver})));
    solved += run && solver != "none";
  }
  CHECK(solved >= 200);
  CHECK(runs.at({"magnitude", "{block: [4, 1]}", "obs"}));
  CHECK_FALSE(runs.at({"magnitude", "per_row", "sparsegpt"}));
  CHECK_FALSE(runs.at({"movement", "unstructured", "none"}));  // nothing trains
}

TEST_CASE("every pattern that removes structure, with every criterion, allocation and solver, cuts or is refused with a reason", "[pipeline][composition]") {
  std::map<std::string, int> cut;
  const auto attempt = [&](const std::string& pattern, const std::string& rule) {
    const ModelFile& file = model_of(rule);
    INFO(rule);
    try {
      const CutPlan plan = plan_cut(file, recipe_of(rule));
      CHECK(plan.after.params < plan.before.params);
      ++cut[pattern];
    } catch (const ConfigError& refusal) {
      check_refusal(refusal, rule, [&](const Recipe& recipe) { plan_cut(file, recipe); });
    }
  };
  for (const std::string& pattern : patterns(/*structured=*/true)) {
    for (const std::string& criterion : Registry<Criterion>::instance().names()) {
      for (const std::string& allocation : allocations()) attempt(pattern, rule_of(criterion, pattern, allocation));
      for (const std::string& solver : solvers()) attempt(pattern, rule_of(criterion, pattern, "null", written(solver)));
    }
  }
  for (const std::string& pattern : patterns(/*structured=*/true)) {
    INFO(pattern << ": cut " << cut[pattern]);
    CHECK(cut[pattern] >= 10);
  }
}
