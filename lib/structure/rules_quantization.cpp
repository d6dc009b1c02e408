// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear: the same values in another type. Masking a quantised weight means
// its zero point, so that zero stays zero through both.
#include "structure/analysis.h"

namespace sparsify {
namespace {

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
  // Stored integers are masked with their zero point where the scale is stored too, else with the integer 0.
  if (x.stored >= 0 && a.in(1).stored < 0 && !a.is_zero(2)) result.zero.assign(result.zero.size(), 0);
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
