#include "pipeline/gates.h"

#include <fmt/core.h>

#include "base/error.h"
#include "pipeline/metrics.h"

namespace sparsify {
namespace {

bool needs_data(const std::string& gate) { return gate == "max_accuracy_drop" || gate == "min_accuracy"; }

[[noreturn]] void refuse_metric(const Gate& gate, const std::string& metric) {
  throw ConfigError{{.what = fmt::format("the gate {} counts points of accuracy, and of the metric {} lower is better", gate.name, metric),
                     .where = fmt::format("{} (gates.{})", gate.mark.text(), gate.name),
                     .fix = "choose a metric of which higher is better: --metric top1 (`sparsify list metric`), or remove the gate"}};
}

/// Points: of percentages as they are, of what goes from 0 to 1 (auc) hundredths.
double points(const MetricResult& metric, double value) { return metric.unit == "%" ? value : 100 * value; }

}  // namespace

void require_judgeable(const Recipe& recipe) {
  for (const Gate& gate : recipe.gates) {
    const std::string where = fmt::format("{} (gates.{})", gate.mark.text(), gate.name);
    if (needs_data(gate.name) && !recipe.data.contains("eval")) {
      throw ConfigError{{.what = fmt::format("the gate {} needs data to measure with", gate.name),
                         .where = where,
                         .fix = "name a data set: `data.eval` in the recipe, or --data"}};
    }
    if (needs_data(gate.name) && recipe.metric != "auto" && !Registry<Metric>::instance().make(recipe.metric, Options())->higher_is_better()) {
      refuse_metric(gate, recipe.metric);
    }
    if (gate.name == "max_latency") {
      throw ConfigError{{.what = "this version does not measure latency", .where = where, .fix = "remove the gate max_latency"}};
    }
  }
}

void require_labels(const Recipe& recipe, const DataSource& eval) {
  if (recipe.metric != "auto") return;
  const std::string metric = metric_for(eval);
  if (Registry<Metric>::instance().make(metric, Options())->higher_is_better()) return;
  for (const Gate& gate : recipe.gates) {
    if (needs_data(gate.name)) refuse_metric(gate, metric);
  }
}

std::vector<GateResult> judge(const Recipe& recipe, const RunReport& report) {
  std::vector<GateResult> results;
  for (const Gate& gate : recipe.gates) {
    GateResult result{.name = gate.name, .limit = gate.limit};
    const bool at_least = gate.name.starts_with("min_");
    if (gate.name == "max_accuracy_drop") {
      result.actual = points(*report.metric, *report.metric->before - *report.metric->after);
    } else if (gate.name == "min_accuracy") {
      result.actual = points(*report.metric, *report.metric->after);
    } else if (gate.name == "min_sparsity") {
      result.actual = report.sparsity;
    } else if (gate.name == "max_size_bytes") {
      result.actual = static_cast<double>(report.result->size_bytes);
    } else if (gate.name == "max_params") {
      result.actual = static_cast<double>(report.result->nonzero);
    } else if (gate.name == "max_macs") {
      if (!report.result->macs) {
        throw ConfigError{{.what = "the gate max_macs cannot be judged: shapes of some layers are unknown",
                           .where = fmt::format("{} (gates.max_macs)", gate.mark.text()),
                           .fix = "give the input shape with --input NAME:1,3,224,224"}};
      }
      result.actual = static_cast<double>(*report.result->macs);
    }
    result.passed = at_least ? result.actual >= result.limit : result.actual <= result.limit;
    results.push_back(result);
  }
  return results;
}

}  // namespace sparsify
