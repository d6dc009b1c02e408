#include "data/transform.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <set>

#include "base/log.h"
#include "data/convert.h"

namespace sparsify {
namespace {

/// Rank-1 samples with more columns than this are normalised without tables.
constexpr size_t kMaxTables = 64;

bool is_known(const Shape& shape) {
  return std::ranges::all_of(shape, [](int64_t size) { return size >= 0; });
}

/// `wanted` with its free sizes taken from `sample`, if the two agree but for axes of size 1.
std::optional<Shape> match_without_ones(const Shape& sample, const Shape& wanted) {
  Shape result;
  auto next = sample.begin();
  const auto skip_ones = [&] {
    while (next != sample.end() && *next == 1) ++next;
  };
  for (const int64_t size : wanted) {
    if (size == 1) {
      result.push_back(1);
      continue;
    }
    skip_ones();
    if (next == sample.end() || !sizes_agree({*next}, {size})) return std::nullopt;
    result.push_back(size < 0 ? *next : size);
    ++next;
  }
  skip_ones();
  if (next != sample.end()) return std::nullopt;
  return result;
}

/// Flat records for a shaped input, and shaped records for a flat one.
std::optional<Shape> match_flat(const Shape& sample, const Shape& wanted) {
  if (sample.size() != 1 && wanted.size() != 1) return std::nullopt;
  if (wanted.size() == 1 && !is_known(sample)) return wanted;  // seen again for each record
  if (wanted == Shape{-1}) return Shape{element_count(sample)};
  if (!is_known(sample) || !is_known(wanted) || element_count(sample) != element_count(wanted))
    return std::nullopt;
  return wanted;
}

/// Each thing once, however many sets are opened on the same data.
void say_once(const std::string& text) {
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::scoped_lock lock(mutex);
  if (said.insert(text).second) log_info("{}", text);
}

}  // namespace

InputTransform::InputTransform(const Options& options, const Feed& feed)
    : feed_(feed), wanted_(feed.wanted()) {
  ValueInfo& input = feed_.input;
  const bool is_tensor =
      input.kind == ValueInfo::Kind::Tensor || input.kind == ValueInfo::Kind::Unknown;
  if (input.type == DType::Undefined) input.type = feed.array.type;
  if (!is_tensor || !is_writable(input.type)) {
    throw ShapeError{
        {.what =
             fmt::format("the model's input \"{}\" takes {}, the data are numbers", input.name,
                         is_tensor ? name_of(input.type) : "a sequence, optional or sparse tensor"),
         .where = feed_.place(),
         .fix = "use recorded inputs (format onnx)"}};
  }
  read_normalisation(options);
  if (feed_.layout) geometry_.emplace(options, feed_);
  const Shape sample = geometry_ ? geometry_->shape_of(feed_.array.shape) : feed_.array.shape;
  const Shape fitted = fit(sample);
  if (wanted_ && is_known(sample) && !sizes_agree(sample, *wanted_) && !match_without_ones(sample, *wanted_)) {
    say_once(fmt::format("{}: records of \"{}\" are {}, and are read as {} in the order in which they are stored", feed_.source,
                         feed_.array.name, size_text(sample), size_text(fitted)));
  }

  const Shape& stored = feed_.array.shape;
  const int64_t channels = geometry_            ? geometry_->channels_of(stored)
                           : stored.size() == 1 ? stored[0]
                                                : 1;
  for (const auto& [key, values] : {std::pair{"mean", &mean_}, std::pair{"std", &std_}}) {
    if (values->size() == 1 || static_cast<int64_t>(values->size()) == channels) continue;
    throw ConfigError{
        {.what = fmt::format("{} has {} numbers, \"{}\" has {} {}", key, values->size(),
                             feed_.array.name, channels, geometry_ ? "channels" : "columns"),
         .where = options.where(key),
         .fix = channels > 1 ? fmt::format("give one number, or {}", channels)
                             : std::string("give one number")}};
  }
  if (!is_float(input.type) && normalises_) {
    // With several inputs the keys are for those that can take them.
    log_verbose("scale, mean and std do not apply to the {} input \"{}\"", name_of(input.type),
                input.name);
    normalises_ = false;
  }
  fill_tables();
}

void InputTransform::read_normalisation(const Options& options) {
  scale_ = options.number("scale", 1.0, {.min = 0, .above_min = true},
                          "stored values are divided by this");
  mean_ = options.numbers("mean", {0.0}, {}, "subtracted after scale; a number or one per channel");
  std_ = options.numbers("std", {1.0}, {.min = 0, .above_min = true},
                         "divided by after mean; a number or one per channel");
  for (const auto& [key, values] : {std::pair{"mean", &mean_}, std::pair{"std", &std_}}) {
    if (!values->empty()) continue;
    throw ConfigError{{.what = fmt::format("{} is an empty list", key),
                       .where = options.where(key),
                       .fix = "give one number, or one per channel"}};
  }
  normalises_ =
      scale_ != 1.0 || mean_ != std::vector<double>{0.0} || std_ != std::vector<double>{1.0};
}

void InputTransform::fill_tables() {
  const size_t count = std::max(mean_.size(), std_.size());
  const DType stored = feed_.array.type;
  if (bits_of(stored) != 8 || is_float(stored) || count > kMaxTables || type() != DType::Float32)
    return;
  tables_.resize(count);
  for (size_t channel = 0; channel < count; ++channel) {
    const auto mean = static_cast<float>(mean_[mean_.size() == 1 ? 0 : channel]);
    const auto deviation = static_cast<float>(std_[std_.size() == 1 ? 0 : channel]);
    for (int byte = 0; byte < 256; ++byte) {
      const int value = stored == DType::Int8   ? static_cast<int8_t>(byte)
                        : stored == DType::Bool ? static_cast<int>(byte != 0)
                                                : byte;
      // The order and precision of torchvision's ToTensor and Normalize.
      tables_[channel][byte] =
          (static_cast<float>(value) / static_cast<float>(scale_) - mean) / deviation;
    }
  }
}

Shape InputTransform::shape_of(const Shape& raw) const {
  return fit(geometry_ ? geometry_->shape_of(raw) : raw);
}

Shape InputTransform::fit(const Shape& sample) const {
  if (!wanted_ || sizes_agree(sample, *wanted_)) return sample;
  if (const auto matched = match_without_ones(sample, *wanted_)) return *matched;
  if (const auto matched = match_flat(sample, *wanted_)) return *matched;

  const std::string advice = geometry_ ? geometry_->advice(sample, *wanted_) : "";
  throw ShapeError{
      {.what = fmt::format("the samples of \"{}\" are {}{}, the model's input \"{}\" takes {}",
                           feed_.array.name, name_of(feed_.array.type), size_text(sample),
                           feed_.input.name, feed_.input.signature()),
       .where = feed_.place(),
       .fix = (advice.empty() ? "" : advice + ", or ") + "use data of the model's shape"}};
}

void InputTransform::write(const HostTensor& raw, Rng augmentation, std::byte* out) const {
  const bool per_column = std::max(mean_.size(), std_.size()) > 1;
  int64_t channels = per_column ? raw.count() : 1;
  HostTensor values = raw;
  Image image;
  if (geometry_) {
    channels = geometry_->channels_of(raw.shape());
    if (!geometry_->is_identity()) {
      image = geometry_->apply(raw, augmentation);
      values = HostTensor(image.type, {channels, image.height, image.width}, image.pixels, nullptr);
    }
  }
  const int64_t inner = channels == 0 ? 0 : values.count() / channels;
  // In the result, channels start `channel_step` elements and pixels `stride` elements after one
  // another.
  const bool interleaves = geometry_ && geometry_->layout() == ImageLayout::Hwc;
  const int64_t channel_step = interleaves ? 1 : inner;
  const int64_t stride = interleaves ? channels : 1;

  if (!tables_.empty()) {
    const auto* source = reinterpret_cast<const uint8_t*>(values.bytes().data());
    auto* result = reinterpret_cast<float*>(out);
    for (int64_t channel = 0; channel < channels; ++channel) {
      const std::array<float, 256>& table = tables_[tables_.size() == 1 ? 0 : channel];
      const uint8_t* from = source + channel * inner;
      float* to = result + channel * channel_step;
      for (int64_t i = 0; i < inner; ++i) to[i * stride] = table[from[i]];
    }
    return;
  }
  if (!normalises_ && !interleaves && values.type() == type() && !is_float(type())) {
    std::memcpy(out, values.bytes().data(), values.bytes().size());
    return;
  }
  std::vector<double> numbers = numbers_of(values);
  const int64_t element = bits_of(type()) / 8;
  for (int64_t channel = 0; channel < channels; ++channel) {
    double* part = numbers.data() + channel * inner;
    if (normalises_) {
      const double mean = mean_[mean_.size() == 1 ? 0 : channel];
      const double deviation = std_[std_.size() == 1 ? 0 : channel];
      for (int64_t i = 0; i < inner; ++i) part[i] = (part[i] / scale_ - mean) / deviation;
    }
    write_numbers(part, inner, type(), out + channel * channel_step * element, stride);
  }
}

}  // namespace sparsify
