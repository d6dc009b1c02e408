#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <random>

#include "allocators/budget_warnings.h"
#include "allocators/checked_allocator.h"
#include "allocators/damage_curve.h"
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

  Budget allocate(const std::string& name, double sparsity, std::vector<int64_t> floors = {}, std::vector<int64_t> ceilings = {}) const {
    if (name == "sensitivity") return allocate_by_table(sparsity, std::move(floors), std::move(ceilings));
    return allocate_with(*Registry<Allocator>::instance().make(name, Options{}), sparsity, std::move(floors), std::move(ceilings));
  }

  Budget allocate_with(const Allocator& allocator, double sparsity, std::vector<int64_t> floors = {}, std::vector<int64_t> ceilings = {},
                       std::vector<std::string>* notes = nullptr) const {
    AllocationTask task = task_;
    task.sparsity = sparsity;
    task.pattern = "unstructured";
    if (!floors.empty()) task.floors = std::move(floors);
    task.ceilings = std::move(ceilings);
    task.scores = [this](size_t i, std::vector<float>&) { return ScoreView(scores_[i]); };
    // Stands for a model in which the first layer matters most.
    task.damage = [](const Budget& budget) { return 10 - static_cast<double>(budget.front()); };
    task.damage_name = "loss of the first layer";
    task.notes = notes;
    return allocator.allocate(task);
  }

  /// A table in which the cost of layer i is (i + 1) sparsity^2.
  Budget allocate_by_table(double sparsity, std::vector<int64_t> floors, std::vector<int64_t> ceilings) const {
    const std::string path = (std::filesystem::temp_directory_path() / ("sparsify-table-" + std::to_string(::getpid()) + ".json")).string();
    std::ofstream out(path);
    out << R"({"schema_version": 1, "kind": "sensitivity", "layers": [)";
    for (size_t i = 0; i < task_.layers.size(); ++i) {
      out << (i == 0 ? "" : ",") << R"({"initializer": ")" << task_.layers[i].initializer << R"(", "weights": )" << task_.units[i] << R"(, "points": [)";
      for (const double at : {0.25, 0.5, 0.75, 1.0}) {
        out << (at > 0.25 ? "," : "") << R"({"pattern": "unstructured", "sparsity": )" << at << R"(, "divergence": )"
            << static_cast<double>(i + 1) * at * at << "}";
      }
      out << "]}";
    }
    out << "]}";
    out.close();
    const Options options(Setting(Setting::Map{{"table", Setting(path)}}));
    const Budget budget = allocate_with(*Registry<Allocator>::instance().make("sensitivity", options), sparsity, std::move(floors), std::move(ceilings));
    std::filesystem::remove(path);
    return budget;
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
        if (name != "auto") CHECK(sum(budget) == expected);  // it may choose uniform, which rounds in each layer
        CHECK(budget == one->allocate(name, sparsity));

        std::vector<int64_t> floors;
        for (const int64_t count : units) floors.push_back((count + 9) / 10);
        const Budget with_floors = one->allocate(name, sparsity, floors);
        for (size_t i = 0; i < units.size(); ++i) {
          CHECK(with_floors[i] >= floors[i]);
          CHECK(with_floors[i] <= units[i]);
        }
        const bool by_layer = name == "uniform" || name == "auto";
        if (!by_layer) CHECK(sum(with_floors) == std::max(expected, sum(floors)));

        std::vector<int64_t> ceilings;
        for (const int64_t count : units) ceilings.push_back((count + 1) / 2);
        const Budget with_both = one->allocate(name, sparsity, floors, ceilings);
        for (size_t i = 0; i < units.size(); ++i) {
          CHECK(with_both[i] >= floors[i]);
          CHECK(with_both[i] <= ceilings[i]);
        }
        if (!by_layer) CHECK(sum(with_both) == std::clamp(expected, sum(floors), sum(ceilings)));
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

namespace {

Layers resnet20() {
  std::vector<Shape> shapes = {{16, 3, 3, 3}};
  const auto add = [&](int64_t out, int64_t in, size_t count) { shapes.insert(shapes.end(), count, {out, in, 3, 3}); };
  add(16, 16, 6);
  add(32, 16, 1);
  add(32, 32, 5);
  add(64, 32, 1);
  add(64, 64, 5);
  shapes.push_back({10, 64});
  return Layers::of_shapes(shapes);
}

/// One density for every kind of layer of resnet20().
std::vector<double> spread(const std::array<double, 7>& kinds) {
  std::vector<double> densities;
  const size_t counts[] = {1, 6, 1, 5, 1, 5, 1};
  for (size_t i = 0; i < kinds.size(); ++i) densities.insert(densities.end(), counts[i], kinds[i]);
  return densities;
}

}  // namespace

TEST_CASE("ERK of ResNet-20", "[allocators][erk]") {
  const Layers layers = resnet20();
  CHECK(sum(layers.units()) == 268'336);
  check_densities(layers, 0.9, spread({1, .302626, .215024, .139367, .101539, .066697, 1}));
  check_densities(layers, 0.95, spread({.517423, .147466, .104778, .067912, .049479, .032501, 1}));
}

TEST_CASE("ERK of ResNet-20 with the counts of RigL's code, which rounds every layer's zeros down first", "[allocators][erk]") {
  const Layers layers = resnet20();
  const auto check = [&](double sparsity, double density, const std::array<double, 7>& expected) {
    int64_t kept = 0;
    for (const int64_t units : layers.units()) kept += units - static_cast<int64_t>(std::floor(sparsity * static_cast<double>(units)));
    const auto all = static_cast<double>(sum(layers.units()));
    if (density > 0) CHECK(static_cast<double>(kept) / all == Approx(density).margin(5e-8));
    check_densities(layers, 1 - static_cast<double>(kept) / all, spread(expected));
  };
  check(0.9, .1000388, {1, .302749, .215111, .139424, .101580, .066724, 1});
  check(0.95, 0, {.517877, .147595, .104870, .067971, .049522, .032529, 1});
}

TEST_CASE("floors and ceilings that contradict each other are settled by the side that weighs more", "[allocators][global]") {
  const Layers layers({{1, 2, 3, 4}, {10, 11, 12, 13}, {20, 21, 22, 23}});
  CHECK(layers.allocate("global", 0.5, {0, 0, 0}, {4, 4, 2}) == Budget{0, 4, 2});
  // Selected 0, 2, 4: the floor asks for one more, the ceiling for two fewer; the ceiling is fixed first.
  CHECK(layers.allocate("global", 0.5, {1, 0, 0}, {4, 4, 2}) == Budget{1, 3, 2});
  CHECK(layers.allocate("global", 0.0, {0, 0, 0}, {1, 1, 1}) == Budget{1, 1, 1});
}

TEST_CASE("normalised ranks by the share of the layer's norm", "[allocators][normalised]") {
  // (3, 4) / 5 = .6, .8; (30, 40, 120) / 130 = .23, .31, .92
  CHECK(Layers({{3, 4}, {30, 40, 120}}).allocate("normalised", 2.0 / 5) == Budget{2, 1});
  CHECK(Layers({{3, 4}, {30, 40, 120}}).allocate("global", 2.0 / 5) == Budget{0, 3});
  CHECK(Layers({{0, 0}, {1, 2}}).allocate("normalised", 0.5) == Budget{0, 2});
}

TEST_CASE("OWL spreads densities by the share of outliers, with the target as their mean", "[allocators][owl]") {
  // 1000 scores a layer, D = 1 %, 2 %, 3 %, 6 % of them 100, the others 1: 100 is above 5 times the mean in each.
  std::vector<std::vector<float>> scores;
  for (const int outliers : {10, 20, 30, 60}) {
    scores.emplace_back(1000, 1.0F);
    std::fill_n(scores.back().begin(), outliers, 100.0F);
  }
  CHECK(Layers(scores).allocate("owl", 0.7) == Budget{236, 268, 300, 396});
  CHECK(Layers({{1, 2, 3, 4}, {1, 1, 1, 1}}).allocate("owl", 0.5) == Budget{2, 2});  // no outliers: uniform
}

TEST_CASE("auto takes the candidate with the least damage and says why", "[allocators][auto]") {
  const Layers layers({{1, 2, 3, 4}, {10, 11, 12, 13}});
  std::vector<std::string> notes;
  const auto automatic = Registry<Allocator>::instance().make("auto", Options{});
  CHECK(automatic->needs_damage());
  CHECK(layers.allocate_with(*automatic, 0.5, {}, {}, &notes).front() == 2);  // global would leave none of the first layer
  REQUIRE(notes.size() == 1);
  CHECK_THAT(notes[0], Catch::Contains("uniform was chosen") && Catch::Contains("least loss of the first layer") && Catch::Contains("global 10"));
  const Options other(Setting(Setting::Map{{"candidates", Setting(Setting::List{Setting("global")})}}));
  CHECK(layers.allocate_with(*Registry<Allocator>::instance().make("auto", other), 0.5) == Budget{0, 4});
  const Options nested(Setting(Setting::Map{{"candidates", Setting(Setting::List{Setting("auto")})}}));
  CHECK_THROWS_AS(Registry<Allocator>::instance().make("auto", nested), ConfigError);
}

TEST_CASE("auto passes over a candidate that cannot rank these scores", "[allocators][auto]") {
  const Options only(Setting(Setting::Map{{"candidates", Setting(Setting::List{Setting("lamp"), Setting("uniform")})}}));
  std::vector<std::string> notes;
  CHECK(Layers({{1, -1}, {2, 3}}).allocate_with(*Registry<Allocator>::instance().make("auto", only), 0.5, {}, {}, &notes) == Budget{1, 1});
  CHECK_THAT(notes.at(0), Catch::Contains("lamp does not fit"));
}

TEST_CASE("a damage curve is linear between its points and never falls", "[allocators][sensitivity]") {
  const DamageCurve curve({{0.8, 2.0}, {0.4, 1.0}, {0.6, 0.5}});
  CHECK(curve.at(0) == 0);
  CHECK(curve.at(0.2) == Approx(0.5));
  CHECK(curve.at(0.6) == Approx(1.0));  // 0.5 there is noise
  CHECK(curve.at(0.7) == Approx(1.5));
  CHECK(curve.at(0.9) == Approx(2.5));
  CHECK(DamageCurve().at(0.5) == 0);
}

TEST_CASE("the least damage is that of a search over all splits", "[allocators][sensitivity]") {
  std::mt19937 random(11);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (int trial = 0; trial < 20; ++trial) {
    DamageProblem problem{.curves = {}, .units = {12, 9, 15}, .least = {0, 2, 0}, .most = {12, 9, 11}};
    for (int i = 0; i < 3; ++i) problem.curves.emplace_back(std::vector<std::pair<double, double>>{{0.3, uniform(random)}, {0.7, 1 + uniform(random)}, {1.0, 3 * uniform(random)}});
    const auto cost = [&](int64_t a, int64_t b, int64_t c) {
      return problem.curves[0].at(a / 12.0) + problem.curves[1].at(b / 9.0) + problem.curves[2].at(c / 15.0);
    };
    problem.pruned = 4 + trial;
    double best = 1e9;
    for (int64_t a = 0; a <= 12; ++a) {
      for (int64_t b = 2; b <= 9; ++b) {
        const int64_t c = problem.pruned - a - b;
        if (c >= 0 && c <= 11) best = std::min(best, cost(a, b, c));
      }
    }
    const auto pruned = least_damage(problem);
    REQUIRE(pruned.size() == 3);
    CHECK(pruned[0] + pruned[1] + pruned[2] == problem.pruned);
    CHECK(cost(pruned[0], pruned[1], pruned[2]) == Approx(best));
  }
}

TEST_CASE("large layers are settled to the unit although the search goes in steps", "[allocators][sensitivity]") {
  DamageProblem problem{.curves = {}, .units = {1'000'003, 777'777, 50}, .least = {0, 0, 0}, .most = {1'000'003, 700'000, 40}, .pruned = 1'234'567};
  for (const double scale : {1.0, 2.0, 3.0}) problem.curves.emplace_back(std::vector<std::pair<double, double>>{{0.5, scale}, {1.0, 4 * scale}});
  const auto pruned = least_damage(problem);
  CHECK(pruned[0] + pruned[1] + pruned[2] == 1'234'567);
  CHECK(pruned[1] <= 700'000);
  CHECK(pruned[2] <= 40);
  CHECK(pruned[0] > pruned[1]);
}

TEST_CASE("the sensitivity allocator refuses tables that do not fit", "[allocators][sensitivity]") {
  const std::string path = (std::filesystem::temp_directory_path() / ("sparsify-table-" + std::to_string(::getpid()) + ".json")).string();
  const auto read = [&](const std::string& text, const std::string& measure = "auto", const std::string& pattern = "unstructured") {
    std::ofstream(path) << text;
    return read_damage_curves(path, measure, pattern, {{"w", 10}});
  };
  const std::string head = R"({"schema_version": 1, "kind": "sensitivity", "dense": {"metric": 90.0, "loss": null}, )";
  const std::string good = head + R"("layers": [{"initializer": "w", "weights": 10, "points": [{"pattern": "unstructured", "sparsity": 0.5, "relative_error": 0.5, "metric": 80.0}]}]})";
  CHECK(read(good).at(0).at(0.5) == Approx(0.25));  // squared
  CHECK(read(good, "metric").at(0).at(0.5) == Approx(10));
  CHECK_THROWS_WITH(read(good, "loss"), Catch::Contains("has no loss"));
  CHECK_THROWS_WITH(read(good, "auto", "2:4"), Catch::Contains("no points of the pattern 2:4, only of unstructured"));
  CHECK_THROWS_WITH(read(good, "auto", "block 4x1"), Catch::Contains("no points of the pattern block 4x1"));
  try {
    read(good, "auto", "block 4x1");
  } catch (const ConfigError& error) {
    CHECK(error.problem().fix == "measure it: sparsify sensitivity ... --patterns '{block: [4, 1]}'");
  }
  // A group has the name of one of its tensors: its row is none of that tensor's.
  const std::string both = head + R"("layers": [{"initializer": "w", "weights": 10, "points": [{"pattern": "unstructured", "sparsity": 0.5, "relative_error": 0.5}]},
                                              {"initializer": "w", "weights": 4, "points": [{"pattern": "channel", "sparsity": 0.5, "relative_error": 1}]}]})";
  CHECK(read(both).at(0).at(0.5) == Approx(0.25));
  CHECK_THROWS_WITH(read("{}"), Catch::Contains("no sensitivity table"));
  CHECK_THROWS_WITH(read(R"({"kind": "sensitivity", "schema_version": 2, "layers": []})"), Catch::Contains("schema_version 2"));
  CHECK_THROWS_WITH(read(head + R"("layers": [{"initializer": "w", "weights": 11, "points": [{"pattern": "unstructured", "sparsity": 0.5, "divergence": 1}]}]})"),
                    Catch::Contains("10 weights here and 11 in the table"));
  CHECK_THROWS_WITH(read(head + R"("layers": [{"initializer": "v", "weights": 10, "points": [{"pattern": "unstructured", "sparsity": 0.5, "divergence": 1}]}]})"),
                    Catch::Contains("for w"));
  CHECK_THROWS_AS(read("{"), ConfigError);
  std::filesystem::remove(path);
  CHECK_THROWS_AS(read_damage_curves(path, "auto", "unstructured", {}), ConfigError);
}

TEST_CASE("pruning 20 % of what is left, 10 % in the last layer, gives the densities of the lottery ticket paper", "[allocators]") {
  // LeNet-300-100, Frankle & Carbin 2019, arXiv:1803.03635: percent that stays after so many rounds.
  int64_t hidden = 784 * 300 + 300 * 100;
  int64_t last = 1000;
  const std::map<int, double> percent = {{3, 51.28}, {7, 21.07}, {9, 13.52}, {15, 3.58}, {16, 2.87}};
  for (int round = 1; round <= 16; ++round) {
    hidden = kept_count(hidden, 0.2);
    last = kept_count(last, 0.1);
    const auto found = percent.find(round);
    if (found != percent.end()) CHECK(100.0 * static_cast<double>(hidden + last) / 266'200 == Approx(found->second).margin(0.006));
  }
}

TEST_CASE("a budget that does not fit the layers, their limits or the target is told with the allocation's name", "[allocators][plugins]") {
  class Given final : public Allocator {
   public:
    explicit Given(Budget budget) : budget_(std::move(budget)) {}
    Budget allocate(const AllocationTask&) const override { return budget_; }

   private:
    Budget budget_;
  };
  const Layers layers({{1, 2, 3, 4}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}});
  const auto said = [&](const Budget& budget, std::vector<int64_t> floors = {}, std::vector<int64_t> ceilings = {}) -> std::string {
    const Given given(budget);
    try {
      layers.allocate_with(CheckedAllocator(given, {.family = "allocation", .name = "mine", .where = "r.yaml:3"}), 0.5, std::move(floors), std::move(ceilings));
    } catch (const ConfigError& error) {
      return error.problem().what;
    }
    return "right";
  };
  CHECK(said({2, 5}) == "right");
  CHECK(said({0, 7}) == "right");
  CHECK(said({}) == "the allocation \"mine\" gives budgets for 0 of 2 layers");
  CHECK(said({-5, 7}) == "the allocation \"mine\" keeps -5 units of layer \"/layer0\", where 0 to 4 may be kept");
  CHECK(said({2, 20}) == "the allocation \"mine\" keeps 20 units of layer \"/layer1\", where 0 to 10 may be kept");
  CHECK(said({1, 6}, {2, 0}) == "the allocation \"mine\" keeps 1 units of layer \"/layer0\", where 2 to 4 may be kept");
  CHECK(said({4, 10}) == "the allocation \"mine\" keeps 14 units in all where the target keeps 7");
  CHECK(said({0, 0}) == "the allocation \"mine\" keeps 0 units in all where the target keeps 7");
  CHECK(said({2, 1}, {}, {4, 1}) == "right");  // as uniform: the ceiling's loss is not made up for
  for (const std::string& name : Registry<Allocator>::instance().names()) {
    if (name == "sensitivity") continue;  // wants a table
    const auto allocator = Registry<Allocator>::instance().make(name, Options{});
    const CheckedAllocator checked(*allocator, {.family = "allocation", .name = name, .where = "test"});
    for (const double sparsity : {0.0, 0.37, 0.9, 0.99}) {
      INFO(name << " at " << sparsity);
      const Layers normal = normal_layers();
      std::vector<int64_t> floors;
      std::vector<int64_t> ceilings;
      for (const int64_t units : normal.units()) {
        floors.push_back(units / 10);
        ceilings.push_back((units + 1) / 2);
      }
      CHECK_NOTHROW(normal.allocate_with(checked, sparsity));
      CHECK_NOTHROW(normal.allocate_with(checked, sparsity, floors, ceilings));
    }
  }
}
