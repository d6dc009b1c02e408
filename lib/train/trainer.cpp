#include "train/trainer.h"

#include "base/module.h"

namespace sparsify {

std::unique_ptr<Trainer> make_trainer() {
  load_module("torch");
  return Registry<Trainer>::instance().make("libtorch", Options());
}

int64_t steps_per_epoch(const TrainSettings& settings, const DataSource& data) {
  const int64_t size = data.batch_size_of({.batch_size = settings.batch_size});
  const int64_t batches = settings.drop_last ? data.size() / size : (data.size() + size - 1) / size;
  const int64_t together = settings.accumulate * settings.processes;
  return (batches + together - 1) / together;
}

int64_t total_steps(const TrainSettings& settings, const DataSource& data) {
  return settings.steps.value_or(settings.epochs * steps_per_epoch(settings, data));
}

}  // namespace sparsify
