#pragma once

#include <string>
#include <string_view>

#include "config/setting.h"

namespace sparsify {

/// The value of an unquoted scalar under the core schema of YAML 1.2 (section 10.3.2): null, flag,
/// integer (decimal, 0o, 0x), number, else text. `2:4` and `1_000` are text; an integer beyond 64
/// bits is a number.
Setting typed_scalar(std::string_view text);

/// The shortest text that reads back as the same number, and as a number, not an integer: `0.0005`,
/// `1.0`.
std::string number_text(double number);

}  // namespace sparsify
