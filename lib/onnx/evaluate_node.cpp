#include "onnx/evaluate_node.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <set>

#include "onnx/proto_convert.h"

namespace sparsify {
namespace {

using Type = proto::TensorProto;

std::optional<double> combine(const std::string& op, double a, double b, bool integers) {
  if (op == "Add") return a + b;
  if (op == "Sub") return a - b;
  if (op == "Mul") return a * b;
  if (op == "Div") return b == 0 ? std::nullopt : std::optional(integers ? std::trunc(a / b) : a / b);
  if (op == "Mod") return b == 0 || !integers ? std::nullopt : std::optional(a - b * std::floor(a / b));
  if (op == "Min") return std::min(a, b);
  if (op == "Max") return std::max(a, b);
  if (op == "Pow") return std::pow(a, b);
  if (op == "Equal") return a == b;
  if (op == "Greater") return a > b;
  if (op == "GreaterOrEqual") return a >= b;
  if (op == "Less") return a < b;
  if (op == "LessOrEqual") return a <= b;
  if (op == "And") return a != 0 && b != 0;
  if (op == "Or") return a != 0 || b != 0;
  return std::nullopt;
}

bool compares(const std::string& op) {
  static const std::set<std::string> ops = {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or"};
  return ops.contains(op);
}

/// One node with its operands; every answer is nullopt where an operand is not known.
class Evaluation {
 public:
  Evaluation(const proto::NodeProto& node, const KnownNumbers& known, const KnownShapes& shapes) : node_(node), known_(known), shapes_(shapes) {}

  std::optional<Numbers> result() const {
    const std::string& op = node_.op_type();
    if (op == "Constant") return constant();
    if (op == "Shape" || op == "Size") return shape(op == "Size");
    if (node_.input_size() == 0 || !in(0)) return std::nullopt;
    for (int i = 0; i < node_.input_size(); ++i) {
      if (!node_.input(i).empty() && !in(i)) return std::nullopt;
    }
    if (op == "ConstantOfShape") return filled();
    if (op == "Cast") return cast();
    if (op == "Identity") return *in(0);
    if (op == "Concat") return concat();
    if (op == "Gather") return gather();
    if (op == "Slice") return slice();
    if (op == "Transpose") return transpose();
    if (op == "Reshape" || op == "Squeeze" || op == "Unsqueeze" || op == "Flatten") return reshaped(op);
    if (op == "Expand") return expand();
    if (op == "Range") return range();
    if (op == "Where") return where();
    if (op == "ReduceProd") return product();
    if (node_.input_size() == 1) return unary(op);
    return node_.input_size() == 2 ? binary(op) : std::nullopt;
  }

 private:
  const Numbers* in(int index) const {
    if (index >= node_.input_size()) return nullptr;
    const auto found = known_.find(node_.input(index));
    return found == known_.end() ? nullptr : &found->second;
  }

  const proto::AttributeProto* attribute(const std::string& name) const {
    for (const proto::AttributeProto& one : node_.attribute()) {
      if (one.name() == name) return &one;
    }
    return nullptr;
  }

  int64_t number(const std::string& name, int64_t otherwise) const {
    const auto* found = attribute(name);
    return found == nullptr ? otherwise : found->i();
  }

  /// A list that older operators have as an attribute and newer ones as input `index`.
  std::optional<Dims> list(const std::string& name, int index) const {
    if (const Numbers* numbers = in(index)) {
      Dims values;
      for (const double value : numbers->values) values.push_back(whole(value));
      return values;
    }
    if (const auto* found = attribute(name)) return Dims(found->ints().begin(), found->ints().end());
    return std::nullopt;
  }

  std::optional<Numbers> constant() const {
    if (const auto* found = attribute("value")) return read_numbers(found->t());
    if (const auto* found = attribute("value_int")) return Numbers{Type::INT64, {}, {static_cast<double>(found->i())}};
    if (const auto* found = attribute("value_float")) return Numbers{Type::FLOAT, {}, {found->f()}};
    if (const auto* found = attribute("value_ints")) {
      return Numbers{Type::INT64, {found->ints_size()}, {found->ints().begin(), found->ints().end()}};
    }
    return std::nullopt;
  }

  std::optional<Numbers> shape(bool product) const {
    const auto found = node_.input_size() == 1 ? shapes_.find(node_.input(0)) : shapes_.end();
    Numbers sizes{Type::INT64, {}, {}};
    if (found != shapes_.end()) {
      for (const auto& dim : found->second->dim()) {
        if (!dim.has_dim_value()) return std::nullopt;
        sizes.values.push_back(static_cast<double>(dim.dim_value()));
      }
    } else if (const Numbers* numbers = node_.input_size() == 1 ? in(0) : nullptr) {
      sizes.values.assign(numbers->dims.begin(), numbers->dims.end());
    } else {
      return std::nullopt;
    }
    if (product) {
      sizes.values = {std::accumulate(sizes.values.begin(), sizes.values.end(), 1.0, std::multiplies<>())};
      return sizes;
    }
    const auto rank = static_cast<int64_t>(sizes.values.size());
    const auto bound = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
    const int64_t begin = bound(number("start", 0));
    const int64_t end = std::max(begin, bound(number("end", rank)));
    sizes.values = {sizes.values.begin() + begin, sizes.values.begin() + end};
    sizes.dims = {end - begin};
    return sizes;
  }

  std::optional<Numbers> filled() const {
    Numbers value{Type::FLOAT, {1}, {0}};
    if (const auto* found = attribute("value")) {
      const auto given = read_numbers(found->t());
      if (!given || given->values.size() != 1) return std::nullopt;
      value = *given;
    }
    return gathered(value, *list("", 0), [](const Dims&) { return 0; });
  }

  std::optional<Numbers> cast() const {
    Numbers result = *in(0);
    result.type = static_cast<int32_t>(number("to", Type::UNDEFINED));
    if (!is_integer(result.type) && result.type != Type::FLOAT && result.type != Type::DOUBLE) return std::nullopt;
    return result;
  }

  std::optional<int64_t> axis_of(const Numbers& data, int64_t axis) const {
    const auto rank = static_cast<int64_t>(data.dims.size());
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank) return std::nullopt;
    return axis;
  }

  std::optional<Numbers> concat() const {
    const auto axis = axis_of(*in(0), number("axis", 0));
    if (!axis) return std::nullopt;
    Dims dims = in(0)->dims;
    const auto split = static_cast<size_t>(*axis);
    int64_t outer = 1;
    for (size_t i = 0; i < split; ++i) outer *= dims[i];
    dims[split] = 0;
    for (int i = 0; i < node_.input_size(); ++i) {
      if (in(i) == nullptr || in(i)->dims.size() != dims.size()) return std::nullopt;
      dims[split] += in(i)->dims[split];
    }
    Numbers result{in(0)->type, dims, {}};
    for (int64_t row = 0; row < outer; ++row) {
      for (int i = 0; i < node_.input_size(); ++i) {
        const auto length = static_cast<int64_t>(in(i)->values.size()) / outer;
        const auto from = in(i)->values.begin() + row * length;
        result.values.insert(result.values.end(), from, from + length);
      }
    }
    return result;
  }

  std::optional<Numbers> gather() const {
    const Numbers& data = *in(0);
    const auto axis = axis_of(data, number("axis", 0));
    if (!axis || in(1) == nullptr) return std::nullopt;
    const Numbers& indices = *in(1);
    const auto split = static_cast<size_t>(*axis);
    Dims dims(data.dims.begin(), data.dims.begin() + *axis);
    dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
    dims.insert(dims.end(), data.dims.begin() + *axis + 1, data.dims.end());
    const Dims strides = strides_of(data.dims);
    const Dims index_strides = strides_of(indices.dims);
    const size_t more = indices.dims.size();
    return gathered(data, dims, [&](const Dims& at) -> int64_t {
      int64_t which = 0;
      for (size_t i = 0; i < more; ++i) which += at[split + i] * index_strides[i];
      int64_t chosen = whole(indices.values[static_cast<size_t>(which)]);
      if (chosen < 0) chosen += data.dims[split];
      if (chosen < 0 || chosen >= data.dims[split]) return -1;
      int64_t index = chosen * strides[split];
      for (size_t i = 0; i < split; ++i) index += at[i] * strides[i];
      for (size_t i = split + 1; i < data.dims.size(); ++i) index += at[i + more - 1] * strides[i];
      return index;
    });
  }

  std::optional<Numbers> slice() const {
    const Numbers& data = *in(0);
    const auto starts = list("starts", 1);
    const auto ends = list("ends", 2);
    if (!starts || !ends || starts->size() != ends->size()) return std::nullopt;
    Dims axes(starts->size());
    std::iota(axes.begin(), axes.end(), 0);
    axes = list("axes", 3).value_or(axes);
    const Dims steps = list("steps", 4).value_or(Dims(starts->size(), 1));
    if (axes.size() != starts->size() || steps.size() != starts->size()) return std::nullopt;
    Dims dims = data.dims;
    Dims first(dims.size(), 0);
    Dims step(dims.size(), 1);
    for (size_t i = 0; i < axes.size(); ++i) {
      const auto axis = axis_of(data, axes[i]);
      if (!axis || steps[i] == 0) return std::nullopt;
      const auto a = static_cast<size_t>(*axis);
      const int64_t size = data.dims[a];
      const bool forward = steps[i] > 0;
      const auto bound = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + size : at, forward ? 0 : -1, forward ? size : size - 1); };
      first[a] = bound((*starts)[i]);
      // A negative end below -size means "through the first element" when stepping backwards.
      const int64_t end = bound((*ends)[i]);
      step[a] = steps[i];
      const int64_t span = forward ? end - first[a] : first[a] - end;
      dims[a] = span <= 0 ? 0 : (span + std::abs(steps[i]) - 1) / std::abs(steps[i]);
    }
    const Dims strides = strides_of(data.dims);
    return gathered(data, dims, [&](const Dims& at) {
      int64_t index = 0;
      for (size_t i = 0; i < at.size(); ++i) index += (first[i] + at[i] * step[i]) * strides[i];
      return index;
    });
  }

  std::optional<Numbers> transpose() const {
    const Numbers& data = *in(0);
    Dims order(data.dims.size());
    std::iota(order.rbegin(), order.rend(), 0);
    if (const auto* found = attribute("perm")) order.assign(found->ints().begin(), found->ints().end());
    if (order.size() != data.dims.size()) return std::nullopt;
    Dims dims;
    for (const int64_t axis : order) {
      if (axis < 0 || axis >= static_cast<int64_t>(order.size())) return std::nullopt;
      dims.push_back(data.dims[static_cast<size_t>(axis)]);
    }
    const Dims strides = strides_of(data.dims);
    return gathered(data, dims, [&](const Dims& at) {
      int64_t index = 0;
      for (size_t i = 0; i < at.size(); ++i) index += at[i] * strides[static_cast<size_t>(order[i])];
      return index;
    });
  }

  /// The same numbers with the shape that the node's output has by its own rule.
  std::optional<Numbers> reshaped(const std::string& op) const {
    Numbers result = *in(0);
    const auto count = static_cast<int64_t>(result.values.size());
    if (op == "Flatten") {
      int64_t outer = 1;
      for (int64_t i = 0; i < number("axis", 1) && i < static_cast<int64_t>(result.dims.size()); ++i) outer *= result.dims[static_cast<size_t>(i)];
      if (outer == 0 || number("axis", 1) < 0) return std::nullopt;
      result.dims = {outer, count / outer};
      return result;
    }
    const auto asked = list(op == "Reshape" ? "shape" : "axes", 1);
    if (op == "Reshape") {
      if (!asked) return std::nullopt;
      Dims dims = *asked;
      int64_t rest = 1;
      for (size_t i = 0; i < dims.size(); ++i) {
        if (dims[i] == 0 && number("allowzero", 0) == 0 && i < result.dims.size()) dims[i] = result.dims[i];
        if (dims[i] != -1) rest *= dims[i];
      }
      for (int64_t& size : dims) {
        if (size == -1) size = rest == 0 ? 0 : count / rest;
      }
      result.dims = dims;
    } else if (op == "Squeeze") {
      Dims dims;
      for (size_t i = 0; i < result.dims.size(); ++i) {
        const auto named = [&](int64_t axis) { return axis_of(result, axis) == static_cast<int64_t>(i); };
        const bool drop = asked ? std::any_of(asked->begin(), asked->end(), named) : result.dims[i] == 1;
        if (!drop) dims.push_back(result.dims[i]);
      }
      result.dims = dims;
    } else {
      if (!asked) return std::nullopt;
      const auto rank = static_cast<int64_t>(result.dims.size() + asked->size());
      std::set<int64_t> added;
      for (const int64_t axis : *asked) added.insert(axis < 0 ? axis + rank : axis);
      Dims dims;
      auto next = result.dims.begin();
      for (int64_t i = 0; i < rank; ++i) {
        if (!added.contains(i) && next == result.dims.end()) return std::nullopt;
        dims.push_back(added.contains(i) ? 1 : *next++);
      }
      result.dims = dims;
    }
    if (count_of(result.dims) != count) return std::nullopt;
    return result;
  }

  std::optional<Numbers> expand() const {
    const auto dims = list("", 1);
    return dims ? broadcast(*in(0), common(in(0)->dims, *dims)) : std::nullopt;
  }

  std::optional<Numbers> range() const {
    if (node_.input_size() != 3) return std::nullopt;
    for (int i = 0; i < 3; ++i) {
      if (in(i)->values.size() != 1) return std::nullopt;
    }
    const double start = in(0)->values[0];
    const double step = in(2)->values[0];
    if (step == 0) return std::nullopt;
    const double count = std::max(0.0, std::ceil((in(1)->values[0] - start) / step));
    if (count > kFoldedElements) return std::nullopt;
    Numbers result{in(0)->type, {whole(count)}, {}};
    for (int64_t i = 0; i < result.dims[0]; ++i) result.values.push_back(start + static_cast<double>(i) * step);
    return result;
  }

  std::optional<Numbers> where() const {
    if (node_.input_size() != 3) return std::nullopt;
    const Dims dims = common(common(in(0)->dims, in(1)->dims), in(2)->dims);
    const auto choice = broadcast(*in(0), dims);
    auto result = broadcast(*in(1), dims);
    const auto other = broadcast(*in(2), dims);
    if (!choice || !result || !other) return std::nullopt;
    for (size_t i = 0; i < result->values.size(); ++i) {
      if (choice->values[i] == 0) result->values[i] = other->values[i];
    }
    return result;
  }

  std::optional<Numbers> product() const {
    if (in(0)->dims.size() != 1) return std::nullopt;
    const auto& values = in(0)->values;
    Numbers result{in(0)->type, {}, {std::accumulate(values.begin(), values.end(), 1.0, std::multiplies<>())}};
    if (number("keepdims", 1) != 0) result.dims = {1};
    return result;
  }

  std::optional<Numbers> unary(const std::string& op) const {
    Numbers result = *in(0);
    for (double& value : result.values) {
      if (op == "Neg") value = -value;
      else if (op == "Abs") value = std::abs(value);
      else if (op == "Floor") value = std::floor(value);
      else if (op == "Ceil") value = std::ceil(value);
      else if (op == "Sqrt") value = std::sqrt(value);
      else if (op == "Not") value = value == 0;
      else return std::nullopt;
    }
    return result;
  }

  std::optional<Numbers> binary(const std::string& op) const {
    const Dims dims = common(in(0)->dims, in(1)->dims);
    auto result = broadcast(*in(0), dims);
    const auto other = broadcast(*in(1), dims);
    if (!result || !other) return std::nullopt;
    const bool integers = is_integer(result->type);
    for (size_t i = 0; i < result->values.size(); ++i) {
      const auto value = combine(op, result->values[i], other->values[i], integers);
      if (!value) return std::nullopt;
      result->values[i] = *value;
    }
    if (compares(op)) result->type = Type::BOOL;
    return result;
  }

  const proto::NodeProto& node_;
  const KnownNumbers& known_;
  const KnownShapes& shapes_;
};

}  // namespace

std::optional<Numbers> evaluate_node(const proto::NodeProto& node, const KnownNumbers& known, const KnownShapes& shapes) {
  return Evaluation(node, known, shapes).result();
}

}  // namespace sparsify
