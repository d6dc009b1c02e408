// Two threads as two processes: what MPI moves between them is a pair of buffers here. tests/cli/processes.py does it with mpirun.
#include <ATen/Parallel.h>
#include <fmt/core.h>

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "data/fixtures.h"
#include "program/model_text.h"
#include "support/catch.h"
#include "train/task.h"
#include "train/order.h"
#include "train/trainer.h"

using namespace sparsify;

namespace {

[[maybe_unused]] const bool quiet = (set_log_level(LogLevel::Quiet), true);

/// Everyone puts something in; when all have, everyone gets all of it.
class Exchange {
 public:
  explicit Exchange(size_t size) : parts_(size) {}

  std::vector<std::string> swap(size_t rank, std::string own) {
    std::unique_lock lock(mutex_);
    parts_[rank] = std::move(own);
    const size_t round = round_;
    if (++arrived_ == parts_.size()) {
      arrived_ = 0;
      ++round_;
      all_ = parts_;
      changed_.notify_all();
    } else {
      changed_.wait(lock, [&] { return round_ != round; });
    }
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> parts_;
  std::vector<std::string> all_;
  size_t arrived_ = 0;
  size_t round_ = 0;
};

class Threads final : public ProcessGroup {
 public:
  Threads(Exchange& exchange, int rank, int size) : exchange_(exchange), rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void sum_(std::span<float> values) override { sum(values); }
  void sum_(std::span<double> values) override { sum(values); }
  void broadcast_(std::string& bytes) override { bytes = exchange_.swap(static_cast<size_t>(rank_), bytes).front(); }

 private:
  template <class T>
  void sum(std::span<T> values) {
    const auto all = exchange_.swap(static_cast<size_t>(rank_), std::string(reinterpret_cast<const char*>(values.data()), values.size_bytes()));
    for (size_t i = 0; i < values.size(); ++i) {
      T total = 0;
      for (const std::string& part : all) {
        if (part.size() != values.size_bytes()) std::abort();  // they are not at the same place
        T one;
        std::memcpy(&one, part.data() + i * sizeof(T), sizeof(T));
        total += one;
      }
      values[i] = total;
    }
  }
  void finish() override {}
  void end_all(int) override {}

  Exchange& exchange_;
  int rank_;
  int size_;
};

constexpr const char* kNormalised = R"(<ir_version: 8, opset_import: ["": 17]>
  graph (float[N, 2] x) => (float[N, 2] s)
  <float[2, 3] w = {0.5, -0.2, 0.3, 0.1, 0.8, -0.6}, float[3] scale = {1, 1, 1}, float[3] shift = {0, 0.1, 0}, float[3] mean = {0, 0, 0}, float[3] var = {1, 1, 1},
   float[3, 2] v = {0.3, -0.3, 0.2, 0.4, -0.5, 0.1}>
  { m = MatMul (x, w)  n = BatchNormalization (m, scale, shift, mean, var)  r = Relu (n)  s = MatMul (r, v) })";

struct Points {
  Points() {
    std::string csv;
    for (int i = 0; i < 22; ++i) {
      const double a = i % 5 - 2.1;
      const double b = i % 7 - 3.2 + 0.1 * i;
      csv += fmt::format("{},{},{}\n", a, b, a * b > 0 ? 1 : 0);
    }
    folder.write("points.csv", csv);
    yaml = fmt::format("train: {{format: csv, path: {}, target: class}}", folder.path("points.csv"));
  }
  TemporaryFolder folder;
  std::string yaml;
};

/// What the first of `size` gives; `prepare` may add to its task what only the first one has.
TrainResult train_in(int size, const ModelFile& file, const std::string& data_yaml, const std::string& yaml,
                     const std::function<void(TrainTask&)>& prepare = {}) {
  Exchange exchange(static_cast<size_t>(size));
  TrainResult result;
  const auto run = [&](int rank) {
    Threads processes(exchange, rank, size);
    const DataSource data = open_source(data_yaml, file.model().graph.inputs, "train");
    TrainTask task = task_for(file, data, yaml);
    task.settings.processes = size;
    if (size > 1) task.processes = &processes;
    if (rank == 0) {
      if (prepare) prepare(task);
      result = make_trainer()->train(task);
    } else {
      follow(processes.await_order(), task);
      make_trainer()->train(task);
    }
  };
  std::vector<std::thread> others;
  for (int rank = 1; rank < size; ++rank) others.emplace_back(run, rank);
  run(0);
  for (std::thread& one : others) one.join();
  return result;
}

void check_close(const TrainResult& a, const TrainResult& b, double margin) {
  REQUIRE(a.weights.size() == b.weights.size());
  for (const auto& [id, weight] : a.weights) {
    const std::vector<float> ours = weight.to_floats();
    const std::vector<float> theirs = b.weights.at(id).to_floats();
    CAPTURE(id);
    for (size_t i = 0; i < ours.size(); ++i) CHECK(ours[i] == Approx(theirs[i]).margin(margin));
  }
}

}  // namespace

TEST_CASE("two processes give what one gives with twice the batch, BatchNormalization included", "[train][together]") {
  const TextModel model(kNormalised);
  const ModelFile file = model.load();
  const Points points;
  const std::string common = "loss: cross_entropy, epochs: 4, clip_norm: 1, optimizer: {name: sgd, lr: 0.1, weight_decay: 0.01}";
  const TrainResult one = train_in(1, file, points.yaml, "{batch_size: 8, " + common + "}");
  const TrainResult two = train_in(2, file, points.yaml, "{batch_size: 4, " + common + "}");  // 22 samples: the last step has 4 and 2
  check_close(two, one, 2e-6);
  CHECK(two.history.samples == one.history.samples);
  REQUIRE(two.history.epochs.size() == 4);
  CHECK(two.history.epochs.back().step == one.history.epochs.back().step);
  CHECK(two.history.epochs.back().loss == Approx(one.history.epochs.back().loss).epsilon(1e-5));
  CHECK(one.history.epochs.back().loss < one.history.epochs.front().loss);
}

TEST_CASE("a process without samples in the last step only keeps step", "[train][together]") {
  const TextModel model(kNormalised);
  const ModelFile file = model.load();
  const Points points;
  const std::string common = "loss: cross_entropy, epochs: 3, optimizer: {name: adam, lr: 0.05}";
  // 22 samples: the third process has none in the last step of an epoch; with accumulation, nor has one in its second half.
  check_close(train_in(3, file, points.yaml, "{batch_size: 3, " + common + "}"), train_in(1, file, points.yaml, "{batch_size: 9, " + common + "}"), 1e-5);
  check_close(train_in(2, file, points.yaml, "{batch_size: 3, accumulate: 2, " + common + "}"),
              train_in(1, file, points.yaml, "{batch_size: 6, accumulate: 2, " + common + "}"), 1e-5);
}

TEST_CASE("masks that the first process chooses hold in all, and a checkpoint of it is all that is needed", "[train][together]") {
  const TextModel model(kNormalised);
  const ModelFile file = model.load();
  const Points points;
  int id = 0;
  while (file.tensor(id).name != "w") ++id;
  const auto prune_at_three = [&](TrainTask& task) {
    task.mask_steps = {3};
    task.new_masks = [&](const WeightMap& weights, int64_t step, int64_t) {
      CHECK(step == 3);
      CHECK(weights.contains(id));
      BitMask mask(6);
      mask.prune(1);
      mask.prune(4);
      return MaskMap{{id, mask}};
    };
  };
  const std::string yaml = "loss: cross_entropy, epochs: 2, ema: 0.5, optimizer: {name: sgd, lr: 0.1}}";
  const TrainResult one = train_in(1, file, points.yaml, "{batch_size: 8, " + yaml, prune_at_three);
  check_close(train_in(2, file, points.yaml, "{batch_size: 4, " + yaml, prune_at_three), one, 2e-6);
  CHECK(one.weights.at(id).to_floats()[4] == 0);

  // Killed after the first epoch and resumed with two processes again.
  const TemporaryFolder folder;
  const auto checkpointed = [&](int64_t fail_at) {
    return [&, fail_at](TrainTask& task) {
      prune_at_three(task);
      task.checkpoints = folder.path("c");
      task.resume = fail_at == 0;
      if (fail_at > 0) task.settings.steps = fail_at;
    };
  };
  train_in(2, file, points.yaml, "{batch_size: 4, lr_schedule: constant, " + yaml, checkpointed(4));
  const TrainResult resumed = train_in(2, file, points.yaml, "{batch_size: 4, lr_schedule: constant, " + yaml, checkpointed(0));
  CHECK(resumed.history.resumed == 1);
  check_close(resumed, train_in(2, file, points.yaml, "{batch_size: 4, lr_schedule: constant, " + yaml, prune_at_three), 1e-7);
}
