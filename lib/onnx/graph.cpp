#include "onnx/graph.h"

#include <fmt/format.h>

#include <algorithm>

namespace sparsify {

const Attribute* Node::find(std::string_view attribute) const {
  for (const Attribute& candidate : attributes) {
    if (candidate.name == attribute) return &candidate;
  }
  return nullptr;
}

namespace {

template <class T>
const T* value_of(const Node& node, std::string_view attribute) {
  const Attribute* found = node.find(attribute);
  return found == nullptr ? nullptr : std::get_if<T>(&found->value);
}

}  // namespace

int64_t Node::integer(std::string_view attribute, int64_t otherwise) const {
  const auto* value = value_of<int64_t>(*this, attribute);
  return value == nullptr ? otherwise : *value;
}

float Node::number(std::string_view attribute, float otherwise) const {
  const auto* value = value_of<float>(*this, attribute);
  return value == nullptr ? otherwise : *value;
}

std::string Node::text(std::string_view attribute, std::string_view otherwise) const {
  const auto* value = value_of<std::string>(*this, attribute);
  return value == nullptr ? std::string(otherwise) : *value;
}

std::vector<int64_t> Node::integers(std::string_view attribute,
                                    std::vector<int64_t> otherwise) const {
  const auto* value = value_of<std::vector<int64_t>>(*this, attribute);
  return value == nullptr ? std::move(otherwise) : *value;
}

std::string Node::label() const {
  if (!name.empty()) return name;
  for (const std::string& output : outputs) {
    if (!output.empty()) return fmt::format("{} -> \"{}\"", op_type, output);
  }
  return fmt::format("{} (node {})", op_type, index);
}

const StoredTensor* Graph::find_initializer(std::string_view wanted) const {
  const auto found = std::find_if(initializers.begin(), initializers.end(),
                                  [&](const StoredTensor& tensor) { return tensor.name == wanted; });
  return found == initializers.end() ? nullptr : &*found;
}

const Function* ModelGraph::find_function(const std::string& domain, const std::string& name,
                                          const std::string& overload) const {
  for (const Function& function : functions) {
    if (function.domain == domain && function.name == name && function.overload == overload) {
      return &function;
    }
  }
  return nullptr;
}

}  // namespace sparsify
