#include <algorithm>

#include "base/log.h"
#include "data/fixtures.h"
#include "support/catch.h"
#include "support/shared.h"
#include "train/task.h"

using namespace sparsify;

namespace {

[[maybe_unused]] const bool quiet = (set_log_level(LogLevel::Quiet), true);

/// Two steps on random inputs, taught by the model before half of its first weight went.
TrainResult train_two_steps(const ModelFile& file, const std::string& optimizer) {
  const DataSource data = open_source("train: {format: random, limit: 2, batch_size: 1, free_size: 8}", file.model().graph.inputs, "train");
  TrainTask task = task_for(file, data, "{steps: 2, loss: distill, lr_schedule: constant, optimizer: " + optimizer + "}");
  task.teacher = &file;
  for (const PrunableTensor& tensor : find_tensors(file)) {
    if (tensor.kind != "weight") continue;
    BitMask mask(tensor.count(), /*kept=*/true);
    for (int64_t i = 0; i < tensor.count(); i += 2) mask.prune(i);
    task.masks.emplace(tensor.id, std::move(mask));
    break;
  }
  return make_trainer()->train(task);
}

}  // namespace

TEST_CASE("epsilons and other numbers of formulas come back byte for byte", "[train][trainables]") {
  const auto zoo = shared_or_skip("zoo", "constants of exported formulas");
  if (zoo.empty()) return;
  for (const char* name : {"llama_slim", "t5_encoder_slim", "gpt2_slim_dynamo"}) {
    const ModelFile file = ModelFile::load((zoo / name / (std::string(name) + ".onnx")).string());
    for (const char* optimizer : {"{name: sgd, lr: 0.01}", "{name: adam, lr: 1e-3}"}) {
      INFO(name << " " << optimizer);
      const TrainResult result = train_two_steps(file, optimizer);
      int numbers = 0;
      int moved = 0;
      for (int id = 0; id < file.tensor_count(); ++id) {
        const bool number = file.tensor(id).shape.empty() && is_prunable_float(file.tensor(id).type);
        numbers += number ? 1 : 0;
        const auto trained = result.weights.find(id);
        if (trained == result.weights.end()) continue;
        const bool same = std::ranges::equal(trained->second.bytes(), file.tensor_data(id).bytes());
        INFO(file.tensor(id).name);
        CHECK((same || !number));
        moved += same ? 0 : 1;
      }
      CHECK(numbers > 0);
      CHECK(moved > 10);
      for (const PrunableTensor& tensor : find_tensors(file)) {
        if (tensor.kind != "norm") continue;
        INFO(tensor.initializer);
        REQUIRE(result.weights.contains(tensor.id));  // also where a normalisation is written out: its scale learns
        CHECK_FALSE(std::ranges::equal(result.weights.at(tensor.id).bytes(), file.tensor_data(tensor.id).bytes()));
      }
    }
  }
}
