#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <vector>

#include "data/geometry.h"

namespace sparsify {

/// How a stored array becomes a model input: geometry (images), then (value / scale - mean) / std,
/// then the model's type and layout.
///
/// Keys of every format with numeric arrays (a model with several inputs: they apply to all its
/// float inputs):
///   scale     1; 255 brings bytes to [0, 1]
///   mean, std 0 and 1; a number, or a list: per channel of an image, per column of a rank-1 sample
/// Keys of images:
///   layout    nchw or nhwc: the model's; by default seen from its input's shape
///   channels  1 or 3: grey to colour and back; by default as stored, for image_folder as the model
///   wants resize    size of the shorter side, or [height, width]; bilinear, antialiased, as Pillow
///   does it center_crop  side of the square, or [height, width] augment   list of augmentations:
///   [{random_crop: 4}, flip]; seeded by (seed, epoch, record)
/// Integer inputs take integers in the type's range as they are.
class InputTransform {
 public:
  ///   throws  ShapeError naming both shapes when what comes out is not what the model's input
  ///   takes
  InputTransform(const Options& options, const Feed& feed);

  DType type() const { return feed_.input.type; }

  /// The shape that a stored sample of shape `raw` gets.
  /// throws ShapeError if it is not one that the model takes
  Shape shape_of(const Shape& raw) const;

  /// Writes the transformed sample, bytes_for(type(), element_count(shape_of(raw.shape()))) bytes,
  /// to `out`.
  ///
  ///   augmentation  the random stream of this (seed, epoch, record)
  ///   throws        ResourceError for NaN and for values that the model's type cannot hold; its
  ///   `.where` is empty
  void write(const HostTensor& raw, Rng augmentation, std::byte* out) const;

 private:
  void read_normalisation(const Options& options);
  void fill_tables();
  Shape fit(const Shape& sample) const;

  Feed feed_;
  std::optional<Shape> wanted_;
  std::optional<Geometry> geometry_;  ///< of images

  bool normalises_ = false;
  double scale_ = 1;
  std::vector<double> mean_;  ///< one value, or one a channel or column
  std::vector<double> std_;
  /// For one-byte types, per channel: what each of the 256 values becomes.
  std::vector<std::array<float, 256>> tables_;
};

}  // namespace sparsify
