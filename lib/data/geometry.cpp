#include "data/geometry.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sparsify {
namespace {

bool is_channel_count(int64_t size) { return size == 1 || size == 3; }

/// None, one size or two.
std::vector<int64_t> read_sizes(const Options& options, const char* key, const char* help) {
  const std::vector<int64_t> given = options.integers(key, {}, {.min = 1, .max = 1 << 16}, help);
  if (given.size() > 2 || (given.empty() && options.has(key))) {
    throw ConfigError{{.what = fmt::format("{} has {} numbers", key, given.size()),
                       .where = options.where(key),
                       .fix = "give one size, or [height, width]"}};
  }
  return given;
}

}  // namespace

std::optional<Shape> Feed::wanted() const {
  if (!input.shape || input.shape->empty()) return std::nullopt;
  Shape sizes;
  for (size_t axis = 1; axis < input.shape->size(); ++axis)
    sizes.push_back((*input.shape)[axis].size);
  return sizes;
}

std::string size_text(const Shape& shape) {
  std::vector<std::string> parts;
  for (const int64_t size : shape) parts.push_back(size < 0 ? "any" : std::to_string(size));
  return fmt::format("[{}]", join(parts));
}

bool sizes_agree(const Shape& a, const Shape& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](int64_t x, int64_t y) { return x == y || x < 0 || y < 0; });
}

Geometry::Geometry(const Options& options, const Feed& feed)
    : stored_layout_(*feed.layout), place_(feed.place()) {
  read_layout_and_channels(options, feed);

  resize_ = read_sizes(options, "resize",
                       "shorter side, or [height, width]; bilinear, antialiased (as Pillow)");
  if (!resize_.empty() && feed.array.type != DType::UInt8) {
    throw ConfigError{
        {.what = fmt::format("resize is given, but the images are {}", name_of(feed.array.type)),
         .where = options.where("resize"),
         .fix = "store 8-bit images, or resize them before"}};
  }
  center_crop_ = read_sizes(options, "center_crop", "side of a square, or [height, width]");
  if (center_crop_.size() == 1) center_crop_.push_back(center_crop_[0]);

  const Setting list = options.value("augment", "augmentations in order: [{random_crop: 4}, flip]");
  if (list.is_null()) return;
  const Setting::List entries = list.is_list() ? list.list() : Setting::List{list};
  for (size_t i = 0; i < entries.size(); ++i) {
    const NamedOptions named = split_name(entries[i], fmt::format("{}.augment.{}", feed.path, i));
    augmentations_.push_back(Registry<Augmentation>::instance().make(named.name, named.options));
    if (augmentations_.back()->wants_bytes() && feed.array.type != DType::UInt8) {
      throw ConfigError{{.what = fmt::format("{} works on 8-bit images, and these are {}", named.name, name_of(feed.array.type)),
                         .where = options.where("augment"),
                         .fix = "leave it out"}};
    }
    named.options.reject_unread();
  }
}

void Geometry::read_layout_and_channels(const Options& options, const Feed& feed) {
  const std::string layout = options.choice("layout", "auto", {"auto", "nchw", "nhwc"},
                                            "order of the model's axes; auto: seen from its shape");
  const int64_t stored = stored_extent(feed.array.shape).channels;
  channels_ = options.optional_integer("channels", {.min = 1, .max = 3}, "1 (grey) or 3 (colour)")
                  .value_or(-1);
  const bool possible = stored < 0 || stored == channels_ || stored == 1 ||
                        (stored == 3 && channels_ == 1 && feed.array.type == DType::UInt8);
  if (channels_ == 2 || (channels_ > 0 && !possible)) {
    throw ConfigError{{.what = fmt::format("channels is {}, the images have {} of {}", channels_,
                                           stored, name_of(feed.array.type)),
                       .where = options.where("channels"),
                       .fix = "remove the key, or use 1 or 3 with 8-bit images"}};
  }

  const std::optional<Shape> wanted = feed.wanted();
  const bool has_axes = wanted && wanted->size() == 3;
  const int64_t channels = channels_ > 0 ? channels_ : stored;
  if (layout != "auto") {
    layout_ = layout == "nhwc" ? ImageLayout::Hwc : ImageLayout::Chw;
  } else if (has_axes) {
    const int64_t first = wanted->front();
    const int64_t last = wanted->back();
    const auto fits = [&](int64_t size) {
      return channels > 0 ? size == channels : is_channel_count(size);
    };
    const bool last_only = fits(first) || fits(last)
                               ? !fits(first)
                               : !is_channel_count(first) && is_channel_count(last);
    layout_ = last_only ? ImageLayout::Hwc : ImageLayout::Chw;
  }
  if (channels < 0) {  // grey and colour files together
    const int64_t asked = !has_axes                     ? 3
                          : layout_ == ImageLayout::Chw ? wanted->front()
                                                        : wanted->back();
    channels_ = is_channel_count(asked) ? asked : 3;
  }
}

Geometry::Extent Geometry::stored_extent(const Shape& raw) const {
  invariant(raw.size() == 3, "an image has three axes");
  return stored_layout_ == ImageLayout::Chw ? Extent{raw[0], raw[1], raw[2]}
                                            : Extent{raw[2], raw[0], raw[1]};
}

Geometry::Extent Geometry::resized(Extent extent) const {
  if (resize_.size() == 2) return {extent.channels, resize_[0], resize_[1]};
  if (resize_.empty()) return extent;
  if (extent.height < 0 || extent.width < 0) return {extent.channels, -1, -1};
  // torchvision's Resize rounds the longer side down.
  const int64_t shorter = resize_[0];
  return extent.height <= extent.width
             ? Extent{extent.channels, shorter, shorter * extent.width / extent.height}
             : Extent{extent.channels, shorter * extent.height / extent.width, shorter};
}

int64_t Geometry::channels_of(const Shape& raw) const {
  return channels_ > 0 ? channels_ : stored_extent(raw).channels;
}

Shape Geometry::shape_of(const Shape& raw) const {
  Extent extent = resized(stored_extent(raw));
  extent.channels = channels_of(raw);
  if (!center_crop_.empty()) {
    if ((extent.height >= 0 && extent.height < center_crop_[0]) ||
        (extent.width >= 0 && extent.width < center_crop_[1])) {
      throw ShapeError{
          {.what = fmt::format("center_crop [{}, {}] is larger than an image of [{}, {}]",
                               center_crop_[0], center_crop_[1], extent.height, extent.width),
           .where = place_,
           .fix = "set resize to at least that size"}};
    }
    extent.height = center_crop_[0];
    extent.width = center_crop_[1];
  }
  return layout_ == ImageLayout::Chw ? Shape{extent.channels, extent.height, extent.width}
                                     : Shape{extent.height, extent.width, extent.channels};
}

bool Geometry::is_identity() const {
  return channels_ < 0 && resize_.empty() && center_crop_.empty() && augmentations_.empty() &&
         stored_layout_ == ImageLayout::Chw;
}

Image Geometry::apply(const HostTensor& raw, Rng& augmentation) const {
  const Extent stored = stored_extent(raw.shape());
  Image image(raw.type(), stored.channels, stored.height, stored.width, stored_layout_,
              raw.bytes());
  if (channels_ > 0) image = with_channels(image, channels_);
  if (!resize_.empty()) {
    const Extent size = resized({image.channels, image.height, image.width});
    image = resize(image, size.height, size.width);
  }
  if (!center_crop_.empty()) {
    // Half to even, as torchvision's CenterCrop.
    const auto middle = [](int64_t size, int64_t part) {
      return static_cast<int64_t>(std::nearbyint(static_cast<double>(size - part) / 2));
    };
    image = crop(image, middle(image.height, center_crop_[0]), middle(image.width, center_crop_[1]),
                 center_crop_[0], center_crop_[1]);
  }
  for (const auto& augment : augmentations_) augment->apply(image, augmentation);
  return image;
}

std::string Geometry::advice(const Shape& sample, const Shape& wanted) const {
  if (wanted.size() != 3) return "";
  const bool first = layout_ == ImageLayout::Chw;
  const Shape turned =
      first ? Shape{sample[1], sample[2], sample[0]} : Shape{sample[2], sample[0], sample[1]};
  if (sizes_agree(turned, wanted)) return fmt::format("set layout: {}", first ? "nhwc" : "nchw");

  const auto extent = [&](const Shape& shape) {
    return first ? Extent{shape[0], shape[1], shape[2]} : Extent{shape[2], shape[0], shape[1]};
  };
  const Extent has = extent(sample);
  const Extent wants = extent(wanted);
  std::vector<std::string> keys;
  if (!sizes_agree({has.channels}, {wants.channels})) {
    if (!is_channel_count(wants.channels)) return "";
    keys.push_back(fmt::format("channels: {}", wants.channels));
  }
  if (!sizes_agree({has.height, has.width}, {wants.height, wants.width})) {
    keys.push_back(wants.height >= 0 && wants.width >= 0
                       ? fmt::format("resize: [{}, {}]", wants.height, wants.width)
                       : "resize");
  }
  return "set " + join(keys, " and ");
}

}  // namespace sparsify
