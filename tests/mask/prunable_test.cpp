#include "mask/prunable.h"

#include <algorithm>

#include "base/error.h"
#include "program/model_text.h"
#include "support/catch.h"
#include "support/shared.h"

using namespace sparsify;

namespace {

const PrunableTensor& named(const std::vector<PrunableTensor>& tensors, const std::string& name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.initializer == name; });
  REQUIRE(found != tensors.end());
  return *found;
}

PruneRule rule_with(Selection select) {
  PruneRule rule;
  rule.select = std::move(select);
  return rule;
}

std::string reason_of(const Selections& selections, const std::string& name) {
  for (const Skipped& skipped : selections.skipped) {
    if (skipped.tensor.initializer == name) return skipped.reason;
  }
  return "selected";
}

}  // namespace

TEST_CASE("the stem is a first layer, the classifier a last one, a residual block neither", "[mask][prunable]") {
  const ModelFile file = ModelFile::load("configs/quickstart/digits.onnx");
  const std::vector<PrunableTensor> tensors = find_tensors(file);

  CHECK(named(tensors, "stem.weight").first);
  CHECK_FALSE(named(tensors, "stem.weight").last);
  CHECK(named(tensors, "classifier.weight").last);
  CHECK_FALSE(named(tensors, "block1.conv2.weight").first);
  CHECK_FALSE(named(tensors, "block3.conv2.weight").last);
}

TEST_CASE("axes are those of the operator: Conv contracts axis 1, Gemm with transB too", "[mask][prunable]") {
  const ModelFile file = ModelFile::load("configs/quickstart/digits.onnx");
  const std::vector<PrunableTensor> tensors = find_tensors(file);

  const PrunableTensor& conv = named(tensors, "down.weight");
  CHECK(conv.kind == "weight");
  CHECK(conv.output_axis == 0);
  CHECK(conv.input_axis == 1);
  const PrunableTensor& gemm = named(tensors, "classifier.weight");
  CHECK(gemm.output_axis == 0);
  CHECK(gemm.input_axis == 1);
  CHECK(named(tensors, "classifier.bias").kind == "bias");
  CHECK(named(tensors, "stem_norm.weight").kind == "norm");
}

TEST_CASE("first and last layers join only when they are named without a wildcard", "[mask][select]") {
  const ModelFile file = ModelFile::load("configs/quickstart/digits.onnx");
  const std::vector<PrunableTensor> tensors = find_tensors(file);

  const Selections standard = select_tensors(tensors, {rule_with({})});
  CHECK(standard.selected.size() == 7);
  CHECK(reason_of(standard, "stem.weight") == "first layer: kept unless selected by name");
  CHECK(reason_of(standard, "classifier.weight") == "last layer: kept unless selected by name");
  CHECK(reason_of(standard, "classifier.bias") == "bias: not selected (select.kinds)");

  Selection named_stem;
  named_stem.include = {"stem.weight", "block*"};
  const Selections with_stem = select_tensors(tensors, {rule_with(named_stem)});
  CHECK(reason_of(with_stem, "stem.weight") == "selected");
  CHECK(reason_of(with_stem, "down.weight") == "not included (select.include)");
}

TEST_CASE("depthwise convolutions join only when they are named or asked for, other grouped ones always", "[mask][select]") {
  const auto convolution = [](const std::string& name, int64_t inputs_a_group) {
    PrunableTensor tensor;
    tensor.initializer = tensor.layer = name;
    tensor.op = "Conv";
    tensor.kind = "weight";
    tensor.shape = {8, inputs_a_group, 3, 3};
    tensor.output_axis = 0;
    tensor.input_axis = 1;
    tensor.groups = 8 / inputs_a_group;
    return tensor;
  };
  const std::vector<PrunableTensor> tensors{convolution("dw", 1), convolution("halves", 4), convolution("whole", 8)};
  const auto reason = [&](std::vector<std::string> include, bool depthwise) {
    Selection select;
    select.include = std::move(include);
    select.depthwise = depthwise;
    return reason_of(select_tensors(tensors, {rule_with(select)}), "dw");
  };

  const Selections standard = select_tensors(tensors, {rule_with({})});
  CHECK(standard.selected.size() == 2);
  CHECK(reason_of(standard, "dw") == "depthwise: kept unless selected by name");
  CHECK(reason({"dw", "whole"}, false) == "selected");
  CHECK(reason({"d?", "whole"}, false) == "depthwise: kept unless selected by name");
  CHECK(reason({"*"}, true) == "selected");
}

TEST_CASE("a tensor belongs to the last rule that selects it", "[mask][select]") {
  const ModelFile file = ModelFile::load("configs/quickstart/digits.onnx");
  Selection blocks;
  blocks.include = {"block3*"};

  const Selections selections = select_tensors(find_tensors(file), {rule_with({}), rule_with(blocks)});

  for (const Selected& selected : selections.selected) {
    CHECK(selected.rule == (selected.tensor.initializer.starts_with("block3") ? 1U : 0U));
  }
}

TEST_CASE("a rule that selects nothing names the nearest layer", "[mask][select]") {
  const ModelFile file = ModelFile::load("configs/quickstart/digits.onnx");
  Selection typo;
  typo.include = {"block1.conv1.wieght"};

  try {
    select_tensors(find_tensors(file), {rule_with(typo)});
    FAIL("a rule without tensors was accepted");
  } catch (const ConfigError& e) {
    CHECK(e.problem().fix.find("block1.conv1.weight") != std::string::npos);
  }
}

TEST_CASE("weights are found through what exporters put in front of them", "[mask][prunable]") {
  const auto zoo = shared_or_skip("zoo", "weights of exported transformers");
  if (zoo.empty()) return;
  // Every graph has weights whose contracted axis is known, also behind Transpose, Cast and DequantizeLinear.
  for (const char* name : {"gpt2_slim_dynamo", "bert_slim", "resnet18_slim_qdq_int8", "convnet_bf16_weights", "functions_resblock",
                           "llama_slim", "t5_slim", "mlp_fp16_weights"}) {
    const ModelFile file = ModelFile::load((zoo / name / (std::string(name) + ".onnx")).string());
    int64_t known = 0;
    int64_t all = 0;
    for (const PrunableTensor& tensor : find_tensors(file)) {
      if (tensor.kind != "weight") continue;
      all += tensor.count();
      if (tensor.input_axis >= 0 && tensor.output_axis >= 0) known += tensor.count();
    }
    INFO(name);
    CHECK(all > 0);
    CHECK(known == all);
  }
}

TEST_CASE("an embedding of integers is found behind its lookup, with its scale and zero point", "[mask][prunable]") {
  const TextModel text(
      "<ir_version: 8, opset_import: [\"\": 17]> graph (int64[4] x) => (float[4,2] y, float[4,2] v, float[4,2] u)"
      "<uint8[3,2] e = {1, 2, 3, 4, 5, 9}, float s = {0.5}, uint8 z = {7}, uint8[3,2] k = {1, 2, 3, 4, 5, 6}, float[2] s2 = {0.5, 2}, uint8[2] z2 = {1, 2},"
      " uint8[3,2] counts = {1, 2, 3, 4, 5, 6}>"
      "{ g = Gather (e, x) i = Identity (g) y = DequantizeLinear (i, s, z) l = Gather (k, x) v = DequantizeLinear <axis = -1> (l, s2, z2)"
      " m = Gather (counts, x) u = Cast <to = 1> (m) }");
  const ModelFile file = text.load();
  const std::vector<PrunableTensor> tensors = find_tensors(file);
  const PrunableTensor& rows = named(tensors, "e");
  CHECK(rows.kind == "embedding");
  CHECK(rows.op == "Gather");
  CHECK(file.tensor(rows.zero_point_id).name == "z");
  CHECK(rows.scale_axis == -1);
  std::vector<float> real(6);
  read_weights(file, rows, real);
  CHECK(real == std::vector<float>{-3, -2.5F, -2, -1.5F, -1, 1});
  CHECK(file.tensor(named(tensors, "k").zero_point_id).name == "z2");
  CHECK(named(tensors, "k").scale_axis == 1);
  CHECK(std::none_of(tensors.begin(), tensors.end(), [](const PrunableTensor& one) { return one.initializer == "counts"; }));
}

TEST_CASE("a single number that is added is a bias only behind a layer with one output", "[mask][prunable]") {
  const TextModel text(
      "<ir_version: 8, opset_import: [\"\": 17]> graph (float[N,3] x) => (float[N,1] y, float[N] v, float[N,3] n, float[N,3] s)"
      "<float[3,1] w = {1, 2, 3}, float[1] b = {1}, float[3] d = {1, 2, 3}, float[1] c = {1}, float two = {2}, float[1] e = {0.001}, float epsilon = {0.001},"
      " float[3,3] q = {1, 2, 3, 4, 5, 6, 7, 8, 9}, float[1] one = {1}, float[3] shift = {1, 2, 3}, int64[1] flat = {-1}>"
      "{ m = MatMul (x, w) y = Add (b, m) k = MatMul (x, d) l = Reshape (k, flat) v = Add (l, c) p = Pow (x, two) r = ReduceMean <axes = [-1]> (p) a = Add (r, e)"
      " a2 = Add (a, epsilon) t = Sqrt (a2) n = Div (x, t) h = MatMul (x, q) i = Add (h, one) s = Add (i, shift) }");
  const ModelFile file = text.load();
  const std::vector<PrunableTensor> tensors = find_tensors(file);
  CHECK(named(tensors, "b").kind == "bias");
  CHECK(named(tensors, "c").kind == "bias");
  CHECK(named(tensors, "shift").kind == "bias");
  CHECK(named(tensors, "e").kind == "other");
  CHECK(named(tensors, "epsilon").kind == "other");
  CHECK(named(tensors, "one").kind == "other");  // the layer has three outputs
}

TEST_CASE("what is added to a sum of layers with one output is their bias", "[mask][prunable]") {
  const TextModel text(
      "<ir_version: 8, opset_import: [\"\": 17]> graph (float[N,3] x, float[N,1] g) => (float[N,1] y, float[N,1] z)"
      "<float[3,1] wide = {1, 2, 3}, float[3,1] deep = {4, 5, 6}, float[1] bias = {1}, float[1] other = {1}>"
      "{ a = MatMul (x, wide) b = MatMul (x, deep) s = Add (a, b) y = Add (s, bias) c = Add (a, g) z = Add (c, other) }");
  const ModelFile file = text.load();
  const std::vector<PrunableTensor> tensors = find_tensors(file);
  CHECK(named(tensors, "bias").kind == "bias");
  CHECK(named(tensors, "other").kind == "other");  // g is no layer
}

TEST_CASE("scale and shift of a normalisation in small operators are its norm, other factors stay constants", "[mask][prunable]") {
  const TextModel text(
      "<ir_version: 8, opset_import: [\"\": 17]> graph (float[N,4] x, float[N,4,3,3] i) => (float[N,4] y, float[N,4] z, float[N,4] u, float[N,4,3,3] v, float[N,4] w, float[N,4,3,3] k)"
      "<float two = {2}, float half = {-0.5}, float one = {1}, float epsilon = {0.001}, float[4] rms = {1, 2, 3, 4}, float[4] power = {1, 2, 3, 4}, float[4] scale = {1, 2, 3, 4},"
      " float[4] shift = {1, 2, 3, 4}, float[4] layer = {1, 2, 3, 4}, float[1] gain = {2}, float[4,1,1] group = {1, 2, 3, 4}, float[4,1,1] offset = {1, 2, 3, 4},"
      " float[2] ones = {1, 1}, float[2] zeros = {0, 0}, int64[3] halves = {0, 2, -1}, int64[4] whole = {-1, 4, 3, 3}, float[1,4,1,1] response = {1, 2, 3, 4},"
      " float[1,4,1,1] beta = {1, 2, 3, 4}, float[4] squared = {1, 2, 3, 4}>"
      "{ p = Pow (x, two) m = ReduceMean <axes = [-1]> (p) e = Add (m, epsilon)"
      "  s = Sqrt (e) r = Div (one, s) n = Mul (x, r) y = Mul (n, rms)"
      "  q = Pow (e, half) l = Mul (x, q) c = Cast <to = 1> (l) z = Mul (power, c)"
      "  a = ReduceMean <axes = [-1]> (x) d = Sub (x, a) d2 = Mul (d, d) b = ReduceMean <axes = [-1]> (d2) b2 = Add (b, epsilon) t = Sqrt (b2) f = Div (d, t)"
      "  g = Mul (f, gain) h = Mul (g, scale) j = Add (h, shift) u = Mul (j, layer)"
      "  i2 = Reshape (i, halves) i3 = InstanceNormalization (i2, ones, zeros) i4 = Reshape (i3, whole) i5 = Mul (i4, group) v = Add (i5, offset)"
      "  o = Pow (e, two) o2 = Mul (x, o) w = Mul (o2, squared)"
      "  k1 = ReduceL2 <axes = [2, 3]> (i) k2 = ReduceMean <axes = [1]> (k1) k3 = Add (k2, epsilon) k4 = Div (k1, k3) k5 = Mul (i, k4) k6 = Mul (response, k5) k = Add (k6, beta) }");
  const ModelFile file = text.load();
  const std::vector<PrunableTensor> tensors = find_tensors(file);
  for (const char* name : {"rms", "power", "scale", "group", "offset", "response", "beta", "ones"}) {
    INFO(name);
    CHECK(named(tensors, name).kind == "norm");
  }
  CHECK(named(tensors, "shift").kind == "bias");
  for (const char* name : {"layer", "gain", "squared", "epsilon", "one", "half"}) {
    INFO(name);
    CHECK(named(tensors, name).kind == "other");
  }
}
