#include "pipeline/trial.h"

#include <fmt/core.h>

#include "base/error.h"
#include "base/interrupt.h"
#include "pipeline/output_damage.h"
#include "pipeline/stored_weights.h"

namespace sparsify {

Trial::Trial(const ModelFile& file, const DataSource& data, const TrialOptions& options)
    : file_(file), session_(make_runtime("libtorch")->open(file, options.session)) {
  choose_metric(data, options.metric);
  const auto stream = data.stream({});
  while (auto batch = stream->next()) {
    check_interrupt();
    Sample sample{.inputs = std::move(batch->inputs), .dense = {}, .target = std::nullopt, .first = batch->first, .count = batch->count};
    sample.dense = session_->run(sample.inputs);
    sample.target = batch->labels;
    if (!sample.target && !batch->outputs.empty()) sample.target = batch->outputs.front();
    samples_ += sample.count;
    batches_.push_back(std::move(sample));
    if (options.samples > 0 && samples_ >= options.samples) break;
  }
  dense_ = run(*session_, /*dense=*/true);
}

void Trial::choose_metric(const DataSource& data, const std::string& name) {
  if (name.empty()) return;
  const auto& registry = Registry<Metric>::instance();
  if (name != "auto") {
    const auto metric = registry.make(name, Options());
    if (!data.has_labels() && !metric->wants_targets()) {
      throw ConfigError{{.what = fmt::format("the metric {} needs labels, and the data has none", name),
                         .where = data.describe(),
                         .fix = "leave the metric out: the divergence from the dense outputs needs no labels"}};
    }
    metric_name_ = name;
  } else if (data.has_class_labels()) {
    metric_name_ = "top1";
  }
  if (metric_name_.empty()) return;
  const auto metric = registry.make(metric_name_, Options());
  metric_unit_ = metric->unit();
  higher_is_better_ = metric->higher_is_better();
  wants_loss_ = data.has_class_labels() && !metric->wants_targets() && metric_name_ != "auc";  // which takes a single column
}

Damage Trial::run(Session& session, bool dense) {
  std::unique_ptr<Metric> metric;
  std::unique_ptr<Metric> loss;
  if (!metric_name_.empty()) metric = Registry<Metric>::instance().make(metric_name_, Options());
  if (wants_loss_) loss = Registry<Metric>::instance().make("loss", Options());
  OutputDamage damage;
  for (const Sample& sample : batches_) {
    check_interrupt();
    const std::vector<HostTensor> outputs = dense ? sample.dense : session.run(sample.inputs);
    damage.add(sample.dense, outputs, sample.count);
    const HostTensor& target = sample.target ? *sample.target : sample.dense.front();
    if (metric) metric->update(outputs.front(), target, sample.count, sample.first);
    if (loss) loss->update(outputs.front(), target, sample.count, sample.first);
  }
  Damage result{.divergence = damage.divergence(), .relative_error = damage.relative_error()};
  if (metric) result.metric = metric->value();
  if (loss) result.loss = loss->value();
  return result;
}

Damage Trial::measure(const std::map<int, BitMask>& masks) {
  std::map<int, HostTensor> weights;
  for (const auto& [id, mask] : masks) weights.emplace(id, masked_copy(file_, id, mask));
  return measure_with(weights);
}

Damage Trial::measure_with(const std::map<int, HostTensor>& weights) {
  const auto restore = [&] {
    for (const auto& [id, values] : weights) session_->replace_weight(id, file_.tensor_data(id));
  };
  try {
    for (const auto& [id, values] : weights) {
      const bool exchanged = session_->replace_weight(id, values);
      invariant(exchanged, "the interpreter exchanges weights");
    }
    const Damage damage = run(*session_, /*dense=*/false);
    restore();
    return damage;
  } catch (...) {
    restore();
    throw;
  }
}

}  // namespace sparsify
