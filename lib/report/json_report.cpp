#include <nlohmann/json.hpp>

#include "report/renderers.h"
#include "report/text.h"

namespace sparsify {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json or_null(const std::optional<std::string>& text) {
  return text ? Json(printable(*text)) : Json(nullptr);
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(printable(text));
}

Json figures(const ModelFigures& model) {
  return {{"path", text_or_null(model.path)},
          {"sha256", text_or_null(model.sha256)},
          {"params", model.params},
          {"nonzero", model.nonzero},
          {"macs", or_null(model.macs)},
          {"size_bytes", model.size_bytes},
          {"gzip_bytes", model.gzip_bytes > 0 ? Json(model.gzip_bytes) : Json(nullptr)}};
}

Json training_object(const TrainingSummary& training) {
  Json json{{"samples", training.samples}, {"seconds", training.seconds}, {"wait_seconds", training.wait_seconds}};
  json["samples_per_second"] = training.seconds > 0 ? Json(static_cast<double>(training.samples) / training.seconds) : Json(nullptr);
  json["metric"] = text_or_null(training.metric);
  json["best_epoch"] = or_null(training.best_epoch);
  json["stopped_early"] = training.stopped_early;
  json["resumed"] = training.resumed;
  json["round_sparsities"] = training.round_sparsities;
  json["epochs"] = Json::array();
  for (const TrainingRow& row : training.epochs) {
    json["epochs"].push_back({{"step", row.step}, {"epoch", row.epoch}, {"loss", row.loss}, {"lr", row.lr}, {"sparsity", row.sparsity},
                              {"metric", or_null(row.metric)}, {"seconds", row.seconds}});
  }
  return json;
}

/// The counts of zeros are known even where no model was written, such as after a missed gate.
Json result_figures(const RunReport& report) {
  Json json;
  if (report.result) {
    json = figures(*report.result);
  } else {
    for (const char* key : {"path", "sha256", "params", "nonzero", "macs", "size_bytes", "gzip_bytes"}) {
      json[key] = nullptr;
    }
  }
  json["sparsity"] = report.sparsity;
  json["prunable"] = report.prunable;
  json["pruned"] = report.pruned;
  return json;
}

Json metric_object(const std::optional<MetricResult>& metric) {
  if (!metric) return nullptr;
  return {{"name", printable(metric->name)},
          {"before", or_null(metric->before)},
          {"after", or_null(metric->after)},
          {"samples", metric->samples},
          {"higher_is_better", metric->higher_is_better},
          {"unit", printable(metric->unit)},
          {"data", printable(metric->data)}};
}

Json layer_object(const LayerRow& row) {
  return {{"name", printable(row.name)},
          {"initializer", printable(row.initializer)},
          {"op", printable(row.op)},
          {"shape", row.shape},
          {"type", printable(row.type)},
          {"pattern", text_or_null(row.pattern)},
          {"params", row.params},
          {"prunable", row.prunable},
          {"kept", row.kept},
          {"target", or_null(row.target)},
          {"sparsity", row.sparsity},
          {"sparsity_before", row.sparsity_before},
          {"macs", or_null(row.macs)},
          {"error_before", or_null(row.error_before)},
          {"error", or_null(row.error)},
          {"solve_s", or_null(row.solve_s)},
          {"kept_magnitude_before", or_null(row.kept_magnitude_before)},
          {"kept_magnitude", or_null(row.kept_magnitude)},
                    {"skipped", or_null(row.skipped)},
          {"shape_after", row.shape_after.empty() ? Json(nullptr) : Json(row.shape_after)}};
}

Json text_list(const std::vector<std::string>& texts) {
  Json list = Json::array();
  for (const std::string& text : texts) list.push_back(printable(text));
  return list;
}

}  // namespace

Json gradient_cut_object(const GradientCutRow& cut) {
  return {{"value", printable(cut.value)}, {"node", printable(cut.node)}, {"op", printable(cut.op)},
          {"reason", printable(cut.reason)}, {"weights", text_list(cut.weights)}};
}

Json to_json(const RunReport& report) {
  Json json;
  json["schema_version"] = 1;
  const auto version = report.versions.find("sparsify");
  json["tool"] = {{"name", "sparsify"},
                  {"version", version == report.versions.end() ? Json(nullptr) : Json(version->second)}};
  json["versions"] = Json::object();
  for (const auto& [name, text] : report.versions) json["versions"][printable(name)] = printable(text);
  json["command"] = printable(report.command);
  json["started"] = text_or_null(report.started);
  json["model"] = figures(report.model);
  json["result"] = result_figures(report);
  json["metric"] = metric_object(report.metric);
  json["layers"] = Json::array();
  for (const LayerRow& row : report.layers) json["layers"].push_back(layer_object(row));
  if (!report.groups.empty()) {
    json["groups"] = Json::array();
    for (const GroupRow& group : report.groups) {
      json["groups"].push_back({{"name", printable(group.name)}, {"kind", group.kind}, {"units", group.units}, {"kept", group.kept}});
    }
  }
  if (report.gradient_cuts) {
    json["gradient_cuts"] = Json::array();
    for (const GradientCutRow& cut : *report.gradient_cuts) json["gradient_cuts"].push_back(gradient_cut_object(cut));
  }
  json["gates"] = Json::array();
  for (const GateResult& gate : report.gates) {
    json["gates"].push_back({{"name", printable(gate.name)},
                             {"limit", gate.limit},
                             {"actual", gate.actual},
                             {"passed", gate.passed}});
  }
  json["verification"] = Json::array();
  for (const VerificationResult& check : report.verification) {
    json["verification"].push_back({{"check", printable(check.check)},
                                    {"passed", check.passed},
                                    {"detail", printable(check.detail)}});
  }
  if (report.training) json["training"] = training_object(*report.training);
  json["timings"] = Json::object();
  for (const auto& [stage, seconds] : report.timings) json["timings"][printable(stage)] = seconds;
  json["warnings"] = text_list(report.warnings);
  json["notes"] = text_list(report.notes);
  json["recipe"] = text_or_null(report.recipe_yaml);
  return json;
}

std::string to_json_text(const RunReport& report) { return to_json(report).dump(2) + "\n"; }

}  // namespace sparsify
