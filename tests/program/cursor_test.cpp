#include "program/cursor.h"

#include "support/catch.h"

#include <ATen/ops/arange.h>

#include "program/model_text.h"

using namespace sparsify;

namespace {

int slot_named(const Program& program, const std::string& name) {
  const std::vector<std::string>& names = program.plan().slot_names;
  return static_cast<int>(std::find(names.begin(), names.end(), name) - names.begin());
}

const std::string kModel =
    "<ir_version: 8, opset_import: [\"\": 17]> g (float[N,2] x) => (float[N,2] y) <float[2,2] w = {1, 2, 3, 4}, float[2,2] v = {1, 0, 0, 1}> "
    "{ a = MatMul (x, w) r = Relu (a) b = MatMul (r, v) y = Add (b, a) }";

}  // namespace

TEST_CASE("A cursor computes what is asked for, in any order, as a whole run does", "[program][cursor]") {
  const TextModel text(kModel);
  const ModelFile file = text.load();
  const auto program = Program::build(file);
  const Value input(at::arange(6, at::kFloat).view({3, 2}));
  const RunResult whole = program->run({input}, {.taps = {"r", "b"}});
  Cursor cursor(*program, {input}, {slot_named(*program, "r"), slot_named(*program, "b")});
  REQUIRE(cursor.value(slot_named(*program, "b")).tensor().equal(whole.taps.at("b").tensor()));
  REQUIRE(cursor.value(slot_named(*program, "r")).tensor().equal(whole.taps.at("r").tensor()));
  REQUIRE(cursor.value(slot_named(*program, "y")).tensor().equal(whole.outputs[0].tensor()));
}

TEST_CASE("A weight that changes in place counts for what has not run yet", "[program][cursor]") {
  const TextModel text(kModel);
  const ModelFile file = text.load();
  const auto program = Program::build(file);
  const Value input(at::arange(6, at::kFloat).view({3, 2}));
  Cursor cursor(*program, {input}, {slot_named(*program, "r")});
  const at::Tensor r = cursor.value(slot_named(*program, "r")).tensor().clone();
  program->find_parameter("v")->tensor.mul_(2);
  REQUIRE(cursor.value(slot_named(*program, "b")).tensor().equal(r * 2));
  REQUIRE(cursor.value(slot_named(*program, "r")).tensor().equal(r));  // pinned, computed before
}

TEST_CASE("A value is freed when everything that reads it has run, unless it is pinned", "[program][cursor]") {
  const TextModel text(kModel);
  const ModelFile file = text.load();
  const auto program = Program::build(file);
  const Value input(at::arange(6, at::kFloat).view({3, 2}));
  const int r = slot_named(*program, "r");
  Cursor cursor(*program, {input}, {r});
  cursor.value(slot_named(*program, "b"));
  const at::Tensor held = cursor.value(r).tensor();
  REQUIRE(held.use_count() == 2);  // the cursor's and ours
  cursor.drop(r);
  REQUIRE(held.use_count() == 1);
  REQUIRE_THROWS_AS(cursor.value(r), std::logic_error);
}

TEST_CASE("Values on disk come back as they were, and what has not changed is not written again", "[program][cursor]") {
  const TextModel text(kModel);
  const ModelFile file = text.load();
  const auto program = Program::build(file);
  const at::Tensor numbers = at::arange(6, at::kFloat).view({2, 3}).t();  // not in the order of its rows
  const int r = slot_named(*program, "r");
  const int y = slot_named(*program, "y");
  const RunResult whole = program->run({Value(numbers)}, {.taps = {"r"}});
  Cursor cursor(*program, {Value(numbers)}, {r});
  ScratchFile disk;
  cursor.value(r);
  const int64_t held = cursor.held_bytes();
  REQUIRE(held == 2 * 6 * 4);  // a, which y still reads, and r
  cursor.park(disk);
  REQUIRE(cursor.held_bytes() == 0);
  REQUIRE(cursor.value(r).tensor().equal(whole.taps.at("r").tensor()));
  REQUIRE(cursor.held_bytes() == held);
  cursor.park(disk);
  const int64_t next = disk.put({});
  REQUIRE(next == held);  // nothing was written the second time
  REQUIRE(cursor.value(y).tensor().equal(whole.outputs[0].tensor()));
  cursor.drop(r);
  cursor.park(disk);
  REQUIRE_THROWS_AS(cursor.value(r), std::logic_error);
}
