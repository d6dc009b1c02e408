// Masks that training itself moves: the gold examples of dynamic and movement pruning.
#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include "support/catch.h"
#include "train/dynamic.h"
#include "train/movement.h"

using namespace sparsify;

namespace {

at::Tensor floats(const std::vector<float>& values) { return at::tensor(values); }
std::vector<bool> bools(const at::Tensor& tensor) {
  std::vector<bool> values;
  for (int64_t i = 0; i < tensor.numel(); ++i) values.push_back(tensor[i].item<bool>());
  return values;
}

}  // namespace

TEST_CASE("the replaced fraction of RigL falls as a cosine", "[train][dynamic]") {
  const double expected[][2] = {{0, .3}, {.25, .256066}, {.5, .15}, {.75, .043934}, {1, 0}};
  for (const auto& [position, fraction] : expected) CHECK(replaced_fraction(0.3, position) == Approx(fraction).margin(1e-6));
}

TEST_CASE("dropping and growing keeps the count, and the dropped may return", "[train][dynamic]") {
  const at::Tensor weight = floats({5, 1, 2, 0, 0, 0});
  const at::Tensor kept = floats({1, 1, 1, 0, 0, 0}).to(at::kBool);
  // The smallest kept weight (1) goes; index 4 has the largest gradient.
  CHECK(bools(drop_and_grow(weight, floats({0, 3, 0, 1, 9, 2}), kept, 1)) == std::vector<bool>{true, false, true, false, true, false});
  CHECK(bools(drop_and_grow(weight, floats({0, 3, 0, 1, 2, 2}), kept, 1)) == std::vector<bool>{true, true, true, false, false, false});
  // Equal gradients: the lower index grows.
  CHECK(bools(drop_and_grow(weight, floats({0, 0, 0, 1, 1, 1}), kept, 2)) == std::vector<bool>{true, false, false, true, true, false});
}

TEST_CASE("movement pruning follows the example worked out by hand", "[train][movement]") {
  // W = (1, 2), S = (.1, 0), x = (1, 1), y = (W . M) x, L = (y - 5)^2 / 2, lr of W .1, of S 1, top-1.
  at::Tensor weight = floats({1, 2});
  at::Tensor scores = floats({.1f, 0});
  const auto step = [&] {
    const at::Tensor kept = highest_scores(scores, weight, 1);
    const at::Tensor masked = weight.masked_fill(~kept, 0).set_requires_grad(true);
    const at::Tensor loss = (masked.sum() - 5).pow(2) / 2;
    loss.backward();
    const MovementGradients gradients = movement_gradients(weight, kept, masked.grad());
    weight = weight - gradients.weight * 0.1;
    scores = scores - gradients.scores;
    return std::pair(bools(kept), loss.item<double>());
  };
  CHECK(step().first == std::vector<bool>{true, false});
  CHECK(weight[0].item<double>() == Approx(1.4));
  CHECK(weight[1].item<double>() == 2);
  CHECK(scores[0].item<double>() == Approx(4.1));
  CHECK(scores[1].item<double>() == Approx(8));
  CHECK(step().first == std::vector<bool>{false, true});  // a masked gradient of S would have kept the first for ever
  CHECK(weight[1].item<double>() == Approx(2.3));
  CHECK(scores[0].item<double>() == Approx(8.3));
  CHECK(scores[1].item<double>() == Approx(14));
  CHECK(step().second == Approx(3.645));
}

TEST_CASE("equal scores are told apart by magnitude", "[train][movement]") {
  CHECK(bools(highest_scores(floats({0, 0, 0, 0}), floats({1, -3, 2, 2}), 2)) == std::vector<bool>{false, true, true, false});
}

TEST_CASE("the remaining fraction of movement pruning", "[train][movement]") {
  // T = 100, warm-up 10, w_i = 1, w_f = 2, 1 -> .15.
  const auto remaining = [](double t) { return remaining_fraction(t / 100, 0.1, 0.8, 0.15); };
  CHECK(remaining(0) == 1);
  CHECK(remaining(10) == 1);
  CHECK(remaining(45) == Approx(.25625));
  CHECK(remaining(80) == .15);
  CHECK(remaining(100) == .15);
}

TEST_CASE("soft movement keeps what the sigmoid lifts above the threshold, but never nothing", "[train][movement]") {
  const at::Tensor weight = floats({1, 2, 3});
  CHECK(bools(above_threshold(floats({-2.1973f, -2.1971f, 0}), weight, 0.1)) == std::vector<bool>{false, true, true});
  CHECK(bools(above_threshold(floats({-9, -9, -9}), weight, 0.1)) == std::vector<bool>{false, false, true});
}
