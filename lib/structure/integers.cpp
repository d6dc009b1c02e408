// Shape arithmetic: Shape, Gather, Concat ... of few integers, evaluated with where each number comes from.
#include <algorithm>
#include <map>

#include "structure/analysis.h"

namespace sparsify {
namespace {

using Kind = Expression::Kind;
using Expressions = std::vector<ExpressionPtr>;

constexpr size_t kMost = 4096;

ExpressionPtr made_up(int64_t value) { return constant_number(value); }

ExpressionPtr combined(Kind kind, int64_t value, const ExpressionPtr& a, const ExpressionPtr& b) {
  return expression_of(kind, value, {a, b});
}

bool is_length(const Expression& one) {
  if (one.kind == Kind::Length) return true;
  return (one.kind == Kind::Product || one.kind == Kind::Quotient) &&
         std::all_of(one.parts.begin(), one.parts.end(), [](const ExpressionPtr& part) { return is_length(*part) || (part->kind == Kind::Constant && part->value >= 0); });
}

ExpressionPtr binary(const std::string& op, const ExpressionPtr& a, const ExpressionPtr& b, bool floating) {
  const int64_t x = a->value;
  const int64_t y = b->value;
  if (op == "Mul") {
    if (x == 1 && a->kind == Kind::Constant) return b;
    if (y == 1 && b->kind == Kind::Constant) return a;
    return combined(Kind::Product, x * y, a, b);
  }
  if (op == "Div") {
    if (y == 0 || (floating && x % y != 0)) return nullptr;
    if (y == 1 && b->kind == Kind::Constant) return a;
    return combined(x % y == 0 ? Kind::Quotient : Kind::Other, x / y, a, b);
  }
  int64_t value = 0;
  // Shapes are compared with -1 to find the sizes that are left open; no length ever is.
  if (op == "Equal" && ((y < 0 && is_length(*a)) || (x < 0 && is_length(*b)))) return made_up(0);
  if (op == "Add") value = x + y;
  else if (op == "Sub") value = x - y;
  else if (op == "Max") value = std::max(x, y);
  else if (op == "Min") value = std::min(x, y);
  else if (op == "Equal") value = x == y;
  else if (op == "Greater") value = x > y;
  else if (op == "GreaterOrEqual") value = x >= y;
  else if (op == "Less") value = x < y;
  else if (op == "LessOrEqual") value = x <= y;
  else if (op == "And") value = x != 0 && y != 0;
  else if (op == "Or") value = x != 0 || y != 0;
  else if (op == "Mod" && y != 0) value = x % y + (x % y != 0 && (x < 0) != (y < 0) ? y : 0);
  else return nullptr;
  return combined(Kind::Other, value, a, b);
}

class Evaluator {
 public:
  explicit Evaluator(Analysis& analysis) : a_(analysis), op_(analysis.node().op_type) {}

  bool run() {
    if (!a_.node().domain.empty() || a_.flat().outputs.size() != 1) return false;
    if (op_ == "Shape") return shape();
    if (op_ == "Size") return size();
    if (op_ == "Constant") return constant();
    for (size_t i = 0; i < a_.flat().inputs.size(); ++i) {
      if (!a_.in(i).integers) return false;
      read_.push_back(*a_.in(i).integers);
      if (a_.in(i).stored >= 0) {
        for (ExpressionPtr& one : read_.back()) {
          if (one->kind == Kind::Constant && one->tensor_id >= 0) one = read_by(one, a_.flat());
        }
      }
      scalar_.push_back(a_.in(i).axes.empty());
      Shape dims;
      for (const Axis& axis : a_.in(i).axes) dims.push_back(axis.length);
      dims_.push_back(std::move(dims));
      floating_ = floating_ || a_.in(i).floating;
    }
    if (read_.empty()) return false;
    for (const Expressions& one : read_) operands_.push_back(&one);
    return move() || compute();
  }

 private:
  bool give(Expressions elements, bool scalar, bool floating) {
    const Shape dims = scalar ? Shape{} : Shape{static_cast<int64_t>(elements.size())};
    return give(std::move(elements), dims, floating);
  }

  bool give(Expressions elements, const Shape& dims, bool floating) {
    if (elements.size() > kMost || dims.size() > 2) return false;
    for (size_t i = 0; i < a_.flat().inputs.size(); ++i) a_.parameter(i);
    LabelledValue value;
    value.known = true;
    value.floating = floating;
    for (const int64_t size : dims) value.axes.push_back(a_.fixed(size));
    value.integers = std::move(elements);
    a_.out(0, std::move(value));
    return true;
  }

  bool shape() {
    const LabelledValue& x = a_.in(0);
    if (!x.known) return false;
    int64_t start = a_.node().integer("start", 0);
    int64_t end = a_.node().integer("end", x.rank());
    if (start < 0) start += x.rank();
    if (end < 0) end += x.rank();
    Expressions elements;
    for (int64_t i = std::max<int64_t>(start, 0); i < std::min<int64_t>(end, x.rank()); ++i) {
      const Axis& axis = x.axes[static_cast<size_t>(i)];
      if (axis.length < 0) return false;
      elements.push_back(length_of(axis));
    }
    if (!give(std::move(elements), false, false)) return false;
    a_.values[a_.flat().outputs[0]].axes[0].stated = true;  // ranks do not change from run to run
    return true;
  }

  bool size() {
    const LabelledValue& x = a_.in(0);
    if (!x.known) return false;
    int64_t count = 1;
    Expressions lengths;
    for (const Axis& axis : x.axes) {
      if (axis.length < 0) return false;
      count *= axis.length;
      lengths.push_back(length_of(axis));
    }
    return give({expression_of(Kind::Other, count, std::move(lengths))}, true, false);
  }

  bool constant() {
    for (const Attribute& attribute : a_.node().attributes) {
      const auto number = [&](int64_t value, size_t i) {
        return constant_number(value, &a_.node(), attribute.name, i);
      };
      if (const auto* one = std::get_if<int64_t>(&attribute.value)) return give({number(*one, 0)}, true, false);
      if (const auto* list = std::get_if<std::vector<int64_t>>(&attribute.value)) {
        Expressions elements;
        for (size_t i = 0; i < list->size(); ++i) elements.push_back(number((*list)[i], i));
        return give(std::move(elements), false, false);
      }
      if (const auto* one = std::get_if<float>(&attribute.value)) {
        if (*one != static_cast<float>(static_cast<int64_t>(*one))) return false;
        return give({made_up(static_cast<int64_t>(*one))}, true, true);
      }
    }
    return false;
  }

  std::vector<int64_t> numbers(size_t input) const {
    std::vector<int64_t> values;
    for (const ExpressionPtr& one : *operands_[input]) values.push_back(one->value);
    return values;
  }

  /// Operators that only rearrange.
  bool move() {
    const Expressions& x = *operands_[0];
    if (op_ == "Identity" || op_ == "Floor" || op_ == "Ceil" || op_ == "Round") return give(x, dims_[0], floating_);
    if (op_ == "Cast") {
      const int64_t to = a_.node().integer("to", 7);
      return give(x, dims_[0], to == 1 || to == 10 || to == 11 || to == 16);
    }
    if (op_ == "Concat") {
      Expressions all;
      for (size_t i = 0; i < operands_.size(); ++i) {
        if (dims_[i].size() != 1) return false;
        all.insert(all.end(), operands_[i]->begin(), operands_[i]->end());
      }
      return give(std::move(all), false, floating_);
    }
    if (op_ == "Squeeze") return x.size() == 1 && give(x, true, floating_);
    if (op_ == "Unsqueeze") return scalar_[0] && (operands_.size() < 2 || operands_[1]->size() == 1) && a_.node().integers("axes").size() <= 1 && give(x, false, floating_);
    if (op_ == "Reshape") return operands_.size() == 2 && reshape(x);
    if (op_ == "Transpose") return transpose(x);
    if (op_ == "Gather") {
      if (dims_[0].size() != 1) return false;
      Expressions taken;
      for (int64_t index : numbers(1)) {
        if (index < 0) index += static_cast<int64_t>(x.size());
        if (index < 0 || index >= static_cast<int64_t>(x.size())) return false;
        taken.push_back(x[static_cast<size_t>(index)]);
      }
      return give(std::move(taken), dims_[1], floating_);
    }
    return op_ == "Slice" && slice(x);
  }

  bool reshape(const Expressions& x) {
    Shape target = numbers(1);
    int64_t known = 1;
    for (size_t i = 0; i < target.size(); ++i) {
      if (target[i] == 0 && i < dims_[0].size()) target[i] = dims_[0][i];
      if (target[i] > 0) known *= target[i];
    }
    for (int64_t& size : target) {
      if (size == -1) size = static_cast<int64_t>(x.size()) / known;
    }
    return element_count(target) == static_cast<int64_t>(x.size()) && give(x, target, floating_);
  }

  bool transpose(const Expressions& x) {
    if (dims_[0].size() < 2 || a_.node().integers("perm", {1, 0}) != std::vector<int64_t>{1, 0}) return give(x, dims_[0], floating_);
    const auto rows = static_cast<size_t>(dims_[0][0]);
    const auto columns = static_cast<size_t>(dims_[0][1]);
    Expressions turned;
    for (size_t j = 0; j < columns; ++j) {
      for (size_t i = 0; i < rows; ++i) turned.push_back(x[i * columns + j]);
    }
    return give(std::move(turned), Shape{dims_[0][1], dims_[0][0]}, floating_);
  }

  /// One axis, in steps of 1 or -1.
  bool slice(const Expressions& x) {
    bool single = true;
    const auto bound = [&](const char* attribute, size_t input, int64_t otherwise) {
      const std::vector<int64_t> listed = input < operands_.size() ? numbers(input) : a_.node().integers(attribute);
      single = single && listed.size() <= 1;
      return listed.size() == 1 ? listed[0] : otherwise;
    };
    const int64_t start = bound("starts", 1, 0);
    const int64_t end = bound("ends", 2, INT64_MAX);
    const int64_t axis = bound("axes", 3, 0);
    const int64_t step = bound("steps", 4, 1);
    if (!single || dims_[0].empty() || (axis != 0 && axis != -static_cast<int64_t>(dims_[0].size())) || (step != 1 && step != -1)) return false;
    const int64_t size = dims_[0][0];
    const int64_t width = dims_[0].size() == 2 ? dims_[0][1] : 1;
    const auto place = [size](int64_t at, int64_t low, int64_t high) { return std::clamp<int64_t>(at < 0 ? at + size : at, low, high); };
    Shape dims = dims_[0];
    Expressions taken;
    const auto take = [&](int64_t row) { taken.insert(taken.end(), x.begin() + row * width, x.begin() + (row + 1) * width); };
    if (step == 1) {
      for (int64_t row = place(start, 0, size); row < place(end, 0, size); ++row) take(row);
    } else {
      const int64_t last = end < -size ? -1 : place(end, -1, size - 1);
      for (int64_t row = place(start, 0, size - 1); row > last; --row) take(row);
    }
    dims[0] = static_cast<int64_t>(taken.size()) / width;
    return give(std::move(taken), dims, floating_);
  }

  bool compute() {
    if (op_ == "ConstantOfShape") return filled();
    if (op_ == "Range") return operands_.size() == 3 && range();
    if (op_ == "ReduceProd") {
      ExpressionPtr product = operands_[0]->empty() ? made_up(1) : operands_[0]->front();
      for (size_t i = 1; i < operands_[0]->size(); ++i) product = binary("Mul", product, (*operands_[0])[i], floating_);
      return give({product}, a_.node().integer("keepdims", 1) == 0, floating_);
    }
    if (op_ == "Neg") {
      Expressions all;
      for (const ExpressionPtr& one : *operands_[0]) {
        all.push_back(one->kind == Kind::Constant ? made_up(-one->value) : expression_of(Kind::Other, -one->value, {one}));
      }
      return give(std::move(all), scalar_[0], floating_);
    }
    if (op_ == "Not") {
      Expressions all;
      for (const ExpressionPtr& one : *operands_[0]) {
        all.push_back(one->kind == Kind::Constant ? made_up(one->value == 0) : expression_of(Kind::Other, one->value == 0, {one}));
      }
      return give(std::move(all), scalar_[0], false);
    }
    size_t count = 1;
    bool scalar = true;
    for (size_t i = 0; i < operands_.size(); ++i) {
      scalar = scalar && scalar_[i];
      if (operands_[i]->size() != 1) count = operands_[i]->size();
    }
    const auto at = [&](size_t operand, size_t i) { return (*operands_[operand])[operands_[operand]->size() == 1 ? 0 : i]; };
    Shape dims;
    for (size_t i = 0; i < operands_.size(); ++i) {
      if (operands_[i]->size() != 1 && operands_[i]->size() != count) return false;
      if (dims_[i].size() > dims.size() || operands_[i]->size() == count) dims = dims_[i];
    }
    Expressions all;
    Expressions chosen_by;
    for (size_t i = 0; i < count; ++i) {
      ExpressionPtr one;
      if (op_ == "Where" && operands_.size() == 3) {
        one = at(0, i)->value != 0 ? at(1, i) : at(2, i);
        chosen_by.push_back(at(0, i));
      }
      else if (operands_.size() == 2) one = binary(op_, at(0, i), at(1, i), floating_);
      if (!one) return false;
      all.push_back(std::move(one));
    }
    // Another length might choose the other operand.
    for (const ExpressionPtr& choice : chosen_by) {
      if (choice->kind != Kind::Constant) a_.freeze_lengths(choice, a_.because("its length decides which number is taken", "fold constants (onnxsim) before cutting"));
    }
    return scalar ? give(std::move(all), true, floating_) : give(std::move(all), dims, floating_);
  }

  bool filled() {
    const Expressions& sizes = *operands_[0];
    if (sizes.size() > 1 || (sizes.size() == 1 && sizes[0]->value > static_cast<int64_t>(kMost))) return false;
    if (sizes.size() == 1 && sizes[0]->kind != Kind::Constant && !sizes[0]->axis.is_fixed()) return false;
    int64_t fill = 0;
    if (const Attribute* value = a_.node().find("value")) {
      const auto* stored = std::get_if<StoredTensor>(&value->value);
      if (stored == nullptr || stored->id < 0 || (stored->type != DType::Int64 && stored->type != DType::Int32 && stored->type != DType::Bool)) return false;
      fill = a_.file.tensor_data(stored->id).to_integers().at(0);
    } else {
      return false;  // float zeros
    }
    Expressions all(sizes.empty() ? 1 : static_cast<size_t>(std::max<int64_t>(sizes[0]->value, 0)), made_up(fill));
    return give(std::move(all), sizes.empty(), false);
  }

  bool range() {
    for (const Expressions* operand : operands_) {
      if (operand->size() != 1) return false;
    }
    const int64_t start = operands_[0]->front()->value;
    const int64_t limit = operands_[1]->front()->value;
    const int64_t step = operands_[2]->front()->value;
    if (floating_ || step == 0 || (limit - start) / step > static_cast<int64_t>(kMost)) return false;
    // A range over a cut axis would be shorter: whoever uses the numbers keeps those lengths.
    Expressions all;
    for (int64_t at = start; step > 0 ? at < limit : at > limit; at += step) {
      all.push_back(expression_of(Kind::Other, at, {operands_[0]->front(), operands_[1]->front(), operands_[2]->front()}));
    }
    return give(std::move(all), false, false);
  }

  Analysis& a_;
  const std::string& op_;
  std::vector<Expressions> read_;
  std::vector<const Expressions*> operands_;
  std::vector<bool> scalar_;
  std::vector<Shape> dims_;
  bool floating_ = false;
};

}  // namespace

ExpressionPtr expression_of(Kind kind, int64_t value, std::vector<ExpressionPtr> parts) {
  auto made = std::make_shared<Expression>();
  made->kind = kind;
  made->value = value;
  made->parts = std::move(parts);
  return made;
}

ExpressionPtr constant_number(int64_t value, const Node* node, const std::string& attribute, size_t element) {
  auto made = std::make_shared<Expression>();
  made->kind = Kind::Constant;
  made->value = value;
  made->node = node;
  made->attribute = attribute;
  made->element = static_cast<int64_t>(element);
  return made;
}

ExpressionPtr stored_number(int64_t value, int tensor_id, size_t element) {
  auto made = std::make_shared<Expression>();
  made->kind = Kind::Constant;
  made->value = value;
  made->tensor_id = tensor_id;
  made->element = static_cast<int64_t>(element);
  return made;
}

ExpressionPtr read_by(const ExpressionPtr& stored, const FlatNode& reader) {
  auto made = std::make_shared<Expression>(*stored);
  made->reader = &reader;
  return made;
}

bool is_static(const Expression& expression) {
  if (expression.kind == Kind::Length) return !expression.axis.is_fixed() || expression.axis.stated;
  return std::all_of(expression.parts.begin(), expression.parts.end(), [](const ExpressionPtr& part) { return is_static(*part); });
}

ExpressionPtr length_of(const Axis& axis) {
  auto made = std::make_shared<Expression>();
  made->kind = Kind::Length;
  made->value = axis.length;
  made->axis = axis;
  return made;
}

std::vector<ExpressionPtr> attribute_numbers(const Node& node, const std::string& attribute) {
  const std::vector<int64_t> values = node.integers(attribute);
  std::vector<ExpressionPtr> numbers;
  for (size_t i = 0; i < values.size(); ++i) numbers.push_back(constant_number(values[i], &node, attribute, i));
  return numbers;
}

bool evaluate_integers(Analysis& analysis) { return Evaluator(analysis).run(); }

}  // namespace sparsify
