#include <fmt/format.h>

#include <cstdlib>

#include "base/error.h"
#include "config/recipe.h"
#include "pipeline/cut.h"
#include "pipeline/cut_stage.h"
#include "pipeline/random_graph.h"
#include "program/model_text.h"
#include "support/catch.h"

using namespace sparsify;

TEST_CASE("random units of random graphs are cut, and masked model equals shrunk model", "[pipeline][cut][property]") {
  const char* more = std::getenv("SPARSIFY_PROPERTY_RUNS");
  const int runs = more != nullptr ? std::atoi(more) : 200;
  int cut_graphs = 0;
  int rescaled = 0;
  for (int run = 0; run < runs; ++run) {
    const RandomGraph graph(static_cast<unsigned>(run));
    INFO("graph " << run << ": " << graph.text());
    const TextModel text(graph.text());
    ModelFile file = text.load();
    const Recipe recipe = read_recipe(parse_yaml(fmt::format("{{seed: {}, prune: [{{pattern: {}, criterion: random, sparsity: 0.{}, min_density: 0}}]}}", run,
                                                             run % 5 == 4 ? "head" : "channel", 2 + run % 6), ""), "");
    CutPlan plan;
    try {
      plan = plan_cut(file, recipe);
    } catch (const ConfigError&) {
      continue;  // nothing in it can be cut
    }
    const CutOutput output = write_cut(file, plan, {}, text.path() + ".cut.onnx", true);
    const ModelFile written = output.writer->reopen();
    for (const VerificationResult& check : verify_cut(*output.masked, written, plan, {.seed = static_cast<uint64_t>(run)})) {
      INFO(check.check << ": " << check.detail);
      CHECK(check.passed);
    }
    cut_graphs += plan.cut.tensors.empty() ? 0 : 1;
    rescaled += plan.cut.nodes.added.empty() ? 0 : 1;
  }
  CHECK(cut_graphs > runs / 2);
  CHECK((runs < 100 || rescaled > 0));
}
