#include "train/history.h"

#include <fmt/core.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "train/curve_points.h"

namespace sparsify {
namespace {

using Json = nlohmann::ordered_json;

Json row_json(const TrainRow& row) {
  Json json{{"step", row.step}, {"epoch", row.epoch}, {"lr", row.lr}, {"loss", row.loss}, {"sparsity", row.sparsity}};
  json["metric"] = row.metric ? Json(*row.metric) : Json();
  json["seconds"] = row.seconds;
  json["wait_seconds"] = row.wait_seconds;
  json["time"] = row.time;
  return json;
}

TrainRow row_from(const Json& json) {
  TrainRow row{.step = json.at("step"), .epoch = json.at("epoch"), .lr = json.at("lr"), .loss = json.at("loss"), .sparsity = json.at("sparsity")};
  if (!json.at("metric").is_null()) row.metric = json.at("metric").get<double>();
  row.seconds = json.at("seconds");
  row.wait_seconds = json.at("wait_seconds");
  row.time = json.at("time");
  return row;
}

}  // namespace

Json to_json(const TrainHistory& history) {
  Json json{{"samples", history.samples}, {"resumed", history.resumed}, {"metric", history.metric}, {"stopped_early", history.stopped_early}};
  json["best_epoch"] = history.best_epoch ? Json(*history.best_epoch) : Json();
  json["steps"] = Json::array();
  json["epochs"] = Json::array();
  for (const TrainRow& row : history.steps) json["steps"].push_back(row_json(row));
  for (const TrainRow& row : history.epochs) json["epochs"].push_back(row_json(row));
  return json;
}

TrainHistory history_from_json(const Json& json) {
  TrainHistory history{.samples = json.at("samples"), .resumed = json.at("resumed"), .metric = json.at("metric")};
  history.stopped_early = json.at("stopped_early");
  if (!json.at("best_epoch").is_null()) history.best_epoch = json.at("best_epoch").get<int64_t>();
  for (const Json& row : json.at("steps")) history.steps.push_back(row_from(row));
  for (const Json& row : json.at("epochs")) history.epochs.push_back(row_from(row));
  return history;
}

std::string csv_beginning() { return "kind,step,epoch,lr,loss,sparsity,metric,seconds,wait_seconds\n"; }

std::string csv_point(const char* kind, const TrainRow& row) {
  return fmt::format("{},{},{:.6g},{:.9g},{:.9g},{:.9g},{},{:.3f},{:.3f}\n", kind, row.step, row.epoch, row.lr, row.loss, row.sparsity,
                     row.metric ? fmt::format("{:.9g}", *row.metric) : "", row.seconds, row.wait_seconds);
}

std::string to_csv(const TrainHistory& history) {
  std::string text = csv_beginning();
  for (const TrainRow& row : history.steps) text += csv_point("step", row);
  for (const TrainRow& row : history.epochs) text += csv_point("epoch", row);
  return text;
}

void write_curves(const TrainHistory& history, const std::string& folder) {
  const std::filesystem::path path(folder);
  write_file_atomically((path / "training.csv").string(), to_csv(history), /*overwrite=*/true);
  write_file_atomically((path / "events.out.tfevents.sparsify").string(), to_tensorboard(history), /*overwrite=*/true);
}

}  // namespace sparsify
