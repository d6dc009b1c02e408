// How a training ends before its time: interrupted where no step is, or diverged.
#include <fmt/core.h>

#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "data/fixtures.h"
#include "program/model_text.h"
#include "support/catch.h"
#include "train/checkpoint.h"
#include "train/task.h"

using namespace sparsify;

namespace {

[[maybe_unused]] const bool quiet = (set_log_level(LogLevel::Quiet), true);

constexpr const char* kLinear = R"(<ir_version: 8, opset_import: ["": 17]>
  graph (float[N, 2] x) => (float[N, 1] y) <float[2, 1] w = {0.5, 2}, float[1] b = {0}> { m = MatMul (x, w)  y = Add (m, b) })";

/// Eight points of y = 3 a - b.
struct Points {
  Points() {
    std::string csv;
    for (int i = 0; i < 8; ++i) csv += fmt::format("{},{},{}\n", i % 4 - 1.5, i / 4 - 0.5, 3 * (i % 4 - 1.5) - (i / 4 - 0.5));
    folder.write("points.csv", csv);
  }
  DataSource open(const ModelFile& file) const {
    return open_source(fmt::format("train: {{format: csv, path: {}, target: value, batch_size: 4}}", folder.path("points.csv")), file.model().graph.inputs, "train");
  }
  TemporaryFolder folder;
};

int id_of(const ModelFile& file, const std::string& name) {
  for (int id = 0; id < file.tensor_count(); ++id) {
    if (file.tensor(id).name == name) return id;
  }
  return -1;
}

double largest(const std::vector<float>& values) {
  double most = 0;
  for (const float value : values) most = std::isfinite(value) ? std::max<double>(most, std::abs(value)) : INFINITY;
  return most;
}

}  // namespace

TEST_CASE("an interruption of a validation or a choice of masks leaves a checkpoint, and the same bytes come of it", "[train][endings]") {
  const TextModel model(kLinear);
  const ModelFile file = model.load();
  const Points points;
  const DataSource data = points.open(file);
  const int id = id_of(file, "w");
  for (const std::string where : {"validation 2", "validation 4", "masks 3", "masks 4"}) {
    INFO(where);
    TrainTask task = task_for(file, data, "{epochs: 4, loss: mse, ema: 0.5, optimizer: {name: adam, lr: 0.05}}");
    int64_t validations = 0;
    bool cut = false;
    const auto interrupt_at = [&](const std::string& here) {
      if (cut && here == where) throw InterruptedError{{.what = "interrupted", .where = "a test", .fix = "go on"}};
    };
    task.metric = "made_up";
    task.validate = [&](const WeightMap& weights) {
      interrupt_at(fmt::format("validation {}", ++validations));
      return static_cast<double>(weights.at(id).to_floats()[0]);
    };
    task.mask_steps = {where == "masks 4" ? 4 : 3};
    task.new_masks = [&](const WeightMap&, int64_t step, int64_t) {
      interrupt_at(fmt::format("masks {}", step));
      BitMask mask(2);
      mask.prune(1);
      return MaskMap{{id, mask}};
    };
    const TrainResult whole = make_trainer()->train(task);
    const TemporaryFolder folder;
    task.checkpoints = folder.path("c");
    task.identity = {{"model", "1"}};
    cut = true;
    validations = 0;
    CHECK_THROWS_AS(make_trainer()->train(task), InterruptedError);
    REQUIRE(has_checkpoint(task.checkpoints));
    cut = false;
    task.resume = true;
    const TrainResult resumed = make_trainer()->train(task);
    CHECK(resumed.history.resumed == 1);
    CHECK(resumed.history.samples == whole.history.samples);
    CHECK(resumed.history.best_epoch == whole.history.best_epoch);
    REQUIRE(resumed.history.epochs.size() == 4);
    for (size_t i = 0; i < 4; ++i) {
      const TrainRow& now = resumed.history.epochs[i];
      const TrainRow& then = whole.history.epochs[i];
      CHECK(now.step == then.step);
      CHECK(now.loss == then.loss);
      CHECK(now.lr == then.lr);
      CHECK(now.metric == then.metric);
    }
    for (const auto& [tensor, weight] : whole.weights) CHECK(resumed.weights.at(tensor).to_floats() == weight.to_floats());
  }
}

TEST_CASE("what diverges in its last step is not handed out, and the checkpoint that stays has a finite loss", "[train][endings]") {
  const TextModel model(kLinear);
  const ModelFile file = model.load();
  const Points points;
  const DataSource data = points.open(file);
  const int id = id_of(file, "w");
  const double most = 1.7e19;  // the square of more is not a float32
  int64_t good = 0;
  int64_t refused = 0;
  for (int steps = 1; steps <= 12; ++steps) {
    INFO(steps);
    const TrainTask task = task_for(file, data, fmt::format("{{steps: {}, loss: mse, lr_schedule: constant, optimizer: {{name: sgd, lr: 900, momentum: 0}}}}", steps));
    try {
      const TrainResult result = make_trainer()->train(task);
      CHECK(largest(result.weights.at(id).to_floats()) < most);
      ++good;
    } catch (const ResourceError& e) {
      CHECK(contains(e.problem().fix, "--overwrite"));
      ++refused;
    }
  }
  CHECK(good > 0);
  CHECK(refused > 0);
  TrainTask task = task_for(file, data, "{steps: 60, loss: mse, lr_schedule: constant, checkpoint_steps: 1, optimizer: {name: sgd, lr: 900, momentum: 0}}");
  const TemporaryFolder folder;
  task.checkpoints = folder.path("c");
  const Problem problem = problem_of<ResourceError>([&] { make_trainer()->train(task); });
  CHECK(contains(problem.fix, "last good checkpoint"));
  const auto kept = read_checkpoint(task.checkpoints, {});
  REQUIRE(kept.has_value());
  CHECK(largest(kept->tensors.at(fmt::format("weight/{}", id)).to_floats()) < most);
}

TEST_CASE("weights whose masks the scores chose train on after the last choice", "[train][endings]") {
  const TextModel model(kLinear);
  const ModelFile file = model.load();
  const Points points;
  const DataSource data = points.open(file);
  const int id = id_of(file, "w");
  TrainTask task = task_for(file, data, "{epochs: 10, loss: mse, lr_schedule: constant, optimizer: {name: sgd, lr: 0.02}}");
  task.movement = MovementSettings{.end = 0.5, .every = 1, .keep = {{id, 1}}};
  std::vector<double> after;
  task.validate = [&](const WeightMap& weights) {
    after.push_back(largest(weights.at(id).to_floats()));
    return static_cast<double>(after.size());
  };
  const TrainResult result = make_trainer()->train(task);
  CHECK(result.masks.at(id).kept() == 1);
  REQUIRE(after.size() == 10);
  for (size_t i = 6; i < 10; ++i) CHECK(after[i] != after[i - 1]);
}

TEST_CASE("a frozen BatchNormalization keeps its statistics and normalises with them", "[train][endings]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 2] x) => (float[N, 1] y)
    <float[2] scale = {1, 1}, float[2] shift = {0, 0}, float[2] mean = {0, 0}, float[2] var = {4, 1}, float[2, 1] w = {0.5, 2}, float[1] b = {0}>
    { n = BatchNormalization (x, scale, shift, mean, var)  m = MatMul (n, w)  y = Add (m, b) })");
  const ModelFile file = model.load();
  const TemporaryFolder folder;
  folder.write("one.csv", "1,2,3\n");
  const DataSource data = open_source(fmt::format("train: {{format: csv, path: {}, target: value}}", folder.path("one.csv")), file.model().graph.inputs, "train");
  const TrainResult fixed = make_trainer()->train(task_for(file, data, "{steps: 1, loss: mse, groups: [{include: [scale], frozen: true}]}"));
  CHECK_FALSE(fixed.weights.contains(id_of(file, "mean")));
  CHECK_FALSE(fixed.weights.contains(id_of(file, "var")));
  CHECK(fixed.weights.contains(id_of(file, "shift")));
  CHECK(fixed.history.epochs.at(0).loss == Approx(1.5625).epsilon(1e-4));  // y = 1 / 2 * .5 + 2 * 2 = 4.25; the batch's statistics would make it 0
  const TrainResult moved = make_trainer()->train(task_for(file, data, "{steps: 1, loss: mse}"));
  CHECK(moved.weights.at(id_of(file, "mean")).to_floats()[0] == Approx(0.1));
  CHECK(moved.history.epochs.at(0).loss == Approx(9));
}
