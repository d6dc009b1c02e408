#include "schedules/imp.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace sparsify {

Imp::Imp(const Options& options)
    : rounds_(options.integer("rounds", 0, {.min = 0, .max = 1000}, "trainings; 0: as many as `fraction` needs")),
      fraction_(options.number("fraction", 0.2, {.min = 0, .max = 1, .below_max = true, .above_min = true},
                               "of the weights left that each round prunes, where rounds is not given")) {
  if (rounds_ > 0 && options.has("fraction")) {
    throw ConfigError{{.what = fmt::format("rounds: {} and the target give the fraction of each round, and fraction gives another", rounds_),
                       .where = options.where("fraction"),
                       .fix = "keep one: rounds, or fraction, which makes as many rounds as the target needs"}};
  }
  const Setting rewind = options.value("rewind", "learning_rate (default), none, start, {to_step: 500} or {to_epoch: 1}");
  if (rewind.is_null() || (rewind.is_text() && rewind.text() == "learning_rate")) return;
  if (rewind.is_map()) {
    const Options to(rewind, "schedule.rewind");
    to_step_ = to.integer("to_step", 0, {.min = 0}, "");
    to_epoch_ = to.optional_number("to_epoch", {.min = 0});
    to.reject_unread();
    if (to.has("to_step") == to.has("to_epoch")) {
      throw ConfigError{{.what = to.has("to_step") ? "rewind names a step and an epoch" : "rewind names neither a step nor an epoch",
                         .where = options.where("rewind"),
                         .fix = "give one: {to_step: 500} or {to_epoch: 1}"}};
    }
    rewind_ = Rewind::Weights;
  } else if (rewind.is_text() && rewind.text() == "start") {
    rewind_ = Rewind::Weights;
  } else if (rewind.is_text() && rewind.text() == "none") {
    rewind_ = Rewind::Nothing;
  } else {
    throw ConfigError{{.what = "rewind is " + rewind.describe(),
                       .where = options.where("rewind"),
                       .fix = "use learning_rate, none, start, {to_step: 500} or {to_epoch: 1}"}};
  }
}

int64_t Imp::rounds(double target) const {
  if (rounds_ > 0) return rounds_;
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(std::log(1 - target) / std::log(1 - fraction_) - 1e-9)));
}

double Imp::sparsity_of(int64_t round, double target) const {
  const int64_t all = rounds(target);
  if (round >= all) return target;
  if (rounds_ > 0) return 1 - std::pow(1 - target, static_cast<double>(round) / static_cast<double>(all));
  return 1 - std::pow(1 - fraction_, static_cast<double>(round));
}

double Imp::sparsity_at(double progress, double target) const {
  const int64_t all = rounds(target);
  const auto round = static_cast<int64_t>(std::clamp(progress, 0.0, 1.0) * static_cast<double>(all)) + 1;
  return sparsity_of(std::min(round, all), target);
}

namespace {

const Register<Schedule, Imp> entry{"imp", "rounds of training and pruning, with rewinding: lottery tickets"};

}  // namespace
}  // namespace sparsify
