#include <cmath>

#include "base/error.h"
#include "criteria/criterion.h"
#include "support/catch.h"
#include "support/layers.h"

using namespace sparsify;

namespace {

std::vector<float> magnitude(const std::string& options, const std::vector<float>& weights) {
  const auto criterion = Registry<Criterion>::instance().make("magnitude", Options(parse_yaml(options, "r.yaml"), "criterion"));
  std::vector<float> scores(weights.size());
  criterion->score(conv_layer({static_cast<int64_t>(weights.size())}), weights, {}, scores);
  return scores;
}

}  // namespace

TEST_CASE("l1 magnitude is the absolute value, l2 its square", "[criteria][magnitude]") {
  CHECK(magnitude("{}", {3, -4, -0.0f}) == std::vector<float>{3, 4, 0});
  CHECK(magnitude("{norm: l2}", {3, -4, 0}) == std::vector<float>{9, 16, 0});
}

TEST_CASE("normalised magnitude is divided by the L2 norm of the layer", "[criteria][magnitude]") {
  CHECK(magnitude("{normalise: layer}", {3, -4}) == std::vector<float>{3 / 5.0f, 4 / 5.0f});
  CHECK(magnitude("{normalise: layer, norm: l2}", {3, -4}) == std::vector<float>{9 / 25.0f, 16 / 25.0f});
  CHECK(magnitude("{normalise: layer}", {0, 0}) == std::vector<float>{0, 0});
}

TEST_CASE("a square beyond float32 becomes its largest number", "[criteria][magnitude]") {
  CHECK(magnitude("{norm: l2}", {1e30f})[0] == std::numeric_limits<float>::max());
}

TEST_CASE("an unknown norm is refused where it was written", "[criteria][magnitude]") {
  CHECK_THROWS_AS(magnitude("{norm: l3}", {1}), ConfigError);
}
