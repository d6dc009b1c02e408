// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear: the same values in another type. Masking a quantised weight means
// its zero point, so that zero stays zero through both.
#include <algorithm>

#include "mask/prunable.h"
#include "mask/weight_use.h"
#include "structure/analysis.h"

namespace sparsify {
namespace {

/// The stored tensor whose elements the value is; -1 if a node computes it.
int table_of(const Analysis& a, std::string value) {
  for (auto node = a.graph.nodes.rbegin(); node != a.graph.nodes.rend(); ++node) {
    if (std::find(node->outputs.begin(), node->outputs.end(), value) == node->outputs.end()) continue;
    if (node->inputs.empty() || !only_moves(*node->node)) return -1;
    value = node->inputs[0];
  }
  const auto found = a.values.find(value);
  return found == a.values.end() || found->second.stored < 0 ? -1 : a.graph.tensors[static_cast<size_t>(found->second.stored)].tensor.id;
}

/// The operand of this DequantizeLinear is masked with another integer than the one that stands for 0 here.
bool is_masked_elsewhere(Analysis& a) {
  if (a.is_zero(2)) return false;
  const LabelledValue& x = a.in(0);
  if (x.stored >= 0) return a.in(1).stored < 0;  // without a stored scale: masked with the integer 0
  const int id = table_of(a, a.flat().inputs[0]);
  if (id < 0) return false;
  const int zero_point = a.in(2).stored < 0 ? -1 : a.graph.tensors[static_cast<size_t>(a.in(2).stored)].tensor.id;
  const std::vector<PrunableTensor> tensors = find_tensors(a.file);
  return std::none_of(tensors.begin(), tensors.end(), [&](const PrunableTensor& one) { return one.id == id && one.zero_point_id == zero_point; });
}

void quantize(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const int axis = Analysis::normal(a.node().integer("axis", 1), x.rank());
  for (size_t input : {size_t{1}, size_t{2}}) {
    if (!a.has(input)) continue;
    const LabelledValue& scale = a.in(input);
    a.passive(input);
    if (scale.rank() == 0 || (scale.rank() == 1 && scale.axes[0].length == 1)) continue;
    if (scale.rank() == 1 && axis < x.rank() && scale.axes[0].length == x.axes[static_cast<size_t>(axis)].length) {
      a.labels.unite(scale.axes[0], x.axes[static_cast<size_t>(axis)]);
      continue;
    }
    // Blocks of one scale: a block is no longer one when indices go.
    for (const LabelledValue* value : {&x, &scale}) {
      for (const Axis& one : value->axes) a.labels.freeze(one, a.because("one scale serves a block of indices", "quantise per channel or per tensor"));
    }
  }
  LabelledValue result = with_axes_of(x);
  result.all_zero = x.all_zero;
  if (is_masked_elsewhere(a)) result.zero.assign(result.zero.size(), 0);
  a.out(0, std::move(result));
}

/// The scale comes from the smallest and the largest value, zero included: masked zeros do not move it.
void dynamic_quantize(Analysis& a) {
  const LabelledValue& x = a.in(0);
  for (size_t i = 0; i < x.axes.size(); ++i) {
    if (x.zero[i] == 0) a.labels.freeze(x.axes[i], a.because("its scale depends on channels that are not zero where they were removed"));
  }
  LabelledValue result = with_axes_of(x);
  a.out(0, std::move(result));
  for (size_t output : {size_t{1}, size_t{2}}) {
    LabelledValue scalar;
    scalar.known = true;
    a.out(output, std::move(scalar));
  }
}

}  // namespace

void add_quantization_rules(RuleTable& table) {
  for (const char* op : {"QuantizeLinear", "DequantizeLinear", "com.microsoft.QuantizeLinear", "com.microsoft.DequantizeLinear"}) table[op] = quantize;
  table["DynamicQuantizeLinear"] = dynamic_quantize;
}

}  // namespace sparsify
