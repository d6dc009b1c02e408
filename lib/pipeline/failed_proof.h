#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "pipeline/cut_plan.h"
#include "report/run_report.h"

namespace sparsify {

/// What a cut removes at a node: groups that lose units in what it reads or gives, and blocks whose shortcut it reads instead of their sum.
///   where  begins with `node "LABEL"`, as the runtime's errors do; nothing for others
std::vector<std::string> removed_at(const CutPlan& plan, const std::string& where);

/// One line of why a cut model stopped, with the place and what was removed there.
///   plan  null: of what was removed nothing is said
std::string failure_of_run(const Problem& problem, const CutPlan* plan);

/// What is said of a run that wrote no model. A missed gate is the user's to change; a failed check is a fault of this program: it is to be reported, and
/// what was cut at the place is to be left out until then.
///   folder  of the evidence
Problem problem_of_failure(const RunReport& report, const std::string& folder);

}  // namespace sparsify
