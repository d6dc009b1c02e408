#pragma once

#include <nlohmann/json_fwd.hpp>

#include "pipeline/groups.h"

namespace sparsify {

/// `output`, `input`, `vector` or `passive`
const char* role_text(Role role);

/// One group of `inspect --groups --json` and `why --json`.
nlohmann::ordered_json to_json(const Group& group);
/// {"groups": [...], "prunable": n, "cuttable": n, "share": x, "stuck": [...]}
nlohmann::ordered_json to_json(const GroupReport& report);

}  // namespace sparsify
