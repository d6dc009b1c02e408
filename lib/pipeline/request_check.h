#pragma once

#include <string>

#include "pipeline/prune.h"

namespace sparsify {

/// Refuses before any work what the run could not do or may not write: no rule, parts of a recipe that exclude each other, an output that is
/// there, cannot be written or is the input, evidence of another model in `folder`, a `folder` that is there and takes no files.
/// Returns whether the output may be replaced: where the user says so, and where a run that is resumed has named it already.
/// throws ConfigError, ResourceError, ExhaustedError (disk full)
bool check_request(const PruneRequest& request, const std::string& folder);

}  // namespace sparsify
