// Joining, cutting and repeating: Concat, Split, Slice, Tile, Pad.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/remainder.h>
#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "program/op.h"
#include "program/ops/movement.h"

namespace sparsify {
namespace {

void tile(OpCall& call) {
  std::vector<int64_t> repeats;
  if (call.opset() >= 6) {
    repeats = call.integers(1);
  } else {  // inputs `tiles` and `axis`
    repeats.assign(static_cast<size_t>(rank_of(call, 0)), 1);
    repeats[static_cast<size_t>(normalise_axis(call, call.integer(2), rank_of(call, 0)))] = call.integer(1);
  }
  if (static_cast<int64_t>(repeats.size()) != rank_of(call, 0)) {
    call.fail(fmt::format("{} repeats for {}", repeats.size(), call.value(0).describe()), "check the graph");
  }
  call.set(0, moved(call.value(0), [&repeats](const at::Tensor& x) { return x.repeat(repeats); }));
}

void concat(OpCall& call) {
  std::vector<const Value*> parts;
  for (size_t i = 0; i < call.input_count(); ++i) parts.push_back(&call.value(i));
  const int64_t axis = normalise_axis(call, call.attribute("axis", 1), rank_of(call, 0));
  call.set(0, moved(parts, [axis](const std::vector<at::Tensor>& tensors) { return at::cat(tensors, axis); }));
}

std::vector<int64_t> split_sizes(const OpCall& call, int64_t total) {
  std::vector<int64_t> sizes = call.has(1) ? call.integers(1) : call.attribute_integers("split");
  if (!sizes.empty()) {
    if (std::accumulate(sizes.begin(), sizes.end(), int64_t{0}) != total) {
      call.fail(fmt::format("the parts {} do not add up to {}", to_text(sizes), total), "check the graph");
    }
    return sizes;
  }
  const int64_t parts = call.attribute("num_outputs", static_cast<int64_t>(call.output_count()));
  const int64_t part = (total + parts - 1) / parts;
  for (int64_t i = 0; i < parts; ++i) sizes.push_back(std::clamp<int64_t>(total - i * part, 0, part));
  return sizes;
}

void split(OpCall& call) {
  const Shape shape = shape_of(call, 0);
  const int64_t axis = normalise_axis(call, call.attribute("axis", 0), static_cast<int64_t>(shape.size()));
  int64_t first = 0;
  size_t output = 0;
  for (const int64_t size : split_sizes(call, shape[static_cast<size_t>(axis)])) {
    call.set(output++, moved(call.value(0), [&](const at::Tensor& x) { return x.narrow(axis, first, size); }));
    first += size;
  }
}

/// One axis of a Slice, by the rules of numpy; bounds far outside (INT_MAX, INT_MIN) mean "to the end".
at::Tensor sliced(const at::Tensor& x, int64_t axis, int64_t start, int64_t end, int64_t step) {
  const int64_t size = x.size(axis);
  // Going backwards, exporters write "to the end" as the largest integer too; ONNX Runtime takes it so.
  if (step < 0 && (end == std::numeric_limits<int64_t>::max() || end == std::numeric_limits<int32_t>::max())) {
    end = std::numeric_limits<int64_t>::min() / 2;
  }
  step = std::clamp(step, -size - 1, size + 1);
  const int64_t low = step > 0 ? 0 : -1;
  const int64_t high = step > 0 ? size : size - 1;
  start = std::clamp(start < 0 ? start + size : start, step > 0 ? 0 : std::min<int64_t>(0, high), std::max<int64_t>(high, 0));
  end = std::clamp(end < 0 ? end + size : end, low, std::max(high, low));
  if (step > 0) return x.slice(axis, start, std::max(start, end), step);
  const int64_t count = end < start && size > 0 ? (start - end - step - 1) / -step : 0;
  if (count == 0) return x.narrow(axis, 0, 0);
  return x.slice(axis, start + (count - 1) * step, start + 1, -step).flip({axis});
}

void slice(OpCall& call) {
  const bool by_inputs = call.opset() >= 10;
  const std::vector<int64_t> starts = by_inputs ? call.integers(1) : call.attribute_integers("starts");
  const std::vector<int64_t> ends = by_inputs ? call.integers(2) : call.attribute_integers("ends");
  std::vector<int64_t> axes(starts.size());
  std::iota(axes.begin(), axes.end(), 0);
  if (const auto given = call.axes_from("axes", 3); given && !given->empty()) axes = *given;
  std::vector<int64_t> steps(starts.size(), 1);
  if (call.has(4)) steps = call.integers(4);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size()) {
    call.fail(fmt::format("{} starts, {} ends, {} axes and {} steps", starts.size(), ends.size(), axes.size(), steps.size()),
              "give one of each for every axis");
  }
  if (std::find(steps.begin(), steps.end(), 0) != steps.end()) call.fail("a step is 0", "use a step other than 0");
  axes = normalise_axes(call, axes, rank_of(call, 0));
  call.set(0, moved(call.value(0), [&](at::Tensor x) {
    for (size_t i = 0; i < axes.size(); ++i) x = sliced(x, axes[i], starts[i], ends[i], steps[i]);
    return x;
  }));
}

/// Where element `i - before` of an axis comes from when the axis continues beyond its ends.
at::Tensor border_sources(const std::string& mode, int64_t size, int64_t before, int64_t after, at::Device device) {
  const at::Tensor at = at::arange(-before, size + after, at::TensorOptions(at::kLong).device(device));
  if (mode == "edge") return at.clamp(0, size - 1);
  if (mode == "wrap") return at::remainder(at, size);
  if (size == 1) return at.clamp(0, 0);
  const at::Tensor folded = at::remainder(at, 2 * (size - 1));  // reflect: 0 1 2 1 0 1 2 ...
  return (size - 1) - ((size - 1) - folded).abs();
}

struct AxisPad {
  int64_t before = 0;
  int64_t after = 0;
};

std::vector<AxisPad> axis_pads(const OpCall& call, int64_t rank) {
  const bool by_inputs = call.opset() >= 11 || !call.node().domain.empty();  // com.microsoft counts its versions from 1
  const std::vector<int64_t> pads = by_inputs ? call.integers(1) : call.attribute_integers(call.opset() == 1 ? "paddings" : "pads");
  std::vector<int64_t> axes(static_cast<size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  if (call.has(3)) axes = normalise_axes(call, call.integers(3), rank);
  if (pads.size() != 2 * axes.size()) {
    call.fail(fmt::format("{} pads for {} axes", pads.size(), axes.size()), "give two pads for each axis");
  }
  std::vector<AxisPad> result(static_cast<size_t>(rank));
  for (size_t i = 0; i < axes.size(); ++i) result[static_cast<size_t>(axes[i])] = {pads[i], pads[axes.size() + i]};
  return result;
}

at::Tensor padded_with(const at::Tensor& x, const std::vector<AxisPad>& pads, const at::Scalar& value) {
  std::vector<int64_t> reversed;  // LibTorch counts from the last axis
  for (auto pad = pads.rbegin(); pad != pads.rend(); ++pad) {
    reversed.push_back(pad->before);
    reversed.push_back(pad->after);
  }
  return at::constant_pad_nd(x, reversed, value);
}

at::Tensor continued(const OpCall& call, at::Tensor x, const std::vector<AxisPad>& pads, const std::string& mode) {
  for (size_t i = 0; i < pads.size(); ++i) {
    const auto axis = static_cast<int64_t>(i);
    const auto [before, after] = pads[i];
    if (before == 0 && after == 0) continue;
    const int64_t first = std::max<int64_t>(0, -before);
    const int64_t last = x.size(axis) - std::max<int64_t>(0, -after);
    x = x.narrow(axis, first, std::max<int64_t>(0, last - first));  // negative pads cut first
    if (before <= 0 && after <= 0) continue;
    if (x.size(axis) == 0) {
      call.fail(fmt::format("axis {} is empty: nothing to continue with mode \"{}\"", axis, mode), "check the graph");
    }
    x = x.index_select(axis, border_sources(mode, x.size(axis), std::max<int64_t>(0, before),
                                            std::max<int64_t>(0, after), x.device()));
  }
  return x;
}

void pad(OpCall& call) {
  const std::string mode = call.attribute_text("mode", "constant");
  const std::vector<AxisPad> pads = axis_pads(call, rank_of(call, 0));
  if (mode != "constant") {
    call.set(0, moved(call.value(0), [&](const at::Tensor& x) { return continued(call, x, pads, mode); }));
    return;
  }
  if (call.value(0).is_strings()) {
    const Value fill = call.has(2) ? call.value(2) : Value::of_strings(HostTensor::of_strings({}, {""}));
    call.set(0, moved({&call.value(0), &fill}, [&](const std::vector<at::Tensor>& x) {
      return padded_with(x[0], pads, x[1].item());
    }));
    return;
  }
  const at::Scalar fill = call.has(2) ? call.tensor(2).item() : at::Scalar(call.attribute_number("value", 0));
  const at::Tensor& x = call.tensor(0);
  const bool narrow = c10::isFloat8Type(x.scalar_type());  // float32 holds every float8 value
  call.set_like_input(0, padded_with(narrow ? x.to(at::kFloat) : x, pads, fill).to(x.scalar_type()));
}

const RegisterOps entries{
    {.name = "Tile", .function = tile, .shape_inputs = input_bits({1, 2})},
    {.name = "Concat", .function = concat},
    {.name = "Split", .function = split, .shape_inputs = input_bits({1})},
    {.name = "Slice", .function = slice, .shape_inputs = input_bits({1, 2, 3, 4})},
    {.name = "Pad", .function = pad, .gradient = Gradient::Some, .shape_inputs = input_bits({1, 3}),
     .notes = "no gradient to constant_value"},
    {.name = "Pad", .function = pad, .gradient = Gradient::Some, .shape_inputs = input_bits({1}), .notes = "no gradient to value",
     .domain = "com.microsoft"},
};

}  // namespace
}  // namespace sparsify
