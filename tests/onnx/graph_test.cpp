#include "support/catch.h"

#include "base/error.h"
#include "onnx/graph.h"

using namespace sparsify;
using Catch::Matchers::Contains;

namespace {

Node node(std::string type, std::vector<std::string> inputs, std::vector<std::string> outputs) {
  Node result;
  result.op_type = std::move(type);
  result.inputs = std::move(inputs);
  result.outputs = std::move(outputs);
  return result;
}

Graph graph_of(std::vector<Node> nodes) {
  Graph graph;
  graph.name = "main";
  graph.inputs.push_back({.name = "x"});
  graph.nodes = std::move(nodes);
  for (size_t i = 0; i < graph.nodes.size(); ++i) graph.nodes[i].index = static_cast<int>(i);
  return graph;
}

}  // namespace

TEST_CASE("nodes keep the file's order when it is one, and are sorted when not", "[onnx][order]") {
  CHECK(topological_order(graph_of({node("Relu", {"x"}, {"a"}), node("Relu", {"x"}, {"b"}),
                                    node("Add", {"a", "b"}, {"c"})})) == std::vector<int>{0, 1, 2});
  CHECK(topological_order(graph_of({node("Add", {"a", "b"}, {"c"}), node("Relu", {"a"}, {"b"}),
                                    node("Relu", {"x"}, {"a"})})) == std::vector<int>{2, 1, 0});
}

TEST_CASE("a node waits for what its subgraph captures", "[onnx][order]") {
  Node choice = node("If", {"x"}, {"y"});
  Graph branch = graph_of({node("Relu", {"late"}, {"z"})});
  branch.inputs.clear();
  branch.outputs.push_back({.name = "z"});
  choice.attributes.push_back({.name = "then_branch", .reference = "",
                               .value = std::make_shared<const Graph>(branch)});
  CHECK(topological_order(graph_of({choice, node("Relu", {"x"}, {"late"})})) == std::vector<int>{1, 0});
  CHECK(topological_order(graph_of({choice}), {"late"}) == std::vector<int>{0});
  CHECK_THROWS_WITH(topological_order(graph_of({choice})), Contains("reads \"late\""));
}

TEST_CASE("a cycle is told by the names of its nodes only", "[onnx][order]") {
  Graph graph = graph_of({node("Relu", {"x"}, {"a"}), node("Add", {"a", "d"}, {"b"}),
                          node("Relu", {"b"}, {"c"}), node("Relu", {"c"}, {"d"}),
                          node("Relu", {"d"}, {"e"})});
  graph.nodes[1].name = "enter";
  CHECK_THROWS_WITH(topological_order(graph),
                    Contains("\"enter\"") && Contains("Relu -> \"c\"") && Contains("Relu -> \"d\"") &&
                        !Contains("Relu -> \"a\"") && !Contains("Relu -> \"e\""));
}

TEST_CASE("attributes are read with defaults, and labels are never empty", "[onnx][graph]") {
  Node conv = node("Conv", {"x", "w"}, {"", "y"});
  conv.attributes.push_back({.name = "group", .reference = "", .value = int64_t{4}});
  conv.attributes.push_back({.name = "pads", .reference = "", .value = std::vector<int64_t>{1, 1}});
  conv.attributes.push_back({.name = "auto_pad", .reference = "", .value = std::string("VALID")});
  CHECK(conv.integer("group", 1) == 4);
  CHECK(conv.integer("pads", 7) == 7);  // another type
  CHECK(conv.integers("pads") == std::vector<int64_t>{1, 1});
  CHECK(conv.text("auto_pad", "NOTSET") == "VALID");
  CHECK(conv.number("alpha", 0.5f) == 0.5f);
  CHECK(conv.label() == "Conv -> \"y\"");
  conv.name = "conv1";
  CHECK(conv.label() == "conv1");
}

TEST_CASE("a value's signature shows symbols and what is unknown", "[onnx][graph]") {
  ValueInfo value{.name = "x", .kind = ValueInfo::Kind::Tensor, .type = DType::Float32,
                  .shape = std::vector<Dimension>{{-1, "N"}, {3, ""}, {-1, ""}}};
  CHECK(value.signature() == "float32[N, 3, ?]");
  value.shape.reset();
  CHECK(value.signature() == "float32[...]");
  value.kind = ValueInfo::Kind::Sequence;
  CHECK(value.signature() == "sequence(float32[...])");
}
