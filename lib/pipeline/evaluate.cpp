#include "pipeline/evaluate.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "pipeline/metrics.h"

namespace sparsify {
namespace {

std::unique_ptr<Metric> make_metric(const EvaluateOptions& options, const DataSource& data, std::string& name) {
  name = options.metric;
  if (name == "auto") name = metric_for(data);
  std::unique_ptr<Metric> metric = Registry<Metric>::instance().make(name, Options());
  if (!data.has_labels() && !metric->wants_targets()) {
    throw ConfigError{{.what = fmt::format("the metric {} needs labels, and the data has none", name),
                       .where = data.describe(),
                       .fix = "use mse, which compares with the dense model, or a data set with labels"}};
  }
  return metric;
}

}  // namespace

MetricResult evaluate(const ModelFile& file, const DataSource& data, const EvaluateOptions& options) {
  MetricResult result;
  result.data = data.describe();
  result.data.erase(std::min(result.data.rfind(" ("), result.data.size()));  // the number of samples stands beside it
  const std::unique_ptr<Metric> metric = make_metric(options, data, result.name);
  result.higher_is_better = metric->higher_is_better();
  result.unit = metric->unit();
  const std::unique_ptr<Runtime> runtime = make_runtime(options.runtime);
  const std::unique_ptr<Session> session = runtime->open(file, options.session);
  std::unique_ptr<Session> reference;
  const std::unique_ptr<DataSource::Stream> stream = data.stream({});
  Progress progress(options.task, data.size());
  while (const auto batch = stream->next()) {
    check_interrupt();
    const std::vector<HostTensor> outputs = session->run(batch->inputs);
    HostTensor target;
    if (batch->labels) {
      target = *batch->labels;
    } else if (!batch->outputs.empty()) {
      target = batch->outputs.front();
    } else {
      if (options.reference == nullptr) {
        throw ConfigError{{.what = "the data has neither labels nor recorded outputs to measure against",
                           .where = data.describe(),
                           .fix = "use a data set with labels"}};
      }
      if (!reference) reference = runtime->open(*options.reference, options.session);
      target = reference->run(batch->inputs).front();
    }
    metric->update(outputs.front(), target, batch->count, result.samples);
    result.samples += batch->count;
    progress.advance(batch->count);
  }
  result.after = metric->value();
  return result;
}

}  // namespace sparsify
