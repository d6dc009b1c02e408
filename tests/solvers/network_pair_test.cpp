#include "solvers/network_pair.h"

#include <cstdlib>

#include "base/error.h"

#include <fmt/core.h>

#include "program/model_text.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

constexpr const char* kModel =
    "<ir_version: 8, opset_import: [\"\": 17]> g (float[N,8] x) => (float[N,8] y) <float[8,8] w = {1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 1, 0, 1, 0, 1, 0, 2, 2, 2, 2, 3, 3, 3, 3, "
    "-1, -2, -3, -4, -5, -6, -7, -8, 0, 1, 0, 1, 0, 1, 0, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, -2, 2, -2, 2, -2, 2, -2, 2}> "
    "{ a = MatMul (x, w) r = Relu (a) b = MatMul (r, w) y = Add (b, a) }";

int slot_named(const Program& program, const std::string& name) {
  const std::vector<std::string>& names = program.plan().slot_names;
  return static_cast<int>(std::find(names.begin(), names.end(), name) - names.begin());
}

}  // namespace

TEST_CASE("two networks that may hold nothing in memory give the values of those that hold all", "[solvers][network_pair]") {
  const TextModel text(kModel);
  const ModelFile file = text.load();
  const DataSource data("calibration", {{"calibration", parse_yaml("{format: random, limit: 10, batch_size: 3}", "test")}}, file.model().graph.inputs, 3);
  NetworkPair whole(file, "cpu", /*dense=*/true);
  NetworkPair parked(file, "cpu", /*dense=*/true, /*memory=*/0);
  const int r = slot_named(whole.pruned(), "r");
  const int y = slot_named(whole.pruned(), "y");
  for (NetworkPair* networks : {&whole, &parked}) networks->start(data, {r}, {r});
  REQUIRE(whole.batches() == 4);
  for (int pass = 0; pass < 2; ++pass) {
    for (size_t batch = 0; batch < 4; ++batch) {
      INFO("pass " << pass << ", batch " << batch);
      CHECK(parked.pruned_value(batch, r).equal(whole.pruned_value(batch, r)));
      CHECK(parked.dense_value(batch, r).equal(whole.dense_value(batch, r)));
    }
  }
  for (NetworkPair* networks : {&whole, &parked}) networks->drop({r}, {r});
  for (size_t batch = 0; batch < 4; ++batch) CHECK(parked.dense_value(batch, y).equal(whole.dense_value(batch, y)));
}

TEST_CASE("the memory for values that wait is what the environment says, and nothing but a count", "[solvers][network_pair]") {
  const char* name = "SPARSIFY_WAITING_MIB";
  CHECK(NetworkPair::waiting_memory() == int64_t{512} << 20);
  for (const auto& [text, mebibytes] : {std::pair{"0", 0}, {"64", 64}, {"", 512}}) {
    ::setenv(name, text, 1);
    CHECK(NetworkPair::waiting_memory() == int64_t{mebibytes} << 20);
  }
  for (const char* text : {"-1", "half", "64M", " 64"}) {
    ::setenv(name, text, 1);
    CHECK_THROWS_AS(NetworkPair::waiting_memory(), ConfigError);
  }
  ::unsetenv(name);
}
