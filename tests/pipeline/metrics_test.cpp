#include "pipeline/metrics.h"

#include <cmath>

#include "support/catch.h"
#include "base/error.h"

using namespace sparsify;

namespace {

double value_of(const std::string& name, const HostTensor& scores, const HostTensor& labels, int64_t count) {
  const auto metric = Registry<Metric>::instance().make(name, Options());
  metric->update(scores, labels, count, 0);
  return metric->value();
}

const HostTensor kScores = HostTensor::of<float>(DType::Float32, {3, 3}, {1, 2, 3, 5, 5, 0, 0, 1, 0});
HostTensor labels(const std::vector<int64_t>& values) {
  return HostTensor::of<int64_t>(DType::Int64, {static_cast<int64_t>(values.size())}, values);
}

}  // namespace

TEST_CASE("top1 counts the first of equal scores as the highest", "[pipeline][metrics]") {
  CHECK(value_of("top1", kScores, labels({2, 0, 1}), 3) == Approx(100.0));
  CHECK(value_of("top1", kScores, labels({2, 1, 1}), 3) == Approx(200.0 / 3));
}

TEST_CASE("samples that only fill up a batch do not count", "[pipeline][metrics]") {
  CHECK(value_of("top1", kScores, labels({2, 0, 0}), 2) == Approx(100.0));
}

TEST_CASE("top5 needs the label among the five highest", "[pipeline][metrics]") {
  const HostTensor scores = HostTensor::of<float>(DType::Float32, {1, 7}, {7, 6, 5, 4, 3, 2, 1});
  CHECK(value_of("top5", scores, labels({4}), 1) == Approx(100.0));
  CHECK(value_of("top5", scores, labels({5}), 1) == Approx(0.0));
}

TEST_CASE("loss is the mean of log-sum-exp minus the label's score", "[pipeline][metrics]") {
  const HostTensor scores = HostTensor::of<float>(DType::Float32, {2, 2}, {0, 0, 1000, 0});
  CHECK(value_of("loss", scores, labels({0, 1}), 2) == Approx((std::log(2.0) + 1000) / 2));
}

TEST_CASE("mse divides by all elements", "[pipeline][metrics]") {
  const HostTensor have = HostTensor::of<float>(DType::Float32, {2, 2}, {1, 2, 3, 4});
  const HostTensor want = HostTensor::of<float>(DType::Float32, {2, 2}, {1, 0, 3, 8});
  CHECK(value_of("mse", have, want, 2) == Approx((4.0 + 16.0) / 4));
}

TEST_CASE("auc counts a tie between the classes as half", "[pipeline][metrics]") {
  // Positives 0.8, 0.5; negatives 0.5, 0.1: pairs won 1 + 1 + 0.5 + 1 of 4.
  const HostTensor scores = HostTensor::of<float>(DType::Float32, {4, 1}, {0.8F, 0.5F, 0.5F, 0.1F});
  CHECK(value_of("auc", scores, labels({1, 1, 0, 0}), 4) == Approx(3.5 / 4));
}

TEST_CASE("a label outside the classes names the sample and the width", "[pipeline][metrics]") {
  try {
    value_of("top1", kScores, labels({2, 3, 1}), 3);
    FAIL("accepted label 3 of 3 classes");
  } catch (const Error& e) {
    CHECK(e.exit_code() == kUnusable);
    CHECK(e.problem().what == "label 3 is outside the model's 3 classes");
    CHECK(e.problem().where == "sample 1");
  }
}
