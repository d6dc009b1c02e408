// An If whose condition does not depend on a run (exporters write one where they do not know a rank or a size of 1): the branch that
// is taken is part of the graph, the other one is never run.
#include <algorithm>
#include <set>

#include "structure/analysis.h"

namespace sparsify {
namespace {

const std::string kThen = "then_branch";
const std::string kElse = "else_branch";

/// Shape inference goes through the branch that is not taken as well, so that nothing may stand there that states a size.
bool is_harmless(const Graph& graph) {
  static const std::set<std::string> operators = {"Constant", "Identity", "Squeeze", "Unsqueeze", "Cast", "Shape", "Gather"};
  const auto is_flat = [&](const std::string& shape) {  // one number: -1
    return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) {
      if (node.op_type != "Constant" || node.outputs.empty() || node.outputs[0] != shape || node.attributes.size() != 1) return false;
      const auto* stored = std::get_if<StoredTensor>(&node.attributes[0].value);
      const auto* listed = std::get_if<std::vector<int64_t>>(&node.attributes[0].value);
      return (stored != nullptr && element_count(stored->shape) == 1) || (listed != nullptr && listed->size() == 1);
    });
  };
  return std::all_of(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) {
    if (!node.domain.empty()) return false;
    return operators.contains(node.op_type) || (node.op_type == "Reshape" && node.inputs.size() == 2 && is_flat(node.inputs[1]));
  });
}

const Graph* body_of(const FlatNode& flat, const std::string& name) {
  const Attribute* attribute = flat.node->find(name);
  if (attribute == nullptr) return nullptr;
  const auto* graph = std::get_if<std::shared_ptr<const Graph>>(&attribute->value);
  return graph == nullptr ? nullptr : graph->get();
}

}  // namespace

void Analysis::find_bodies() {
  for (const FlatNode& flat : graph.nodes) {
    for (const Attribute& attribute : flat.node->attributes) {
      const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attribute.value);
      if (body == nullptr) continue;
      const auto [known, fresh] = bodies_.try_emplace(flat.label + "/" + attribute.name + "/", Body{&flat, body->get(), attribute.name});
      if (!fresh) known->second.owner = nullptr;  // two nodes of one name
    }
  }
}

std::optional<bool> Analysis::decided(const FlatNode& flat) const {
  if (flat.node->op_type != "If" || !flat.node->domain.empty() || flat.inputs.size() != 1) return std::nullopt;
  const auto found = values.find(flat.inputs[0]);
  if (found == values.end()) return std::nullopt;
  const LabelledValue& condition = found->second;
  std::optional<bool> holds;
  if (condition.integers && condition.integers->size() == 1 && is_static(*condition.integers->front())) {
    holds = condition.integers->front()->value != 0;
  } else if (condition.stored >= 0) {
    const StoredTensor& stored = graph.tensors[static_cast<size_t>(condition.stored)].tensor;
    if (stored.type == DType::Bool && stored.id >= 0 && element_count(stored.shape) == 1) holds = file.tensor_data(stored.id).to_integers().at(0) != 0;
  }
  if (!holds) return std::nullopt;
  const Graph* skipped = body_of(flat, *holds ? kElse : kThen);
  return skipped != nullptr && is_harmless(*skipped) ? holds : std::nullopt;
}

Analysis::Place Analysis::place_of(const FlatNode& flat) const {
  Place place = Place::Taken;
  bool inside = false;
  for (size_t at = flat.label.find('/'); at != std::string::npos; at = flat.label.find('/', at + 1)) {
    const auto body = bodies_.find(flat.label.substr(0, at + 1));
    if (body == bodies_.end()) continue;
    inside = true;
    const std::optional<bool> holds = body->second.owner == nullptr ? std::nullopt : decided(*body->second.owner);
    if (!holds) return Place::Undecided;
    if (*holds != (body->second.attribute == kThen)) place = Place::Skipped;
  }
  return inside ? place : Place::Undecided;
}

/// Nothing inside a body is rewritten: weights used there and sizes stated there stay.
void Analysis::hold_in_branch(const FlatNode& flat) {
  const Label anchor = because("it is used inside a branch of an If", "fold constants (onnxsim) before cutting, so that the If goes");
  for (const std::string& input : flat.inputs) {
    const auto value = values.find(input);
    if (value == values.end() || value->second.stored < 0) continue;
    for (const Axis& axis : value->second.axes) labels.freeze(axis, anchor);
  }
  for (const std::string& output : flat.outputs) {
    const auto value = values.find(output);
    const size_t scope = output.rfind('/' + flat.node->outputs.at(static_cast<size_t>(&output - flat.outputs.data())));
    const auto body = scope == std::string::npos ? bodies_.end() : bodies_.find(output.substr(0, scope + 1));
    if (value == values.end() || body == bodies_.end()) continue;
    for (const auto* list : {&body->second.graph->values, &body->second.graph->outputs}) {
      for (const ValueInfo& info : *list) {
        if (output.substr(scope + 1) != info.name || !info.shape) continue;
        for (size_t axis = 0; axis < info.shape->size() && axis < value->second.axes.size(); ++axis) {
          if ((*info.shape)[axis].size >= 0) labels.freeze(value->second.axes[axis], anchor);
        }
      }
    }
  }
}

bool Analysis::take_branch(const FlatNode& flat) {
  const std::optional<bool> holds = decided(flat);
  if (!holds) return false;
  const std::string& name = *holds ? kThen : kElse;
  const Graph* body = body_of(flat, name);
  if (body == nullptr || body->outputs.size() != flat.outputs.size()) return false;
  std::vector<LabelledValue> results;
  for (const ValueInfo& output : body->outputs) {
    const auto value = values.find(flat.label + "/" + name + "/" + output.name);
    if (value == values.end()) return false;
    results.push_back(value->second);
    results.back().stored = -1;
    results.back().integers.reset();
    for (size_t axis = 0; output.shape && axis < output.shape->size() && axis < results.back().axes.size(); ++axis) {
      if ((*output.shape)[axis].size < 0) continue;
      labels.freeze(results.back().axes[axis], because("its length is stated inside a branch of an If", "fold constants (onnxsim) before cutting, so that the If goes"));
    }
  }
  for (size_t i = 0; i < results.size(); ++i) out(i, std::move(results[i]));
  return true;
}

}  // namespace sparsify
