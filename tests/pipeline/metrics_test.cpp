#include "pipeline/metrics.h"

#include <cmath>

#include "base/error.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

double value_of(const std::string& name, const HostTensor& scores, const HostTensor& labels,
                int64_t count) {
  const auto metric = Registry<Metric>::instance().make(name, Options());
  metric->update(scores, labels, count, 0);
  return metric->value();
}

const HostTensor kScores =
    HostTensor::of<float>(DType::Float32, {3, 3}, {1, 2, 3, 5, 5, 0, 0, 1, 0});
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

TEST_CASE("a model that ends in Softmax gives the logarithm of its probabilities as loss",
          "[pipeline][metrics]") {
  const HostTensor scores =
      HostTensor::of<float>(DType::Float32, {2, 2}, {0.25F, 0.75F, 1.0F, 0.0F});
  CHECK(value_of("loss", scores, labels({1, 0}), 2) == Approx(-std::log(0.75) / 2));
  // One row that is no distribution, and all are scores.
  const HostTensor mixed =
      HostTensor::of<float>(DType::Float32, {2, 2}, {0.25F, 0.75F, 2.0F, 2.0F});
  CHECK(value_of("loss", mixed, labels({1, 0}), 2) ==
        Approx((std::log(1 + std::exp(-0.5)) + std::log(2.0)) / 2));
}

TEST_CASE("positions may lie before or behind the classes, and -100 marks none",
          "[pipeline][metrics]") {
  // Sample 0 of two: positions [3, 1] and [0, 2] for two classes; sample 1: [1, 0] and [5, 6].
  const HostTensor last =
      HostTensor::of<float>(DType::Float32, {2, 3, 2}, {3, 1, 0, 2, 0, 0, 1, 0, 5, 6, 0, 0});
  const HostTensor second =
      HostTensor::of<float>(DType::Float32, {2, 2, 3}, {3, 0, 0, 1, 2, 0, 1, 5, 0, 0, 6, 0});
  const HostTensor targets =
      HostTensor::of<int64_t>(DType::Int64, {2, 3}, {0, 1, -100, 1, 1, -100});
  for (const HostTensor& scores : {last, second}) {
    CHECK(value_of("token_accuracy", scores, targets, 2) == Approx(75.0));
    CHECK(value_of("top1", scores, targets, 1) == Approx(100.0));
    CHECK(value_of("loss", scores, targets, 1) == Approx(std::log(1 + std::exp(-2.0))));
    CHECK(value_of("perplexity", scores, targets, 1) == Approx(1 + std::exp(-2.0)));
  }
  const HostTensor pooled = HostTensor::of<float>(DType::Float32, {1, 2, 1, 1}, {0, 1});
  CHECK(value_of("top1", pooled, labels({1}), 1) == Approx(100.0));
}

TEST_CASE("a score that is not a number is never right", "[pipeline][metrics]") {
  const float nan = std::nanf("");
  const HostTensor scores =
      HostTensor::of<float>(DType::Float32, {3, 2}, {nan, 1, 1, nan, nan, nan});
  CHECK(value_of("top1", scores, labels({0, 0, 0}), 3) == Approx(0.0));
}

TEST_CASE("auc of several classes ranks probabilities, not logits", "[pipeline][metrics]") {
  // Sample 1 has the larger logit for class 0 but the smaller probability; classes 1 and 2 rank
  // perfectly.
  const HostTensor scores =
      HostTensor::of<float>(DType::Float32, {3, 3}, {2, 0, 0, 5, 9, 0, 0, 0, 3});
  CHECK(value_of("auc", scores, labels({0, 1, 2}), 3) == Approx(1.0));
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

TEST_CASE("auc of labels shaped like the output is the mean over its columns", "[pipeline][metrics]") {
  // Column 0: positives 0.9, 0.4 and negatives 0.1, 0.6: 3 of 4 pairs. Column 1: positive 0.2, negatives 0.2, 0.8, 0.1: 1.5 of 3.
  // Column 2 is positive throughout and left out.
  const HostTensor scores = HostTensor::of<float>(DType::Float32, {4, 3}, {.9F, .2F, 1, .1F, .2F, 2, .4F, .8F, 3, .6F, .1F, 4});
  const std::vector<int64_t> ones = {1, 1, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1};
  const double expected = (3.0 / 4 + 1.5 / 3) / 2;
  CHECK(value_of("auc", scores, HostTensor::of<int64_t>(DType::Int64, {4, 3}, ones), 4) == Approx(expected));
  const std::vector<float> floats(ones.begin(), ones.end());
  CHECK(value_of("auc", scores, HostTensor::of<float>(DType::Float32, {4, 3}, floats), 4) == Approx(expected));
  // Of the first two samples column 1 alone ties, and column 0 has its pair right: (1 + 0.5) / 2.
  CHECK(value_of("auc", scores, HostTensor::of<int64_t>(DType::Int64, {4, 3}, ones), 2) == Approx(0.75));
  const auto said = [&](const HostTensor& labels) {
    try {
      value_of("auc", scores, labels, 4);
    } catch (const Error& error) {
      CHECK(error.exit_code() == kUnusable);
      return error.problem().what;
    }
    return std::string("accepted");
  };
  CHECK(said(HostTensor::of<int64_t>(DType::Int64, {4, 2}, std::vector<int64_t>(8, 0))) == "labels [4, 2] do not fit the output [4, 3]");
  CHECK(said(HostTensor::of<int64_t>(DType::Int64, {4, 3}, std::vector<int64_t>(12, 1))) == "no column of the labels has both a 0 and a 1 in 4 samples");
  CHECK(said(HostTensor::of<int64_t>(DType::Int64, {4, 3}, std::vector<int64_t>(12, 2))) == "label 2 is neither 0 nor 1");
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
