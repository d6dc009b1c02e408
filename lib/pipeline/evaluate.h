#pragma once

#include <string>

#include "data/loader.h"
#include "onnx/model_file.h"
#include "report/run_report.h"
#include "runtimes/runtime.h"

namespace sparsify {

struct EvaluateOptions {
  std::string metric = "auto";       ///< auto: top1 where the data has class labels, else mse to `reference`
  std::string runtime = "libtorch";
  SessionOptions session{};
  const ModelFile* reference = nullptr;  ///< whose outputs stand in for labels that the data lacks
  std::string task = "evaluating";       ///< shown with the progress
};

/// The metric of one model over one data set, in `after` of the result.
/// throws ConfigError for a metric that the data cannot give
MetricResult evaluate(const ModelFile& file, const DataSource& data, const EvaluateOptions& options);

}  // namespace sparsify
