#include "sparsify/show_outcome.h"

#include "base/error.h"
#include "pipeline/failed_proof.h"
#include "report/renderers.h"

namespace sparsify {

int show_outcome(const PruneOutcome& outcome, const Context& context) {
  if (outcome.assisted) return kDone;
  if (context.json) {
    print(to_json_text(outcome.report));
  } else {
    print(to_terminal(outcome.report, {.width = context.width(),
                                       .colour = context.colour(),
                                       .utf8 = context.utf8(),
                                       .verbose = context.verbose,
                                       .html_path = outcome.html_path}));
  }
  if (outcome.passed) return kDone;
  throw GateError(problem_of_failure(outcome.report, outcome.folder));
}

}  // namespace sparsify
