#include "pipeline/metrics.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace sparsify {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

/// Class scores and labels of one batch, position by position.
struct Classified {
  std::vector<float> scores;
  std::vector<int64_t> labels;
  int64_t classes = 0;
  int64_t positions = 1;  ///< per sample

  /// Score of class `c` at position `p` of sample `n`: the class axis is the second one, as in ONNX's losses.
  float at(int64_t n, int64_t c, int64_t p) const { return scores[static_cast<size_t>((n * classes + c) * positions + p)]; }
};

Classified classified(const HostTensor& scores, const HostTensor& target, int64_t count, int64_t first) {
  Classified batch;
  const Shape& shape = scores.shape();
  if (shape.size() < 2) {
    throw ShapeError{{.what = fmt::format("the output {} has no class axis", to_text(shape)),
                      .where = "the model's first output",
                      .fix = "use a metric that compares with targets, such as mse"}};
  }
  batch.classes = shape[1];
  for (size_t axis = 2; axis < shape.size(); ++axis) batch.positions *= shape[axis];
  if (target.shape().empty() ? count > 1 : target.count() / target.shape().front() != batch.positions) {
    throw ShapeError{{.what = fmt::format("labels {} do not fit the output {}", to_text(target.shape()), to_text(shape)),
                      .where = fmt::format("sample {}", first),
                      .fix = "give one class index a sample (or a position)"}};
  }
  batch.scores = scores.to_floats();
  batch.labels = target.to_integers();
  batch.labels.resize(static_cast<size_t>(count * batch.positions));
  for (size_t i = 0; i < batch.labels.size(); ++i) {
    if (batch.labels[i] >= 0 && batch.labels[i] < batch.classes) continue;
    throw ResourceError{{.what = fmt::format("label {} is outside the model's {} classes", batch.labels[i], batch.classes),
                         .where = fmt::format("sample {}", first + static_cast<int64_t>(i) / batch.positions),
                         .fix = "use labels from 0 to classes - 1; check that data set and model belong together"}};
  }
  return batch;
}

/// Fraction of positions whose label is among the k highest scores. Among equal scores the lower class wins, as in argmax.
class TopK : public Metric {
 public:
  explicit TopK(int64_t k) : k_(k) {}

  bool higher_is_better() const override { return true; }
  std::string unit() const override { return "%"; }

  void update(const HostTensor& scores, const HostTensor& target, int64_t count, int64_t first) override {
    const Classified batch = classified(scores, target, count, first);
    for (int64_t n = 0; n < count; ++n) {
      for (int64_t p = 0; p < batch.positions; ++p) {
        const int64_t label = batch.labels[static_cast<size_t>(n * batch.positions + p)];
        const float own = batch.at(n, label, p);
        int64_t ahead = 0;
        for (int64_t c = 0; c < batch.classes; ++c) {
          const float other = batch.at(n, c, p);
          ahead += other > own || (other == own && c < label) ? 1 : 0;
        }
        right_ += ahead < k_ && !std::isnan(own) ? 1 : 0;
        ++seen_;
      }
    }
  }

  double value() const override { return seen_ == 0 ? kNothing : 100.0 * static_cast<double>(right_) / static_cast<double>(seen_); }

 private:
  int64_t k_;
  int64_t right_ = 0;
  int64_t seen_ = 0;
};

class Top1 final : public TopK {
 public:
  explicit Top1(const Options&) : TopK(1) {}
};

class Top5 final : public TopK {
 public:
  explicit Top5(const Options&) : TopK(5) {}
};

/// Mean cross-entropy of the softmax of the scores, in nats.
class CrossEntropy final : public Metric {
 public:
  explicit CrossEntropy(const Options&) {}

  bool higher_is_better() const override { return false; }

  void update(const HostTensor& scores, const HostTensor& target, int64_t count, int64_t first) override {
    const Classified batch = classified(scores, target, count, first);
    for (int64_t n = 0; n < count; ++n) {
      for (int64_t p = 0; p < batch.positions; ++p) {
        double largest = -std::numeric_limits<double>::infinity();
        for (int64_t c = 0; c < batch.classes; ++c) largest = std::max(largest, static_cast<double>(batch.at(n, c, p)));
        double sum = 0;
        for (int64_t c = 0; c < batch.classes; ++c) sum += std::exp(batch.at(n, c, p) - largest);
        sum_ += largest + std::log(sum) - batch.at(n, batch.labels[static_cast<size_t>(n * batch.positions + p)], p);
        ++seen_;
      }
    }
  }

  double value() const override { return seen_ == 0 ? kNothing : sum_ / static_cast<double>(seen_); }

 private:
  double sum_ = 0;
  int64_t seen_ = 0;
};

/// Mean squared difference to targets shaped like the output.
class MeanSquaredError final : public Metric {
 public:
  explicit MeanSquaredError(const Options&) {}

  bool higher_is_better() const override { return false; }
  bool wants_targets() const override { return true; }

  void update(const HostTensor& scores, const HostTensor& target, int64_t count, int64_t first) override {
    if (scores.count() != target.count() || scores.shape().empty()) {
      throw ShapeError{{.what = fmt::format("targets {} do not fit the output {}", to_text(target.shape()), to_text(scores.shape())),
                        .where = fmt::format("sample {}", first),
                        .fix = "give targets shaped like the model's first output, or choose a metric for class labels"}};
    }
    const std::vector<float> have = scores.to_floats();
    const std::vector<float> want = target.to_floats();
    const auto elements = static_cast<size_t>(scores.count() / scores.shape().front() * std::min(count, scores.shape().front()));
    for (size_t i = 0; i < elements; ++i) sum_ += (static_cast<double>(have[i]) - want[i]) * (static_cast<double>(have[i]) - want[i]);
    seen_ += static_cast<int64_t>(elements);
  }

  double value() const override { return seen_ == 0 ? kNothing : sum_ / static_cast<double>(seen_); }

 private:
  double sum_ = 0;
  int64_t seen_ = 0;
};

/// Area under the ROC curve by ranks (Mann-Whitney), ties counted half; more than two classes: mean of one-vs-rest over the
/// classes that have both kinds. One output column: the score of class 1; two: their difference.
class AreaUnderCurve final : public Metric {
 public:
  explicit AreaUnderCurve(const Options&) {}

  bool higher_is_better() const override { return true; }

  void update(const HostTensor& scores, const HostTensor& target, int64_t count, int64_t first) override {
    const int64_t width = scores.shape().size() < 2 ? 1 : scores.shape()[1];
    if (scores.count() != width * (scores.shape().empty() ? 1 : scores.shape().front())) {
      throw ShapeError{{.what = fmt::format("the output {} is not [samples, classes]", to_text(scores.shape())),
                        .where = "the model's first output",
                        .fix = "use another metric"}};
    }
    const std::vector<float> values = scores.to_floats();
    const std::vector<int64_t> labels = target.to_integers();
    width_ = width;
    for (int64_t n = 0; n < count; ++n) {
      const int64_t label = labels.at(static_cast<size_t>(n));
      if (label < 0 || label >= std::max<int64_t>(width, 2)) {
        throw ResourceError{{.what = fmt::format("label {} is outside the model's {} classes", label, std::max<int64_t>(width, 2)),
                             .where = fmt::format("sample {}", first + n),
                             .fix = "use labels from 0 to classes - 1"}};
      }
      labels_.push_back(label);
      scores_.insert(scores_.end(), values.begin() + n * width, values.begin() + (n + 1) * width);
    }
  }

  double value() const override {
    if (labels_.empty()) return kNothing;
    std::vector<double> column(labels_.size());
    if (width_ <= 2) {
      for (size_t n = 0; n < labels_.size(); ++n) {
        column[n] = width_ == 1 ? scores_[n] : static_cast<double>(scores_[2 * n + 1]) - scores_[2 * n];
      }
      return one_against_rest(column, 1);
    }
    double sum = 0;
    int64_t used = 0;
    for (int64_t c = 0; c < width_; ++c) {
      for (size_t n = 0; n < labels_.size(); ++n) column[n] = scores_[n * static_cast<size_t>(width_) + static_cast<size_t>(c)];
      const double area = one_against_rest(column, c);
      if (std::isnan(area)) continue;
      sum += area;
      ++used;
    }
    return used == 0 ? kNothing : sum / static_cast<double>(used);
  }

 private:
  double one_against_rest(const std::vector<double>& scores, int64_t positive) const {
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });
    double rank_sum = 0;
    int64_t positives = 0;
    for (size_t start = 0; start < order.size();) {
      size_t end = start;
      while (end < order.size() && scores[order[end]] == scores[order[start]]) ++end;
      const double rank = (static_cast<double>(start + end) + 1) / 2;  // mean of the tied ranks, from 1
      for (size_t i = start; i < end; ++i) {
        if (labels_[order[i]] != positive) continue;
        rank_sum += rank;
        ++positives;
      }
      start = end;
    }
    const auto negatives = static_cast<int64_t>(scores.size()) - positives;
    if (positives == 0 || negatives == 0) return kNothing;
    return (rank_sum - static_cast<double>(positives) * (static_cast<double>(positives) + 1) / 2) /
           (static_cast<double>(positives) * static_cast<double>(negatives));
  }

  int64_t width_ = 0;
  std::vector<int64_t> labels_;
  std::vector<float> scores_;
};

const Register<Metric, Top1> top1{"top1", "% of samples whose highest score is the label"};
const Register<Metric, Top5> top5{"top5", "% of samples whose label is among the five highest scores"};
const Register<Metric, CrossEntropy> loss{"loss", "mean cross-entropy of the softmax, in nats"};
const Register<Metric, MeanSquaredError> mse{"mse", "mean squared difference to targets, or to the dense model where there are none"};
const Register<Metric, AreaUnderCurve> auc{"auc", "area under the ROC curve; mean of one-vs-rest for several classes"};

}  // namespace
}  // namespace sparsify
