#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/loader.h"
#include "onnx/model_file.h"
#include "pipeline/metrics.h"
#include "runtimes/runtime.h"
#include "tensor/bit_mask.h"

namespace sparsify {

/// What a set of masks does to a model, without any correction.
struct Damage {
  std::optional<double> metric{};      ///< absent without labels (or targets)
  std::optional<double> loss{};        ///< cross-entropy; absent without class labels
  std::optional<double> divergence{};  ///< KL to the dense outputs in nats; absent where the output is no class scores
  double relative_error = 0;           ///< of all outputs against the dense ones
};

struct TrialOptions {
  std::string metric = "auto";  ///< auto: top1 with class labels, none without; "": none
  SessionOptions session{};
  int64_t samples = 0;  ///< only the first so many, in whole batches; 0: all
};

/// A model on a fixed set of samples, measured again and again with some of its weights masked. The samples and the dense
/// outputs are held in memory; the model stays loaded, and after each measurement it is exactly what it was.
class Trial {
 public:
  /// Runs the dense model once.
  ///   file    must outlive the trial
  ///   throws  ConfigError for a metric that the data cannot give
  Trial(const ModelFile& file, const DataSource& data, const TrialOptions& options);

  const Damage& dense() const { return dense_; }
  int64_t samples() const { return samples_; }
  const std::string& metric_name() const { return metric_name_; }  ///< "" when there is none
  const std::string& metric_unit() const { return metric_unit_; }
  bool higher_is_better() const { return higher_is_better_; }

  /// Masks by tensor id; no mask at all measures the dense model.
  Damage measure(const std::map<int, BitMask>& masks);
  /// Other values of some tensors, by id, in their stored types.
  Damage measure_with(const std::map<int, HostTensor>& weights);

 private:
  struct Sample {
    std::vector<HostTensor> inputs;
    std::vector<HostTensor> dense;  ///< outputs of the dense model
    std::optional<HostTensor> target;
    int64_t first = 0;
    int64_t count = 0;
  };

  void choose_metric(const DataSource& data, const std::string& name);
  Damage run(Session& session, bool dense);

  const ModelFile& file_;
  std::unique_ptr<Session> session_;
  std::vector<Sample> batches_;
  Damage dense_;
  int64_t samples_ = 0;
  std::string metric_name_;
  std::string metric_unit_;
  bool higher_is_better_ = true;
  bool wants_loss_ = false;
};

}  // namespace sparsify
