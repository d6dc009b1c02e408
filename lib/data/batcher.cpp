#include "data/batcher.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "data/convert.h"
#include "data/label_source.h"

namespace sparsify {
namespace {

constexpr int64_t kLeftOut = -100;  // a label that says that there is none

Shape with_batch_axis(int64_t size, const Shape& shape) {
  Shape batch{size};
  batch.insert(batch.end(), shape.begin(), shape.end());
  return batch;
}

/// The part of a batch tensor that belongs to one sample.
std::span<std::byte> slot(HostTensor& batch, int64_t position) {
  const auto bytes =
      static_cast<size_t>(static_cast<int64_t>(batch.bytes().size()) / batch.shape()[0]);
  return batch.mutable_bytes().subspan(static_cast<size_t>(position) * bytes, bytes);
}

void require_same_shape(const HostTensor& batch, const Shape& shape) {
  if (std::equal(shape.begin(), shape.end(), batch.shape().begin() + 1, batch.shape().end()))
    return;
  const Shape first(batch.shape().begin() + 1, batch.shape().end());
  throw ShapeError{
      {.what = fmt::format("the sample has shape {}, another of its batch {}", to_text(shape),
                           to_text(first)),
       .where = "",
       .fix = "set resize (and center_crop) for images of different sizes, or batch_size: 1"}};
}

}  // namespace

Batcher::Batcher(std::unique_ptr<Dataset> dataset, const InputSignature& signature,
                 const Options& options, const std::string& path, uint64_t seed)
    : dataset_(std::move(dataset)), path_(path), seed_(seed) {
  dataset_->bind(signature, seed);
  const std::string place = fmt::format("{} ({})", path, dataset_->describe());
  if (!dataset_->is_batched()) find_fixed_batch(signature, place);
  classes_ = options.optional_integer("classes", {.min = 1}, "labels must lie in [0, classes)")
                 .value_or(-1);
  if (dataset_->is_ready()) return;

  const std::vector<ArrayInfo> arrays = dataset_->arrays();
  invariant(arrays.size() == signature.size(), "a data format has an array for each input");
  for (size_t i = 0; i < signature.size(); ++i) {
    transforms_.emplace_back(options,
                             Feed{.path = path,
                                  .source = dataset_->describe(),
                                  .array = arrays[i],
                                  .layout = i == 0 ? dataset_->image_layout() : std::nullopt,
                                  .input = signature[i]});
  }
  if (std::ranges::any_of(
          transforms_, [](const InputTransform& transform) { return is_float(transform.type()); }))
    return;
  for (const char* key : {"scale", "mean", "std"}) {
    if (!options.has(key)) continue;
    throw ConfigError{
        {.what = fmt::format("{} is given, but the model's input \"{}\" takes {}", key,
                             signature.front().name, name_of(transforms_.front().type())),
         .where = options.where(key),
         .fix = "remove the key: integers are passed on as they are"}};
  }
}

void Batcher::find_fixed_batch(const InputSignature& signature, const std::string& place) {
  const ValueInfo* fixed = nullptr;
  for (const ValueInfo& input : signature) {
    if (!input.shape) continue;
    const int64_t size = input.shape->empty() ? -1 : input.shape->front().size;
    if (input.shape->empty() || size == 0 ||
        (fixed != nullptr && size > 0 && size != fixed_batch_)) {
      throw ShapeError{
          {.what = fmt::format("the model's input \"{}\" is {}: it has no batch axis{}", input.name,
                               input.signature(),
                               fixed == nullptr ? "" : fmt::format(" as \"{}\" has", fixed->name)),
           .where = place,
           .fix = "use recorded inputs (format onnx)"}};
    }
    if (size > 0) {
      fixed = &input;
      fixed_batch_ = size;
    }
  }
}

void Batcher::check_labels(std::span<const int64_t> records) const {
  const auto* labels = dynamic_cast<const LabelSource*>(dataset_.get());
  if (classes_ < 0 || labels == nullptr || !dataset_->has_labels()) return;
  for (const int64_t record : records) {
    const HostTensor label = labels->label(record);
    if (label.type() != DType::Int64) return;  // targets
    try {
      check_label(label);
    } catch (Error& error) {
      error.set_where(fmt::format("{}, {}", path_, dataset_->place(record)));
      throw;
    }
  }
}

Batch Batcher::make(std::span<const int64_t> records, uint64_t epoch) const {
  Batch batch;
  if (dataset_->is_batched()) {
    Sample sample = dataset_->read(records.front());
    batch.inputs = std::move(sample.inputs);
    batch.labels = std::move(sample.label);
    batch.outputs = std::move(sample.outputs);
    const bool has_axis = !batch.inputs.empty() && !batch.inputs.front().shape().empty();
    batch.count = has_axis ? batch.inputs.front().shape().front() : 1;
    return batch;
  }
  batch.count = static_cast<int64_t>(records.size());
  const int64_t size = std::max(batch.count, fixed_batch_);
  for (int64_t position = 0; position < batch.count; ++position) {
    const int64_t record = records[static_cast<size_t>(position)];
    try {
      const Sample sample = dataset_->read(record);
      place_inputs(sample, record, position, size, epoch, batch);
      place_label(sample, position, size, batch);
    } catch (Error& error) {
      const std::string place = dataset_->place(record);
      if (error.problem().where.empty()) {
        error.set_where(place);
      } else if (error.problem().where.find(place) == std::string::npos) {
        error.add_context(place);
      }
      throw;
    }
  }
  const auto fill_up = [&](HostTensor& tensor) {
    for (int64_t position = batch.count; position < size; ++position) {
      std::ranges::copy(slot(tensor, batch.count - 1), slot(tensor, position).begin());
    }
  };
  std::ranges::for_each(batch.inputs, fill_up);
  if (batch.labels) fill_up(*batch.labels);
  return batch;
}

void Batcher::place_inputs(const Sample& sample, int64_t record, int64_t position, int64_t size,
                           uint64_t epoch, Batch& batch) const {
  const Rng augmentation(Rng(seed_, "augment").bits_at(epoch), static_cast<uint64_t>(record));
  for (size_t i = 0; i < sample.inputs.size(); ++i) {
    const HostTensor& raw = sample.inputs[i];
    const InputTransform* transform = transforms_.empty() ? nullptr : &transforms_[i];
    const Shape shape = transform == nullptr ? raw.shape() : transform->shape_of(raw.shape());
    if (batch.inputs.size() <= i) {
      batch.inputs.emplace_back(transform == nullptr ? raw.type() : transform->type(),
                                with_batch_axis(size, shape));
    }
    require_same_shape(batch.inputs[i], shape);
    const std::span<std::byte> out = slot(batch.inputs[i], position);
    if (transform == nullptr) {
      std::ranges::copy(raw.bytes(), out.begin());
    } else {
      transform->write(raw, augmentation, out.data());
    }
  }
}

void Batcher::place_label(const Sample& sample, int64_t position, int64_t size,
                          Batch& batch) const {
  if (!sample.label) return;
  check_label(*sample.label);
  if (!batch.labels)
    batch.labels.emplace(sample.label->type(), with_batch_axis(size, sample.label->shape()));
  require_same_shape(*batch.labels, sample.label->shape());
  std::ranges::copy(sample.label->bytes(), slot(*batch.labels, position).begin());
}

void Batcher::check_label(const HostTensor& label) const {
  if (classes_ < 0 || label.type() != DType::Int64) return;
  for (const int64_t value : label.to_integers()) {
    if ((value >= 0 && value < classes_) || value == kLeftOut) continue;
    throw ResourceError{
        {.what = fmt::format("the label is {}, the classes are 0 to {}", value, classes_ - 1),
         .where = "",
         .fix = "correct the record, or use data whose classes are the model's (key classes)"}};
  }
}

}  // namespace sparsify
