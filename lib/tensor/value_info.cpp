#include "tensor/value_info.h"

#include <fmt/format.h>

namespace sparsify {

std::string ValueInfo::signature() const {
  std::string text = name_of(type);
  if (shape) {
    std::vector<std::string> sizes;
    for (const Dimension& dimension : *shape) {
      sizes.push_back(dimension.size >= 0 ? std::to_string(dimension.size)
                                          : dimension.symbol.empty() ? "?" : dimension.symbol);
    }
    text += fmt::format("[{}]", fmt::join(sizes, ", "));
  } else {
    text += "[...]";
  }
  switch (kind) {
    case Kind::Tensor: return text;
    case Kind::SparseTensor: return "sparse " + text;
    case Kind::Sequence: return fmt::format("sequence({})", text);
    case Kind::Optional: return fmt::format("optional({})", text);
    case Kind::Map: return "map";
    case Kind::Unknown: break;
  }
  return "unknown";
}

}  // namespace sparsify
