#include "train/objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/mse_loss.h>
#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "base/names.h"
#include "train/own_teacher.h"

namespace sparsify {
namespace {

/// `auto`: class indices make a cross-entropy, float targets a mean squared error, no labels leave the teacher alone.
std::string loss_for(const TrainTask& task) {
  const std::string& name = task.settings.loss.name;
  if (name != "auto") return name;
  if (!task.data->has_labels()) return "distill";
  const auto first = task.data->stream({})->next();
  const bool classes = first && first->labels && first->labels->type() == DType::Int64;
  return classes ? "cross_entropy" : "mse";
}

void require_feature(const std::string& name, const ModelFile& file, const std::string& whose) {
  std::vector<std::string> names;
  for (const Node& node : file.model().graph.nodes) names.insert(names.end(), node.outputs.begin(), node.outputs.end());
  std::erase(names, "");  // outputs that a node leaves out
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  const std::string near = closest_name(name, names);
  throw ConfigError{{.what = fmt::format("{} has no value \"{}\"", whose, name),
                     .where = "train.distill.features",
                     .fix = (near.empty() ? "" : fmt::format("did you mean \"{}\"? ", near)) + "name the output of a node: `sparsify inspect MODEL` shows the graph"}};
}

at::Tensor real_samples(const at::Tensor& tensor, int64_t count) {
  return tensor.dim() > 0 && tensor.size(0) > count ? tensor.narrow(0, 0, count) : tensor;
}

/// Of inference mode, whose tensors autograd cannot keep.
at::Tensor plain(const at::Tensor& tensor) { return tensor.clone(); }

}  // namespace

Objective::Objective(const TrainTask& task, Program& program)
    : task_(task), program_(program), loss_(task.settings.loss), device_(program.parameters().front().tensor.device()) {
  const DistillSettings& distill = task.settings.distill;
  require_mixable(task.settings, task.file->model().graph.inputs);
  loss_.name = loss_for(task);
  has_task_ = loss_.name != "distill";
  const bool needs_teacher = distill.active || !has_task_;
  if (has_task_ && !task.data->has_labels()) {
    throw ConfigError{{.what = fmt::format("the loss {} needs labels, and the data has none", loss_.name),
                       .where = task.data->describe(),
                       .fix = "use loss: distill, or a data set with labels"}};
  }
  value_ = find_loss_value(*task.file, loss_);
  run_.training = task.settings.batch_norm == "train";
  run_.gradients = true;
  run_.bfloat16 = task.bfloat16;
  if (!value_.tap.empty()) run_.taps.push_back(value_.tap);
  if (!needs_teacher) return;
  if (task.teacher == nullptr) {
    throw ConfigError{{.what = "there is no teacher to learn from", .where = "train.distill.teacher", .fix = "name a dense ONNX model, or give data with labels"}};
  }
  if (!has_task_ && is_own_teacher(task)) {
    throw ConfigError{{.what = "the model would be its own teacher: without labels it learns from a dense model, and this one has the same weights",
                       .where = "train.distill.teacher",
                       .fix = "name the dense model: --teacher DENSE.onnx; or give data with labels"}};
  }
  for (const std::string& feature : distill.features) {
    require_feature(feature, *task.file, "the model");
    require_feature(feature, *task.teacher, "the teacher");
  }
  teacher_ = Program::build(*task.teacher, {.device = task.device});
  teacher_value_ = find_loss_value(*task.teacher, loss_);
  run_.taps.insert(run_.taps.end(), distill.features.begin(), distill.features.end());
}

std::vector<Value> Objective::inputs_of(const Batch& batch, uint64_t seed, Mixed& mixed) const {
  std::vector<Value> inputs;
  for (const HostTensor& input : batch.inputs) inputs.push_back(from_host(input));
  if (task_.settings.mixup <= 0 && task_.settings.cutmix <= 0) return inputs;
  at::Tensor first;  // all inputs of a sample are mixed alike
  for (Value& input : inputs) {
    if (!input.is_tensor() || !input.tensor().is_floating_point()) continue;
    const at::Tensor& own = input.tensor();
    if (!first.defined()) {
      first = own;
      mixed = mix(task_.settings, own, Rng(seed, "mix"));
      input = Value(mixed.input, input.type());
    } else {
      input = Value(mixed_alike(mixed, first, own), input.type());
    }
  }
  return inputs;
}

at::Tensor Objective::scores_of(const RunResult& result, const LossValue& value, int64_t count) const {
  const Value& from = value.tap.empty() ? result.outputs.at(value.index) : result.taps.at(value.tap);
  const at::Tensor scores = real_samples(from.tensor(), count);
  return scores.scalar_type() == at::kDouble ? scores : scores.to(at::kFloat);
}

at::Tensor Objective::loss(const Batch& batch, uint64_t seed) {
  RunOptions options = run_;
  options.seed = seed;
  return loss_with(batch, options);
}

double Objective::weight(const Batch& batch) const {
  if (batch.count == 0 || teacher_ || !batch.labels) return static_cast<double>(batch.count);
  return labelled(loss_, real_samples(from_host(*batch.labels).tensor(), batch.count), batch.count);
}

std::string Objective::place_of(const Batch& batch, int64_t sample) const {
  const int64_t record = batch.records.size() == 1 ? batch.records.front() : batch.records.at(static_cast<size_t>(sample));
  return fmt::format("data.train, {}", task_.data->place(record));
}

double Objective::value(const Batch& batch, uint64_t seed) {
  RunOptions options = run_;  // gradients included: the very kernels of the next step
  options.seed = seed;
  options.update_statistics = false;
  options.share = nullptr;
  return loss_with(batch, options).item<double>();
}

at::Tensor Objective::loss_with(const Batch& batch, const RunOptions& options) {
  Mixed mixed;
  const std::vector<Value> inputs = inputs_of(batch, options.seed, mixed);
  const RunResult result = program_.run(inputs, options);
  const at::Tensor scores = scores_of(result, value_, batch.count);
  if (!teacher_) return task_part(scores, batch, mixed);
  const double share = has_task_ ? task_.settings.distill.weight : 1;
  at::Tensor sum = teacher_part(share, result, scores, inputs, batch);
  if (has_task_ && share < 1) sum = sum + task_part(scores, batch, mixed) * (1 - share);
  return sum;
}

at::Tensor Objective::task_part(const at::Tensor& scores, const Batch& batch, const Mixed& mixed) const {
  if (!batch.labels) {
    throw ResourceError{{.what = "a batch has no labels", .where = place_of(batch, 0), .fix = "use loss: distill"}};
  }
  const SamplePlace place = [&](int64_t sample) { return place_of(batch, sample); };
  const at::Tensor labels = from_host(*batch.labels).tensor().to(device_);
  const at::Tensor own = task_loss(loss_, scores, real_samples(labels, batch.count), place);
  if (!mixed.partner.defined()) return own;
  const at::Tensor others = real_samples(labels.index_select(0, mixed.partner.to(device_)), batch.count);
  return own * mixed.share + task_loss(loss_, scores, others, place) * (1 - mixed.share);
}

int64_t Objective::class_axis_of(const at::Tensor& scores, const Batch& batch) const {
  const int64_t last = std::max<int64_t>(scores.dim() - 1, 0);
  if (task_.settings.distill.axis) {
    if (*task_.settings.distill.axis <= last) return *task_.settings.distill.axis;
    throw ConfigError{{.what = fmt::format("the output has {} axes, counted from 0", scores.dim()), .where = "train.distill.axis", .fix = fmt::format("name one from 1 to {}", last)}};
  }
  if (loss_.name == "cross_entropy" && batch.labels) {
    const int64_t told = class_axis(scores, real_samples(from_host(*batch.labels).tensor(), batch.count));
    if (told > 0) return told;
  }
  return std::min(value_.class_axis, last);
}

at::Tensor Objective::teacher_part(double share, const RunResult& student, const at::Tensor& scores, const std::vector<Value>& inputs, const Batch& batch) {
  const DistillSettings& distill = task_.settings.distill;
  RunOptions options;
  options.bfloat16 = task_.bfloat16;
  options.taps = distill.features;
  if (!teacher_value_.tap.empty()) options.taps.push_back(teacher_value_.tap);
  const RunResult taught = teacher_->run(inputs, options);
  const int64_t count = batch.count;
  const int64_t axis = class_axis_of(scores, batch);
  const Distance distance = distance_for(distill, loss_, value_, scores, axis);
  at::Tensor sum = distill_loss(distance, distill.temperature, scores, plain(scores_of(taught, teacher_value_, count)), axis) * share;
  for (const std::string& feature : distill.features) {
    const at::Tensor ours = student.taps.at(feature).tensor();
    const at::Tensor theirs = plain(taught.taps.at(feature).tensor());
    if (ours.sizes() != theirs.sizes()) {
      throw ShapeError{{.what = fmt::format("the feature is {} in the model and {} in the teacher", student.taps.at(feature).describe(),
                                            taught.taps.at(feature).describe()),
                        .where = fmt::format("train.distill.features: \"{}\"", feature),
                        .fix = "match values of equal shape"}};
    }
    sum = sum + at::mse_loss(real_samples(ours, count), real_samples(theirs, count)) * distill.feature_weight;
  }
  return sum;
}

std::string Objective::first_bad_value(const Batch& batch, uint64_t seed) {
  Mixed mixed;
  const std::vector<Value> inputs = inputs_of(batch, seed, mixed);
  const Graph& graph = task_.file->model().graph;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& value = inputs[i];
    if (value.is_tensor() && value.tensor().is_floating_point() && !at::isfinite(value.tensor()).all().item<bool>()) {
      return fmt::format("input \"{}\"", graph.inputs[i].name);
    }
  }
  RunOptions options = run_;
  options.gradients = false;
  options.seed = seed;
  options.share = nullptr;
  options.taps.clear();
  for (const Node& node : graph.nodes) {
    if (!node.outputs.empty() && !node.outputs.front().empty()) options.taps.push_back(node.outputs.front());
  }
  const RunResult result = program_.run(inputs, options);
  for (const int index : topological_order(graph)) {
    const Node& node = graph.nodes[static_cast<size_t>(index)];
    const auto found = node.outputs.empty() ? result.taps.end() : result.taps.find(node.outputs.front());
    if (found == result.taps.end() || !found->second.is_tensor()) continue;
    const at::Tensor& tensor = found->second.tensor();
    if (tensor.is_floating_point() && !at::isfinite(tensor).all().item<bool>()) {
      return fmt::format("value \"{}\" of {} \"{}\"", node.outputs.front(), node.op_type, node.label());
    }
  }
  return "";
}

}  // namespace sparsify
