#include "pipeline/groups.h"

#include "base/error.h"
#include "program/model_text.h"
#include "support/catch.h"

using namespace sparsify;
using Catch::Matchers::Contains;

namespace {

std::vector<std::string> initializers_of(const GroupReport& report, const std::string& name) {
  std::vector<std::string> names;
  for (const GroupedWeight& weight : weights_of_layer(report, name)) names.push_back(weight.tensor.initializer);
  return names;
}

}  // namespace

TEST_CASE("integer weights count in the totals and are found by name", "[pipeline][groups]") {
  const TextModel text(
      "<ir_version: 8, opset_import: [\"\": 17, \"com.microsoft\": 1]> graph (float[2,3] x) => (float[2,2] y)"
      "<int8[3,4] a = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, int8[4,2] c = {1, 2, 3, 4, 5, 6, 7, 8}, float s = {0.5}, int8 z = {0}>"
      "{ [first] h = com.microsoft.DynamicQuantizeMatMul (x, a, s, z) r = Relu (h) [second] y = com.microsoft.DynamicQuantizeMatMul (r, c, s, z) }");
  const GroupReport report = report_groups(text.load());
  CHECK(report.prunable == 20);
  CHECK(report.cuttable == 20);
  CHECK(initializers_of(report, "first") == std::vector<std::string>{"a"});       // its group has c as well
  CHECK(initializers_of(report, "firs?") == std::vector<std::string>{"a", "c"});  // and bears that name
  CHECK(initializers_of(report, "c") == std::vector<std::string>{"c"});
}

TEST_CASE("what is no weight is found by name where no weight is", "[pipeline][groups]") {
  const GroupReport report = report_groups(ModelFile::load("configs/quickstart/digits.onnx"));
  CHECK(initializers_of(report, "stem") == std::vector<std::string>{"stem.weight"});  // not all that is in the group of its name
  CHECK(initializers_of(report, "stem.weight") == std::vector<std::string>{"stem.weight"});
  CHECK(initializers_of(report, "stem_norm").size() == 4);
  CHECK(initializers_of(report, "stem_norm.weight") == std::vector<std::string>{"stem_norm.weight"});
  CHECK(weights_of_layer(report, "stem_norm.weight").at(0).cuttable);
  CHECK_THROWS_WITH(weights_of_layer(report, "nobody"), Contains("no layer is named"));
}

TEST_CASE("what reads the result of control flow is held by its node", "[pipeline][groups]") {
  const TextModel text(
      "<ir_version: 8, opset_import: [\"\": 17]> graph (float[1,2,4,4] x, bool c) => (float[1,2,4,4] y) <float[2,2,1,1] a = {1, 2, 3, 4}>"
      "{ h = If (c) <then_branch = yes () => (float[1,2,4,4] t) { t = Relu (x) }, else_branch = no () => (float[1,2,4,4] e) { e = Neg (x) }> y = Conv (h, a) }");
  const GroupReport report = report_groups(text.load());
  bool named = false;
  for (const Group& group : report.groups) {
    for (const Freeze& freeze : group.frozen) {
      CHECK(freeze.reason != "it is a batch, time or space axis");
      named = named || (freeze.op == "If" && freeze.node.find("h") != std::string::npos);
    }
  }
  CHECK(named);
}
