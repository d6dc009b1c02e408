#include "sparsify/show_outcome.h"

#include "base/error.h"
#include "base/names.h"
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
  std::vector<std::string> failed;
  for (const GateResult& gate : outcome.report.gates) {
    if (!gate.passed) failed.push_back("gate " + gate.name);
  }
  for (const VerificationResult& check : outcome.report.verification) {
    if (!check.passed) failed.push_back("verification " + check.check);
  }
  throw GateError{{.what = "no model was written: " + join(failed) + " failed",
                   .where = outcome.folder,
                   .fix = "prune less, choose other layers, or change the gate; the report there has the numbers"}};
}

}  // namespace sparsify
