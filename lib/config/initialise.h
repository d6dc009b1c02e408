#pragma once

#include "config/recipe.h"

namespace sparsify {

/// `initialise:` of a recipe that was read, from its tree: a name, or a map with `name`; null where training starts from the file's weights.
Setting initialise_of(const Recipe& recipe);

}  // namespace sparsify
