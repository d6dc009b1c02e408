#include "support/catch.h"

#include "onnx/checker.h"
#include "support/shared.h"

using namespace sparsify;

TEST_CASE("the schemas of ONNX are built in with their history", "[onnx][schemas]") {
  CHECK(newest_known_opset() >= 27);
  int relu_versions = 0;
  bool gelu_is_function = false;
  for (const OperatorSchema& schema : operator_schemas()) {
    if (schema.domain.empty() && schema.name == "Relu") ++relu_versions;
    if (schema.domain.empty() && schema.name == "Gelu") gelu_is_function = schema.is_function;
  }
  CHECK(relu_versions == 4);  // opsets 1, 6, 13, 14
  CHECK(gelu_is_function);
}

TEST_CASE("a node that its operator's schema does not allow is told with what may be given", "[onnx][schemas][errors]") {
  Node node;
  node.op_type = "Softmax";
  node.inputs = {"x"};
  node.outputs = {"y"};
  node.attributes = {{"axis", "", int64_t{1}}, {"__note", "", std::string("kept by a tool")}};
  CHECK(contradiction(node, 17) == "");
  node.attributes[0].value = 1.0f;
  CHECK(contradiction(node, 17) == "attribute \"axis\" is of type FLOAT where INT belongs");
  node.attributes[0] = {"axes", "", int64_t{1}};
  CHECK(contradiction(node, 17) == "attribute \"axes\" is unknown");
  node.attributes.clear();
  node.inputs.push_back("x");
  CHECK(contradiction(node, 17) == "2 inputs where 1 may be given");
  node.inputs.pop_back();
  node.outputs.push_back("z");
  CHECK(contradiction(node, 17) == "2 outputs where 1 may be given");
  node.domain = "not.known";
  CHECK(contradiction(node, 17) == "");
}

TEST_CASE("ONNX's checker and shape inference run on the skeleton of a network", "[onnx][checker]") {
  const auto path = shared_or_skip("models/akamaster-resnet20-cifar10-bn.onnx", "check resnet20");
  if (path.empty()) return;
  const ModelFile file = ModelFile::load(path.string());
  CHECK(full_check(file) == "");

  const Graph& graph = file.model().graph;
  const std::string input = graph.inputs.front().name;
  const auto shapes = infer_shapes(file, {{input, {7, 3, 32, 32}}});
  const auto& logits = shapes.at(graph.outputs.front().name);
  CHECK(logits.signature() == "float32[7, 10]");
}

TEST_CASE("a function without types expands to its body with the schema's defaults", "[onnx][functions]") {
  Node node;
  node.op_type = "Celu";
  node.inputs = {"x"};
  node.outputs = {"y"};
  const auto body = expand_function(node, 12, {});
  REQUIRE(body);
  CHECK(body->inputs == std::vector<std::string>{"X"});
  CHECK(body->nodes.size() > 1);
  REQUIRE(body->default_attributes.size() == 1);
  CHECK(std::get<float>(body->default_attributes[0].value) == 1.0f);
}

TEST_CASE("a function that depends on its types carries its constants", "[onnx][functions]") {
  Node node;
  node.op_type = "Gelu";
  node.inputs = {"x"};
  node.outputs = {"y"};
  const auto body = expand_function(node, 20, {{.name = "x", .type = DType::Float16}});
  REQUIRE(body);
  bool has_constant = false;
  for (const Node& inner : body->nodes) {
    const Attribute* value = inner.find("value");
    const auto* tensor = value == nullptr ? nullptr : std::get_if<StoredTensor>(&value->value);
    if (tensor == nullptr) continue;
    has_constant = true;
    REQUIRE(tensor->value);
    CHECK(tensor->id == -1);
    CHECK(tensor->value->count() == 1);
  }
  CHECK(has_constant);

  node.op_type = "Conv";
  CHECK_FALSE(expand_function(node, 20, {{.name = "x", .type = DType::Float32}}));
}
