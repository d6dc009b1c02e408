#include "pipeline/metrics.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "pipeline/class_scores.h"

namespace sparsify {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

/// Fraction of positions whose label is among the k highest scores. Among equal scores the lower
/// class wins, as in argmax.
class TopK : public Metric {
 public:
  explicit TopK(int64_t k) : k_(k) {}

  bool higher_is_better() const override { return true; }
  std::string unit() const override { return "%"; }

  void update(const HostTensor& scores, const HostTensor& target, int64_t count,
              int64_t first) override {
    const ClassScores batch = class_scores(scores, target, count, first);
    for (int64_t i = 0; i < batch.rows(); ++i) {
      const float* row = batch.row(i);
      const int64_t label = batch.labels[static_cast<size_t>(i)];
      int64_t ahead = 0;
      for (int64_t c = 0; c < batch.classes; ++c) {
        // Negated, so that a NaN is ahead of everything, and everything ahead of a NaN.
        const bool is_ahead = !(row[c] <= row[label]) || (row[c] == row[label] && c < label);
        ahead += is_ahead && c != label ? 1 : 0;
      }
      right_ += ahead < k_ && !std::isnan(row[label]) ? 1 : 0;
      ++seen_;
    }
  }

  double value() const override {
    return seen_ == 0 ? kNothing : 100.0 * static_cast<double>(right_) / static_cast<double>(seen_);
  }

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

/// Mean cross-entropy in nats. A model that ends in Softmax gives probabilities, whose logarithm it
/// is; other scores go through softmax first. Which it is shows only when all rows have been seen.
class CrossEntropy : public Metric {
 public:
  explicit CrossEntropy(const Options&) {}

  bool higher_is_better() const override { return false; }

  void update(const HostTensor& scores, const HostTensor& target, int64_t count,
              int64_t first) override {
    const ClassScores batch = class_scores(scores, target, count, first);
    for (int64_t i = 0; i < batch.rows(); ++i) {
      const float* row = batch.row(i);
      const int64_t label = batch.labels[static_cast<size_t>(i)];
      of_scores_ -= log_softmax(row, batch.classes)[static_cast<size_t>(label)];
      is_probability_ = is_probability_ && are_probabilities(row, batch.classes);
      // A float32 softmax rounds to 0 what is smaller.
      if (is_probability_)
        of_probabilities_ -= std::log(std::max(row[label], std::numeric_limits<float>::min()));
      ++seen_;
    }
  }

  double value() const override {
    if (seen_ == 0) return kNothing;
    return (is_probability_ ? of_probabilities_ : of_scores_) / static_cast<double>(seen_);
  }

 private:
  bool is_probability_ = true;
  double of_probabilities_ = 0;
  double of_scores_ = 0;
  int64_t seen_ = 0;
};

/// e to the power of the cross-entropy per position.
class Perplexity final : public CrossEntropy {
 public:
  using CrossEntropy::CrossEntropy;
  double value() const override { return std::exp(CrossEntropy::value()); }
};

/// Mean squared difference to targets shaped like the output.
class MeanSquaredError final : public Metric {
 public:
  explicit MeanSquaredError(const Options&) {}

  bool higher_is_better() const override { return false; }
  bool wants_targets() const override { return true; }

  void update(const HostTensor& scores, const HostTensor& target, int64_t count,
              int64_t first) override {
    if (scores.count() != target.count() || scores.shape().empty()) {
      throw ShapeError{{.what = fmt::format("targets {} do not fit the output {}",
                                            to_text(target.shape()), to_text(scores.shape())),
                        .where = fmt::format("sample {}", first),
                        .fix = "give targets shaped like the model's first output, or choose a "
                               "metric for class labels"}};
    }
    const std::vector<float> have = scores.to_floats();
    const std::vector<float> want = target.to_floats();
    const auto elements = static_cast<size_t>(scores.count() / scores.shape().front() *
                                              std::min(count, scores.shape().front()));
    for (size_t i = 0; i < elements; ++i)
      sum_ += (static_cast<double>(have[i]) - want[i]) * (static_cast<double>(have[i]) - want[i]);
    seen_ += static_cast<int64_t>(elements);
  }

  double value() const override {
    return seen_ == 0 ? kNothing : sum_ / static_cast<double>(seen_);
  }

 private:
  double sum_ = 0;
  int64_t seen_ = 0;
};

/// Area under the ROC curve by ranks (Mann-Whitney), ties counted half; more than two classes: mean
/// of one-vs-rest over the classes that have both kinds, ranked by probability (scores that are
/// none go through softmax: a logit means little across samples). One output column: the score of
/// class 1; two: their difference. Labels shaped like the output (0 or 1 in each column): mean over
/// the columns that have both kinds, each ranked by its scores as they are.
class AreaUnderCurve final : public Metric {
 public:
  explicit AreaUnderCurve(const Options&) {}

  bool higher_is_better() const override { return true; }

  void update(const HostTensor& scores, const HostTensor& target, int64_t count,
              int64_t first) override {
    const int64_t width = scores.shape().size() < 2 ? 1 : scores.shape()[1];
    if (scores.count() != width * (scores.shape().empty() ? 1 : scores.shape().front())) {
      throw ShapeError{
          {.what = fmt::format("the output {} is not [samples, classes]", to_text(scores.shape())),
           .where = "the model's first output",
           .fix = "use another metric"}};
    }
    const int64_t samples = scores.count() / width;
    by_column_ = width > 1 && target.shape() == scores.shape();
    if (!by_column_ && target.count() != samples) {
      throw ShapeError{
          {.what = fmt::format("labels {} do not fit the output {}", to_text(target.shape()),
                               to_text(scores.shape())),
           .where = fmt::format("sample {}", first),
           .fix = "give one class index a sample, or a 0 or 1 for every number of the output"}};
    }
    width_ = width;
    const std::vector<float> values = scores.to_floats();
    scores_.insert(scores_.end(), values.begin(), values.begin() + count * width);
    if (by_column_) {
      add_columns(target, count, first);
      return;
    }
    const std::vector<int64_t> labels = target.to_integers();
    for (int64_t n = 0; n < count; ++n) {
      const int64_t label = labels.at(static_cast<size_t>(n));
      if (label < 0 || label >= std::max<int64_t>(width, 2)) {
        throw ResourceError{{.what = fmt::format("label {} is outside the model's {} classes",
                                                 label, std::max<int64_t>(width, 2)),
                             .where = fmt::format("sample {}", first + n),
                             .fix = "use labels from 0 to classes - 1"}};
      }
      labels_.push_back(label);
    }
  }

  double value() const override {
    if (labels_.empty()) return kNothing;
    if (by_column_) return mean_of_columns();
    std::vector<double> column(labels_.size());
    const auto is_class = [&](int64_t wanted) {
      return [&, wanted](size_t n) { return labels_[n] == wanted; };
    };
    if (width_ <= 2) {
      for (size_t n = 0; n < labels_.size(); ++n) {
        column[n] =
            width_ == 1 ? scores_[n] : static_cast<double>(scores_[2 * n + 1]) - scores_[2 * n];
      }
      return one_against_rest(column, is_class(1));
    }
    const auto width = static_cast<size_t>(width_);
    std::vector<double> chances(scores_.begin(), scores_.end());
    bool is_probability = true;
    for (size_t n = 0; n < labels_.size(); ++n)
      is_probability = is_probability && are_probabilities(&scores_[n * width], width_);
    for (size_t n = 0; n < labels_.size() && !is_probability; ++n) {
      std::ranges::transform(log_softmax(&scores_[n * width], width_),
                             chances.begin() + static_cast<std::ptrdiff_t>(n * width),
                             [](double log) { return std::exp(log); });
    }
    double sum = 0;
    int64_t used = 0;
    for (int64_t c = 0; c < width_; ++c) {
      for (size_t n = 0; n < labels_.size(); ++n)
        column[n] = chances[n * width + static_cast<size_t>(c)];
      const double area = one_against_rest(column, is_class(c));
      if (std::isnan(area)) continue;
      sum += area;
      ++used;
    }
    return used == 0 ? kNothing : sum / static_cast<double>(used);
  }

 private:
  void add_columns(const HostTensor& target, int64_t count, int64_t first) {
    const bool floats = is_prunable_float(target.type());
    const std::vector<float> numbers = floats ? target.to_floats() : std::vector<float>{};
    const std::vector<int64_t> integers = floats ? std::vector<int64_t>{} : target.to_integers();
    for (size_t i = 0; i < static_cast<size_t>(count * width_); ++i) {
      const double label = floats ? static_cast<double>(numbers[i]) : static_cast<double>(integers[i]);
      if (label != 0 && label != 1) {
        throw ResourceError{{.what = fmt::format("label {} is neither 0 nor 1", label),
                             .where = fmt::format("sample {}, column {}", first + static_cast<int64_t>(i) / width_, static_cast<int64_t>(i) % width_),
                             .fix = "give 0 or 1 for every column, or one class index a sample"}};
      }
      labels_.push_back(label == 1 ? 1 : 0);
    }
  }

  double mean_of_columns() const {
    const auto width = static_cast<size_t>(width_);
    std::vector<double> column(labels_.size() / width);
    double sum = 0;
    int64_t used = 0;
    for (size_t c = 0; c < width; ++c) {
      for (size_t n = 0; n < column.size(); ++n) column[n] = scores_[n * width + c];
      const double area = one_against_rest(column, [&](size_t n) { return labels_[n * width + c] == 1; });
      if (std::isnan(area)) continue;
      sum += area;
      ++used;
    }
    if (used == 0) {
      throw ResourceError{{.what = fmt::format("no column of the labels has both a 0 and a 1 in {} samples", column.size()),
                           .where = "metric auc",
                           .fix = "measure on more samples, or use another metric"}};
    }
    return sum / static_cast<double>(used);
  }

  /// `is_positive(n)` of sample n; NaN without both kinds.
  template <class IsPositive>
  static double one_against_rest(const std::vector<double>& scores, IsPositive is_positive) {
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return scores[a] < scores[b]; });
    double rank_sum = 0;
    int64_t positives = 0;
    for (size_t start = 0; start < order.size();) {
      size_t end = start;
      while (end < order.size() && scores[order[end]] == scores[order[start]]) ++end;
      const double rank =
          (static_cast<double>(start + end) + 1) / 2;  // mean of the tied ranks, from 1
      for (size_t i = start; i < end; ++i) {
        if (!is_positive(order[i])) continue;
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
  bool by_column_ = false;  ///< labels_ has width_ a sample
  std::vector<int64_t> labels_;
  std::vector<float> scores_;
};

const Register<Metric, Top1> top1{"top1", "% of samples whose highest score is the label"};
const Register<Metric, Top1> token_accuracy{"token_accuracy",
                                            "% of positions whose highest score is the label"};
const Register<Metric, Top5> top5{"top5",
                                  "% of samples whose label is among the five highest scores"};
const Register<Metric, CrossEntropy> loss{"loss",
                                          "mean cross-entropy of scores or probabilities, in nats"};
const Register<Metric, Perplexity> perplexity{"perplexity",
                                              "e to the power of the loss per position"};
const Register<Metric, MeanSquaredError> mse{
    "mse", "mean squared difference to targets, or to the dense model where there are none"};
const Register<Metric, AreaUnderCurve> auc{
    "auc", "area under the ROC curve; mean of one-vs-rest for several classes or columns of labels"};

}  // namespace

std::string metric_for(const DataSource& data) { return data.has_class_labels() ? "top1" : "mse"; }

}  // namespace sparsify
