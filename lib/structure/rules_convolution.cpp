// Conv and ConvTranspose, grouped and depthwise.
#include <algorithm>
#include <cstdint>

#include "structure/analysis.h"

namespace sparsify {
namespace {

/// Length of a sliding window's result along one axis of space; -1: not known.
int64_t slid_length(const Node& node, int64_t length, size_t space, int64_t kernel, bool transposed) {
  const auto at = [&](const char* name, size_t i, int64_t otherwise) {
    const std::vector<int64_t> list = node.integers(name);
    return i < list.size() ? list[i] : otherwise;
  };
  if (length < 0 || kernel < 1) return -1;
  const int64_t stride = at("strides", space, 1);
  const int64_t window = (kernel - 1) * at("dilations", space, 1) + 1;
  const size_t axes = node.integers("pads").size() / 2;
  const std::string automatic = node.text("auto_pad", "NOTSET");
  if (automatic.starts_with("SAME")) return transposed ? length * stride : (length + stride - 1) / stride;
  const int64_t pads = automatic == "VALID" || axes == 0 ? 0 : at("pads", space, 0) + at("pads", space + axes, 0);
  if (transposed) {
    if (node.find("output_shape") != nullptr) return at("output_shape", space, -1);
    return (length - 1) * stride + at("output_padding", space, 0) + window - pads;
  }
  const int64_t room = length + pads - window;
  const bool up = node.integer("ceil_mode", 0) != 0;
  return room < 0 ? -1 : (room + (up ? stride - 1 : 0)) / stride + 1;
}

LabelledValue with_channels(Analysis& a, const LabelledValue& x, const Axis& channels, bool zero, const std::vector<int64_t>& kernel, bool transposed = false) {
  LabelledValue result;
  result.known = true;
  result.axes = {x.axes[0], channels};
  for (int axis = 2; axis < x.rank(); ++axis) {
    a.labels.freeze(x.axes[static_cast<size_t>(axis)], a.because("it slides over this axis"));
    const auto space = static_cast<size_t>(axis) - 2;
    result.axes.push_back(a.fixed(slid_length(a.node(), x.axes[static_cast<size_t>(axis)].length, space, space < kernel.size() ? kernel[space] : -1, transposed)));
  }
  result.zero.assign(result.axes.size(), 0);
  result.zero[0] = x.zero[0];
  result.zero[1] = zero;
  return result;
}

/// x's channels are (groups, inputs a group), the result's (groups, outputs a group). One of the two weight axes holds all
/// groups (Conv: outputs; ConvTranspose: inputs), the other is per group. Returns the result's channels.
Axis connect(Analysis& a, const Axis& channels, const Axis& weight_inputs, const Axis& weight_outputs, int64_t groups, bool transposed) {
  if (groups == 1) {
    a.labels.unite(channels, weight_inputs);
    return weight_outputs;
  }
  const int64_t inputs = channels.length / groups;
  const auto [channel_groups, channel_inputs] = a.labels.split(channels, groups, inputs);
  Axis result;
  if (transposed) {
    // ConvTranspose [groups * inputs, outputs]
    a.labels.unite(channels, weight_inputs);
    result = a.labels.join(channel_groups, weight_outputs);
  } else {
    // Conv [groups * outputs, inputs]
    const int64_t outputs = weight_outputs.length / groups;
    const auto [output_groups, output_rest] = a.labels.split(weight_outputs, groups, outputs);
    a.labels.unite(channel_groups, output_groups);
    a.labels.unite(channel_inputs, weight_inputs);
    result = weight_outputs;
  }
  a.count_attribute("group", groups, channel_groups);
  return result;
}

/// Which inputs are what; integer convolutions have scales and zero points among them.
struct Operands {
  bool transposed = false;
  size_t weight = 1;
  size_t bias = 2;
  std::vector<size_t> per_output{};  ///< scales and zero points of the weight: one, or one a channel
  std::vector<size_t> scalars{};     ///< those of the operand and the result
  size_t zero_point = SIZE_MAX;      ///< of the weight
};

void convolution(Analysis& a, const Operands& is) {
  const bool transposed = is.transposed;
  const LabelledValue& x = a.in(0);
  LabelledValue weight = a.in(is.weight);
  // A masked weight holds its zero point, which must be stored for that.
  if (a.has(is.zero_point) && a.in(is.zero_point).stored < 0) weight.zero.assign(weight.zero.size(), 0);
  const int64_t groups = a.node().integer("group", 1);
  const size_t input_axis = transposed ? 0 : 1;
  const size_t output_axis = 1 - input_axis;
  const bool fits = x.rank() >= 3 && weight.rank() == x.rank() && x.axes[1].length > 0 && groups > 0 && x.axes[1].length % groups == 0 &&
                    weight.axes[input_axis].length == (transposed ? x.axes[1].length : x.axes[1].length / groups);
  if (!fits) return a.freeze_all("its operands' shapes are not known before run time", "export with static shapes");
  for (int axis = 2; axis < weight.rank(); ++axis) a.labels.freeze(weight.axes[static_cast<size_t>(axis)], a.space());
  // Contribution of a removed input: its weights are masked, or the input itself is zero.
  if (weight.zero[input_axis] == 0 && x.zero[1] == 0) {
    a.labels.freeze(x.axes[1], a.because("it sums over channels that are not zero where they were removed"));
  }
  const Axis channels = connect(a, x.axes[1], weight.axes[input_axis], weight.axes[output_axis], groups, transposed);
  bool zero = weight.zero[output_axis] != 0;
  if (a.has(is.bias) && a.in(is.bias).rank() == 1) {
    if (a.in(is.bias).axes[0].length == channels.length) a.labels.unite(a.in(is.bias).axes[0], channels);
    zero = zero && a.in(is.bias).zero[0] != 0;
  }
  for (const size_t input : is.per_output) {
    if (!a.has(input)) continue;
    a.passive(input);
    if (a.in(input).rank() == 1 && a.in(input).axes[0].length == channels.length) a.labels.unite(a.in(input).axes[0], channels);
  }
  for (const size_t input : is.scalars) a.passive(input);
  std::vector<int64_t> kernel;
  for (int axis = 2; axis < weight.rank(); ++axis) kernel.push_back(weight.axes[static_cast<size_t>(axis)].length);
  const bool fused = a.node().op_type == "FusedConv";  // + Z, then an activation
  if (fused && a.has(3)) {
    const LabelledValue& sum = a.in(3);
    if (sum.rank() != x.rank() || sum.axes[1].length != channels.length) return a.freeze_all("what it adds has another shape", "export without fusion");
    a.labels.unite(sum.axes[1], channels);
    zero = zero && sum.zero[1] != 0;
  }
  const std::string activation = a.node().text("activation", "");
  if (fused && !activation.empty()) zero = zero && maps_zero_to_zero(activation);
  LabelledValue result = with_channels(a, x, channels, zero, kernel, transposed);
  if (a.has(is.bias)) result.zero[0] = 0;
  a.out(0, std::move(result));
}

/// Where each tap looks is computed in inputs 2 (offsets) and 4 (their weights), which have no channels of x.
void deformable(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const LabelledValue& weight = a.in(1);
  const bool fits = x.rank() == 4 && weight.rank() == 4 && x.axes[1].length == weight.axes[1].length && a.node().integer("group", 1) == 1 &&
                    a.node().integer("offset_group", 1) == 1;
  if (!fits) return a.freeze_all("its channels come in groups that offsets belong to", "exclude these layers");
  for (const size_t input : {size_t{2}, size_t{4}}) {
    for (const Axis& axis : a.in(input).axes) a.labels.freeze(axis, a.because("it gives places to look at, a number for each tap"));
  }
  a.hold_others(0, {1});
  a.hold_others(1, {0, 1});
  a.labels.unite(x.axes[1], weight.axes[1]);
  if (weight.zero[1] == 0 && x.zero[1] == 0) a.labels.freeze(x.axes[1], a.because("it sums over channels that are not zero where they were removed"));
  bool zero = weight.zero[0] != 0;
  if (a.has(3)) {
    a.labels.unite(a.in(3).axes.at(0), weight.axes[0]);
    zero = zero && a.in(3).zero.at(0) != 0;
  }
  a.out(0, with_channels(a, x, weight.axes[0], zero, {weight.axes[2].length, weight.axes[3].length}));
}

void pool(Analysis& a) {
  const LabelledValue& x = a.in(0);
  if (x.rank() < 3) return a.freeze_all("its operand has fewer than three axes", "export the model again");
  LabelledValue result = with_channels(a, x, x.axes[1], x.zero[1] != 0, a.node().integers("kernel_shape"));
  const bool global = a.node().op_type.find("Global") != std::string::npos;
  if (global) {
    for (size_t axis = 2; axis < result.axes.size(); ++axis) result.axes[axis] = a.fixed(1);
  }
  a.out(0, result);
  if (a.flat().outputs.size() > 1 && !a.flat().outputs[1].empty()) {
    a.labels.freeze(x.axes[1], a.because("its indices of maxima count through all channels", "remove the Indices output"));
    result.axes[1] = a.fixed(x.axes[1].length);
    result.zero.assign(result.axes.size(), 0);
    a.out(1, std::move(result));
  }
}

/// X and its scale and zero point, those of the result.
void quantised_pool(Analysis& a) {
  for (const size_t input : {1, 2, 3, 4}) a.passive(input);
  if (a.node().integer("channels_last", 0) != 0) return a.freeze_all("its channels lie last", "cut the model before ONNX Runtime's optimiser orders it");
  pool(a);
}

/// Interpolation of space; channels pass.
void resize(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const bool upsample = a.node().op_type == "Upsample";
  const size_t scales_input = upsample || a.flat().inputs.size() == 2 ? 1 : 2;
  const std::vector<ExpressionPtr>* sizes = a.has(3) ? a.parameter(3) : nullptr;
  std::vector<float> scales = a.has(scales_input) ? a.numbers(scales_input) : std::vector<float>{};
  if (const Attribute* stated = a.node().find("scales")) {
    if (const auto* list = std::get_if<std::vector<float>>(&stated->value)) scales = *list;
  }
  const LabelledValue expected = a.inferred(0);
  for (const size_t input : {size_t{1}, size_t{2}, size_t{3}}) a.hold_others(input, {});
  std::vector<int64_t> axes = a.node().integers("axes");
  if (axes.empty()) {
    for (int i = 0; i < x.rank(); ++i) axes.push_back(i);
  }
  LabelledValue result = with_axes_of(x);
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto at = static_cast<size_t>(Analysis::normal(axes[i], x.rank()));
    const Axis axis = x.axes.at(at);
    int64_t length = -1;
    if (sizes != nullptr && i < sizes->size()) length = (*sizes)[i]->value;
    else if (i < scales.size() && axis.length >= 0) length = static_cast<int64_t>(static_cast<float>(axis.length) * scales[i]);
    else if (expected.known && expected.rank() == x.rank()) length = expected.axes[at].length;
    if (axis.is_fixed() || length != axis.length) {
      if (!axis.is_fixed()) a.labels.freeze(axis, a.because("it resizes this axis"));
      result.axes[at] = a.fixed(length);
      result.zero[at] = 0;
    } else if (a.has(3)) {
      if (sizes != nullptr) a.bind((*sizes)[i], axis);
      else a.labels.freeze(axis, a.because("its size is computed at run time"));
    }
  }
  a.out(0, std::move(result));
}

}  // namespace

void add_convolution_rules(RuleTable& table) {
  table["Conv"] = [](Analysis& a) { convolution(a, {}); };
  table["ConvInteger"] = [](Analysis& a) { convolution(a, {.bias = SIZE_MAX, .per_output = {3}, .scalars = {2}, .zero_point = 3}); };
  table["QLinearConv"] = [](Analysis& a) {
    convolution(a, {.weight = 3, .bias = 8, .per_output = {4, 5}, .scalars = {1, 2, 6, 7}, .zero_point = 5});
  };
  table["com.microsoft.QLinearConv"] = [](Analysis& a) {
    if (a.node().integer("channels_last", 0) != 0) return a.freeze_all("its channels lie last", "cut the model before ONNX Runtime's optimiser orders it");
    convolution(a, {.weight = 3, .bias = 8, .per_output = {4, 5}, .scalars = {1, 2, 6, 7}, .zero_point = 5});
  };
  table["com.microsoft.QLinearAveragePool"] = quantised_pool;
  table["com.microsoft.QLinearGlobalAveragePool"] = quantised_pool;
  table["com.microsoft.FusedConv"] = table["Conv"];
  table["DeformConv"] = deformable;
  table["ConvTranspose"] = [](Analysis& a) { convolution(a, {.transposed = true}); };
  for (const char* op : {"MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"}) table[op] = pool;
  table["Resize"] = resize;
  table["Upsample"] = resize;
}

}  // namespace sparsify
