#include "pipeline/output_damage.h"

#include <cmath>

#include "base/error.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

HostTensor floats(Shape shape, const std::vector<float>& values) { return HostTensor::of<float>(DType::Float32, std::move(shape), values); }

float ln(double x) { return static_cast<float>(std::log(x)); }

}  // namespace

TEST_CASE("the divergence is KL from the dense distribution, over samples", "[pipeline][sensitivity]") {
  OutputDamage damage;
  // p = (1/2, 1/2), q = (1/4, 3/4): ln(2)/2 + ln(2/3)/2; the second sample is the same on both sides, shifted logits.
  damage.add({floats({2, 2}, {0, 0, 1, 2})}, {floats({2, 2}, {ln(0.25), ln(0.75), 4, 5})}, 2);
  CHECK(*damage.divergence() == Approx(0.5 * (std::log(2.0) + std::log(2.0 / 3)) / 2).epsilon(1e-6));
}

TEST_CASE("probabilities are not put through softmax again", "[pipeline][sensitivity]") {
  OutputDamage damage;
  damage.add({floats({1, 2}, {0.5F, 0.5F})}, {floats({1, 2}, {0.25F, 0.75F})}, 1);
  CHECK(*damage.divergence() == Approx(0.5 * (std::log(2.0) + std::log(2.0 / 3))));
}

TEST_CASE("classes lie on the last axis of sequences and on the second of images", "[pipeline][sensitivity]") {
  const std::vector<float> dense = {0, 0, 0, 0};
  const double expected = 0.5 * (std::log(2.0) + std::log(2.0 / 3));
  OutputDamage sequence;  // two positions, each (1/4, 3/4)
  sequence.add({floats({1, 2, 2}, dense)}, {floats({1, 2, 2}, {ln(0.25), ln(0.75), ln(0.25), ln(0.75)})}, 1);
  CHECK(*sequence.divergence() == Approx(expected));
  OutputDamage image;  // two pixels in the last axis
  image.add({floats({1, 2, 1, 2}, dense)}, {floats({1, 2, 1, 2}, {ln(0.25), ln(0.25), ln(0.75), ln(0.75)})}, 1);
  CHECK(*image.divergence() == Approx(expected));
}

TEST_CASE("the relative error is a quotient of norms over all samples and a root mean square over outputs", "[pipeline][sensitivity]") {
  OutputDamage damage;
  damage.add({floats({1, 1}, {3}), floats({2}, {1, 0})}, {floats({1, 1}, {3}), floats({2}, {1, 1})}, 2);
  damage.add({floats({1, 1}, {4}), floats({2}, {0, 1})}, {floats({1, 1}, {0}), floats({2}, {0, 1})}, 2);
  // first output: 4 / 5; second: sqrt(1 / 2)
  CHECK(damage.relative_error() == Approx(std::sqrt((0.64 + 0.5) / 2)));
  CHECK_FALSE(damage.divergence());  // one column is no distribution
}

TEST_CASE("samples that fill up a fixed batch do not count", "[pipeline][sensitivity]") {
  OutputDamage damage;
  damage.add({floats({3, 2}, {1, 0, 0, 1, 5, 5})}, {floats({3, 2}, {1, 0, 0, 1, -9, 9})}, 2);
  CHECK(damage.relative_error() == 0);
  CHECK(*damage.divergence() == 0);
}

TEST_CASE("outputs of other shapes cannot be compared", "[pipeline][sensitivity]") {
  OutputDamage damage;
  CHECK_THROWS_AS(damage.add({floats({2}, {1, 2})}, {floats({1}, {1})}, 2), ShapeError);
}
