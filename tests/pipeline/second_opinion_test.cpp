#include "pipeline/second_opinion.h"

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "program/model_text.h"
#include "support/catch.h"
#include "tensor/host_tensor.h"

using namespace sparsify;
using Catch::Matchers::Contains;

namespace {

/// Another Python for as long as this lives.
class Interpreter {
 public:
  explicit Interpreter(const std::string& name) {
    if (const char* old = std::getenv("SPARSIFY_PYTHON")) before_ = old;
    ::setenv("SPARSIFY_PYTHON", name.c_str(), 1);
  }
  ~Interpreter() {
    if (before_) ::setenv("SPARSIFY_PYTHON", before_->c_str(), 1);
    else ::unsetenv("SPARSIFY_PYTHON");
  }
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

 private:
  std::optional<std::string> before_;
};

/// The Python of tests/benchmarks/setup_peers, or the caller's.
std::string python_with_onnxruntime() {
  const char* named = std::getenv("SPARSIFY_PYTHON");
  const std::string peers = ".deps/peers/bin/python";
  const std::string python = named != nullptr ? named : std::filesystem::exists(peers) ? peers : "python3";
  const std::string look = "\"" + python + "\" -c 'import onnxruntime' >/dev/null 2>&1";
  if (!python.empty() && std::system(look.c_str()) == 0) return python;
  std::cout << "SKIPPED: models on ONNX Runtime: no Python here has it\n";
  return "";
}

std::string product(const std::string& weights) {
  return "<ir_version: 8, opset_import: [\"\": 17]> graph (float[1,2] x) => (float[1,2] y) <float[2,2] w = {" + weights + "}> { y = MatMul (x, w) }";
}

ProofInputs one_input() { return {{HostTensor::of<float>(DType::Float32, {1, 2}, std::vector<float>{1, 2})}}; }

}  // namespace

TEST_CASE("without ONNX Runtime there is a note and no result", "[pipeline][onnxruntime]") {
  const TextModel text(product("1, 2, 3, 4"));
  const ModelFile file = text.load();
  for (const auto& [python, words] : {std::pair{"", "switched off"}, std::pair{"/nonexistent", "cannot be started"}, std::pair{"/bin/true", "ended unexpectedly"}}) {
    const Interpreter interpreter(python);
    const SecondOpinion opinion = prove_elsewhere(file, file, one_input(), {}, 1e-5, 1);
    CHECK(opinion.results.empty());
    CHECK_THAT(opinion.note, Contains("LibTorch alone") && Contains(words));
  }
}

TEST_CASE("ONNX Runtime agrees with itself, and names the first value that differs", "[pipeline][onnxruntime]") {
  const std::string python = python_with_onnxruntime();
  if (python.empty()) return;
  const Interpreter interpreter(python);
  const TextModel text(product("1, 2, 3, 4"));
  const TextModel other(product("1, 2, 3, 5"));
  const TextModel wide("<ir_version: 8, opset_import: [\"\": 17]> graph (float[1,2] x) => (float[1,2] y) <float[3,2] w = {1, 2, 3, 4, 5, 6}> { y = MatMul (x, w) }");
  const ModelFile file = text.load();

  SECTION("the same model twice") {
    const SecondOpinion opinion = prove_elsewhere(file, file, one_input(), one_input(), 1e-5, 1);
    REQUIRE(opinion.results.size() == 2);
    CHECK(opinion.results[0].check == "outputs_equal_onnxruntime");
    CHECK(opinion.results[1].check == "outputs_equal_onnxruntime_on_data");
    CHECK((opinion.results[0].passed && opinion.results[1].passed));
    CHECK_THAT(opinion.results[0].detail, Contains("ONNX Runtime 1."));
  }
  SECTION("another weight") {  // x w = (7, 10) and (7, 12)
    const SecondOpinion opinion = prove_elsewhere(file, other.load(), one_input(), {}, 1e-5, 1);
    REQUIRE(opinion.results.size() == 1);
    CHECK_FALSE(opinion.results[0].passed);
    CHECK_THAT(opinion.results[0].detail, Contains("output \"y\", element 1: 12 where the masked model gives 10"));
  }
  SECTION("a cut model that does not run") {
    const SecondOpinion opinion = prove_elsewhere(file, wide.load(), one_input(), {}, 1e-5, 1);
    REQUIRE(opinion.results.size() == 1);
    CHECK_FALSE(opinion.results[0].passed);
    CHECK_THAT(opinion.results[0].detail, Contains("not the cut one"));
  }
  SECTION("a masked model that does not run either") {
    const SecondOpinion opinion = prove_elsewhere(wide.load(), wide.load(), one_input(), {}, 1e-5, 1);
    CHECK(opinion.results.empty());
    CHECK_THAT(opinion.note, Contains("uncut model does not run"));
  }
}
