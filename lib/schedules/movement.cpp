#include "schedules/movement.h"

#include "base/error.h"

namespace sparsify {

MovementSchedule::MovementSchedule(const Options& options)
    : soft_(options.flag("soft", false, "sigmoid(score) above a threshold, with a penalty: the sparsity then follows from the penalty")),
      lr_(options.number("lr", 1e-2, {.min = 0, .max = 1e3, .above_min = true}, "of the scores (Adam)")),
      threshold_(options.number("threshold", 0.1, {.min = 0, .max = 1, .below_max = true}, "of soft movement")),
      penalty_(options.number("penalty", 400, {.min = 0}, "lambda of soft movement at the end")),
      begin_(options.number("begin", 0.1, {.min = 0, .max = 1, .below_max = true}, "progress until which everything is kept")),
      end_(options.number("end", 0.8, {.min = 0, .max = 1, .below_max = true, .above_min = true}, "progress from which the masks stay")),
      every_(options.integer("every", 10, {.min = 1}, "steps between two choices")) {
  if (end_ <= begin_) {
    throw ConfigError{{.what = "the schedule ends before it begins", .where = options.where("end"), .fix = "choose end > begin, both as fractions of the run"}};
  }
}

double MovementSchedule::sparsity_at(double progress, double target) const {
  if (progress <= begin_) return 0;
  if (progress >= end_) return target;
  const double left = 1 - (progress - begin_) / (end_ - begin_);
  return target * (1 - left * left * left);
}

namespace {

const Register<Schedule, MovementSchedule> entry{"movement", "weights that training moves towards zero go"};

}  // namespace
}  // namespace sparsify
