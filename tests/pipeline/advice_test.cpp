#include "pipeline/advice.h"

#include "config/recipe.h"
#include "program/model_text.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

std::string note(const std::string& train, const std::string& nodes) {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]> graph (float[N, 2, 4, 4] x) => (float[N, 2, 4, 4] y)
    <float[2, 2, 1, 1] w = {1, 2, 3, 4}, float[2] b = {0, 1}, float[2] s = {1, 1}, float[2] v = {1, 1}> { )" + nodes + " }");
  return unfold_note(read_recipe(parse_yaml("model: m.onnx\n" + train, "r.yaml"), ""), model.load());
}

}  // namespace

TEST_CASE("training a network of biased convolutions without normalisation says what unfolding is for", "[pipeline][advice]") {
  const std::string folded = "p = Conv (x, w, b) q = Relu (p) r = Conv (q, w, b) t = Relu (r) u = Conv (t, w) y = Conv (u, w, b)";
  CHECK_THAT(note("train: {epochs: 1}", folded), Catch::StartsWith("3 convolutions have biases") && Catch::Contains("train: {unfold: true}"));
  CHECK(note("", folded) == "");
  CHECK(note("train: {epochs: 1, unfold: false}", folded) == "");
  CHECK(note("train: {epochs: 1, unfold: true}", folded) == "");
  CHECK(note("train: {epochs: 1, batch_norm: frozen}", folded) == "");
  CHECK(note("train: {epochs: 1}", "p = Conv (x, w, b) r = Conv (p, w, b) u = Conv (r, w, b) y = BatchNormalization (u, s, b, b, v)") == "");
  CHECK(note("train: {epochs: 1}", "p = Conv (x, w, b) r = Conv (p, w, b) y = Conv (r, w)") == "");
  // A normalisation in small operators is one as well.
  CHECK(note("train: {epochs: 1}", "p = Conv (x, w, b) q = Conv (p, w, b) m = Mul (q, q) a = ReduceMean <axes = [1]> (m) d = Sqrt (a) e = Div (q, d) y = Conv (e, w, b)") == "");
  CHECK(note("train: {epochs: 1}", "p = Conv (x, w, b) r = Conv (p, w, b) t = Conv (r, w, b) a = Conv (t, w) c = Conv (a, w) d = Conv (c, w) y = Conv (d, w)") == "");
}
