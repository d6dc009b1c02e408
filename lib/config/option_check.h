#pragma once

#include <string>
#include <string_view>

#include "config/options.h"

namespace sparsify {

/// The rules behind the typed reads of Options: `value` must be what `record` allows, or
/// ConfigError says why not. `path` is that of the value (`train.std.1`).
double checked_number(const Setting& value, const std::string& path, const OptionRecord& record);
int64_t checked_integer(const Setting& value, const std::string& path, const OptionRecord& record);
bool checked_flag(const Setting& value, const std::string& path, const OptionRecord& record);
const std::string& checked_text(const Setting& value, const std::string& path,
                                const OptionRecord& record);
const std::string& checked_choice(const Setting& value, const std::string& path,
                                  const OptionRecord& record);

/// `configs/r20.yaml:12 (prune.0.sparsity)`; the path alone for what was not written anywhere.
std::string place_of(const Mark& mark, const std::string& path);

/// `prune.0` + `sparsity`
std::string joined_path(const std::string& path, std::string_view key);

}  // namespace sparsify
