#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sparsify {

/// The candidate that a user most likely meant, or "" when none is near.
/// Near = at most a third of the longer name's characters edited (Damerau-Levenshtein), or a prefix.
std::string closest_name(std::string_view typed, const std::vector<std::string>& candidates);

/// `did you mean "wanda"? all: magnitude, taylor, wanda`; the list alone when nothing is near.
std::string suggest(std::string_view typed, const std::vector<std::string>& candidates);

/// Shell-style match: `*` any run of characters (also `/` and `.`), `?` one, `[abc]` a set.
bool glob_match(std::string_view pattern, std::string_view text);

/// `a, b, c`
std::string join(const std::vector<std::string>& parts, std::string_view separator = ", ");

}  // namespace sparsify
