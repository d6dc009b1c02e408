// Learning-rate schedules, per step. Names and shapes as in PyTorch's torch.optim.lr_scheduler; one_cycle after
// Smith & Topin 2017, "Super-Convergence", arXiv:1708.07120; cosine after Loshchilov & Hutter 2016, arXiv:1608.03983.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "train/lr_schedule.h"
#include "train/warmup.h"

namespace sparsify {
namespace {

/// From `a` to `b` along half a cosine; t in [0, 1].
double anneal(double a, double b, double t) { return b + (a - b) * (1 + std::cos(std::numbers::pi * t)) / 2; }

class Constant final : public LrSchedule {
 public:
  explicit Constant(const Options&) {}
  double factor(const TrainPoint&) const override { return 1; }
};

class StepDecay final : public LrSchedule {
 public:
  explicit StepDecay(const Options& options)
      : every_(options.number("every", 30, {.min = 0, .above_min = true}, "epochs between two drops")),
        gamma_(options.number("gamma", 0.1, {.min = 0, .max = 1}, "factor of each drop")) {}
  double factor(const TrainPoint& point) const override { return std::pow(gamma_, std::floor(point.epoch() / every_)); }

 private:
  double every_;
  double gamma_;
};

class MultiStep final : public LrSchedule {
 public:
  explicit MultiStep(const Options& options)
      : milestones_(options.numbers("milestones", {}, {.min = 0}, "epochs at which the rate drops")),
        gamma_(options.number("gamma", 0.1, {.min = 0, .max = 1}, "factor of each drop")) {}
  double factor(const TrainPoint& point) const override {
    const double epoch = point.epoch();
    const auto passed = std::count_if(milestones_.begin(), milestones_.end(), [epoch](double at) { return at <= epoch; });
    return std::pow(gamma_, static_cast<double>(passed));
  }

 private:
  std::vector<double> milestones_;
  double gamma_;
};

class Cosine final : public LrSchedule {
 public:
  explicit Cosine(const Options& options)
      : end_(options.number("end", 0, {.min = 0, .max = 1}, "fraction of the rate at the end")) {}
  double factor(const TrainPoint& point) const override { return anneal(1, end_, point.progress()); }

 private:
  double end_;
};

class LinearDecay final : public LrSchedule {
 public:
  explicit LinearDecay(const Options& options)
      : end_(options.number("end", 0, {.min = 0, .max = 1}, "fraction of the rate at the end")) {}
  double factor(const TrainPoint& point) const override { return 1 + (end_ - 1) * point.progress(); }

 private:
  double end_;
};

class OneCycle final : public LrSchedule {
 public:
  explicit OneCycle(const Options& options)
      : peak_(options.number("peak", 0.3, {.min = 0, .max = 1, .below_max = true, .above_min = true}, "progress at which the rate is highest")),
        start_(options.number("start", 0.04, {.min = 0, .max = 1}, "fraction of the rate at the beginning")),
        end_(options.number("end", 4e-6, {.min = 0, .max = 1}, "fraction of the rate at the end")) {}
  double factor(const TrainPoint& point) const override {
    const double progress = point.progress();
    return progress < peak_ ? anneal(start_, 1, progress / peak_) : anneal(1, end_, (progress - peak_) / (1 - peak_));
  }

 private:
  double peak_;
  double start_;
  double end_;
};

int64_t warmup_steps(double epochs, const TrainPoint& run) { return std::llround(epochs * static_cast<double>(run.steps_per_epoch)); }

/// A linear rise in front of another schedule: factor (k + 1) / (n + 1) in the k-th of n steps.
class WithWarmup final : public LrSchedule {
 public:
  WithWarmup(std::unique_ptr<LrSchedule> after, double epochs) : after_(std::move(after)), epochs_(epochs) {}
  double factor(const TrainPoint& point) const override {
    const int64_t steps = std::min<int64_t>(point.total - 1, warmup_steps(epochs_, point));
    if (point.step < steps) return static_cast<double>(point.step + 1) / static_cast<double>(steps + 1);
    return after_->factor({point.step - steps, std::max<int64_t>(1, point.total - steps), point.steps_per_epoch});
  }

 private:
  std::unique_ptr<LrSchedule> after_;
  double epochs_;
};

const Register<LrSchedule, Constant> constant{"constant", "always the optimizer's rate"};
const Register<LrSchedule, StepDecay> step{"step", "drops by a factor every few epochs"};
const Register<LrSchedule, MultiStep> multi_step{"multi_step", "drops by a factor at given epochs"};
const Register<LrSchedule, Cosine> cosine{"cosine", "falls along half a cosine"};
const Register<LrSchedule, LinearDecay> linear{"linear", "falls evenly"};
const Register<LrSchedule, OneCycle> one_cycle{"one_cycle", "rises to the rate, then falls to almost nothing"};

}  // namespace

bool is_all_warmup(const Setting& lr_schedule, const TrainPoint& run) {
  const Setting* warmup = lr_schedule.find("warmup");
  return warmup != nullptr && warmup->is_number() && warmup->number() > 0 && warmup_steps(warmup->number(), run) >= run.total;
}

std::unique_ptr<LrSchedule> make_lr_schedule(const Setting& value, const std::string& path) {
  const NamedOptions named = split_name(value, path);
  const auto& registry = Registry<LrSchedule>::instance();
  if (!registry.contains(named.name)) {
    throw ConfigError{{.what = fmt::format("no lr schedule is named \"{}\"", named.name),
                       .where = fmt::format("{} ({})", value.mark().text(), path),
                       .fix = suggest(named.name, registry.names())}};
  }
  const double warmup = named.options.number("warmup", 0, {.min = 0}, "epochs of linear rise before it");
  if (named.name == "multi_step" && named.options.numbers("milestones", {}, {.min = 0}, "epochs at which the rate drops").empty()) {
    throw ConfigError{{.what = "multi_step has no milestones, so that the learning rate would never drop",
                       .where = value.mark().text() + " (" + path + ")",
                       .fix = "name the epochs, as in {name: multi_step, milestones: [30, 60]}, or use constant"}};
  }
  std::unique_ptr<LrSchedule> schedule = registry.make(named.name, named.options);
  named.options.reject_unread();
  if (warmup > 0) schedule = std::make_unique<WithWarmup>(std::move(schedule), warmup);
  return schedule;
}

}  // namespace sparsify
