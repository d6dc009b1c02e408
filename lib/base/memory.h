#pragma once

#include <cstdint>

namespace sparsify {

/// Bytes that this process could still use without swapping or being ended: what the kernel calls available, or less
/// where a control group (a container, a job of a cluster) sets a limit. Returns INT64_MAX where nothing tells.
int64_t available_memory();

}  // namespace sparsify
