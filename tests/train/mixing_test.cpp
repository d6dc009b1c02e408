#include "train/mixing.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/full.h>

#include "base/error.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

TrainSettings settings(double mixup, double cutmix) {
  TrainSettings settings;
  settings.mixup = mixup;
  settings.cutmix = cutmix;
  return settings;
}

/// Sample i is i everywhere.
at::Tensor numbered(int64_t count, int64_t channels, int64_t size) {
  return at::arange(count, at::kFloat).view({count, 1, 1, 1}).expand({count, channels, size, size}).contiguous();
}

}  // namespace

TEST_CASE("mixup is the weighted sum of a sample and its partner, by the share of the labels", "[train][mixing]") {
  const at::Tensor input = numbered(6, 2, 3);
  double least = 1;
  double most = 0;
  for (uint64_t stream = 0; stream < 50; ++stream) {
    const Mixed mixed = mix(settings(0.4, 0), input, Rng(3, stream));
    REQUIRE(mixed.partner.defined());
    CHECK((mixed.share >= 0 && mixed.share <= 1));
    CHECK(at::allclose(mixed.input, input * mixed.share + input.index_select(0, mixed.partner) * (1 - mixed.share)));
    CHECK(std::get<0>(mixed.partner.sort()).equal(at::arange(6)));  // every sample is one's partner
    const Mixed again = mix(settings(0.4, 0), input, Rng(3, stream));
    CHECK(again.share == mixed.share);
    CHECK(again.input.equal(mixed.input));
    least = std::min(least, mixed.share);
    most = std::max(most, mixed.share);
  }
  CHECK(least < 0.1);  // Beta(0.4, 0.4) prefers the ends
  CHECK(most > 0.9);
}

TEST_CASE("the shares of mixup have the mean and variance of their Beta distribution", "[train][mixing]") {
  const at::Tensor input = numbered(2, 1, 1);
  double sum = 0;
  double squares = 0;
  constexpr int kDraws = 4000;
  for (uint64_t stream = 0; stream < kDraws; ++stream) {
    const double share = mix(settings(2, 0), input, Rng(5, stream)).share;
    sum += share;
    squares += share * share;
  }
  const double mean = sum / kDraws;
  CHECK(mean == Approx(0.5).margin(0.02));
  CHECK(squares / kDraws - mean * mean == Approx(0.05).margin(0.005));  // 1 / (4 (2 alpha + 1))
}

TEST_CASE("cutmix pastes a rectangle of the partner, and its area is the share of the label", "[train][mixing]") {
  const at::Tensor input = numbered(4, 2, 8);
  bool cuts = false;
  for (uint64_t stream = 0; stream < 50; ++stream) {
    const Mixed mixed = mix(settings(0, 1), input, Rng(7, stream));
    for (int64_t i = 0; i < 4; ++i) {
      const auto own = static_cast<double>(i);
      const auto other = mixed.partner[i].item<double>();
      const at::Tensor sample = mixed.input[i];
      CHECK((sample.eq(own) | sample.eq(other)).all().item<bool>());
      if (own == other) continue;
      const at::Tensor pasted = sample.eq(other);
      CHECK(pasted.sum().item<double>() / 128 == Approx(1 - mixed.share));
      CHECK(pasted[0].equal(pasted[1]));
      const at::Tensor rows = pasted[0].any(1);
      const at::Tensor columns = pasted[0].any(0);
      CHECK(pasted[0].sum().item<int64_t>() == rows.sum().item<int64_t>() * columns.sum().item<int64_t>());
      cuts = cuts || pasted.any().item<bool>();
    }
  }
  CHECK(cuts);
}

TEST_CASE("nothing is mixed unasked, and cutmix wants images", "[train][mixing]") {
  const at::Tensor input = numbered(2, 1, 2);
  const Mixed none = mix(settings(0, 0), input, Rng(1));
  CHECK_FALSE(none.partner.defined());
  CHECK(none.share == 1);
  CHECK(none.input.equal(input));
  CHECK_THROWS_AS(mix(settings(0, 1), at::full({2, 5}, 1.0f), Rng(1)), ConfigError);
}

TEST_CASE("all inputs of a sample are mixed alike", "[train][mixing]") {
  const at::Tensor input = numbered(6, 2, 8);
  const at::Tensor other = at::arange(6, at::kFloat).view({6, 1}).expand({6, 3}).contiguous() * 10;
  const Mixed sum = mix(settings(0.4, 0), input, Rng(3, 1));
  CHECK(at::allclose(mixed_alike(sum, input, other), other * sum.share + other.index_select(0, sum.partner) * (1 - sum.share)));
  CHECK(at::allclose(mixed_alike(sum, input, input), sum.input));

  const Mixed cut = mix(settings(0, 1), input, Rng(7, 1));
  REQUIRE(cut.pasted.has_value());
  const at::Tensor images = numbered(6, 1, 8) * 10;
  CHECK(mixed_alike(cut, input, images).select(1, 0).equal(cut.input.select(1, 0) * 10));
  CHECK_THROWS_WITH(mixed_alike(cut, input, other), Catch::Contains("one rectangle"));
  CHECK_THROWS_WITH(mixed_alike(cut, input, numbered(6, 1, 4)), Catch::Contains("one rectangle"));
}

TEST_CASE("what cannot be mixed is refused before training", "[train][mixing]") {
  const auto value = [](DType type, size_t rank) {
    ValueInfo info;
    info.name = "x";
    info.kind = ValueInfo::Kind::Tensor;
    info.type = type;
    info.shape = std::vector<Dimension>(rank);
    return info;
  };
  const ValueInfo ids = value(DType::Int64, 2);
  const ValueInfo row = value(DType::Float32, 2);
  const ValueInfo images = value(DType::Float32, 4);
  CHECK_THROWS_WITH(require_mixable(settings(0.2, 0), {ids}), Catch::Contains("has none") && Catch::Contains("train.mixup"));
  CHECK_THROWS_WITH(require_mixable(settings(0, 1), {images, row}), Catch::Contains("wants images") && Catch::Contains("train.cutmix"));
  CHECK_NOTHROW(require_mixable(settings(0.2, 0), {ids, row}));
  CHECK_NOTHROW(require_mixable(settings(0, 1), {images, images, ids}));
  CHECK_NOTHROW(require_mixable(settings(0, 0), {ids}));
}
