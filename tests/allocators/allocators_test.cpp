#include <cmath>
#include <numeric>
#include <random>

#include "allocators/allocator.h"
#include "base/error.h"
#include "support/catch.h"
#include "support/layers.h"
#include "support/plugins.h"

using namespace sparsify;

namespace {

/// Layers with their scores; every unit is one weight.
class Layers {
 public:
  explicit Layers(std::vector<std::vector<float>> scores) : scores_(std::move(scores)) {
    for (const auto& layer : scores_) add({static_cast<int64_t>(layer.size())});
  }
  /// Only shapes: for allocators that need no scores.
  static Layers of_shapes(const std::vector<Shape>& shapes) {
    Layers layers({});
    for (const Shape& shape : shapes) layers.add(shape);
    return layers;
  }

  Budget allocate(const std::string& name, double sparsity, std::vector<int64_t> floors = {}) const {
    AllocationTask task = task_;
    task.sparsity = sparsity;
    if (!floors.empty()) task.floors = std::move(floors);
    task.scores = [this](size_t i, std::vector<float>&) { return ScoreView(scores_[i]); };
    return Registry<Allocator>::instance().make(name, Options{})->allocate(task);
  }

  const std::vector<int64_t>& units() const { return task_.units; }

 private:
  void add(const Shape& shape) {
    task_.layers.push_back(conv_layer(shape, "layer" + std::to_string(task_.layers.size())));
    task_.units.push_back(element_count(shape));
    task_.floors.push_back(0);
  }

  std::vector<std::vector<float>> scores_;
  AllocationTask task_;
};

int64_t sum(const std::vector<int64_t>& values) { return std::accumulate(values.begin(), values.end(), int64_t{0}); }

Layers normal_layers() {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> scores;
  for (const size_t size : {100, 1, 4000, 33, 700}) {
    scores.emplace_back(size);
    for (float& score : scores.back()) score = std::fabs(normal(random)) * static_cast<float>(scores.size());
  }
  return Layers(std::move(scores));
}

std::vector<double> densities(const Layers& layers, const Budget& budget) {
  std::vector<double> result;
  for (size_t i = 0; i < budget.size(); ++i) {
    result.push_back(static_cast<double>(budget[i]) / static_cast<double>(layers.units()[i]));
  }
  return result;
}

/// Within one unit of the density.
void check_densities(const Layers& layers, double sparsity, const std::vector<double>& expected) {
  const Budget budget = layers.allocate("erk", sparsity);
  CHECK(sum(budget) == kept_count(sum(layers.units()), sparsity));
  const std::vector<double> actual = densities(layers, budget);
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    CHECK(actual[i] == Approx(expected[i]).epsilon(0).margin(1.0 / static_cast<double>(layers.units()[i]) + 1e-6));
  }
}

}  // namespace

TEST_CASE("every allocator registers itself once", "[allocators][contract]") {
  CHECK(Registry<Allocator>::instance().names().size() == plugin_files("allocators"));
}

TEST_CASE("every allocator meets the target exactly, within floors and sizes", "[allocators][contract]") {
  const Layers layers = normal_layers();
  const Layers constant({std::vector<float>(50, 1.0f), std::vector<float>(70, 1.0f), std::vector<float>(3, 1.0f)});
  for (const std::string& name : Registry<Allocator>::instance().names()) {
    for (const double sparsity : {0.0, 0.37, 0.5, 0.9, 0.99}) {
      for (const Layers* one : {&layers, &constant}) {
        INFO(name << " at sparsity " << sparsity);
        const std::vector<int64_t>& units = one->units();
        int64_t expected = kept_count(sum(units), sparsity);
        if (name == "uniform") {
          expected = 0;
          for (const int64_t count : units) expected += kept_count(count, sparsity);
        }
        const Budget budget = one->allocate(name, sparsity);
        REQUIRE(budget.size() == units.size());
        CHECK(sum(budget) == expected);
        CHECK(budget == one->allocate(name, sparsity));

        std::vector<int64_t> floors;
        for (const int64_t count : units) floors.push_back((count + 9) / 10);
        const Budget with_floors = one->allocate(name, sparsity, floors);
        for (size_t i = 0; i < units.size(); ++i) {
          CHECK(with_floors[i] >= floors[i]);
          CHECK(with_floors[i] <= units[i]);
        }
        if (name != "uniform") CHECK(sum(with_floors) == std::max(expected, sum(floors)));
      }
    }
  }
}

TEST_CASE("global keeps the highest scores of all layers", "[allocators][global]") {
  CHECK(Layers({{1, 5, 9}, {2, 6, 7, 8}}).allocate("global", 4.0 / 7) == Budget{1, 2});
  CHECK(Layers({{1, 1}, {1, 1}, {1, 1}}).allocate("global", 0.5) == Budget{2, 1, 0});  // ties in layer order
}

TEST_CASE("a layer under its floor is fixed there and the rest is solved again", "[allocators][global]") {
  const Layers layers({{1, 2, 3, 4}, {10, 11, 12, 13}, {20, 21, 22, 23}});
  CHECK(layers.allocate("global", 0.5) == Budget{0, 2, 4});
  CHECK(layers.allocate("global", 0.5, {2, 1, 0}) == Budget{2, 1, 3});  // the second would have none left
  CHECK(layers.allocate("global", 0.5, {1, 0, 0}) == Budget{1, 1, 4});
  CHECK(layers.allocate("global", 0.75, {2, 2, 2}) == Budget{2, 2, 2});  // floors win over the target
}

TEST_CASE("uniform rounds in every layer", "[allocators][uniform]") {
  CHECK(Layers({{1, 2, 3}, {1, 2, 3, 4, 5, 6, 7}}).allocate("uniform", 0.5) == Budget{1, 3});
  CHECK(Layers({{1, 2, 3}, {1, 2}}).allocate("uniform", 0.9, {1, 2}) == Budget{1, 2});
}

TEST_CASE("LAMP scores each weight beside those that outlive it", "[allocators][lamp]") {
  // Of (1, 2, 3): 1/14, 4/13, 1. Of (1, 1, 1, 1): 1, 1/2, 1/3, 1/4. Falling: 1 1 | 1/2 | 1/3 | 4/13 | 1/4 | 1/14.
  const Layers layers({{2, 1, 3}, {1, 1, 1, 1}});
  const Budget expected[] = {{0, 0}, {1, 0}, {1, 1}, {1, 2}, {1, 3}, {2, 3}, {2, 4}, {3, 4}};
  for (int keep = 0; keep <= 7; ++keep) {
    INFO("keep " << keep);
    CHECK(layers.allocate("lamp", 1 - keep / 7.0) == expected[keep]);
  }
  // 4/13 against one that lies between 4/14 and 4/13: the denominator has no smaller weights.
  const float between = std::sqrt(0.3f / 0.7f);  // (between, 1): 0.3 and 1
  CHECK(Layers({{1, 2, 3}, {between, 1}}).allocate("lamp", 2.0 / 5) == Budget{2, 1});
}

TEST_CASE("LAMP is blind to the scale of a layer and keeps its largest weight", "[allocators][lamp]") {
  CHECK(Layers({{1e-6f, 2e-6f, 3e-6f}, {1e6f, 2e6f, 3e6f}}).allocate("lamp", 0.34) == Budget{2, 2});
  CHECK(Layers({{0, 0, 0}, {1, 2}}).allocate("lamp", 0.6) == Budget{0, 2});
}

TEST_CASE("LAMP refuses negative scores by name", "[allocators][lamp]") {
  CHECK_THROWS_WITH(Layers({{1, -1}}).allocate("lamp", 0.5), Catch::Contains("\"layer0\" is -1"));
}

TEST_CASE("ERK of a two-layer toy", "[allocators][erk]") {
  check_densities(Layers::of_shapes({Shape{8, 4}, Shape{4, 2}}), 0.5, {.416667, .833333});
}

TEST_CASE("ERK of LeNet-300-100", "[allocators][erk]") {
  const Layers layers = Layers::of_shapes({Shape{300, 784}, Shape{100, 300}, Shape{10, 100}});
  check_densities(layers, 0.9, {.079568, .230189, 1.0});
  check_densities(layers, 0.95, {.038484, .111334, .918507});
  check_densities(layers, 0.98, {.015394, .044534, .367403});
}

TEST_CASE("ERK of LeNet-5", "[allocators][erk]") {
  check_densities(Layers::of_shapes({Shape{20, 1, 5, 5}, Shape{50, 20, 5, 5}, Shape{500, 800}, Shape{10, 500}}), 0.9,
                  {1, .087072, .088433, 1});
}

TEST_CASE("ERK of ResNet-20", "[allocators][erk]") {
  std::vector<Shape> shapes = {{16, 3, 3, 3}};
  std::vector<double> at_90 = {1};
  std::vector<double> at_95 = {.517423};
  const auto add = [&](int64_t out, int64_t in, int count, double first, double second) {
    for (int i = 0; i < count; ++i) {
      shapes.push_back({out, in, 3, 3});
      at_90.push_back(first);
      at_95.push_back(second);
    }
  };
  add(16, 16, 6, .302626, .147466);
  add(32, 16, 1, .215024, .104778);
  add(32, 32, 5, .139367, .067912);
  add(64, 32, 1, .101539, .049479);
  add(64, 64, 5, .066697, .032501);
  shapes.push_back({10, 64});
  at_90.push_back(1);
  at_95.push_back(1);
  const Layers layers = Layers::of_shapes(shapes);
  CHECK(sum(layers.units()) == 268'336);
  check_densities(layers, 0.9, at_90);
  check_densities(layers, 0.95, at_95);
}
