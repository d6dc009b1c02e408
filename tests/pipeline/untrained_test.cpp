#include "pipeline/untrained.h"

#include "program/model_text.h"
#include "support/catch.h"

using namespace sparsify;
using Catch::Matchers::Contains;

namespace {

std::string note_of(const std::string& train) {
  const TextModel text(
      "<ir_version: 8, opset_import: [\"\": 17]> graph (float[N,2,2,2] x) => (float[N,2] y)"
      "<float[2,2,1,1] w = {1, 2, 3, 4}, float[2] b = {1, 2}, float[2] gamma = {1, 1}, float[2] beta = {0, 0}, float[2] mean = {0, 0}, float[2] var = {1, 1},"
      " float[1,2,2,2] position = {1, 2, 3, 4, 5, 6, 7, 8}, float[2,1,1] layer = {1, 2}, float half = {0.5}, float[8,2] v = {1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}>"
      "{ c = Conv (x, w, b) n = BatchNormalization (c, gamma, beta, mean, var) p = Add (n, position) s = Mul (p, layer) h = Mul (s, half) f = Flatten (h) y = MatMul (f, v) }");
  const ModelFile file = text.load();
  return untrained_note(file, read_train_settings(parse_yaml(train, "r.yaml")));
}

}  // namespace

TEST_CASE("a run names what its training leaves alone, with shape and reason", "[pipeline][untrained]") {
  CHECK(note_of("{epochs: 1}") ==
        "Not trained: \"position\" [1, 2, 2, 2] (operand of Add); \"layer\" [2, 1, 1] (operand of Mul); 1 single number of formulas; a group with an lr of its own trains an "
        "operand (train.groups)");
  CHECK(note_of("{groups: [{include: [position, layer], lr: 0.1}, {include: [w], frozen: true}]}") ==
        "Not trained: \"w\" [2, 2, 1, 1] (frozen by train.groups.1); 1 single number of formulas");
}

TEST_CASE("long lists of untrained tensors are counted, and a network without any has no note", "[pipeline][untrained]") {
  std::string tensors, nodes, at = "x";
  for (int i = 0; i < 9; ++i) {
    tensors += (i > 0 ? ", " : "") + std::string("float[1,2] p") + std::to_string(i) + " = {1, 2}";
    nodes += "a" + std::to_string(i) + " = Mul (" + at + ", p" + std::to_string(i) + ") ";
    at = "a" + std::to_string(i);
  }
  const auto note = [](const std::string& initializers, const std::string& body) {
    const TextModel text("<ir_version: 8, opset_import: [\"\": 17]> graph (float[N,2] x) => (float[N,2] y) <" + initializers + "> { " + body + " }");
    return untrained_note(text.load(), TrainSettings());
  };
  CHECK_THAT(note(tensors + ", float[2,2] w = {1, 2, 3, 4}", nodes + "y = MatMul (" + at + ", w)"), Contains("\"p5\" [1, 2] (operand of Mul; and 3 more)"));
  CHECK(note("float[2,2] w = {1, 2, 3, 4}, float[2] b = {1, 2}", "m = MatMul (x, w) y = Add (m, b)").empty());
}
