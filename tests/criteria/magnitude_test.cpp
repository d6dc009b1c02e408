#include <cmath>

#include "base/error.h"
#include "criteria/checked_scores.h"
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

TEST_CASE("a score that is not finite is told with the criterion, the layer and the element", "[criteria][plugins]") {
  class Given final : public Criterion {
   public:
    void score(const PrunableTensor&, std::span<const float>, const LayerEvidence&, std::span<float> scores) const override {
      scores[2] = std::numeric_limits<float>::infinity();
    }
  };
  class Fails final : public Criterion {
   public:
    void score(const PrunableTensor&, std::span<const float>, const LayerEvidence&, std::span<float>) const override { throw 42; }
  };
  const std::vector<float> values{1, -2, 3, -4};
  const HostTensor weights = HostTensor::of<float>(DType::Float32, {2, 2}, values);
  const auto said = [&](const Criterion& criterion) -> std::string {
    std::vector<float> buffer;
    try {
      checked_scores(criterion, {.family = "criterion", .name = "mine", .where = "r.yaml:3"}, conv_layer({2, 2}, "w"), weights, {}, buffer);
    } catch (const ConfigError& error) {
      return error.problem().what;
    }
    return "finite";
  };
  CHECK(said(Given{}) == "the criterion \"mine\" scores element 2 of \"w\" with inf");
  CHECK(said(Fails{}) == "the criterion \"mine\" failed: an exception that is no std::exception");
  CHECK(said(*Registry<Criterion>::instance().make("magnitude", Options())) == "finite");
}
