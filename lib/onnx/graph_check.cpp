#include "onnx/graph_check.h"

#include <fmt/format.h>

#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"

namespace sparsify {
namespace {

constexpr int kGraphInput = -1;  // or an initializer: there before any node
constexpr const char* kFix =
    "the file is damaged or was edited by hand: export the model again from its framework";

/// The names visible in a graph, innermost first.
struct Scope {
  const Scope* outer = nullptr;
  std::unordered_set<std::string_view> names;

  bool has(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->outer) {
      if (scope->names.contains(name)) return true;
    }
    return false;
  }
};

/// A graph or a function body: what is there at the start, and the nodes.
struct Body {
  std::string where;
  std::vector<std::string_view> given;
  const std::vector<Node>* nodes = nullptr;
  std::vector<std::string_view> outputs;
};

Body body_of(const Graph& graph) {
  Body body;
  body.where = fmt::format("graph \"{}\"", graph.name);
  for (const ValueInfo& input : graph.inputs) body.given.push_back(input.name);
  for (const StoredTensor& tensor : graph.initializers) body.given.push_back(tensor.name);
  for (const StoredSparseTensor& tensor : graph.sparse_initializers) {
    body.given.push_back(tensor.values.name);
  }
  body.nodes = &graph.nodes;
  for (const ValueInfo& output : graph.outputs) body.outputs.push_back(output.name);
  return body;
}

Body body_of(const Function& function) {
  Body body;
  body.where = fmt::format("function \"{}.{}\"", function.domain, function.name);
  body.given.assign(function.inputs.begin(), function.inputs.end());
  body.nodes = &function.nodes;
  body.outputs.assign(function.outputs.begin(), function.outputs.end());
  return body;
}

std::string describe(const Node& node) {
  return fmt::format("node \"{}\" ({})", node.label(), node.op_type);
}

template <class Visit>
void for_each_subgraph(const Node& node, Visit&& visit) {
  for (const Attribute& attribute : node.attributes) {
    if (const auto* one = std::get_if<std::shared_ptr<const Graph>>(&attribute.value)) visit(**one);
    if (const auto* many =
            std::get_if<std::vector<std::shared_ptr<const Graph>>>(&attribute.value)) {
      for (const auto& graph : *many) visit(*graph);
    }
  }
}

/// Names that `graph` reads and does not make itself.
void collect_captured(const Graph& graph, const Scope* outer,
                      std::vector<std::string_view>& captured) {
  Scope scope{outer, {}};
  const Body body = body_of(graph);
  scope.names.insert(body.given.begin(), body.given.end());
  for (const Node& node : graph.nodes) scope.names.insert(node.outputs.begin(), node.outputs.end());
  const auto read = [&](std::string_view name) {
    if (!name.empty() && !scope.has(name)) captured.push_back(name);
  };
  for (const Node& node : graph.nodes) {
    for (const std::string& input : node.inputs) read(input);
    for_each_subgraph(node, [&](const Graph& inner) { collect_captured(inner, &scope, captured); });
  }
  for (std::string_view output : body.outputs) read(output);
}

std::unordered_map<std::string_view, int> find_producers(const Body& body) {
  std::unordered_map<std::string_view, int> producers;
  for (std::string_view name : body.given) {
    if (name.empty() || producers.emplace(name, kGraphInput).second) continue;
    throw ResourceError{
        {.what = fmt::format("the name \"{}\" stands for two inputs or initializers", name),
         .where = body.where,
         .fix = kFix}};
  }
  for (size_t index = 0; index < body.nodes->size(); ++index) {
    const Node& node = (*body.nodes)[index];
    for (const std::string& output : node.outputs) {
      if (output.empty()) continue;
      const auto [found, fresh] = producers.emplace(output, static_cast<int>(index));
      if (fresh) continue;
      const std::string other = found->second == kGraphInput
                                    ? "an input or initializer"
                                    : describe((*body.nodes)[found->second]);
      throw ResourceError{{.what = fmt::format("two producers give \"{}\": {} and {}", output,
                                               other, describe(node)),
                           .where = body.where,
                           .fix = kFix}};
    }
  }
  return producers;
}

[[noreturn]] void refuse_cycle(const Body& body, const std::vector<std::vector<int>>& needs,
                               const std::vector<int>& waiting) {
  // A node that was never ready waits for another such node; following that ends in the cycle.
  int at = 0;
  while (waiting[at] == 0) ++at;
  std::vector<int> path;
  std::vector<bool> seen(needs.size(), false);
  while (!seen[at]) {
    seen[at] = true;
    path.push_back(at);
    for (const int before : needs[at]) {
      if (waiting[before] > 0) {
        at = before;
        break;
      }
    }
  }
  std::vector<std::string> labels;
  bool inside = false;
  for (const int index : path) {
    inside = inside || index == at;
    if (inside && labels.size() < 8) labels.push_back("\"" + (*body.nodes)[index].label() + "\"");
  }
  throw ResourceError{{.what = fmt::format("the graph has a cycle through {}",
                                           fmt::join(labels.rbegin(), labels.rend(), ", ")),
                       .where = body.where,
                       .fix = kFix}};
}

std::vector<int> order_of(const Body& body, const Scope* outer) {
  const auto producers = find_producers(body);
  const size_t count = body.nodes->size();
  std::vector<std::vector<int>> needs(count);
  std::vector<std::vector<int>> feeds(count);
  std::vector<int> waiting(count, 0);
  for (size_t index = 0; index < count; ++index) {
    const Node& node = (*body.nodes)[index];
    std::vector<std::string_view> names(node.inputs.begin(), node.inputs.end());
    for_each_subgraph(node,
                      [&](const Graph& inner) { collect_captured(inner, nullptr, names); });
    for (std::string_view name : names) {
      if (name.empty()) continue;
      const auto found = producers.find(name);
      if (found == producers.end()) {
        if (outer != nullptr && outer->has(name)) continue;
        throw ResourceError{
            {.what = fmt::format("{} reads \"{}\", which nothing produces", describe(node), name),
             .where = body.where,
             .fix = kFix}};
      }
      if (found->second == kGraphInput) continue;
      needs[index].push_back(found->second);
      feeds[found->second].push_back(static_cast<int>(index));
      ++waiting[index];
    }
  }
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;  // lowest first: the file's order
  for (size_t index = 0; index < count; ++index) {
    if (waiting[index] == 0) ready.push(static_cast<int>(index));
  }
  std::vector<int> order;
  while (!ready.empty()) {
    const int index = ready.top();
    ready.pop();
    order.push_back(index);
    for (const int next : feeds[index]) {
      if (--waiting[next] == 0) ready.push(next);
    }
  }
  if (order.size() < count) refuse_cycle(body, needs, waiting);
  return order;
}

void check_body(const Body& body, const Scope* outer) {
  order_of(body, outer);
  Scope scope{outer, {}};
  scope.names.insert(body.given.begin(), body.given.end());
  for (const Node& node : *body.nodes) scope.names.insert(node.outputs.begin(), node.outputs.end());
  for (std::string_view output : body.outputs) {
    if (output.empty() || scope.has(output)) continue;
    throw ResourceError{{.what = fmt::format("nothing produces the output \"{}\"", output),
                         .where = body.where,
                         .fix = kFix}};
  }
  for (const Node& node : *body.nodes) {
    for_each_subgraph(node, [&](const Graph& inner) { check_body(body_of(inner), &scope); });
  }
}

}  // namespace

std::vector<int> topological_order(const Graph& graph,
                                   const std::vector<std::string>& outer_names) {
  Scope outer;
  outer.names.insert(outer_names.begin(), outer_names.end());
  return order_of(body_of(graph), &outer);
}

void check_graphs(const ModelGraph& model) {
  check_body(body_of(model.graph), nullptr);
  for (const Function& function : model.functions) check_body(body_of(function), nullptr);
}

}  // namespace sparsify
