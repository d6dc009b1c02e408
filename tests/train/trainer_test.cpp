#include <cmath>

#include <fmt/core.h>

#include "base/error.h"
#include "base/log.h"
#include "data/fixtures.h"
#include "program/model_text.h"
#include "support/catch.h"
#include "train/task.h"
#include "train/trainer.h"

using namespace sparsify;

namespace {

[[maybe_unused]] const bool quiet = (set_log_level(LogLevel::Quiet), true);

constexpr const char* kLinear = R"(<ir_version: 8, opset_import: ["": 17]>
  graph (float[N, 2] x) => (float[N, 1] y) <float[2, 1] w = {0.5, 2}, float[1] b = {0}> { m = MatMul (x, w)  y = Add (m, b) })";
constexpr const char* kClasses = R"(<ir_version: 8, opset_import: ["": 17]>
  graph (float[N, 2] x) => (float[N, 2] p) <float[2, 2] w = {0.1, -0.2, 0.3, 0.05}, float[2] b = {0, 0}>
  { m = MatMul (x, w)  s = Add (m, b)  p = Softmax (s) })";

/// Eight points of y = 3 a - b (values), or the class a > b.
struct Points {
  explicit Points(const std::string& kind = "value", const std::string& extra = "") {
    std::string csv;
    for (int i = 0; i < 8; ++i) {
      const double a = i % 4 - 1.5;
      const double b = i / 4 - 0.5;
      csv += kind == "value" ? fmt::format("{},{},{}\n", a, b, 3 * a - b) : fmt::format("{},{},{}\n", a, b, a > b ? 1 : 0);
    }
    folder.write("points.csv", csv);
    yaml = fmt::format("train: {{format: csv, path: {}, target: {}, batch_size: 4{}}}", folder.path("points.csv"), kind, extra);
  }
  DataSource open(const ModelFile& file) const { return open_source(yaml, file.model().graph.inputs, "train"); }

  TemporaryFolder folder;
  std::string yaml;
};

const StoredTensor& named(const ModelFile& file, const std::string& name) {
  for (int id = 0; id < file.tensor_count(); ++id) {
    if (file.tensor(id).name == name) return file.tensor(id);
  }
  throw std::runtime_error("no tensor " + name);
}

std::vector<float> weights(const TrainResult& result, const ModelFile& file, const std::string& name) {
  return result.weights.at(named(file, name).id).to_floats();
}

}  // namespace

TEST_CASE("one step of gradient descent has the values worked out by hand", "[train][trainer]") {
  const TextModel model(kLinear);
  const ModelFile file = model.load();
  const TemporaryFolder folder;
  folder.write("one.csv", "1,2,3\n");
  const DataSource data = open_source(fmt::format("train: {{format: csv, path: {}, target: value}}", folder.path("one.csv")), file.model().graph.inputs, "train");
  // y = .5 + 4 = 4.5; dL/dy = 2 (4.5 - 3) = 3; dL/dw = (3, 6), dL/db = 3; weight decay .1 w joins.
  const TrainResult result = make_trainer()->train(task_for(
      file, data, "{epochs: 1, loss: mse, lr_schedule: constant, optimizer: {name: sgd, lr: 0.1, momentum: 0, weight_decay: 0.1, decay_all: false}}"));
  CHECK(weights(result, file, "w")[0] == Approx(0.5 - 0.1 * (3 + 0.05)));
  CHECK(weights(result, file, "w")[1] == Approx(2 - 0.1 * (6 + 0.2)));
  CHECK(weights(result, file, "b")[0] == Approx(-0.3));
  CHECK(result.history.epochs.at(0).loss == Approx(2.25));
}

TEST_CASE("training finds the line, with every optimizer", "[train][trainer]") {
  const TextModel model(kLinear);
  const ModelFile file = model.load();
  const Points points;
  const DataSource data = points.open(file);
  for (const char* optimizer : {"{name: sgd, lr: 0.05, nesterov: true}", "{name: adam, lr: 0.1}", "{name: adamw, lr: 0.1, weight_decay: 0}"}) {
    const TrainResult result = make_trainer()->train(task_for(file, data, fmt::format("{{epochs: 100, loss: mse, optimizer: {}}}", optimizer)));
    INFO(optimizer);
    CHECK(weights(result, file, "w")[0] == Approx(3).margin(0.02));
    CHECK(weights(result, file, "w")[1] == Approx(-1).margin(0.02));
  }
}

TEST_CASE("pruned weights are +0.0 after training, averages and momentum included", "[train][trainer]") {
  const TextModel model(kLinear);
  const ModelFile file = model.load();
  const Points points;
  const DataSource data = points.open(file);
  TrainTask task = task_for(file, data, "{epochs: 5, loss: mse, ema: 0.9, clip_norm: 1, optimizer: {name: sgd, lr: 0.1, weight_decay: 0.1}}");
  BitMask mask(2);
  mask.prune(1);
  task.masks.emplace(named(file, "w").id, mask);
  int64_t calls = 0;
  task.validate = [&](const WeightMap& now) {
    const HostTensor weight = now.at(named(file, "w").id);
    CHECK(weight.data<float>()[1] == 0);
    CHECK_FALSE(std::signbit(weight.data<float>()[1]));
    return static_cast<double>(++calls == 2 ? 10 : calls);
  };
  task.metric = "made_up";
  const TrainResult result = make_trainer()->train(task);
  CHECK(calls == 5);
  CHECK(result.history.best_epoch == 1);
  CHECK(weights(result, file, "w")[0] != 0.5f);
  CHECK(result.masks.at(named(file, "w").id) == mask);
}

TEST_CASE("training stops early when the metric does not improve", "[train][trainer]") {
  const TextModel model(kLinear);
  const ModelFile file = model.load();
  const Points points;
  const DataSource data = points.open(file);
  TrainTask task = task_for(file, data, "{epochs: 50, loss: mse, patience: 2}");
  task.validate = [](const WeightMap&) { return 1.0; };
  const TrainResult result = make_trainer()->train(task);
  CHECK(result.history.stopped_early);
  CHECK(result.history.epochs.size() == 3);
}

TEST_CASE("accumulating two batches is the same as a batch of twice the size", "[train][trainer]") {
  const TextModel model(kClasses);
  const ModelFile file = model.load();
  const Points points("class", ", shuffle: false");
  const DataSource data = points.open(file);
  const auto train = [&](const std::string& sizes) {
    return weights(make_trainer()->train(task_for(file, data, "{epochs: 3, loss: cross_entropy, " + sizes + "}")), file, "w");
  };
  const std::vector<float> whole = train("batch_size: 8");
  const std::vector<float> parts = train("batch_size: 4, accumulate: 2");
  const std::vector<float> uneven = train("batch_size: 6, accumulate: 2");
  for (size_t i = 0; i < whole.size(); ++i) {
    CHECK(parts[i] == Approx(whole[i]).epsilon(1e-6));
    CHECK(uneven[i] == Approx(whole[i]).epsilon(1e-6));
  }
}

TEST_CASE("accumulated batches weigh as much as they have labels to learn from", "[train][trainer]") {
  const TextModel model(kClasses);
  const ModelFile file = model.load();
  TemporaryFolder folder;
  folder.write("points.csv", "0.5,1,-100\n1,-1,1\n-2,0.5,-100\n0.3,0.2,-100\n2,1,1\n-1,1,0\n1,3,0\n-1,-2,1\n");
  const DataSource data = open_source(fmt::format("train: {{format: csv, path: {}, target: class, shuffle: false}}", folder.path("points.csv")), file.model().graph.inputs, "train");
  const auto train = [&](const std::string& sizes) {
    return weights(make_trainer()->train(task_for(file, data, "{epochs: 3, loss: cross_entropy, " + sizes + "}")), file, "w");
  };
  const std::vector<float> whole = train("batch_size: 8");
  const std::vector<float> parts = train("batch_size: 4, accumulate: 2");  // one label and four
  for (size_t i = 0; i < whole.size(); ++i) CHECK(parts[i] == Approx(whole[i]).epsilon(1e-6));
}

TEST_CASE("a wrong label is named by its place in the data set, wherever the order put it", "[train][trainer]") {
  const TextModel model(kClasses);
  const ModelFile file = model.load();
  TemporaryFolder folder;
  folder.write("points.csv", "0.5,1,0\n1,-1,1\n-2,0.5,0\n0.3,0.2,1\n2,1,7\n-1,1,0\n");
  const DataSource data = open_source(fmt::format("train: {{format: csv, path: {}, target: class}}", folder.path("points.csv")), file.model().graph.inputs, "train");
  for (const int seed : {1, 2, 3}) {
    TrainTask task = task_for(file, data, "{epochs: 1, loss: cross_entropy, batch_size: 2}");
    task.seed = static_cast<uint64_t>(seed);
    const Problem problem = problem_of<ResourceError>([&] { make_trainer()->train(task); });
    CHECK(problem.where == "data.train, " + data.place(4));
  }
}

TEST_CASE("a model that ends in Softmax learns classes, and its teacher teaches without labels", "[train][trainer]") {
  const TextModel model(kClasses);
  const ModelFile file = model.load();
  const Points points("class");
  const DataSource data = points.open(file);
  const TrainResult taught = make_trainer()->train(task_for(file, data, "{epochs: 60, loss: auto, optimizer: {name: sgd, lr: 0.5}}"));
  CHECK(taught.history.epochs.back().loss < 0.1);
  CHECK(taught.history.epochs.front().loss > 0.3);

  TrainTask task = task_for(file, data, "{epochs: 1, loss: distill, distill: {features: [m]}}");
  CHECK_THROWS_WITH(make_trainer()->train(task), Catch::Contains("no teacher"));
  task.teacher = &file;
  CHECK_THROWS_WITH(make_trainer()->train(task), Catch::Contains("its own teacher") && Catch::Contains("--teacher"));
  BitMask mask(4);
  mask.prune(1);
  task.masks.emplace(named(file, "w").id, mask);  // a weight of the teacher is gone: there is something to learn
  CHECK(make_trainer()->train(task).history.epochs.at(0).loss > 0);
  task.settings.distill.features = {"mm"};
  CHECK_THROWS_WITH(make_trainer()->train(task), Catch::Contains("no value \"mm\"") && Catch::Contains("train.distill.features"));
}

TEST_CASE("features are matched by their own weight, whatever the teacher's share", "[train][trainer]") {
  const TextModel model(kLinear);
  const TextModel other(R"(<ir_version: 8, opset_import: ["": 17]>
  graph (float[N, 2] x) => (float[N, 1] y) <float[2, 1] w = {2.5, 2}, float[1] b = {0}> { m = MatMul (x, w)  y = Add (m, b) })");
  const ModelFile file = model.load();
  const ModelFile teacher = other.load();
  const TemporaryFolder folder;
  folder.write("one.csv", "1,2,4.5\n");  // what the model gives: the task costs nothing
  const DataSource data = open_source(fmt::format("train: {{format: csv, path: {}, target: value}}", folder.path("one.csv")), file.model().graph.inputs, "train");
  const auto first_loss = [&](const std::string& distill) {
    TrainTask task = task_for(file, data, "{steps: 1, loss: mse, distill: " + distill + "}");
    task.teacher = &teacher;
    return make_trainer()->train(task).history.epochs.at(0).loss;
  };
  // Model and teacher differ by 2 in m and in y.
  CHECK(first_loss("{weight: 0}") == Approx(0).margin(1e-6));
  CHECK(first_loss("{weight: 0, features: [m], feature_weight: 3}") == Approx(12));
  CHECK(first_loss("{weight: 0.5, features: [m], feature_weight: 3}") == Approx(0.5 * 4 + 12));
}

TEST_CASE("a run that is cut off and resumed ends with the same bytes", "[train][trainer]") {
  const TextModel model(kClasses);
  const ModelFile file = model.load();
  const Points points("class");
  const DataSource data = points.open(file);
  for (const char* optimizer : {"{name: sgd, lr: 0.1}", "{name: adam, lr: 0.01}", "{name: adamw, lr: 0.01}"}) {
    TrainTask task = task_for(file, data, fmt::format("{{epochs: 4, ema: 0.9, mixup: 0.4, checkpoint_steps: 1, optimizer: {}}}", optimizer));
    int64_t judged = 0;
    int64_t cut_at = 0;
    task.validate = [&](const WeightMap&) {
      if (++judged == cut_at) throw std::runtime_error("power cut");
      return static_cast<double>(judged);  // the last epoch is the best
    };
    const TrainResult whole = make_trainer()->train(task);
    const TemporaryFolder folder;
    task.checkpoints = folder.path("c");
    task.identity = {{"model", "1"}};
    judged = 0;
    cut_at = 2;
    CHECK_THROWS_WITH(make_trainer()->train(task), Catch::Contains("power cut"));
    task.resume = true;
    const TrainResult resumed = make_trainer()->train(task);
    INFO(optimizer);
    CHECK(resumed.history.resumed == 1);
    CHECK(resumed.history.samples == 32);
    CHECK(resumed.history.epochs.size() == 4);
    CHECK(weights(resumed, file, "w") == weights(whole, file, "w"));
    CHECK(weights(resumed, file, "b") == weights(whole, file, "b"));
    CHECK(resumed.history.epochs.back().loss == whole.history.epochs.back().loss);
    task.identity = {{"model", "2"}};
    CHECK_THROWS_WITH(make_trainer()->train(task), Catch::Contains("another model"));
  }
}

TEST_CASE("a loss that is not finite names step, rate and the first bad number", "[train][trainer]") {
  const TextModel model(kLinear);
  const ModelFile file = model.load();
  const Points points;
  const DataSource data = points.open(file);
  CHECK_THROWS_WITH(make_trainer()->train(task_for(file, data, "{epochs: 60, loss: mse, optimizer: {name: sgd, lr: 900}}")),
                    Catch::Contains("the loss became") && Catch::Contains("learning rate") && Catch::Contains("step "));
}

TEST_CASE("memory that runs out names a batch size to try", "[train][trainer]") {
  const TextModel model(R"(<ir_version: 8, opset_import: ["": 17]>
    graph (float[N, 2] x) => (float[N, 1] y) <float[2, 1] w = {0.5, 2}, int64[2] wide = {1, 500000000000000}, int64[1] last = {1}>
    { m = MatMul (x, w)  e = Expand (m, wide)  p = Mul (e, e)  y = ReduceSum <keepdims = 1> (p, last) })");
  const ModelFile file = model.load();
  const Points points;
  const DataSource data = points.open(file);
  const Problem problem = problem_of<ExhaustedError>([&] { make_trainer()->train(task_for(file, data, "{epochs: 1, loss: mse, accumulate: 3}")); });
  CHECK(contains(problem.what, "batches of 4"));
  CHECK(contains(problem.where, "step 0"));
  CHECK(contains(problem.fix, "batch_size: 2, accumulate: 6"));
}

TEST_CASE("bfloat16 products train float32 weights", "[train][trainer]") {
  const TextModel model(kLinear);
  const ModelFile file = model.load();
  const Points points;
  const DataSource data = points.open(file);
  const auto trained = [&](bool bfloat16) {
    TrainTask task = task_for(file, data, "{epochs: 60, loss: mse, optimizer: {name: sgd, lr: 0.05}}");
    task.bfloat16 = bfloat16;
    return weights(make_trainer()->train(task), file, "w");
  };
  const std::vector<float> wide = trained(false);
  const std::vector<float> narrow = trained(true);
  CHECK(narrow != wide);
  for (size_t i = 0; i < 2; ++i) CHECK(narrow[i] == Approx(wide[i]).margin(0.02));
  CHECK((float_to_bfloat16(narrow[0]) != float_to_bfloat16(narrow[1])));
  CHECK(bfloat16_to_float(float_to_bfloat16(narrow[0])) != narrow[0]);
}

TEST_CASE("frozen groups stay, and a group that matches nothing is an error", "[train][trainer]") {
  const TextModel model(kLinear);
  const ModelFile file = model.load();
  const Points points;
  const DataSource data = points.open(file);
  const TrainResult result = make_trainer()->train(task_for(file, data, "{epochs: 2, loss: mse, groups: [{include: [w], frozen: true}]}"));
  CHECK_FALSE(result.weights.contains(named(file, "w").id));
  CHECK(result.weights.contains(named(file, "b").id));
  CHECK_THROWS_WITH(make_trainer()->train(task_for(file, data, "{loss: mse, groups: [{include: [nothing*], lr: 1}]}")), Catch::Contains("nothing*"));
}

TEST_CASE("dynamic training keeps the count while masks move, and movement reaches it", "[train][trainer]") {
  const TextModel model(kClasses);
  const ModelFile file = model.load();
  const Points points("class");
  const DataSource data = points.open(file);
  const int id = named(file, "w").id;
  BitMask mask(4);
  mask.prune(0);
  mask.prune(1);
  for (const char* grow : {"gradient", "random"}) {
    TrainTask task = task_for(file, data, "{epochs: 10}");
    task.masks.emplace(id, mask);
    task.dynamic = DynamicSettings{.grow = grow, .fraction = 0.9, .every = 2, .end = 0.8};
    const TrainResult result = make_trainer()->train(task);
    CHECK(result.masks.at(id).kept() == 2);
    const std::vector<float> after = weights(result, file, "w");
    for (int64_t i = 0; i < 4; ++i) CHECK((after[static_cast<size_t>(i)] == 0) == !result.masks.at(id)[i]);
  }
  TrainTask task = task_for(file, data, "{epochs: 10, optimizer: {name: sgd, lr: 0.1}}");
  task.movement = MovementSettings{.every = 1, .keep = {{id, 1}}};
  const TrainResult result = make_trainer()->train(task);
  CHECK(result.masks.at(id).kept() == 1);
}
