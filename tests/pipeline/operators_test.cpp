#include "pipeline/operators.h"

#include <fstream>
#include <set>
#include <sstream>

#include "structure/analysis.h"
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


TEST_CASE("every operator that runs has a rule that says what of its operands can be cut, but for a few", "[pipeline][operators][structure]") {
  // Control flow is left as it is, and so is what has no channels: texts, optional values, the steps of optimisers. SwiGLU is of an
  // opset that is not published.
  const std::set<std::string> without = {
      "If", "Loop", "Scan", "SequenceMap", "Optional", "OptionalGetElement", "OptionalHasElement", "RegexFullMatch", "StringConcat", "StringNormalizer",
      "StringSplit", "TfIdfVectorizer", "SwiGLU", "ai.onnx.preview.training.Adagrad", "ai.onnx.preview.training.Adam", "ai.onnx.preview.training.Momentum",
  };
  std::set<std::string> missing;
  for (const OperatorRow& row : make_operator_catalog()->all()) {
    const std::string key = row.domain.empty() || row.domain == "ai.onnx" ? row.name : row.domain + "." + row.name;
    if (!has_rule(key)) missing.insert(key);
  }
  CHECK(missing == without);
}
