#pragma once

#include <string>

namespace sparsify {

/// What a write, or making a folder, that failed with `cause` (errno) comes to.
/// throws ExhaustedError when the disk or a quota is full, else ResourceError
[[noreturn]] void fail_to_write(const std::string& path, int cause);

}  // namespace sparsify
