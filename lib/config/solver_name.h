#pragma once

#include <string>

#include "config/recipe.h"

namespace sparsify {

/// The rule's solver; "none" also where it is left to the run (`auto`), as long as that has not chosen.
inline std::string solver_name(const PruneRule& rule) {
  const std::string name = split_name(rule.solver, "solver").name;
  return name == "auto" ? "none" : name;
}

inline bool leaves_solver_open(const PruneRule& rule) { return split_name(rule.solver, "solver").name == "auto"; }

}  // namespace sparsify
