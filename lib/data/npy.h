#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "tensor/host_tensor.h"

namespace sparsify {

/// Decodes one array of numpy's npy format, versions 1 to 3 (numpy.lib.format): bool, integers and
/// floats of either byte order, C order.
///
///   where   file and entry, for messages
///   throws  ResourceError for other types and for Fortran order, a damaged header or a wrong size
HostTensor read_npy(std::span<const std::byte> bytes, const std::string& where);

}  // namespace sparsify
