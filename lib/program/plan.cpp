#include "program/plan.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "onnx/checker.h"
#include "onnx/flat_graph.h"

namespace sparsify {
namespace {

/// Operators that compute the same whatever the order of the axes in memory, and as fast.
bool takes_any_layout(const Node& node) {
  static const std::set<std::string> names{
      "Abs", "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Conv", "Div", "Dropout", "Elu", "Erf", "Exp",
      "Gelu", "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Max", "MaxPool", "Min",
      "Mish", "Mul", "Neg", "Pad", "Pow", "ReduceMean", "Relu", "Shape", "Sigmoid", "Size", "Slice", "Softplus", "Split", "Sqrt",
      "Sub", "Sum", "Swish", "Tanh", "Transpose", "Upsample"};
  return node.domain.empty() && names.contains(node.op_type);
}

/// Names visible in one scope. A function body is a fresh scope with no way out; a subgraph sees its surroundings.
struct Scope {
  Plan* plan = nullptr;
  const Scope* outer = nullptr;  ///< enclosing scope (possibly of the same plan: none) for subgraphs
  int depth_to_outer = 1;
  std::unordered_map<std::string, SlotRef> names;
  const std::map<std::string, int64_t>* opsets = nullptr;
  std::string label;  ///< of the function call, for names in messages
  int nesting = 0;
};

class Planner {
 public:
  explicit Planner(const ModelFile& file) : file_(file), model_(file.model()) {}

  std::unique_ptr<Plan> plan_main() {
    auto plan = std::make_unique<Plan>();
    Scope scope;
    scope.plan = plan.get();
    scope.opsets = &model_.opsets;
    require_known_opset();
    plan_graph(model_.graph, scope);
    return plan;
  }

 private:
  static int new_slot(Scope& scope, const std::string& name) {
    scope.plan->slot_names.push_back(scope.label.empty() ? name : scope.label + "/" + name);
    return static_cast<int>(scope.plan->slot_names.size()) - 1;
  }

  static SlotRef find(const Scope& scope, const std::string& name) {
    int depth = 0;
    for (const Scope* at = &scope; at != nullptr; at = at->outer) {
      const auto found = at->names.find(name);
      if (found != at->names.end()) return {found->second.depth + depth, found->second.index};
      depth += at->depth_to_outer;
    }
    return {0, -1};
  }

  static int define(Scope& scope, const std::string& name) {
    if (name.empty()) return -1;
    const int slot = new_slot(scope, name);
    scope.names[name] = {0, slot};
    return slot;
  }

  void plan_graph(const Graph& graph, Scope& scope) {
    for (const ValueInfo& input : graph.inputs) scope.plan->inputs.push_back(define(scope, input.name));
    for (const StoredTensor& tensor : graph.initializers) {
      scope.plan->stored.emplace_back(define(scope, tensor.name), tensor);
    }
    for (const StoredSparseTensor& sparse : graph.sparse_initializers) {
      const Value dense = dense_of(sparse, from_host(file_.tensor_data(sparse.values.id)),
                                   from_host(file_.tensor_data(sparse.indices.id)));
      scope.plan->constants.emplace_back(define(scope, sparse.values.name), dense);
    }
    std::vector<std::string> outer_names;
    for (const Scope* at = scope.outer; at != nullptr; at = at->outer) {
      for (const auto& [name, slot] : at->names) outer_names.push_back(name);
    }
    for (const int index : topological_order(graph, outer_names)) {
      plan_node(graph.nodes[static_cast<size_t>(index)], scope);
    }
    for (const ValueInfo& output : graph.outputs) {
      scope.plan->outputs.push_back(require(scope, output.name, "graph output"));
    }
    find_last_uses(*scope.plan);
  }

  static SlotRef require(const Scope& scope, const std::string& name, const std::string& user) {
    const SlotRef ref = find(scope, name);
    if (ref.index < 0) {
      throw ResourceError{{.what = fmt::format("nothing produces the value \"{}\"", name),
                           .where = user,
                           .fix = "export the model again; the checker of the ONNX project refuses it too"}};
    }
    return ref;
  }

  void plan_node(const Node& node, Scope& scope) {
    if (node.domain.empty() && node.op_type == "Constant" && plan_constant(node, scope)) return;
    const int64_t opset = opset_of(node, scope);
    const OpSpec* op = find_op(node.domain, node.op_type);
    if (const Function* function = model_.find_function(node.domain, node.op_type, node.overload)) {
      inline_function(node, *function, scope);
      return;
    }
    if (op == nullptr) {
      if (const auto body = expand_function(node, opset, input_values(node))) {
        expanded_.push_back(*body);
        inline_function(node, expanded_.back(), scope);
        return;
      }
      refuse(node, opset);
    }
    require_sound(node, opset);
    Step step;
    step.node = &node;
    step.op = op;
    step.takes_any_layout = takes_any_layout(node);
    step.opset = opset;
    for (const std::string& input : node.inputs) {
      step.inputs.push_back(input.empty() ? SlotRef{} : require(scope, input, node.label()));
    }
    for (const Attribute& attribute : node.attributes) {
      if (const auto* graph = std::get_if<std::shared_ptr<const Graph>>(&attribute.value)) {
        step.subplans.emplace(attribute.name, plan_subgraph(**graph, scope, step));
      }
    }
    for (const std::string& output : node.outputs) step.outputs.push_back(define(scope, output));
    scope.plan->steps.push_back(std::move(step));
  }

  std::unique_ptr<Plan> plan_subgraph(const Graph& graph, Scope& scope, Step& step) {
    auto plan = std::make_unique<Plan>();
    Scope inner;
    inner.plan = plan.get();
    inner.outer = &scope;
    inner.opsets = scope.opsets;
    inner.nesting = scope.nesting;
    plan_graph(graph, inner);
    const auto capture = [&step](SlotRef ref) {
      if (ref.index >= 0 && ref.depth > 0) step.captured.push_back({ref.depth - 1, ref.index});
    };
    for (const Step& inside : plan->steps) {
      for (const SlotRef ref : inside.inputs) capture(ref);
      for (const SlotRef ref : inside.captured) capture(ref);
    }
    for (const SlotRef ref : plan->outputs) capture(ref);
    return plan;
  }

  /// The body joins the caller's plan: inputs are the caller's slots, everything else gets new ones.
  void inline_function(const Node& call, const Function& function, Scope& scope) {
    if (scope.nesting > 64) {
      throw ResourceError{{.what = fmt::format("functions call each other more than 64 deep, last \"{}\"", function.name),
                           .where = call.label(),
                           .fix = "functions in ONNX may not be recursive; export the model again"}};
    }
    Scope body;
    body.plan = scope.plan;
    body.label = scope.label + (scope.label.empty() ? "" : "/") + (call.name.empty() ? call.op_type : call.name);
    body.nesting = scope.nesting + 1;
    body.opsets = function.opsets.empty() ? scope.opsets : &function.opsets;
    for (size_t i = 0; i < function.inputs.size(); ++i) {
      const bool given = i < call.inputs.size() && !call.inputs[i].empty();
      body.names[function.inputs[i]] = given ? require(scope, call.inputs[i], call.label()) : SlotRef{};
    }
    for (const Node& node : function.nodes) {
      scope.plan->owned_nodes.push_back(bind_attributes(node, function, call));
      Node& bound = scope.plan->owned_nodes.back();
      for (std::string& input : bound.inputs) {
        const auto found = body.names.find(input);
        if (found != body.names.end() && found->second.index < 0) input.clear();  // an absent optional
      }
      plan_node(bound, body);
    }
    for (size_t i = 0; i < call.outputs.size(); ++i) {
      if (call.outputs[i].empty() || i >= function.outputs.size()) continue;
      scope.names[call.outputs[i]] = require(body, function.outputs[i], call.label());
    }
  }

  /// A Constant node is no step: its value is there from the start.
  bool plan_constant(const Node& node, Scope& scope) {
    if (node.attributes.size() != 1) return false;
    const Attribute& attribute = node.attributes.front();
    const auto add = [&](Value value) {
      scope.plan->constants.emplace_back(define(scope, node.outputs.at(0)), std::move(value));
      return true;
    };
    if (const auto* tensor = std::get_if<StoredTensor>(&attribute.value)) {
      if (tensor->value) return add(from_host(*tensor->value));  // in the body of a schema function
      scope.plan->stored.emplace_back(define(scope, node.outputs.at(0)), *tensor);
      return true;
    }
    if (const auto* sparse = std::get_if<StoredSparseTensor>(&attribute.value)) {
      return add(dense_of(*sparse, from_host(file_.tensor_data(sparse->values.id)),
                          from_host(file_.tensor_data(sparse->indices.id))));
    }
    if (const auto* number = std::get_if<float>(&attribute.value)) {
      return add(from_host(HostTensor::of<float>(DType::Float32, {}, {*number})));
    }
    if (const auto* numbers = std::get_if<std::vector<float>>(&attribute.value)) {
      return add(from_host(HostTensor::of<float>(DType::Float32, {static_cast<int64_t>(numbers->size())}, *numbers)));
    }
    if (const auto* integer = std::get_if<int64_t>(&attribute.value)) {
      return add(from_host(HostTensor::of<int64_t>(DType::Int64, {}, {*integer})));
    }
    if (const auto* integers = std::get_if<std::vector<int64_t>>(&attribute.value)) {
      return add(from_host(HostTensor::of<int64_t>(DType::Int64, {static_cast<int64_t>(integers->size())}, *integers)));
    }
    if (const auto* text = std::get_if<std::string>(&attribute.value)) {
      return add(Value::of_strings(HostTensor::of_strings({}, {*text})));
    }
    if (const auto* texts = std::get_if<std::vector<std::string>>(&attribute.value)) {
      return add(Value::of_strings(HostTensor::of_strings({static_cast<int64_t>(texts->size())}, *texts)));
    }
    return false;
  }

  /// What ONNX's inference finds for the inputs of a node of the main graph; some function bodies depend on it.
  std::vector<ValueInfo> input_values(const Node& node) {
    if (!inferred_) inferred_ = infer_shapes(file_);
    std::vector<ValueInfo> values;
    for (const std::string& input : node.inputs) {
      const auto found = inferred_->find(input);
      values.push_back(found != inferred_->end() ? found->second : ValueInfo{});
    }
    return values;
  }

  int64_t opset_of(const Node& node, const Scope& scope) const {
    const auto found = scope.opsets->find(node.domain);
    if (found != scope.opsets->end()) return found->second;
    const auto model = model_.opsets.find(node.domain);
    return model != model_.opsets.end() ? model->second : 1;
  }

  /// A newer version may have changed what an operator means.
  void require_known_opset() const {
    const auto imported = model_.opsets.find("");
    const int newest = newest_known_opset();
    if (imported == model_.opsets.end() || imported->second <= newest) return;
    throw ResourceError{{.what = fmt::format("the model asks for opset {} of ai.onnx; {} is the newest that is known", imported->second, newest),
                         .where = file_.path(),
                         .fix = fmt::format("export with opset {} or lower; pruning that does not run the model works as it is", newest)}};
  }

  /// What a node says that its operator does not know would be ignored, and something else computed than was meant.
  void require_sound(const Node& node, int64_t opset) const {
    const std::string wrong = contradiction(node, opset);
    if (wrong.empty()) return;
    throw ResourceError{{.what = fmt::format("{} for operator \"{}\" (opset {})", wrong, node.op_type, opset),
                         .where = fmt::format("{}: node \"{}\"", file_.path(), node.label()),
                         .fix = "correct the node, or export the model again; the checker of the ONNX project refuses it too"}};
  }

  [[noreturn]] void refuse(const Node& node, int64_t opset) const {
    const std::string domain = node.domain.empty() ? "ai.onnx" : node.domain;
    if (!node.domain.empty() && !model_.opsets.contains(node.domain)) {
      throw ResourceError{{.what = fmt::format("operator \"{}\" is of domain \"{}\", which the model does not import", node.op_type, domain),
                           .where = fmt::format("{}: node \"{}\"", file_.path(), node.label()),
                           .fix = "correct the domain, or export the model again"}};
    }
    const bool rearranged = node.domain == "com.microsoft.nchwc";
    throw ResourceError{{.what = fmt::format("operator \"{}\" of domain \"{}\" (opset {}) is not supported",
                                             node.op_type, domain, opset),
                         .where = fmt::format("{}: node \"{}\"", file_.path(), node.label()),
                         .fix = rearranged ? "ONNX Runtime wrote this file for one processor: use the model from before, or save it with the optimisation level ORT_ENABLE_EXTENDED"
                                           : fmt::format("see `sparsify ops {}` for all that this model needs; {}", file_.path(),
                                                         node.domain.empty() ? "convert the model to a known opset"
                                                                             : "export without this runtime's own operators, or cut them off")}};
  }

  /// Slots are freed by the last step that reads them, itself or through a subgraph; outputs never.
  static void find_last_uses(Plan& plan) {
    std::vector<int> last(plan.slot_names.size(), -1);
    const auto use = [&last](SlotRef ref, int step) {
      if (ref.depth == 0 && ref.index >= 0) last[static_cast<size_t>(ref.index)] = step;
    };
    for (size_t i = 0; i < plan.steps.size(); ++i) {
      for (const SlotRef ref : plan.steps[i].inputs) use(ref, static_cast<int>(i));
      for (const SlotRef ref : plan.steps[i].captured) use(ref, static_cast<int>(i));
      for (const int slot : plan.steps[i].outputs) use({0, slot}, static_cast<int>(i));
    }
    for (const SlotRef ref : plan.outputs) {
      if (ref.depth == 0) last[static_cast<size_t>(ref.index)] = -1;
    }
    for (size_t slot = 0; slot < last.size(); ++slot) {
      if (last[slot] >= 0) plan.steps[static_cast<size_t>(last[slot])].release.push_back(static_cast<int>(slot));
    }
  }

  const ModelFile& file_;
  const ModelGraph& model_;
  std::deque<Function> expanded_;  ///< the plan keeps bound copies of their nodes
  std::optional<std::map<std::string, ValueInfo>> inferred_;
};

}  // namespace

std::unique_ptr<Plan> make_plan(const ModelFile& file) { return Planner(file).plan_main(); }

Value dense_of(const StoredSparseTensor& sparse, const Value& values, const Value& indices) {
  at::Tensor dense = at::zeros({element_count(sparse.shape)}, values.tensor().options());
  at::Tensor flat = indices.tensor();
  if (flat.dim() == 2) {
    at::Tensor linear = at::zeros({flat.size(0)}, flat.options());
    for (int64_t axis = 0; axis < flat.size(1); ++axis) {
      linear = linear * sparse.shape[static_cast<size_t>(axis)] + flat.select(1, axis);
    }
    flat = linear;
  }
  dense.index_put_({flat}, values.tensor());
  return Value(dense.view(sparse.shape), values.type());
}

}  // namespace sparsify
