#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/registry.h"
#include "config/options.h"
#include "data/loader.h"
#include "tensor/host_tensor.h"

namespace sparsify {

/// A figure accumulated over batches.
class Metric {
 public:
  static constexpr const char* kFamily = "metric";
  virtual ~Metric() = default;

  virtual bool higher_is_better() const = 0;
  /// "%" for accuracies, whose differences are in points; "" otherwise.
  virtual std::string unit() const { return ""; }
  /// True for metrics that compare with targets of the output's shape; false for those that want class indices.
  virtual bool wants_targets() const { return false; }

  /// The first `count` samples of a batch.
  ///
  ///   scores   [n, classes, positions...] float, the model's first output
  ///   target   class indices int64 [n] or [n, positions...], or float targets shaped like the output
  ///   first    index of the first sample, for messages
  ///   throws   ResourceError for a label outside [0, classes), ShapeError for shapes that do not fit
  virtual void update(const HostTensor& scores, const HostTensor& target, int64_t count, int64_t first) = 0;

  /// NaN when nothing was accumulated.
  virtual double value() const = 0;
};

/// What `metric: auto` is for this data: top1 with classes as labels, else mse.
std::string metric_for(const DataSource& data);

}  // namespace sparsify
