#include "train/order.h"

#include <nlohmann/json.hpp>

namespace sparsify {

using Json = nlohmann::ordered_json;

std::string order_of(const TrainTask& task) {
  Json order{{"first_step", task.first_step}, {"mask_steps", task.mask_steps}, {"epochs", task.settings.epochs}};
  if (task.settings.steps) order["steps"] = *task.settings.steps;
  if (const auto& dynamic = task.dynamic) {
    order["dynamic"] = {{"grow", dynamic->grow}, {"fraction", dynamic->fraction}, {"every", dynamic->every}, {"end", dynamic->end}};
  }
  if (const auto& movement = task.movement) {
    Json keep = Json::array();
    for (const auto& [id, count] : movement->keep) keep.push_back({id, count});
    order["movement"] = {{"soft", movement->soft}, {"lr", movement->lr}, {"threshold", movement->threshold}, {"penalty", movement->penalty},
                         {"begin", movement->begin}, {"end", movement->end}, {"every", movement->every}, {"keep", keep}};
  }
  return order.dump();
}

void follow(const std::string& text, TrainTask& task) {
  const Json order = Json::parse(text);
  task.first_step = order.at("first_step");
  task.mask_steps = order.at("mask_steps").get<std::vector<int64_t>>();
  task.settings.epochs = order.at("epochs");
  task.settings.steps.reset();
  if (order.contains("steps")) task.settings.steps = order.at("steps").get<int64_t>();
  task.dynamic.reset();
  task.movement.reset();
  if (order.contains("dynamic")) {
    const Json& from = order.at("dynamic");
    task.dynamic = DynamicSettings{.grow = from.at("grow"), .fraction = from.at("fraction"), .every = from.at("every"), .end = from.at("end")};
  }
  if (order.contains("movement")) {
    const Json& from = order.at("movement");
    task.movement = MovementSettings{.soft = from.at("soft"), .lr = from.at("lr"), .threshold = from.at("threshold"), .penalty = from.at("penalty"),
                                     .begin = from.at("begin"), .end = from.at("end"), .every = from.at("every")};
    for (const Json& entry : from.at("keep")) task.movement->keep.emplace(entry.at(0).get<int>(), entry.at(1).get<int64_t>());
  }
  task.new_masks = {};
  task.validate = {};
  task.capture_step.reset();
  task.checkpoints.clear();
  task.resume = false;
}

}  // namespace sparsify
