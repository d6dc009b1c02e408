#include <limits>

#include "base/error.h"
#include "schedules/sound_schedule.h"
#include "support/catch.h"
#include "support/plugins.h"

using namespace sparsify;

namespace {

std::unique_ptr<Schedule> schedule(const std::string& name, const std::string& options = "{}") {
  return Registry<Schedule>::instance().make(name, Options(parse_yaml(options, "r.yaml"), "schedule"));
}

}  // namespace

TEST_CASE("every schedule registers itself once", "[schedules][contract]") {
  CHECK(Registry<Schedule>::instance().names().size() == plugin_files("schedules"));
}

TEST_CASE("every schedule never falls and ends exactly at the target", "[schedules][contract]") {
  for (const std::string& name : Registry<Schedule>::instance().names()) {
    const auto one = schedule(name);
    for (const double target : {0.0, 0.1, 0.5, 0.9, 0.999}) {
      double before = 0;
      for (int step = 0; step <= 1000; ++step) {
        const double sparsity = one->sparsity_at(step / 1000.0, target);
        INFO(name << " at " << step << " of 1000, target " << target);
        REQUIRE(sparsity >= before);
        REQUIRE(sparsity <= target);
        before = sparsity;
      }
      CHECK(before == target);
      CHECK(one->sparsity_at(1.5, target) == target);
      CHECK(one->sparsity_at(-1, target) >= 0);
    }
  }
}

TEST_CASE("one shot prunes everything at once", "[schedules][one_shot]") {
  CHECK(schedule("one_shot")->sparsity_at(0, 0.7) == 0.7);
}

TEST_CASE("the cubic schedule of Zhu and Gupta", "[schedules][cubic]") {
  const auto cubic = schedule("cubic");
  CHECK(cubic->sparsity_at(0, 0.9) == Approx(0).margin(1e-15));
  CHECK(cubic->sparsity_at(0.25, 0.9) == Approx(0.5203125));
  CHECK(cubic->sparsity_at(0.5, 0.9) == Approx(0.7875));
  CHECK(cubic->sparsity_at(0.75, 0.9) == Approx(0.8859375));
  CHECK(cubic->sparsity_at(1, 0.9) == 0.9);
  // From .5 on: .9 - .4 / 8 in the middle. A target below the start is kept.
  CHECK(schedule("cubic", "{initial: 0.5}")->sparsity_at(0.5, 0.9) == Approx(0.85));
  CHECK(schedule("cubic", "{initial: 0.5}")->sparsity_at(0.5, 0.3) == 0.3);
}

TEST_CASE("the exponential schedule multiplies the density", "[schedules][exponential]") {
  const auto exponential = schedule("exponential");
  const double densities[][2] = {{1, .977237}, {10, .794328}, {50, .316228}, {99, .102329}, {100, .1}};
  for (const auto& [step, density] : densities) {
    CHECK(1 - exponential->sparsity_at(step / 100, 0.9) == Approx(density).margin(1e-6));
  }
}

TEST_CASE("a window moves the rise", "[schedules][linear]") {
  const auto linear = schedule("linear", "{begin: 0.2, end: 0.6}");
  CHECK(linear->sparsity_at(0.1, 0.8) == 0);
  CHECK(linear->sparsity_at(0.4, 0.8) == Approx(0.4));
  CHECK(linear->sparsity_at(0.6, 0.8) == 0.8);
  CHECK(linear->sparsity_at(0.9, 0.8) == 0.8);
  CHECK_THROWS_AS(schedule("linear", "{begin: 0.5, end: 0.5}"), ConfigError);
  CHECK_THROWS_AS(schedule("cubic", "{initial: 1.0}"), ConfigError);
}

TEST_CASE("a schedule that is no number, falls or ends elsewhere is told before the work, and all of ours are sound", "[schedules][plugins]") {
  class Given final : public Schedule {
   public:
    explicit Given(double (*curve)(double progress, double target)) : curve_(curve) {}
    double sparsity_at(double progress, double target) const override { return curve_(progress, target); }

   private:
    double (*curve_)(double, double);
  };
  const PluginName name{.family = "schedule", .name = "mine", .where = "r.yaml:3 (schedule)"};
  const auto said = [&](double (*curve)(double, double)) -> std::string {
    try {
      require_sound(Given(curve), name, 0.8);
    } catch (const ConfigError& error) {
      CHECK(error.problem().where == "r.yaml:3 (schedule)");
      return error.problem().what;
    }
    return "sound";
  };
  CHECK(said([](double progress, double target) { return progress * target; }) == "sound");
  CHECK(said([](double progress, double target) { return progress < 0.5 ? std::numeric_limits<double>::quiet_NaN() : target; }) == "the schedule \"mine\" gives the sparsity nan at progress 0, which is not in [0, 1]");
  CHECK(said([](double progress, double) { return progress < 0.5 ? 0.8 : 0.5; }) == "the schedule \"mine\" lets the sparsity fall from 0.8 to 0.5 at progress 0.5");
  CHECK(said([](double progress, double) { return progress / 2; }) == "the schedule \"mine\" ends at the sparsity 0.5 where the target is 0.8");
  // Where --plugin brought nothing in, what fails is ours and no fault of the user.
  CHECK_THROWS_WITH(said([](double, double) -> double { throw std::runtime_error("out of order"); }), "out of order");
  for (const std::string& ours : Registry<Schedule>::instance().names()) {
    for (const double target : {0.0, 0.3, 0.5, 0.999}) CHECK_NOTHROW(require_sound(*schedule(ours), name, target));
  }
}
