// Operators that work index by index, with broadcasting.
#include <algorithm>
#include <set>

#include "structure/analysis.h"

namespace sparsify {
namespace {

/// The broadcast operand's own axis for axis `axis` of a result of `rank` axes; -1: it has none or repeats one index.
int own_axis(const LabelledValue& operand, int axis, int rank) {
  const int own = axis - (rank - operand.rank());
  return own < 0 || operand.axes[static_cast<size_t>(own)].length == 1 ? -1 : own;
}

bool is_zero(const LabelledValue& operand, int axis, int rank) {
  if (operand.all_zero) return true;
  const int own = own_axis(operand, axis, rank);
  return own >= 0 && operand.zero[static_cast<size_t>(own)] != 0;
}

std::vector<const LabelledValue*> operands_of(const Analysis& a) {
  std::vector<const LabelledValue*> operands;
  for (size_t i = 0; i < a.flat().inputs.size(); ++i) {
    if (a.has(i)) operands.push_back(&a.in(i));
  }
  return operands;
}

/// 0 op 0 = 0: the result is zero where all operands are.
void add_up(Analysis& a, const std::vector<const LabelledValue*>& operands) {
  LabelledValue result = broadcast(a, operands);
  for (int axis = 0; axis < result.rank(); ++axis) {
    result.zero[static_cast<size_t>(axis)] =
        std::all_of(operands.begin(), operands.end(), [&](const LabelledValue* operand) { return is_zero(*operand, axis, result.rank()); });
  }
  a.out(0, std::move(result));
}

void sum_like(Analysis& a) { add_up(a, operands_of(a)); }

/// A, its scale and zero point, B, its own, those of the result: zero is what its own zero point says.
void quantised_sum(Analysis& a) {
  for (const size_t input : {1, 2, 4, 5, 6, 7}) a.passive(input);
  add_up(a, {&a.in(0), &a.in(3)});
}

/// 0 op x = 0: the result is zero where any operand is.
void multiply(Analysis& a, const std::vector<const LabelledValue*>& operands) {
  LabelledValue result = broadcast(a, operands);
  for (int axis = 0; axis < result.rank(); ++axis) {
    result.zero[static_cast<size_t>(axis)] =
        std::any_of(operands.begin(), operands.end(), [&](const LabelledValue* operand) { return is_zero(*operand, axis, result.rank()); });
  }
  a.out(0, std::move(result));
}

void product_like(Analysis& a) { multiply(a, operands_of(a)); }

void quantised_product(Analysis& a) {
  for (const size_t input : {1, 2, 4, 5, 6, 7}) a.passive(input);
  multiply(a, {&a.in(0), &a.in(3)});
}

/// Comparisons and masks: nothing is known of what zeros become.
void unknown_like(Analysis& a) { a.out(0, broadcast(a, operands_of(a))); }

void choose(Analysis& a, const LabelledValue& x, const LabelledValue& y) {
  LabelledValue result = broadcast(a, {&a.in(0), &x, &y});
  for (int axis = 0; axis < result.rank(); ++axis) {
    result.zero[static_cast<size_t>(axis)] = is_zero(x, axis, result.rank()) && is_zero(y, axis, result.rank());
  }
  a.out(0, std::move(result));
}

void where(Analysis& a) { choose(a, a.in(1), a.in(2)); }

/// The condition, then X and Y with their scales and zero points.
void quantised_where(Analysis& a) {
  for (const size_t input : {2, 3, 5, 6, 7, 8}) a.passive(input);
  choose(a, a.in(1), a.in(4));
}

/// A masked divisor would be 0 / 0: a stored one is cut without being masked, a computed one may not be zero.
void divide(Analysis& a) {
  const LabelledValue& divisor = a.in(1);
  if (divisor.stored >= 0) {
    a.passive(1);
  } else {
    for (size_t axis = 0; axis < divisor.axes.size(); ++axis) {
      if (divisor.zero[axis] != 0) a.labels.freeze(divisor.axes[axis], a.because("a removed channel would be divided by zero in the masked model"));
    }
  }
  LabelledValue result = broadcast(a, {&a.in(0), &divisor});
  for (int axis = 0; axis < result.rank(); ++axis) result.zero[static_cast<size_t>(axis)] = is_zero(a.in(0), axis, result.rank());
  a.out(0, std::move(result));
}

void power(Analysis& a) {
  const std::optional<float> exponent = a.number(1);
  LabelledValue result = broadcast(a, operands_of(a));
  for (int axis = 0; axis < result.rank(); ++axis) {
    const bool zero = is_zero(a.in(0), axis, result.rank());
    result.zero[static_cast<size_t>(axis)] = zero && exponent && *exponent > 0;
    if (zero && !(exponent && *exponent > 0)) {
      a.labels.freeze(result.axes[static_cast<size_t>(axis)], a.because("0 to this power is not known to be finite"));
    }
  }
  a.out(0, std::move(result));
}

LabelledValue same(const Analysis& a) {
  LabelledValue result;
  result.known = true;
  result.axes = a.in(0).axes;
  result.zero = a.in(0).zero;
  return result;
}

/// f(0) = 0
void keeps_zero(Analysis& a) {
  if (a.node().op_type == "Dropout" && a.has(2)) {
    const auto training = a.integers(2);
    if (!training || training->empty() || training->front() != 0) return a.freeze_all("it draws a number for each element: of fewer elements it would draw others", "export the model for inference");
  }
  LabelledValue result = same(a);
  result.all_zero = a.in(0).all_zero;
  a.out(0, result);
  result.zero.assign(result.axes.size(), 0);
  a.out(1, std::move(result));  // Dropout's mask
}

void loses_zero(Analysis& a) {
  LabelledValue result = same(a);
  result.zero.assign(result.axes.size(), 0);
  a.out(0, std::move(result));
}

void quantised_activation(Analysis& a, bool zero_stays) {
  for (const size_t input : {1, 2, 3, 4}) a.passive(input);
  zero_stays ? keeps_zero(a) : loses_zero(a);
}

/// f(0) is infinite or not a number: a masked channel would be NaN further on.
void infinite_at_zero(Analysis& a) {
  LabelledValue result = same(a);
  for (size_t axis = 0; axis < result.axes.size(); ++axis) {
    if (result.zero[axis] != 0) a.labels.freeze(result.axes[axis], a.because("it has no finite value at 0, so that a masked channel has none"));
  }
  result.zero.assign(result.axes.size(), 0);
  a.out(0, std::move(result));
}

/// Zero stays zero if the bounds hold it.
void clip(Analysis& a) {
  const auto bound = [&](const char* attribute, size_t input, float otherwise) -> std::optional<float> {
    if (a.node().find(attribute) != nullptr) return a.node().number(attribute, otherwise);
    return a.has(input) ? a.number(input) : otherwise;
  };
  const std::optional<float> low = bound("min", 1, -1.0F);
  const std::optional<float> high = bound("max", 2, 1.0F);
  a.parameter(1);
  a.parameter(2);
  LabelledValue result = same(a);
  if (!(low && high && *low <= 0 && *high >= 0)) result.zero.assign(result.axes.size(), 0);
  a.out(0, std::move(result));
}

void prelu(Analysis& a) {
  LabelledValue result = broadcast(a, {&a.in(0), &a.in(1)});
  for (int axis = 0; axis < result.rank(); ++axis) result.zero[static_cast<size_t>(axis)] = is_zero(a.in(0), axis, result.rank());
  a.out(0, std::move(result));
}

/// x + y * z
void gated_sum(Analysis& a) {
  const std::vector<const LabelledValue*> operands = {&a.in(0), &a.in(1), &a.in(2)};
  LabelledValue result = broadcast(a, operands);
  const int rank = result.rank();
  for (int axis = 0; axis < rank; ++axis) {
    result.zero[static_cast<size_t>(axis)] = is_zero(a.in(0), axis, rank) && (is_zero(a.in(1), axis, rank) || is_zero(a.in(2), axis, rank));
  }
  a.out(0, std::move(result));
}

/// Opset 1: one bias for each channel in an attribute.
void image_scaler(Analysis& a) {
  if (a.in(0).rank() > 1) a.labels.freeze(a.in(0).axes[1], a.because("its biases of channels are an attribute"));
  loses_zero(a);
}

}  // namespace

bool maps_zero_to_zero(const std::string& activation) {
  static const std::set<std::string> names = {"Relu", "LeakyRelu", "Tanh", "Elu", "Selu", "Gelu", "HardSwish", "Softsign", "Swish", "Mish"};
  return names.contains(activation);
}

LabelledValue broadcast(Analysis& a, const std::vector<const LabelledValue*>& operands) {
  int rank = 0;
  for (const LabelledValue* operand : operands) rank = std::max(rank, operand->rank());
  LabelledValue result;
  result.known = true;
  result.zero.assign(static_cast<size_t>(rank), 0);
  for (int axis = 0; axis < rank; ++axis) {
    Axis merged = a.fixed(1);
    bool any = false;
    for (const LabelledValue* operand : operands) {
      const int own = own_axis(*operand, axis, rank);
      if (own < 0) continue;
      const Axis& next = operand->axes[static_cast<size_t>(own)];
      if (!any) {
        merged = next;
        any = true;
      } else if (next.length == merged.length && next.length >= 0) {
        const bool take = merged.is_fixed() && !next.is_fixed();
        a.labels.unite(merged, next);
        if (take) merged = next;
      } else {
        // A length that is not known, or a probe that does not fit: nothing here is cut.
        a.labels.freeze(merged, a.space());
        a.labels.freeze(next, a.space());
        merged = a.fixed(std::max(merged.length, next.length));
      }
    }
    result.axes.push_back(merged);
  }
  return result;
}

void add_elementwise_rules(RuleTable& table) {
  table["com.microsoft.GatedAdd"] = gated_sum;
  table["ImageScaler"] = image_scaler;
  for (const char* op : {"Add", "Sub", "Sum", "Max", "Min", "Mean", "com.microsoft.BiasAdd"}) table[op] = sum_like;
  for (const char* op : {"Mul", "BitwiseAnd", "And"}) table[op] = product_like;
  for (const char* op : {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Or", "Xor", "BitwiseOr", "BitwiseXor", "BitShift"}) {
    table[op] = unknown_like;
  }
  table["com.microsoft.QLinearAdd"] = quantised_sum;
  table["com.microsoft.QLinearMul"] = quantised_product;
  table["com.microsoft.QLinearWhere"] = quantised_where;
  table["com.microsoft.QLinearLeakyRelu"] = [](Analysis& a) { quantised_activation(a, true); };
  table["com.microsoft.QLinearSigmoid"] = [](Analysis& a) { quantised_activation(a, false); };
  table["Div"] = divide;
  table["Mod"] = divide;
  table["Pow"] = power;
  table["Where"] = where;
  table["Clip"] = clip;
  table["PRelu"] = prelu;
  for (const char* op : {"com.microsoft.BiasGelu", "com.microsoft.FastGelu"}) table[op] = sum_like;
  for (const char* op : {"Relu", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "Erf", "Tanh", "Sin", "Abs", "Neg", "Sqrt", "Identity", "Cast", "CastLike",
                         "Dropout", "HardSwish", "Swish", "Mish", "Softsign", "ThresholdedRelu", "Floor", "Ceil", "Round", "Sign", "Tan", "Asin", "Atan",
                         "Sinh", "Asinh", "Atanh", "Shrink", "Scale", "ScaledTanh", "com.microsoft.Gelu", "com.microsoft.QuickGelu",
                         "com.microsoft.ScaledSiLU"}) {
    table[op] = keeps_zero;
  }
  for (const char* op : {"Sigmoid", "HardSigmoid", "Exp", "Cos", "Cosh", "Acos", "Softplus", "Not", "IsNaN", "IsInf", "BitwiseNot", "Affine", "ParametricSoftplus"}) {
    table[op] = loses_zero;
  }
  for (const char* op : {"Reciprocal", "Log", "Acosh"}) table[op] = infinite_at_zero;
}

}  // namespace sparsify
