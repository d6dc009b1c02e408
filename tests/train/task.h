#pragma once

#include <string>

#include "config/recipe.h"
#include "train/settings.h"
#include "train/trainer.h"

namespace sparsify {

/// A task with the settings of a recipe's `train:`, on one thread.
inline TrainTask task_for(const ModelFile& file, const DataSource& data, const std::string& yaml) {
  TrainTask task{.file = &file, .settings = read_train_settings(parse_yaml(yaml, "r.yaml"))};
  task.data = &data;
  task.threads = 1;
  return task;
}

}  // namespace sparsify
