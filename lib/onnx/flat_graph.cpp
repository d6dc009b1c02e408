#include "onnx/flat_graph.h"

#include <fmt/core.h>

#include <map>
#include <unordered_map>

#include "base/error.h"

namespace sparsify {
namespace {

Node bind_node(const Node& node, const std::map<std::string, const Attribute*>& given) {
  Node bound = node;
  bound.attributes.clear();
  for (const Attribute& attribute : node.attributes) {
    if (!attribute.reference.empty()) {
      const auto found = given.find(attribute.reference);
      if (found == given.end()) continue;  // the operator's own default holds
      bound.attributes.push_back({attribute.name, "", found->second->value});
    } else if (const auto* graph = std::get_if<std::shared_ptr<const Graph>>(&attribute.value)) {
      auto copy = std::make_shared<Graph>(**graph);
      for (Node& inner : copy->nodes) inner = bind_node(inner, given);
      bound.attributes.push_back({attribute.name, "", std::shared_ptr<const Graph>(copy)});
    } else {
      bound.attributes.push_back(attribute);
    }
  }
  return bound;
}

/// Names of one scope, renamed; a subgraph looks outwards, a function body does not.
struct Scope {
  const Scope* outer = nullptr;
  std::unordered_map<std::string, std::string> names;
  const std::map<std::string, int64_t>* opsets = nullptr;
  std::string label;
  bool nested = false;
  int depth = 0;

  std::string find(const std::string& name) const {
    for (const Scope* at = this; at != nullptr; at = at->outer) {
      const auto found = at->names.find(name);
      if (found != at->names.end()) return found->second;
    }
    return "";
  }
};

class Flattener {
 public:
  explicit Flattener(const ModelGraph& model) : model_(model) {}

  FlatGraph run() {
    Scope scope;
    scope.opsets = &model_.opsets;
    for (const ValueInfo& input : model_.graph.inputs) flat_.inputs.push_back(define(scope, input.name));
    add_graph(model_.graph, scope);
    for (const ValueInfo& output : model_.graph.outputs) flat_.outputs.push_back(scope.find(output.name));
    return std::move(flat_);
  }

 private:
  std::string define(Scope& scope, const std::string& name) {
    if (name.empty()) return "";
    std::string fresh = scope.label.empty() ? name : scope.label + "/" + name;
    if (const int copies = used_[fresh]++; copies > 0) fresh += fmt::format("#{}", copies);
    return scope.names[name] = fresh;
  }

  void add_graph(const Graph& graph, Scope& scope) {
    for (const StoredTensor& tensor : graph.initializers) {
      flat_.tensors.push_back({define(scope, tensor.name), tensor});
    }
    for (const StoredSparseTensor& sparse : graph.sparse_initializers) define(scope, sparse.values.name);
    std::vector<std::string> outer;
    for (const Scope* at = scope.outer; at != nullptr; at = at->outer) {
      for (const auto& [name, fresh] : at->names) outer.push_back(name);
    }
    for (const int index : topological_order(graph, outer)) {
      add_node(graph.nodes[static_cast<size_t>(index)], scope);
    }
  }

  void add_node(const Node& node, Scope& scope) {
    if (const Function* function = model_.find_function(node.domain, node.op_type, node.overload)) {
      add_call(node, *function, scope);
      return;
    }
    FlatNode flat;
    flat.node = &node;
    flat.label = scope.label.empty() ? node.label() : scope.label + "/" + node.label();
    flat.nested = scope.nested;
    const auto opset = scope.opsets->find(node.domain);
    flat.opset = opset == scope.opsets->end() ? 1 : opset->second;
    for (const std::string& input : node.inputs) flat.inputs.push_back(input.empty() ? "" : scope.find(input));
    for (const Attribute& attribute : node.attributes) {
      if (const auto* graph = std::get_if<std::shared_ptr<const Graph>>(&attribute.value)) {
        Scope body;
        body.outer = &scope;
        body.opsets = scope.opsets;
        body.label = flat.label + "/" + attribute.name;
        body.nested = true;
        body.depth = scope.depth;
        for (const ValueInfo& input : (*graph)->inputs) define(body, input.name);
        add_graph(**graph, body);
      }
    }
    for (const std::string& output : node.outputs) flat.outputs.push_back(define(scope, output));
    if (node.domain.empty() && node.op_type == "Constant" && !node.attributes.empty()) {
      if (const auto* tensor = std::get_if<StoredTensor>(&node.attributes.front().value)) {
        flat_.tensors.push_back({flat.outputs.at(0), *tensor});
        return;
      }
    }
    flat_.nodes.push_back(std::move(flat));
  }

  void add_call(const Node& call, const Function& function, Scope& scope) {
    if (scope.depth > 64) {
      throw ResourceError{{.what = fmt::format("functions call each other more than 64 deep, last \"{}\"", function.name),
                           .where = call.label(),
                           .fix = "functions in ONNX may not be recursive; export the model again"}};
    }
    Scope body;
    body.opsets = function.opsets.empty() ? scope.opsets : &function.opsets;
    body.label = scope.label.empty() ? call.label() : scope.label + "/" + call.label();
    body.nested = scope.nested;
    body.depth = scope.depth + 1;
    for (size_t i = 0; i < function.inputs.size(); ++i) {
      body.names[function.inputs[i]] = i < call.inputs.size() && !call.inputs[i].empty() ? scope.find(call.inputs[i]) : "";
    }
    for (const Node& node : function.nodes) {
      flat_.owned.push_back(bind_attributes(node, function, call));
      add_node(flat_.owned.back(), body);
    }
    for (size_t i = 0; i < call.outputs.size() && i < function.outputs.size(); ++i) {
      if (!call.outputs[i].empty()) scope.names[call.outputs[i]] = body.find(function.outputs[i]);
    }
  }

  const ModelGraph& model_;
  FlatGraph flat_;
  std::unordered_map<std::string, int> used_;
};

}  // namespace

FlatGraph flatten(const ModelGraph& model) { return Flattener(model).run(); }

Node bind_attributes(const Node& node, const Function& function, const Node& call) {
  std::map<std::string, const Attribute*> given;
  for (const Attribute& attribute : function.default_attributes) given[attribute.name] = &attribute;
  for (const Attribute& attribute : call.attributes) given[attribute.name] = &attribute;
  return bind_node(node, given);
}

}  // namespace sparsify
