// Numbers of the file that count indices of an axis (lengths, bounds, `group`): they follow the axis when it is cut, or hold it.
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "structure/analysis.h"

namespace sparsify {

void Analysis::count_attribute(const std::string& name, int64_t element, int64_t value, const Axis& line, int64_t first, int64_t last, int64_t sign) {
  if (line.is_fixed()) return;
  if (node_->nested) return labels.freeze(line, because("a number in the body of an If counts its indices", "fold constants (onnxsim) before cutting, so that the If goes"));
  lines.push_back(line);
  counts.push_back({.node = &node(), .label = flat().label, .tensor_id = -1, .attribute = name, .element = element, .value = value,
                    .line = static_cast<int>(lines.size()) - 1, .first = first, .last = last, .sign = sign});
}

void Analysis::count_attribute(const std::string& name, int64_t value, const Axis& line, int64_t element) {
  count_attribute(name, element, value, line, 0, line.length, 1);
}

void Analysis::count(const ExpressionPtr& number, const Axis& line, int64_t first, int64_t last, int64_t sign, int input, int64_t element) {
  if (line.is_fixed()) return;
  if (node_->nested) return labels.freeze(line, because("a number in the body of an If counts its indices", "fold constants (onnxsim) before cutting, so that the If goes"));
  Count count{.node = &node(), .label = flat().label, .tensor_id = number->tensor_id, .attribute = number->attribute, .element = number->element,
              .value = number->value, .line = static_cast<int>(lines.size()), .first = first, .last = last, .sign = sign};
  const bool constant = number->kind == Expression::Kind::Constant && (number->tensor_id >= 0 || number->node != nullptr);
  if (constant) {
    if (number->node != nullptr) count.node = number->node;
    if (number->reader != nullptr) {
      count.node = number->reader->node;
      count.label = number->reader->label;
    }
  } else {
    const std::vector<ExpressionPtr>* numbers = input >= 0 ? parameter(static_cast<size_t>(input)) : nullptr;
    const bool computed = numbers != nullptr && std::all_of(numbers->begin(), numbers->end(), [](const ExpressionPtr& one) { return is_static(*one); });
    count.pin = computed ? pin(static_cast<size_t>(input), *integers(static_cast<size_t>(input))) : -1;
    if (count.pin < 0) {
      labels.freeze(line, because("a number that counts its indices is computed in the graph", "fold constants (onnxsim) before cutting"));
      return;
    }
    pin_moves(count.pin, line);
    count.line = static_cast<int>(lines.size());
    count.tensor_id = -1;
    count.attribute.clear();
    count.element = element;
  }
  lines.push_back(line);
  counts.push_back(std::move(count));
}

namespace {

/// One number of the file under all names by which calls of a function reach it.
std::string identity(const Count& count, const std::set<const Node*>& copies) {
  const std::string number = fmt::format("{} {} {} {}", count.tensor_id, count.attribute, count.pin, count.element);
  if (!copies.contains(count.node)) return fmt::format("{} {} {}", number, fmt::ptr(count.node), count.label);
  return fmt::format("{} {} {} {}", number, count.node->index, count.node->op_type, count.node->outputs.empty() ? "" : count.node->outputs[0]);
}

}  // namespace

/// A number that counts along two axes at once holds them alike.
void Analysis::reconcile_counts() {
  std::set<const Node*> copies;
  for (const Node& copy : graph.owned) copies.insert(&copy);
  std::map<std::string, size_t> known;
  for (size_t i = 0; i < counts.size(); ++i) {
    const auto [entry, fresh] = known.try_emplace(identity(counts[i], copies), i);
    if (fresh) continue;
    const Count& a = counts[entry->second];
    const Count& b = counts[i];
    const Axis one = lines[static_cast<size_t>(a.line)];
    const Axis other = lines[static_cast<size_t>(b.line)];
    if (a.sign == b.sign && a.last - a.first == b.last - b.first) {
      for (int64_t k = 0; k < a.last - a.first; ++k) labels.unite(one.at(a.first + k), other.at(b.first + k));
    } else {
      const Label anchor = labels.anchor({.node = a.label, .op = a.node->op_type, .reason = "one stored number counts along different axes",
                                          .fix = "give each its own constant (onnxsim does)"});
      labels.freeze(one, anchor);
      labels.freeze(other, anchor);
    }
  }
}

void Analysis::freeze_lengths(const ExpressionPtr& expression, Label anchor) {
  if (expression->kind == Expression::Kind::Length) labels.freeze(expression->axis, anchor);
  for (const ExpressionPtr& part : expression->parts) freeze_lengths(part, anchor);
}

void Analysis::bind(const ExpressionPtr& expression, const Axis& axis) {
  using Kind = Expression::Kind;
  const auto give_up = [&](const std::string& reason) {
    const Label anchor = because(reason, "fold constants (onnxsim) before cutting");
    labels.freeze(axis, anchor);
    freeze_lengths(expression, anchor);
  };
  if (axis.is_fixed()) {
    freeze_lengths(expression, axis.anchor >= 0 ? axis.anchor : space_);
    return;
  }
  switch (expression->kind) {
    case Kind::Constant:
      count(expression, axis, 0, axis.length);
      return;
    case Kind::Length:
      if (labels.stay_equal(expression->axis, axis)) return;
      if (expression->axis.length == axis.length) labels.unite(expression->axis, axis);
      else give_up("its length is taken from an axis of another length");
      return;
    case Kind::Product: {
      const int64_t rows = expression->parts[0]->value;
      const int64_t columns = expression->parts[1]->value;
      if (rows * columns != axis.length) return give_up("its length is computed in the graph");
      const auto [upper, lower] = labels.split(axis, rows, columns);
      bind(expression->parts[0], upper);
      bind(expression->parts[1], lower);
      return;
    }
    case Kind::Quotient: {
      const ExpressionPtr& whole = expression->parts[0];
      const ExpressionPtr& divisor = expression->parts[1];
      if (whole->kind != Kind::Length || divisor->kind != Kind::Constant || divisor->value * axis.length != whole->value) {
        return give_up("its length is computed in the graph");
      }
      const auto [upper, lower] = labels.split(whole->axis, divisor->value, axis.length);
      labels.unite(lower, axis);
      bind(divisor, upper);
      return;
    }
    case Kind::Other: return give_up("its length is computed in the graph");
  }
}

bool Analysis::rescale(const Axis& line, double power, float epsilon) {
  if (node_->nested || node_->label != node().label() || node_->outputs.empty()) return false;
  // Inference does not know the results of other domains; what a norm scales with is of their type.
  std::vector<std::string> known = {node_->outputs[0]};
  known.insert(known.end(), node_->inputs.begin(), node_->inputs.end());
  DType type = DType::Undefined;
  for (const std::string& value : known) {
    const auto info = shapes_.find(value);
    if (!is_prunable_float(type) && info != shapes_.end()) type = info->second.type;
  }
  if (!is_prunable_float(type)) return false;
  lines.push_back(line);
  rescales.push_back({.node = &node(), .type = type, .power = power, .epsilon = epsilon, .line = static_cast<int>(lines.size()) - 1, .total = line.length});
  return true;
}

bool Analysis::state_scale(const Axis& line) {
  if (!rescale(line, 0)) return false;
  rescales.back().scale = static_cast<float>(1 / std::sqrt(static_cast<double>(line.length)));
  return true;
}

namespace {

void collect_lengths(const Expression& expression, std::vector<Axis>& axes) {
  if (expression.kind == Expression::Kind::Length && !expression.axis.is_fixed()) axes.push_back(expression.axis);
  for (const ExpressionPtr& part : expression.parts) collect_lengths(*part, axes);
}

}  // namespace

int Analysis::pin(size_t input, const std::vector<int64_t>& numbers) {
  if (node_->nested || node_->label != node().label()) return -1;
  for (size_t i = 0; i < pins.size(); ++i) {
    if (pins[i].node == &node() && pins[i].input == static_cast<int>(input)) return static_cast<int>(i);
  }
  Shape shape;
  for (const Axis& axis : in(input).axes) shape.push_back(axis.length);
  const auto info = shapes_.find(node_->inputs[input]);
  const DType type = info == shapes_.end() ? DType::Undefined : info->second.type;
  HostTensor value;
  if (type == DType::Int64) value = HostTensor::of<int64_t>(type, shape, numbers);
  else if (type == DType::Int32) value = HostTensor::of<int32_t>(type, shape, std::vector<int32_t>(numbers.begin(), numbers.end()));
  else if (type == DType::Float32) value = HostTensor::of<float>(type, shape, std::vector<float>(numbers.begin(), numbers.end()));
  else return -1;
  pins.push_back({.node = &node(), .label = node_->label, .input = static_cast<int>(input), .value = std::move(value)});
  const int made = static_cast<int>(pins.size()) - 1;
  std::vector<Axis> sources;
  if (in(input).integers) {
    for (const ExpressionPtr& one : *in(input).integers) collect_lengths(*one, sources);
  }
  for (const Axis& axis : sources) pin_moves(made, axis);
  return made;
}

void Analysis::count_pinned(int pin, int64_t element, const Axis& line) {
  pin_moves(pin, line);
  counts.push_back({.node = &node(), .label = flat().label, .pin = pin, .element = element, .value = line.length,
                    .line = static_cast<int>(lines.size()) - 1, .first = 0, .last = line.length});
}

void Analysis::pin_moves(int pin, const Axis& line) {
  if (line.is_fixed()) return;
  pins[static_cast<size_t>(pin)].lines.push_back(static_cast<int>(lines.size()));
  lines.push_back(line);
}

/// Numbers made of lengths enter the computation: they stay what they are, as a constant if they are none yet.
void Analysis::keep_lengths(size_t input) {
  const LabelledValue& value = in(input);
  std::vector<Axis> axes;
  for (const ExpressionPtr& one : *value.integers) collect_lengths(*one, axes);
  if (axes.empty()) return;
  const bool constant = std::all_of(value.integers->begin(), value.integers->end(), [](const ExpressionPtr& one) { return is_static(*one); });
  const int pinned = constant ? pin(input, *integers(input)) : -1;
  for (const Axis& axis : axes) {
    if (pinned >= 0) pin_moves(pinned, axis);
    else labels.freeze(axis, because("its length enters the computation", "fold constants (onnxsim) before cutting"));
  }
}

}  // namespace sparsify
