#include "pipeline/operators.h"

#include <fstream>
#include <sstream>

#include "support/catch.h"

using namespace sparsify;

TEST_CASE("docs/operators.md is what `sparsify ops --markdown` prints", "[pipeline][operators]") {
  std::ifstream in("docs/operators.md");
  REQUIRE(in);
  std::stringstream page;
  page << in.rdbuf();
  CHECK(page.str() == operators_markdown(make_operator_catalog()->all()));
}

TEST_CASE("a model's needs name every operator once with its count", "[pipeline][operators]") {
  const ModelFile file = ModelFile::load("configs/quickstart/digits.onnx");

  const ModelNeeds needs = make_operator_catalog()->needs(file);

  int convolutions = 0;
  for (const OperatorNeed& need : needs.operators) {
    CHECK(need.supported);
    if (need.row.name == "Conv") convolutions = need.nodes;
  }
  CHECK(convolutions == 8);
  CHECK(needs.gradient_cuts.empty());
}
