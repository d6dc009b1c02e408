#include "pipeline/assist.h"

#include <optional>

#include "base/error.h"
#include "pipeline/train_run.h"
#include "train/order.h"

namespace sparsify {

void assist(const PruneRequest& request, ProcessGroup& processes) {
  std::optional<ModelFile> file;  // the first process has checked model and recipe before it gives an order
  std::optional<TrainRun> run;
  Decisions none;
  for (std::string order = processes.await_order(); !order.empty(); order = processes.await_order()) {
    if (!run) {
      file.emplace(ModelFile::load(request.recipe.model, {.allow_linked_data = request.allow_linked_data}));
      run.emplace(TrainStage{.file = *file, .recipe = request.recipe, .allow_linked_data = request.allow_linked_data}, none, WeightMap());  // the order brings the weights
    }
    TrainTask task = run->task();
    follow(order, task);
    try {
      make_trainer()->train(task);
    } catch (const InterruptedError&) {  // all processes were; the first one says so
    }
  }
}

}  // namespace sparsify
