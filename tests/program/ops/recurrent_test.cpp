#include <ATen/TensorOperators.h>

#include "program/close_to.h"
#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

Attribute text(const char* name, const char* value) { return {name, "", std::string(value)}; }
const Attribute kIdentity{"activations", "",
                          std::vector<std::string>{"Affine"}};  // alpha 1, beta 0

}  // namespace

TEST_CASE("a reversed sequence begins at its own end", "[program][recurrent]") {
  // h = x + 10 h; the second sample has one step only.
  const Value x = floats({2, 2, 1}, {1, 2, 3, 4});
  const OneNode node{.op = "RNN", .attributes = {kIdentity, text("direction", "reverse")}};
  const auto out = run_op(node,
                          {x, floats({1, 1, 1}, {1}), floats({1, 1, 1}, {10}), Value(),
                           integers(DType::Int32, {2}, {2, 1})},
                          2);
  CHECK_THAT(to_floats(out[0]), close_to({31, 2, 3, 0}));
  CHECK_THAT(to_floats(out[1]), close_to({31, 2}));
}

TEST_CASE("layout 1 puts the batch first", "[program][recurrent]") {
  const Value x = floats({1, 2, 1}, {1, 3});
  const OneNode node{.op = "RNN", .attributes = {kIdentity, {"layout", "", int64_t{1}}}};
  const auto out = run_op(node,
                          {x, floats({1, 1, 1}, {1}), floats({1, 1, 1}, {10}), Value(), Value(),
                           floats({1, 1, 1}, {2})},
                          2);
  CHECK(out[0].tensor().sizes().vec() == std::vector<int64_t>{1, 2, 1, 1});
  CHECK_THAT(to_floats(out[0]), close_to({21, 213}));
}

TEST_CASE("an LSTM forgets by one minus its input gate when they are coupled",
          "[program][recurrent]") {
  const Value x = floats({1, 1, 1}, {1});
  const Value w = floats({1, 4, 1}, {0, 0, 50, 0});  // the forget gate would be 1
  const Value r = floats({1, 4, 1}, {0, 0, 0, 0});
  const Value h = floats({1, 1, 1}, {0});
  const Value c = floats({1, 1, 1}, {1});
  const auto cell = [&](std::vector<Attribute> attributes) {
    return to_floats(run_op({.op = "LSTM", .attributes = std::move(attributes)},
                            {x, w, r, Value(), Value(), h, c}, 3)[2]);
  };
  CHECK_THAT(cell({}), close_to({1}));
  CHECK_THAT(cell({{"input_forget", "", int64_t{1}}}), close_to({0.5F}));
}

TEST_CASE("gradients reach every weight of a GRU", "[program][recurrent]") {
  at::Tensor w = floats({1, 3, 1}, {0.1F, 0.2F, 0.3F}).tensor().clone();
  at::Tensor r = floats({1, 3, 1}, {0.4F, 0.5F, 0.6F}).tensor().clone();
  at::Tensor b = floats({1, 6}, {0.1F, 0.1F, 0.1F, 0.1F, 0.1F, 0.1F}).tensor().clone();
  for (at::Tensor* leaf : {&w, &r, &b}) leaf->requires_grad_();
  const auto out = run_op({.op = "GRU", .attributes = {{"linear_before_reset", "", int64_t{1}}}},
                          {floats({3, 1, 1}, {1, -1, 2}), w, r, b}, 2);
  out[1].tensor().sum().backward();
  for (const at::Tensor& leaf : {w, r, b}) CHECK((leaf.grad() != 0).all().item<bool>());
}
