#include <cmath>
#include <nlohmann/json.hpp>

#include "report/sensitivity_report.h"
#include "report/text.h"

namespace sparsify {
namespace {

using Json = nlohmann::ordered_json;

/// JSON knows neither NaN nor infinity: a model that broke down has null there.
Json number(const std::optional<double>& value) { return value && std::isfinite(*value) ? Json(*value) : Json(nullptr); }

Json point_object(const SensitivityPoint& point) {
  return {{"pattern", printable(point.pattern)}, {"target", number(point.target)}, {"sparsity", point.sparsity},
          {"kept", point.kept},                  {"metric", number(point.metric)}, {"loss", number(point.loss)},
          {"divergence", number(point.divergence)}, {"relative_error", number(point.relative_error)}};
}

Json layer_object(const SensitivityLayer& layer) {
  Json points = Json::array();
  for (const SensitivityPoint& point : layer.points) points.push_back(point_object(point));
  Json refused = Json::object();
  for (const auto& [pattern, reason] : layer.refused) refused[printable(pattern)] = printable(reason);
  return {{"name", printable(layer.name)},
          {"initializer", printable(layer.initializer)},
          {"op", printable(layer.op)},
          {"shape", layer.shape},
          {"weights", layer.weights},
          {"macs", layer.macs ? Json(*layer.macs) : Json(nullptr)},
          {"first", layer.first},
          {"last", layer.last},
          {"points", std::move(points)},
          {"refused", std::move(refused)}};
}

}  // namespace

Json to_json(const SensitivityReport& report) {
  Json metric = nullptr;
  if (!report.metric_name.empty()) {
    metric = {{"name", printable(report.metric_name)}, {"unit", printable(report.metric_unit)}, {"higher_is_better", report.higher_is_better}};
  }
  Json layers = Json::array();
  for (const SensitivityLayer& layer : report.layers) layers.push_back(layer_object(layer));
  Json skipped = Json::array();
  for (const auto& [initializer, reason] : report.skipped) {
    skipped.push_back({{"initializer", printable(initializer)}, {"reason", printable(reason)}});
  }
  Json verification = Json::array();
  for (const VerificationResult& check : report.verification) {
    verification.push_back({{"check", check.check}, {"passed", check.passed}, {"detail", printable(check.detail)}});
  }
  Json warnings = Json::array();
  for (const std::string& warning : report.warnings) warnings.push_back(printable(warning));
  return {{"schema_version", 1},
          {"kind", "sensitivity"},
          {"tool", {{"version", report.version}}},
          {"command", printable(report.command)},
          {"started", report.started},
          {"model", {{"path", printable(report.model_path)}, {"sha256", report.model_sha256}}},
          {"data", printable(report.data)},
          {"samples", report.samples},
          {"criterion", printable(report.criterion)},
          {"seed", report.seed},
          {"metric", std::move(metric)},
          {"dense", {{"metric", number(report.dense_metric)}, {"loss", number(report.dense_loss)}}},
          {"layers", std::move(layers)},
          {"skipped", std::move(skipped)},
          {"verification", std::move(verification)},
          {"warnings", std::move(warnings)},
          {"timings", {{"total_s", report.total_s}}}};
}

std::string to_json_text(const SensitivityReport& report) { return to_json(report).dump(2) + "\n"; }

}  // namespace sparsify
