#include "support/catch.h"

#include <filesystem>

#include "onnx/model_file.h"
#include "support/shared.h"

using namespace sparsify;

TEST_CASE("a trained network loads with its nodes, opset and weights", "[onnx][load]") {
  const auto path = shared_or_skip("models/akamaster-resnet20-cifar10-bn.onnx", "load resnet20");
  if (path.empty()) return;
  const ModelFile file = ModelFile::load(path.string());
  const Graph& graph = file.model().graph;
  REQUIRE(graph.inputs.size() == 1);
  CHECK(graph.outputs.size() == 1);
  CHECK(file.warnings().empty());
  int64_t elements = 0;
  for (const StoredTensor& tensor : graph.initializers) {
    elements += file.tensor_data(tensor.id).count();
  }
  CHECK(elements > 270'000);
  CHECK(topological_order(graph).size() == graph.nodes.size());
}

TEST_CASE("a model with foreign operators loads; refusing them is the interpreter's task", "[onnx][load]") {
  const auto path = shared_or_skip("models/superres-prepost.onnx", "load foreign operators");
  if (path.empty()) return;
  const ModelFile file = ModelFile::load(path.string());
  bool foreign = false;
  for (const Node& node : file.model().graph.nodes) foreign = foreign || !node.domain.empty();
  CHECK(foreign);
}
