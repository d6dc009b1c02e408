#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mask/prunable.h"

namespace sparsify {

/// Whether one of the globs matches the tensor's name, its layer, or another node that uses it.
bool matches_any(const std::vector<std::string>& globs, const PrunableTensor& tensor);

/// Whether a glob can match more than one name.
bool has_wildcard(std::string_view glob);

}  // namespace sparsify
