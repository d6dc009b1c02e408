#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "tensor/host_tensor.h"

namespace sparsify {

/// Decodes a JPEG or PNG file as Pillow's `convert("RGB")` or `convert("L")` would see it: 8 bits a
/// channel, alpha dropped, palettes and CMYK as RGB, no EXIF rotation.
///
///   returns  uint8 [height, width, 1 or 3]
///   where    for messages
///   throws   ResourceError for other formats and for damaged or cut off files
HostTensor decode_image(std::span<const std::byte> bytes, const std::string& where);

/// Each decodes one format.
HostTensor decode_jpeg(std::span<const std::byte> bytes, const std::string& where);
HostTensor decode_png(std::span<const std::byte> bytes, const std::string& where);

}  // namespace sparsify
