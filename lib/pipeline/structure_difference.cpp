#include "pipeline/structure_difference.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/names.h"
#include "onnx/metadata.h"

namespace sparsify {
namespace {

using Lines = std::vector<std::string>;

constexpr const char* kNothing = "nothing";

std::string difference(const std::string& what, const std::string& a, const std::string& b) { return fmt::format("{}: {} | {}", what, a, b); }

std::string text_of(const StoredTensor& tensor) { return name_of(tensor.type) + to_text(tensor.shape); }
std::string text_of(const StoredSparseTensor& tensor) { return "sparse " + name_of(tensor.values.type) + to_text(tensor.shape); }

/// All of a graph but the values of its tensors: attributes may hold whole bodies.
std::string text_of(const Graph& graph);

std::string text_of(const Attribute& attribute) {
  if (!attribute.reference.empty()) return "@" + attribute.reference;
  return std::visit(
      [](const auto& value) -> std::string {
        using T = std::decay_t<decltype(value)>;
        const auto list = [](const auto& items) {
          Lines texts;
          for (const auto& item : items) {
            if constexpr (std::is_same_v<std::decay_t<decltype(item)>, StoredTensor>) texts.push_back(text_of(item));
            else texts.push_back(text_of(*item));
          }
          return "[" + join(texts) + "]";
        };
        if constexpr (std::is_same_v<T, std::monostate>) return "empty";
        else if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, float>) return fmt::format("{}", value);
        else if constexpr (std::is_same_v<T, std::string>) return fmt::format("\"{}\"", value);
        else if constexpr (std::is_same_v<T, StoredTensor> || std::is_same_v<T, StoredSparseTensor>) return text_of(value);
        else if constexpr (std::is_same_v<T, std::shared_ptr<const Graph>>) return text_of(*value);
        else if constexpr (std::is_same_v<T, std::vector<int64_t>> || std::is_same_v<T, std::vector<float>>) return fmt::format("[{}]", fmt::join(value, ", "));
        else if constexpr (std::is_same_v<T, Lines>) return fmt::format("[\"{}\"]", fmt::join(value, "\", \""));
        else return list(value);
      },
      attribute.value);
}

std::map<std::string, std::string> attributes_of(const Node& node) {
  std::map<std::string, std::string> texts;
  for (const Attribute& attribute : node.attributes) texts.emplace(attribute.name, text_of(attribute));
  return texts;
}

std::string operator_of(const Node& node) {
  return fmt::format("{}{}{}{} \"{}\"", node.domain, node.domain.empty() ? "" : ".", node.op_type, node.overload.empty() ? "" : ":" + node.overload, node.name);
}

std::string text_of(const std::vector<Node>& nodes) {
  Lines lines;
  for (const Node& node : nodes) {
    lines.push_back(fmt::format("{} ({}) -> ({}) {{{}}}", operator_of(node), join(node.inputs), join(node.outputs), fmt::join(attributes_of(node), ", ")));
  }
  return join(lines, "; ");
}

std::string text_of(const Graph& graph) {
  Lines ends;
  for (const auto* values : {&graph.inputs, &graph.outputs}) {
    for (const ValueInfo& value : *values) ends.push_back(value.name + " " + value.signature());
  }
  for (const StoredTensor& tensor : graph.initializers) ends.push_back(tensor.name + " " + text_of(tensor));
  return fmt::format("a graph of {} nodes ({}): {}", graph.nodes.size(), join(ends), text_of(graph.nodes));
}

/// A body of a branch or loop would fill a screen: its text serves to compare.
std::string shortened(const std::string& text) {
  constexpr size_t kMost = 120;
  return text.size() <= kMost ? text : text.substr(0, kMost) + " ...";
}

/// Keys that one of the two lacks, or that have another value.
void add_differences_(Lines& lines, const std::string& what, const std::map<std::string, std::string>& a, const std::map<std::string, std::string>& b) {
  std::set<std::string> keys;
  for (const auto* side : {&a, &b}) {
    for (const auto& [key, unused] : *side) keys.insert(key);
  }
  for (const std::string& key : keys) {
    const auto left = a.find(key);
    const auto right = b.find(key);
    const std::string one = left == a.end() ? kNothing : left->second;
    const std::string two = right == b.end() ? kNothing : right->second;
    if (one != two) lines.push_back(difference(fmt::format("{} \"{}\"", what, key), shortened(one), shortened(two)));
  }
}

/// Open sizes are equal whatever they are called.
bool same_signature(const ValueInfo& a, const ValueInfo& b) {
  if (a.name != b.name || a.kind != b.kind || a.type != b.type || a.shape.has_value() != b.shape.has_value()) return false;
  return !a.shape || std::equal(a.shape->begin(), a.shape->end(), b.shape->begin(), b.shape->end(),
                                [](const Dimension& one, const Dimension& two) { return one.size == two.size; });
}

void compare_ends_(StructureDifference& result, const std::string& side, const std::vector<ValueInfo>& a, const std::vector<ValueInfo>& b) {
  const auto text = [](const std::vector<ValueInfo>& values, size_t i) {
    return i < values.size() ? fmt::format("\"{}\" {}", values[i].name, values[i].signature()) : std::string(kNothing);
  };
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const std::string line = difference(fmt::format("{} {}", side, i), text(a, i), text(b, i));
    if (i >= a.size() || i >= b.size() || !same_signature(a[i], b[i])) result.signature.push_back(line);
    else if (a[i].signature() != b[i].signature()) result.notes.push_back(line);
  }
}

void compare_nodes_(Lines& lines, const std::string& place, const std::vector<Node>& a, const std::vector<Node>& b) {
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const std::string one = i < a.size() ? operator_of(a[i]) : kNothing;
    const std::string two = i < b.size() ? operator_of(b[i]) : kNothing;
    if (one != two) {
      lines.push_back(difference(fmt::format("{}node {}", place, i), one, two));
      return;
    }
    const std::string label = fmt::format("{}node \"{}\"", place, a[i].label());
    if (a[i].inputs != b[i].inputs) lines.push_back(difference(label + " reads", join(a[i].inputs), join(b[i].inputs)));
    if (a[i].outputs != b[i].outputs) lines.push_back(difference(label + " gives", join(a[i].outputs), join(b[i].outputs)));
    add_differences_(lines, label + ", attribute", attributes_of(a[i]), attributes_of(b[i]));
  }
}

std::map<std::string, std::string> initializers_of(const Graph& graph) {
  std::map<std::string, std::string> texts;
  for (const StoredTensor& tensor : graph.initializers) texts.emplace(tensor.name, text_of(tensor));
  for (const StoredSparseTensor& tensor : graph.sparse_initializers) texts.emplace(tensor.values.name, text_of(tensor));
  return texts;
}

std::map<std::string, std::string> opsets_of(const std::map<std::string, int64_t>& opsets) {
  std::map<std::string, std::string> texts;
  for (const auto& [domain, number] : opsets) texts.emplace(domain.empty() ? "ai.onnx" : domain, std::to_string(number));
  return texts;
}

std::map<std::string, const Function*> functions_of(const ModelGraph& model) {
  std::map<std::string, const Function*> functions;
  for (const Function& function : model.functions) {
    functions.emplace(fmt::format("{}.{}{}", function.domain, function.name, function.overload.empty() ? "" : ":" + function.overload), &function);
  }
  return functions;
}

void compare_functions_(Lines& lines, const ModelGraph& a, const ModelGraph& b) {
  const std::map<std::string, const Function*> left = functions_of(a);
  const std::map<std::string, const Function*> right = functions_of(b);
  const auto head = [](const Function& function) {
    Lines defaults;
    for (const Attribute& attribute : function.default_attributes) defaults.push_back(attribute.name + "=" + text_of(attribute));
    return fmt::format("({}) -> ({}) {{{}}} {{{}}}", join(function.inputs), join(function.outputs), join(function.attributes), join(defaults));
  };
  for (const auto& [name, function] : left) {
    const auto found = right.find(name);
    if (found == right.end()) {
      lines.push_back(difference(fmt::format("function \"{}\"", name), head(*function), kNothing));
      continue;
    }
    if (head(*function) != head(*found->second)) lines.push_back(difference(fmt::format("function \"{}\"", name), head(*function), head(*found->second)));
    add_differences_(lines, fmt::format("function \"{}\", opset of", name), opsets_of(function->opsets), opsets_of(found->second->opsets));
    compare_nodes_(lines, fmt::format("function \"{}\", ", name), function->nodes, found->second->nodes);
  }
  for (const auto& [name, function] : right) {
    if (!left.contains(name)) lines.push_back(difference(fmt::format("function \"{}\"", name), kNothing, head(*function)));
  }
}

}  // namespace

StructureDifference structure_difference(const ModelFile& a, const ModelFile& b) {
  StructureDifference result;
  const ModelGraph& left = a.model();
  const ModelGraph& right = b.model();
  compare_ends_(result, "input", left.graph.inputs, right.graph.inputs);
  compare_ends_(result, "output", left.graph.outputs, right.graph.outputs);
  if (left.graph.overridable != right.graph.overridable) {
    result.signature.push_back(difference("initializers that are inputs", join(left.graph.overridable), join(right.graph.overridable)));
  }
  add_differences_(result.graph, "opset of", opsets_of(left.opsets), opsets_of(right.opsets));
  compare_functions_(result.graph, left, right);
  compare_nodes_(result.graph, "", left.graph.nodes, right.graph.nodes);
  add_differences_(result.graph, "initializer", initializers_of(left.graph), initializers_of(right.graph));
  add_differences_(result.notes, "the file's", facts_of(a), facts_of(b));
  return result;
}

}  // namespace sparsify
