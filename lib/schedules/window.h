#pragma once

#include <algorithm>

#include "base/error.h"
#include "config/options.h"

namespace sparsify {

/// The part of a run in which sparsity rises: 0 before `begin`, the target from `end` on.
class Window {
 public:
  explicit Window(const Options& options)
      : begin_(options.number("begin", 0.0, {.min = 0, .max = 1, .below_max = true}, "progress at which pruning begins")),
        end_(options.number("end", 1.0, {.min = 0, .max = 1}, "progress at which the target is reached; 0.75 by default in a run that trains")),
        every_(options.integer("every", 0, {.min = 0}, "optimizer steps between two changes of the masks; 0: 40 changes a run, at most one in 100 steps")) {
    if (end_ <= begin_) {
      throw ConfigError{{.what = "the schedule ends before it begins",
                         .where = options.where("end"),
                         .fix = "choose end > begin, both as fractions of the run"}};
    }
  }

  int64_t every() const { return every_; }
  bool before(double progress) const { return progress < begin_; }
  /// 0 at begin, 1 at end, clamped.
  double position(double progress) const { return std::clamp((progress - begin_) / (end_ - begin_), 0.0, 1.0); }

 private:
  double begin_;
  double end_;
  int64_t every_;
};

}  // namespace sparsify
