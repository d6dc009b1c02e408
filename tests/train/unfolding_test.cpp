#include <fmt/core.h>

#include <cmath>

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

constexpr const char* kHead = R"(<ir_version: 8, opset_import: ["": 17]>
  graph (float[N, 4] x) => (float[N, 1] y)
  <int64[4] image = {-1, 1, 2, 2}, int64[2] rows = {-1, 2}, float[2, 1, 2, 2] w = {0.4, -0.3, 0.2, 0.6, -0.5, 0.1, 0.7, 0.2}, float[2] b = {0.2, -0.1},
   float[2, 1] v = {0.7, -0.4})";
constexpr const char* kFolded = R"(> { i = Reshape (x, image)  c = Conv (i, w, b)  r = Relu (c)  f = Reshape (r, rows)  y = MatMul (f, v) })";
constexpr const char* kUnfolded = R"(, float[2] scale = {1, 1}, float[2] shift = {0, 0}, float[2] mean = {0, 0}, float[2] var = {1, 1}>
  { i = Reshape (x, image)  c = Conv (i, w, b)  n = BatchNormalization (c, scale, shift, mean, var)  r = Relu (n)  f = Reshape (r, rows)  y = MatMul (f, v) })";

constexpr int kSamples = 12;

double coordinate(int sample, int k) { return std::sin(1.7 * sample + 2.3 * k) * (1 + 0.3 * k); }

struct Points {
  Points() {
    std::string csv;
    for (int i = 0; i < kSamples; ++i) {
      csv += fmt::format("{},{},{},{},{}\n", coordinate(i, 0), coordinate(i, 1), coordinate(i, 2), coordinate(i, 3), coordinate(i, 0) * coordinate(i, 3));
    }
    folder.write("points.csv", csv);
  }
  DataSource open(const ModelFile& file) const {
    return open_source(fmt::format("train: {{format: csv, path: {}, target: value}}", folder.path("points.csv")), file.model().graph.inputs, "train");
  }
  TemporaryFolder folder;
};

int id_of(const ModelFile& file, const std::string& name) {
  for (int id = 0; id < file.tensor_count(); ++id) {
    if (file.tensor(id).name == name) return id;
  }
  return -1;
}

std::vector<float> floats(const TrainResult& result, const ModelFile& file, const std::string& name) {
  return result.weights.at(id_of(file, name)).to_floats();
}

}  // namespace

TEST_CASE("unfolding changes nothing by itself", "[train][unfold]") {
  const TextModel model(std::string(kHead) + kFolded);
  const ModelFile file = model.load();
  const Points points;
  const DataSource data = points.open(file);
  const TrainResult result = make_trainer()->train(task_for(file, data, "{epochs: 3, loss: mse, unfold: true, optimizer: {name: sgd, lr: 0}}"));
  const std::vector<float> weight = floats(result, file, "w");
  const std::vector<float> stored = file.tensor_data(id_of(file, "w")).to_floats();
  for (size_t i = 0; i < weight.size(); ++i) CHECK(weight[i] == Approx(stored[i]).margin(1e-6));
  CHECK(floats(result, file, "b")[0] == Approx(0.2).margin(1e-6));
  CHECK(floats(result, file, "b")[1] == Approx(-0.1).margin(1e-6));
}

TEST_CASE("a folded network with unfold trains as the one it was folded from", "[train][unfold]") {
  const TextModel folded_text(std::string(kHead) + kFolded);
  const TextModel unfolded_text(std::string(kHead) + kUnfolded);
  const ModelFile folded = folded_text.load();
  const ModelFile unfolded = unfolded_text.load();
  const Points points;
  const DataSource folded_data = points.open(folded);
  const DataSource unfolded_data = points.open(unfolded);
  const std::string yaml = "epochs: 10, batch_size: 5, loss: mse, ema: 0.5, optimizer: {name: sgd, lr: 0.05, weight_decay: 0.01, decay_all: false}}";

  // The network with BatchNormalization begins as the folded one: scale and shift undo what its statistics do.
  const std::vector<float> w = folded.tensor_data(id_of(folded, "w")).to_floats();
  const std::vector<float> b = folded.tensor_data(id_of(folded, "b")).to_floats();
  std::vector<float> mean(2), variance(2), scale(2);
  for (size_t channel = 0; channel < 2; ++channel) {
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < kSamples; ++i) {
      double value = b[channel];
      for (int k = 0; k < 4; ++k) value += w[4 * channel + static_cast<size_t>(k)] * coordinate(i, k);
      sum += value;
      squares += value * value;
    }
    mean[channel] = static_cast<float>(sum / kSamples);
    variance[channel] = static_cast<float>(squares / kSamples - sum / kSamples * sum / kSamples);
    scale[channel] = std::sqrt(variance[channel] + 1e-5f);
  }
  TrainTask with_nodes = task_for(unfolded, unfolded_data, "{" + yaml);
  const auto start = [&](const char* name, const std::vector<float>& values) {
    with_nodes.start.emplace(id_of(unfolded, name), HostTensor::of<float>(DType::Float32, {2}, {values[0], values[1]}));
  };
  start("mean", mean);
  start("var", variance);
  start("scale", scale);
  start("shift", mean);
  BitMask mask(8);
  mask.prune(5);
  with_nodes.masks.emplace(id_of(unfolded, "w"), mask);
  const TrainResult expected = make_trainer()->train(with_nodes);

  TrainTask with_option = task_for(folded, folded_data, "{unfold: true, " + yaml);
  with_option.masks.emplace(id_of(folded, "w"), mask);  // what is measured is the dense network, whose statistics the other one has
  const TrainResult result = make_trainer()->train(with_option);

  CHECK_FALSE(result.weights.contains(-2));
  const std::vector<float> gamma = floats(expected, unfolded, "scale");
  const std::vector<float> beta = floats(expected, unfolded, "shift");
  const std::vector<float> mu = floats(expected, unfolded, "mean");
  const std::vector<float> sigma2 = floats(expected, unfolded, "var");
  const std::vector<float> w2 = floats(expected, unfolded, "w");
  const std::vector<float> b2 = floats(expected, unfolded, "b");
  for (size_t channel = 0; channel < 2; ++channel) {
    const float factor = gamma[channel] / std::sqrt(sigma2[channel] + 1e-5f);
    for (size_t k = 4 * channel; k < 4 * channel + 4; ++k) CHECK(floats(result, folded, "w")[k] == Approx(w2[k] * factor).margin(1e-5));
    CHECK(floats(result, folded, "b")[channel] == Approx((b2[channel] - mu[channel]) * factor + beta[channel]).margin(1e-5));
  }
  CHECK(floats(result, folded, "w")[5] == 0);
  CHECK_FALSE(std::signbit(floats(result, folded, "w")[5]));
  CHECK(std::abs(floats(result, folded, "w")[0] - 0.4f) > 1e-3f);
  CHECK(result.history.epochs.back().loss == Approx(expected.history.epochs.back().loss).epsilon(1e-4));
}

TEST_CASE("an unfolded run that is cut off and resumed ends with the same bytes", "[train][unfold]") {
  const TextModel model(std::string(kHead) + kFolded);
  const ModelFile file = model.load();
  const Points points;
  const DataSource data = points.open(file);
  TrainTask task = task_for(file, data, "{epochs: 4, batch_size: 5, loss: mse, unfold: true, lr_schedule: constant, optimizer: {name: adam, lr: 0.01}}");
  const TrainResult whole = make_trainer()->train(task);
  const TemporaryFolder folder;
  task.checkpoints = folder.path("c");
  task.settings.steps = 5;
  make_trainer()->train(task);
  task.settings.steps.reset();
  task.resume = true;
  const TrainResult resumed = make_trainer()->train(task);
  CHECK(resumed.history.resumed == 1);
  CHECK(floats(resumed, file, "w") == floats(whole, file, "w"));
  CHECK(floats(resumed, file, "b") == floats(whole, file, "b"));
}

TEST_CASE("unfolding needs a convolution with a bias that nothing normalises", "[train][unfold]") {
  const TextModel model(std::string(kHead) + kUnfolded);
  const ModelFile file = model.load();
  const Points points;
  const DataSource data = points.open(file);
  CHECK_THROWS_WITH(make_trainer()->train(task_for(file, data, "{loss: mse, unfold: true}")), Catch::Contains("no convolution"));
  CHECK_THROWS_AS(read_train_settings(parse_yaml("{unfold: true, batch_norm: frozen}", "r.yaml")), ConfigError);
}
