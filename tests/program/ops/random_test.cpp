#include <cmath>

#include "program/run_op.h"
#include "support/catch.h"

using namespace sparsify;

TEST_CASE("RandomNormal has the mean and deviation asked for and follows the seed", "[program][random]") {
  OneNode node{.op = "RandomNormal",
               .attributes = {{"shape", "", std::vector<int64_t>{20000}}, {"mean", "", 3.0F}, {"scale", "", 2.0F}}};
  const auto values = to_floats(run_op(node, {})[0]);
  double sum = 0;
  double squares = 0;
  for (const float value : values) {
    sum += value;
    squares += (value - 3.0) * (value - 3.0);
  }
  CHECK(sum / 20000 == Approx(3).margin(0.06));  // standard error 0.014
  CHECK(std::sqrt(squares / 20000) == Approx(2).margin(0.05));
  CHECK(to_floats(run_op(node, {})[0]) == values);
  node.seed = 1;
  CHECK(to_floats(run_op(node, {})[0]) != values);
}

TEST_CASE("Multinomial draws classes in proportion to their exponentials", "[program][random]") {
  const OneNode node{.op = "Multinomial",
                     .attributes = {{"sample_size", "", int64_t{10000}}, {"dtype", "", static_cast<int64_t>(DType::Int64)}}};
  const auto out = run_op(node, {floats({2, 3}, {0, std::log(3.0F), -INFINITY, -INFINITY, -INFINITY, 0})});
  REQUIRE(out[0].type() == DType::Int64);
  const auto classes = to_integers(out[0]);
  int64_t second = 0;
  for (size_t i = 0; i < 10000; ++i) {
    REQUIRE(classes[i] < 2);
    second += classes[i];
    REQUIRE(classes[10000 + i] == 2);
  }
  CHECK(second > 7300);  // 7500 expected, standard deviation 43
  CHECK(second < 7700);
}

TEST_CASE("Bernoulli is certain at 0 and 1", "[program][random]") {
  CHECK(to_floats(run_op({.op = "Bernoulli"}, {floats({2}, {0, 1})})[0]) == std::vector<float>{0, 1});
}
