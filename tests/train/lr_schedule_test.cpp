#include <cmath>

#include "base/error.h"
#include "support/catch.h"
#include "train/lr_schedule.h"
#include "train/warmup.h"

using namespace sparsify;

namespace {

double factor(const std::string& yaml, int64_t step, int64_t total = 100, int64_t per_epoch = 10) {
  return make_lr_schedule(parse_yaml(yaml, "r.yaml"), "train.lr_schedule")->factor({step, total, per_epoch});
}

}  // namespace

TEST_CASE("learning rates have the values worked out by hand", "[train][lr_schedule]") {
  CHECK(factor("constant", 99) == 1);
  CHECK(factor("cosine", 0) == 1);
  CHECK(factor("cosine", 50) == Approx(0.5));
  CHECK(factor("cosine", 25) == Approx((1 + std::sqrt(0.5)) / 2));
  CHECK(factor("{name: cosine, end: 0.1}", 50) == Approx(0.55));
  CHECK(factor("linear", 25) == Approx(0.75));
  CHECK(factor("{name: linear, end: 0.5}", 100) == Approx(0.5));
  CHECK(factor("{name: step, every: 3, gamma: 0.5}", 29) == 1);
  CHECK(factor("{name: step, every: 3, gamma: 0.5}", 60) == 0.25);
  CHECK(factor("{name: multi_step, milestones: [2, 5]}", 19) == 1);
  CHECK(factor("{name: multi_step, milestones: [2, 5]}", 20) == Approx(0.1));
  CHECK(factor("{name: multi_step, milestones: [2, 5]}", 50) == Approx(0.01));
}

TEST_CASE("one cycle rises to the rate and falls to almost nothing", "[train][lr_schedule]") {
  CHECK(factor("one_cycle", 0) == Approx(0.04));
  CHECK(factor("one_cycle", 15) == Approx(0.52));
  CHECK(factor("one_cycle", 30) == Approx(1));
  CHECK(factor("one_cycle", 100) == Approx(4e-6));
}

TEST_CASE("a warm-up rises evenly and the schedule runs over the steps that are left", "[train][lr_schedule]") {
  // One epoch of 10 steps: 1/11, 2/11 ...; then a cosine over 90.
  CHECK(factor("{name: cosine, warmup: 1}", 0) == Approx(1.0 / 11));
  CHECK(factor("{name: cosine, warmup: 1}", 9) == Approx(10.0 / 11));
  CHECK(factor("{name: cosine, warmup: 1}", 10) == 1);
  CHECK(factor("{name: cosine, warmup: 1}", 55) == Approx(0.5));
}

TEST_CASE("a misspelt schedule or option is an error that names the nearest", "[train][lr_schedule]") {
  REQUIRE_THROWS_WITH(factor("cosin", 0), Catch::Contains("no lr schedule is named \"cosin\"") && Catch::Contains("cosine"));
  REQUIRE_THROWS_WITH(factor("{name: step, evry: 3}", 0), Catch::Contains("every"));
}

TEST_CASE("milestones are what multi_step is about", "[train][lr_schedule]") {
  CHECK_THROWS_WITH(factor("multi_step", 0), Catch::Contains("no milestones") && Catch::Contains("train.lr_schedule"));
  CHECK_THROWS_WITH(factor("{name: multi_step, milestones: []}", 0), Catch::Contains("no milestones"));
}

TEST_CASE("a warm-up that is longer than the run is told", "[train][lr_schedule]") {
  const auto all_warmup = [](const std::string& yaml) { return is_all_warmup(parse_yaml(yaml, "r.yaml"), {0, 100, 10}); };
  CHECK(all_warmup("{name: cosine, warmup: 100}"));
  CHECK(all_warmup("{name: cosine, warmup: 10}"));
  CHECK_FALSE(all_warmup("{name: cosine, warmup: 9}"));
  CHECK_FALSE(all_warmup("cosine"));
}
