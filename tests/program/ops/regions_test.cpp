#include "program/close_to.h"
#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

TEST_CASE("boxes that overlap a better one are dropped, class by class", "[program][regions]") {
  const Value boxes = floats({1, 3, 4}, {0, 0, 1, 1, 0, 0.1F, 1, 1.1F, 2, 2, 3, 3});
  const Value scores = floats({1, 2, 3}, {0.9F, 0.95F, 0.3F, 0.2F, 0.1F, 0.8F});
  const auto out = run_op(
      {.op = "NonMaxSuppression"},
      {boxes, scores, integers(DType::Int64, {1}, {2}), floats({1}, {0.5F}), floats({1}, {0.15F})});
  CHECK(to_integers(out[0]) == std::vector<int64_t>{0, 0, 1, 0, 0, 2, 0, 1, 2, 0, 1, 0});
}

TEST_CASE("without a limit no box is selected", "[program][regions]") {
  const auto out = run_op({.op = "NonMaxSuppression"},
                          {floats({1, 1, 4}, {0, 0, 1, 1}), floats({1, 1, 1}, {0.9F})});
  CHECK(out[0].tensor().sizes().vec() == std::vector<int64_t>{0, 3});
}

TEST_CASE("a region is averaged from bilinear samples", "[program][regions]") {
  const Value x = floats({1, 1, 2, 2}, {0, 1, 2, 3});
  const OneNode node{
      .op = "RoiAlign", .opset = 16, .attributes = {{"sampling_ratio", "", int64_t{1}}}};
  const auto out =
      run_op(node, {x, floats({1, 4}, {0.5F, 0.5F, 1.5F, 1.5F}), integers(DType::Int64, {1}, {0})});
  CHECK_THAT(to_floats(out[0]), close_to({1.5F}));
}
