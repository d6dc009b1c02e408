#include "support/catch.h"

#include "onnx/checker.h"
#include "program/model_text.h"
#include "support/shared.h"

using namespace sparsify;

namespace {

/// "float32[2, 3]" of each value of a graph in ONNX's text syntax.
std::map<std::string, std::string> inferred(const std::string& text, const std::map<std::string, Shape>& inputs = {}) {
  std::map<std::string, std::string> signatures;
  for (const auto& [name, info] : infer_shapes(TextModel(text).load(), inputs)) signatures[name] = info.signature();
  return signatures;
}

}  // namespace

TEST_CASE("sizes are seen through the padding that PyTorch writes", "[onnx][shapes]") {
  // pads = transpose(reverse(reshape(concat([0, 0, 1, 2], zeros(4)), [4, 2]))) as torch.onnx exports F.pad(x, (0, 0, 1, 2))
  const auto shapes = inferred(R"(<ir_version: 8, opset_import: ["": 13]>
    graph (float[1, 3, 8, 8] x) => (float[a, b, c, d] y)
      <int64[4] given = {0, 0, 1, 2}, int64[1] four = {4}, int64[2] pairs = {-1, 2}, int64[1] last = {-1}, int64[1] first = {-9223372036854775807},
       int64[1] zero = {0}, int64[1] flat = {-1}> {
      rest = ConstantOfShape <value = int64[1] {0}>(four)
      all = Concat <axis = 0>(given, rest)
      table = Reshape(all, pairs)
      reversed = Slice(table, last, first, zero, last)
      turned = Transpose <perm = [1, 0]>(reversed)
      pads = Reshape(turned, flat)
      same = Cast <to = 7>(pads)
      y = Pad(x, same)
    })");
  CHECK(shapes.at("y") == "float32[1, 3, 11, 8]");  // begins [0 0 1 0], ends [0 0 2 0]
}

TEST_CASE("sizes are seen through arithmetic on shapes, one inference after another", "[onnx][shapes]") {
  const auto shapes = inferred(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[n, 6, 10] x, float[n, 4] table) => (float[p, q, r] y, float[s, t] z)
      <int64 one = {1}, int64 two = {2}, int64 nought = {0}, int64[1] axis = {0}, int64[1] minus = {-1}, int64[3] ones = {1, 1, 1}> {
      shape = Shape(x)
      rows = Gather <axis = 0>(shape, one)
      half = Div(rows, two)
      counted = Range(nought, half, one)
      chosen = Gather <axis = 1>(x, counted)
      batch = Shape <start = 0, end = 1>(chosen)
      length = Shape <start = 1, end = 2>(chosen)
      target = Concat <axis = 0>(batch, minus, length)
      turned = Reshape(chosen, target)
      wide = Shape(turned)
      big = Greater(wide, length)
      mixed = Where(big, wide, ones)
      y = Expand(turned, mixed)
      rows2 = Size(counted)
      up = Unsqueeze(rows2, axis)
      target2 = Concat <axis = 0>(up, minus)
      z = Reshape(table, target2)
    })", {{"x", {2, 6, 10}}, {"table", {6, 4}}});
  CHECK(shapes.at("chosen") == "float32[2, 3, 10]");
  CHECK(shapes.at("turned") == "float32[2, 10, 3]");
  CHECK(shapes.at("y") == "float32[2, 10, 3]");
  CHECK(shapes.at("z") == "float32[3, 8]");
}

TEST_CASE("what cannot be computed stays open, and nothing throws", "[onnx][shapes]") {
  const auto shapes = inferred(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[n, 4] x, int64[2] asked) => (float[a, b] y, float[c, d] z)
      <int64 nought = {0}, int64[2] beyond = {7, 0}> {
      y = Reshape(x, asked)
      divided = Div(beyond, nought)
      z = Reshape(x, divided)
    })");
  CHECK(shapes.at("x") == "float32[n, 4]");
  CHECK(shapes.at("y").find("[2, ") == std::string::npos);
  CHECK(shapes.contains("divided"));
}

TEST_CASE("every layer of a network with option-A shortcuts has its sizes", "[onnx][shapes]") {
  const auto path = shared_or_skip("models/akamaster-resnet20-cifar10-bn.onnx", "infer resnet20");
  if (path.empty()) return;
  const ModelFile file = ModelFile::load(path.string());
  for (const auto& [name, info] : infer_shapes(file, {}, {{"N", 1}})) {
    INFO(name);
    REQUIRE(info.shape);
    for (const Dimension& dimension : *info.shape) CHECK(dimension.size >= 0);
  }
}
