#include "config/precision.h"

namespace sparsify {

std::string precision_of(const Recipe& recipe) {
  const Setting* given = recipe.source.is_map() ? recipe.source.find("precision") : nullptr;
  return given == nullptr || !given->is_text() ? "float32" : given->text();
}

}  // namespace sparsify
