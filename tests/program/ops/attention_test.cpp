#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/rand.h>

#include "program/close_to.h"
#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

const Attribute kCausal{"is_causal", "", int64_t{1}};

Value integer_flags(const std::vector<int64_t>& shape, const std::vector<int64_t>& values) {
  return integers(DType::Bool, shape, values);
}

}  // namespace

TEST_CASE("a query that sees no key gives zeros and finite gradients", "[program][attention]") {
  at::Tensor query = floats({1, 1, 2, 2}, {1, 2, 3, 4}).tensor().clone();
  query.requires_grad_();
  const Value key = floats({1, 1, 2, 2}, {1, 0, 0, 1});
  const Value value = floats({1, 1, 2, 1}, {5, 7});
  const auto out = run_op({.op = "Attention", .opset = 23},
                          {query, key, value, integer_flags({2, 2}, {1, 0, 0, 0})});
  CHECK_THAT(to_floats(out[0].tensor().detach()), close_to({5, 0}));
  out[0].tensor().sum().backward();
  CHECK(query.grad().isfinite().all().item<bool>());
}

TEST_CASE("keys of the past come before the causal triangle", "[program][attention]") {
  const Value query =
      floats({1, 1, 2, 1}, {0, 0});  // equal scores: the output is the mean of what is seen
  const Value key = floats({1, 1, 2, 1}, {1, 1});
  const Value value = floats({1, 1, 2, 1}, {4, 10});
  const Value past = floats({1, 1, 1, 1}, {1});
  const auto out = run_op({.op = "Attention", .opset = 23, .attributes = {kCausal}},
                          {query, key, value, Value(), past, past}, 3);
  CHECK_THAT(to_floats(out[0]), close_to({2.5F, 5}));
  CHECK_THAT(to_floats(out[2]), close_to({1, 4, 10}));
}

TEST_CASE("windows and unused places of a cache are not seen", "[program][attention]") {
  const Value query = floats({1, 1, 1, 1}, {0});
  const Value key = floats({1, 1, 4, 1}, {1, 1, 1, 1});
  const Value value = floats({1, 1, 4, 1}, {2, 4, 8, 100});
  const Value none;
  const Value valid = integers(DType::Int64, {1}, {3});
  const auto seen = [&](std::vector<Attribute> attributes) {
    return to_floats(run_op({.op = "Attention", .opset = 25, .attributes = std::move(attributes)},
                            {query, key, value, none, none, none, valid})[0]);
  };
  CHECK_THAT(seen({}), close_to({14.0F / 3}));
  CHECK_THAT(seen({{"left_window_size", "", int64_t{1}}}), close_to({6}));
}

TEST_CASE("fused and step-by-step attention agree", "[program][attention]") {
  const at::Tensor query = at::rand({2, 4, 5, 8});
  const at::Tensor key = at::rand({2, 2, 5, 8});
  const at::Tensor value = at::rand({2, 2, 5, 6});
  const OneNode node{.op = "Attention", .opset = 23, .attributes = {kCausal}};
  const at::Tensor fused = run_op(node, {query, key, value}, 1)[0].tensor();
  const at::Tensor steps =
      run_op(node, {query, key, value}, 4)[0].tensor();  // the scores are asked for
  CHECK(at::allclose(fused, steps, 1e-5, 1e-6));
}
