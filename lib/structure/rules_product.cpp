// MatMul, Gemm, Einsum: axes by letters.
#include <algorithm>
#include <map>

#include "structure/analysis.h"

namespace sparsify {
namespace {

/// Operands and result as einsum terms; letters that the result lacks are summed over.
struct Product {
  std::vector<const LabelledValue*> operands;
  std::vector<std::string> terms;
  std::string result;
};

bool is_zero(const Product& product, size_t operand, char letter) {
  const size_t axis = product.terms[operand].find(letter);
  return axis != std::string::npos && product.operands[operand]->axes[axis].length != 1 && product.operands[operand]->zero[axis] != 0;
}

/// A summed index may go if what it adds is exactly zero in the masked model.
LabelledValue contract(Analysis& a, const Product& product) {
  std::map<char, Axis> axes;
  for (size_t i = 0; i < product.terms.size(); ++i) {
    for (size_t at = 0; at < product.terms[i].size(); ++at) {
      const Axis& next = product.operands[i]->axes[at];
      const auto [known, fresh] = axes.try_emplace(product.terms[i][at], next);
      if (fresh) continue;
      if (known->second.length == 1) {
        known->second = next;
      } else if (next.length == known->second.length && next.length >= 0) {
        a.labels.unite(known->second, next);
        if (known->second.is_fixed()) known->second = next;
      } else if (next.length != 1) {
        a.labels.freeze(known->second, a.space());
        a.labels.freeze(next, a.space());
        known->second = a.fixed(-1);
      }
    }
  }
  const auto any_zero = [&](char letter) {
    for (size_t i = 0; i < product.terms.size(); ++i) {
      if (is_zero(product, i, letter)) return true;
    }
    return false;
  };
  LabelledValue value;
  value.known = true;
  for (const char letter : product.result) {
    value.axes.push_back(axes[letter]);
    value.zero.push_back(any_zero(letter));
  }
  for (const auto& [letter, axis] : axes) {
    if (axis.is_fixed() || product.result.find(letter) != std::string::npos || any_zero(letter)) continue;
    a.labels.freeze(axis, a.because("it sums over this axis, where removed channels are not zero",
                                    "an activation that maps 0 to 0 in front of it (Relu, Gelu, Tanh)"));
  }
  // Independent parts of a product of two activations: heads.
  const bool activations = product.operands.size() == 2 && product.operands[0]->stored < 0 && product.operands[1]->stored < 0;
  for (const auto& [letter, axis] : axes) {
    const bool everywhere = std::all_of(product.terms.begin(), product.terms.end(), [&](const std::string& term) {
      const size_t at = term.find(letter);
      return at != std::string::npos && product.operands[static_cast<size_t>(&term - product.terms.data())]->axes[at].length != 1;
    });
    if (activations && everywhere && product.result.find(letter) != std::string::npos) a.mark_heads(axis);
  }
  return value;
}

/// Batch axes from the right take letters A, B, ...
std::string batch_letters(int count, int most) {
  std::string letters;
  for (int i = 0; i < count; ++i) letters += static_cast<char>('A' + (most - count) + i);
  return letters;
}

LabelledValue matrix_product(Analysis& a, const LabelledValue& x, const LabelledValue& y, bool transpose_x, bool transpose_y) {
  const int most = std::max({x.rank(), y.rank(), 2}) - 2;
  const auto term = [&](const LabelledValue& operand, const std::string& matrix, char vector) {
    return operand.rank() == 1 ? std::string{vector} : batch_letters(operand.rank() - 2, most) + matrix;
  };
  Product product;
  product.operands = {&x, &y};
  product.terms = {term(x, transpose_x ? "km" : "mk", 'k'), term(y, transpose_y ? "nk" : "kn", 'k')};
  product.result = batch_letters(most, most);
  if (x.rank() > 1) product.result += "m";
  if (y.rank() > 1) product.result += "n";
  return contract(a, product);
}

void matmul(Analysis& a) {
  const Node& node = a.node();
  if (node.integer("transBatchA", 0) != 0 || node.integer("transBatchB", 0) != 0) {
    return a.freeze_all("it moves batch axes in a way no rule covers", "exclude these layers");
  }
  a.out(0, matrix_product(a, a.in(0), a.in(1), node.integer("transA", 0) != 0, node.integer("transB", 0) != 0));
}

void unite_vector(Analysis& a, size_t input, const Axis& axis) {
  if (!a.has(input) || a.in(input).axes.empty()) return;
  const Axis& own = a.in(input).axes.back();
  if (own.length == axis.length) a.labels.unite(own, axis);
}

/// The bias of a product, along its columns: the result is zero where both are.
void add_bias(Analysis& a, LabelledValue& product, size_t bias) {
  if (!a.has(bias)) return;
  const std::vector<char> zero = product.zero;
  product.axes = broadcast(a, {&product, &a.in(bias)}).axes;
  product.zero.assign(zero.size(), 0);
  const LabelledValue& added = a.in(bias);
  if (added.rank() > 0 && added.axes.back().length != 1) product.zero.back() = zero.back() != 0 && added.zero.back() != 0;
}

/// Zero points and scales along the rows of the first operand or the columns of the second are cut, not masked.
void integer_product(Analysis& a, size_t second, const std::vector<size_t>& rows, const std::vector<size_t>& columns, size_t zero_point,
                     size_t bias = SIZE_MAX) {
  LabelledValue weight = a.in(second);
  // A masked weight holds its zero point, which must be stored for that.
  if (a.has(zero_point) && a.in(zero_point).stored < 0) weight.zero.assign(weight.zero.size(), 0);
  LabelledValue result = matrix_product(a, a.in(0), weight, a.node().integer("transA", 0) != 0, a.node().integer("transB", 0) != 0);
  const auto along = [&](const std::vector<size_t>& inputs, int axis) {
    for (const size_t input : inputs) {
      if (!a.has(input)) continue;
      a.passive(input);
      if (axis >= 0) unite_vector(a, input, result.axes[static_cast<size_t>(axis)]);
    }
  };
  along(rows, result.rank() - 2);
  along(columns, result.rank() - 1);
  add_bias(a, result, bias);
  a.out(0, std::move(result));
}

/// A scale of the activation that comes from its smallest and largest value: masked zeros do not move it, other values do.
void keep_range(Analysis& a) {
  const LabelledValue& x = a.in(0);
  for (size_t i = 0; i < x.axes.size(); ++i) {
    if (x.zero[i] == 0) a.labels.freeze(x.axes[i], a.because("its scale depends on channels that are not zero where they were removed"));
  }
}

void gemm(Analysis& a) {
  const bool transpose_a = a.node().integer("transA", 0) != 0;
  const bool transpose_b = a.node().integer("transB", 0) != 0;
  if (a.in(0).rank() != 2 || a.in(1).rank() != 2) return a.freeze_all("an operand is no matrix", "export the model again");
  LabelledValue product = matrix_product(a, a.in(0), a.in(1), transpose_a, transpose_b);
  if (a.has(2)) {
    const LabelledValue& bias = a.in(2);
    const std::vector<char> zero = product.zero;
    const LabelledValue sum = broadcast(a, {&product, &bias});
    product.axes = sum.axes;
    for (size_t axis = 0; axis < 2; ++axis) {
      const int own = static_cast<int>(axis) - (2 - bias.rank());
      const bool bias_zero = own >= 0 && bias.axes[static_cast<size_t>(own)].length != 1 && bias.zero[static_cast<size_t>(own)] != 0;
      product.zero[axis] = zero[axis] != 0 && bias_zero;
    }
  }
  // FusedGemm ends in an activation.
  const std::string activation = a.node().text("activation", "");
  if (!activation.empty() && !maps_zero_to_zero(activation)) product.zero.assign(product.zero.size(), 0);
  a.out(0, std::move(product));
}

void einsum(Analysis& a) {
  std::string equation = a.node().text("equation", "");
  std::erase(equation, ' ');
  const size_t arrow = equation.find("->");
  if (arrow == std::string::npos || equation.find('.') != std::string::npos) {
    return a.freeze_all("its equation has no explicit result or an ellipsis", "write the equation out");
  }
  Product product;
  product.terms.emplace_back();
  for (const char c : equation.substr(0, arrow)) {
    if (c == ',') product.terms.emplace_back();
    else product.terms.back() += c;
  }
  product.result = equation.substr(arrow + 2);
  for (size_t i = 0; i < product.terms.size(); ++i) {
    std::string sorted = product.terms[i];
    std::sort(sorted.begin(), sorted.end());
    const bool diagonal = std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
    if (diagonal || !a.has(i) || static_cast<size_t>(a.in(i).rank()) != product.terms[i].size()) {
      return a.freeze_all("its equation takes a diagonal", "exclude these layers");
    }
    product.operands.push_back(&a.in(i));
  }
  a.out(0, contract(a, product));
}

}  // namespace

void add_product_rules(RuleTable& table) {
  table["MatMul"] = matmul;
  table["com.microsoft.FusedMatMul"] = matmul;
  table["com.microsoft.TransposeMatMul"] = matmul;
  table["com.microsoft.MatMulInteger16"] = matmul;
  table["Gemm"] = gemm;
  table["com.microsoft.FusedGemm"] = gemm;
  table["MatMulInteger"] = [](Analysis& a) { integer_product(a, 1, {2}, {3}, 3); };
  table["QLinearMatMul"] = [](Analysis& a) { integer_product(a, 3, {1, 2, 6, 7}, {4, 5}, 5); };
  table["com.microsoft.QGemm"] = [](Analysis& a) { integer_product(a, 3, {1, 2, 7, 8}, {4, 5}, 5, 6); };
  table["com.microsoft.MatMulIntegerToFloat"] = [](Analysis& a) { integer_product(a, 1, {2, 4}, {3, 5}, 5, 6); };
  table["com.microsoft.DynamicQuantizeMatMul"] = [](Analysis& a) {
    keep_range(a);
    integer_product(a, 1, {}, {2, 3}, 3, 4);
  };
  table["Einsum"] = einsum;
}

}  // namespace sparsify
