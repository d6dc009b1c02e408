#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/image.h"

namespace sparsify {

/// A stored array on its way to a model input.
struct Feed {
  std::string path;    ///< of the set in the recipe: `data.eval`
  std::string source;  ///< Dataset::describe()
  ArrayInfo array;
  std::optional<ImageLayout> layout;  ///< Dataset::image_layout(), for images only
  ValueInfo input;

  /// `data.eval (cifar10 data/cifar10, test)`: for messages.
  std::string place() const { return path + " (" + source + ")"; }
  /// The input's sizes without the batch axis, -1 where free; nullopt where the rank is not known.
  std::optional<Shape> wanted() const;
};

/// `[3, any, any]` for sizes of which -1 is free.
std::string size_text(const Shape& shape);
/// Equal ranks, and equal sizes where both are known.
bool sizes_agree(const Shape& a, const Shape& b);

/// What happens to an image before its pixels become numbers, in this order: channels, resize,
/// center_crop, augment.
class Geometry {
 public:
  Geometry(const Options& options, const Feed& feed);

  /// Of the model's axes.
  ImageLayout layout() const { return layout_; }
  /// In layout(), of a stored image of shape `raw`; -1 stays -1.
  /// throws ShapeError if the image is smaller than center_crop
  Shape shape_of(const Shape& raw) const;
  int64_t channels_of(const Shape& raw) const;
  /// apply() would only copy.
  bool is_identity() const;
  Image apply(const HostTensor& raw, Rng& augmentation) const;

  /// The keys that would turn `sample` (in layout()) into `wanted`; "" if there are none.
  std::string advice(const Shape& sample, const Shape& wanted) const;

 private:
  struct Extent {
    int64_t channels, height, width;
  };
  void read_layout_and_channels(const Options& options, const Feed& feed);
  Extent stored_extent(const Shape& raw) const;
  Extent resized(Extent extent) const;

  ImageLayout stored_layout_;
  ImageLayout layout_ = ImageLayout::Chw;
  int64_t channels_ = -1;             ///< -1: as stored
  std::vector<int64_t> resize_;       ///< empty, {shorter side} or {height, width}
  std::vector<int64_t> center_crop_;  ///< empty or {height, width}
  std::vector<std::unique_ptr<Augmentation>> augmentations_;
  std::string place_;
};

}  // namespace sparsify
