#include "config/initialise.h"

namespace sparsify {

Setting initialise_of(const Recipe& recipe) {
  const Setting* found = recipe.source.is_map() ? recipe.source.find("initialise") : nullptr;
  return found == nullptr ? Setting() : *found;
}

}  // namespace sparsify
