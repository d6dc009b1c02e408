// Concat, Split, Slice, Pad, Expand, Tile, Gather with known indices: lists of indices joined, cut, repeated.
#include <fmt/core.h>

#include <algorithm>

#include "structure/analysis.h"

namespace sparsify {
namespace {

Axis part(const Axis& axis, int64_t first, int64_t last) {
  if (axis.is_fixed()) return {last - first, nullptr, axis.anchor};
  return axis_of({axis.labels->begin() + first, axis.labels->begin() + last});
}

void concat(Analysis& a) {
  std::vector<const LabelledValue*> parts;
  for (size_t i = 0; i < a.flat().inputs.size(); ++i) parts.push_back(&a.in(i));
  concatenate(a, parts);
}

/// Scale and zero point of the result, then a tensor, its scale and its zero point for each part.
void quantised_concat(Analysis& a) {
  std::vector<const LabelledValue*> parts;
  for (size_t i = 0; i < a.flat().inputs.size(); ++i) {
    if (i >= 2 && i % 3 == 2) parts.push_back(&a.in(i));
    else a.passive(i);
  }
  if (parts.empty()) return a.freeze_all("it joins nothing", "export the model again");
  concatenate(a, parts);
}

void split(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const auto at = static_cast<size_t>(Analysis::normal(a.node().integer("axis", 0), x.rank()));
  const Axis axis = x.axes.at(at);
  const size_t parts = a.flat().outputs.size();
  std::vector<ExpressionPtr> sizes;
  if (a.has(1)) {
    if (const std::vector<ExpressionPtr>* given = a.parameter(1)) sizes = *given;
  } else {
    sizes = attribute_numbers(a.node(), "split");
  }
  if ((a.has(1) && sizes.empty()) || axis.length < 0 || (!sizes.empty() && sizes.size() != parts)) {
    return a.freeze_all("the sizes of its parts are computed at run time", "export with constant sizes");
  }
  std::vector<int64_t> lengths;
  for (const ExpressionPtr& size : sizes) lengths.push_back(size->value);
  if (sizes.empty()) {
    // Equal parts: the same number must remain in each; the last one may be smaller to begin with.
    const auto count = static_cast<int64_t>(parts);
    const int64_t each = (axis.length + count - 1) / count;
    for (int64_t i = 0; i < count; ++i) lengths.push_back(std::min(each, axis.length - i * each));
    if (axis.length % count == 0) {
      for (int64_t i = 1; i < count; ++i) a.labels.unite(part(axis, 0, each), part(axis, i * each, (i + 1) * each));
    } else {
      a.labels.freeze(axis, a.because("its parts are of unequal, unstated sizes"));
    }
  }
  int64_t first = 0;
  for (size_t i = 0; i < parts; ++i) {
    LabelledValue result = with_axes_of(x);
    result.all_zero = x.all_zero;
    const int64_t last = first + lengths[i];
    if (last > axis.length || lengths[i] < 0) return a.freeze_all("its parts do not fit its operand", "export the model again");
    result.axes[at] = part(axis, first, last);
    if (!sizes.empty() && !axis.is_fixed()) {
      a.count(sizes[i], axis, first, last, 1, a.has(1) ? 1 : -1, static_cast<int64_t>(i));
    }
    first = last;
    a.out(i, std::move(result));
  }
}

/// The bound of a slice along a labelled axis must move with what goes in front of it.
void bind_bound(Analysis& a, const ExpressionPtr& bound, const Axis& axis, size_t input, size_t element) {
  using Kind = Expression::Kind;
  const int64_t value = bound->value;
  const bool constant = bound->kind == Kind::Constant;
  if (constant && (value == 0 || value > axis.length || value < -axis.length)) return;  // the end, wherever it is
  if (bound->kind == Kind::Length && value == axis.length) return a.labels.unite(bound->axis, axis);
  const int place = a.has(input) ? static_cast<int>(input) : -1;
  if (value >= 0) a.count(bound, axis, 0, std::min(value, axis.length), 1, place, static_cast<int64_t>(element));
  else a.count(bound, axis, std::max<int64_t>(0, axis.length + value), axis.length, -1, place, static_cast<int64_t>(element));
}

void slice(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const auto listed = [&](const char* attribute, size_t input) -> std::optional<std::vector<ExpressionPtr>> {
    if (a.node().find(attribute) != nullptr) return attribute_numbers(a.node(), attribute);
    if (!a.has(input)) return std::nullopt;
    const std::vector<ExpressionPtr>* given = a.parameter(input);
    return given == nullptr ? std::nullopt : std::optional(*given);
  };
  const auto starts = listed("starts", 1);
  const auto ends = listed("ends", 2);
  auto axes = listed("axes", 3);
  const auto steps = listed("steps", 4);
  if (a.has(3) && !axes) return a.freeze_all("its axes are computed at run time", "export with constant axes");
  LabelledValue result = with_axes_of(x);
  result.all_zero = x.all_zero;
  const size_t count = axes ? axes->size() : starts ? starts->size() : x.axes.size();
  for (size_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(axes ? Analysis::normal((*axes)[i]->value, x.rank()) : static_cast<int>(i));
    const Axis axis = x.axes.at(at);
    const int64_t step = steps ? (*steps)[i]->value : 1;
    const bool known = starts && ends && (!a.has(4) || steps) && axis.length >= 0;
    if (!known) {
      a.labels.freeze(axis, a.because("its bounds are computed at run time", "export with static shapes"));
      result.axes[at] = {-1, nullptr, axis.is_fixed() ? axis.anchor : a.space()};
      continue;
    }
    const int64_t length = axis.length;
    const auto place = [length](int64_t value, int64_t low, int64_t high) { return std::clamp(value < 0 ? value + length : value, low, high); };
    std::vector<int64_t> taken;
    if (step > 0) {
      const int64_t last = place((*ends)[i]->value, 0, length);
      for (int64_t at_index = place((*starts)[i]->value, 0, length); at_index < last; at_index += step) taken.push_back(at_index);
    } else if (step < 0) {
      const int64_t last = (*ends)[i]->value < -length ? -1 : place((*ends)[i]->value, -1, length - 1);
      for (int64_t at_index = place((*starts)[i]->value, 0, length - 1); at_index > last; at_index += step) taken.push_back(at_index);
    }
    if (axis.is_fixed()) {
      result.axes[at] = {static_cast<int64_t>(taken.size()), nullptr, axis.anchor};
      continue;
    }
    if (step == 1) {
      bind_bound(a, (*starts)[i], axis, 1, i);
      bind_bound(a, (*ends)[i], axis, 2, i);
    } else if (!(step == -1 && static_cast<int64_t>(taken.size()) == length && (*ends)[i]->value < -length && (*starts)[i]->value == -1)) {
      a.labels.freeze(axis, a.because(fmt::format("it takes every index in steps of {}", step)));
    }
    std::vector<Label> labels;
    for (const int64_t index : taken) labels.push_back(axis.at(index));
    result.axes[at] = taken.size() == 1 ? a.fixed(1) : axis_of(std::move(labels));
    if (taken.size() == 1) a.labels.freeze(axis.at(taken[0]), a.because("it takes this one index"));
  }
  a.out(0, std::move(result));
}

/// Padded channels are zeros of their own: they go when what they are added to goes.
void pad(Analysis& a) {
  const LabelledValue& x = a.in(0);
  std::vector<ExpressionPtr> pads;
  const bool attribute = a.node().find("pads") != nullptr;
  if (attribute) {
    pads = attribute_numbers(a.node(), "pads");
  } else if (const std::vector<ExpressionPtr>* given = a.parameter(1)) {
    pads = *given;
  }
  std::vector<int64_t> axes;
  if (a.has(3)) {
    a.parameter(3);
    const auto listed = a.integers(3);
    if (!listed) return a.freeze_all("its axes are computed at run time", "export with constant axes");
    axes = *listed;
  } else {
    for (int i = 0; i < x.rank(); ++i) axes.push_back(i);
  }
  const bool constant = a.node().text("mode", "constant") == "constant";
  const bool with_zero = constant && (attribute ? a.node().number("value", 0.0F) == 0.0F : !a.has(2) || a.number(2) == 0.0F);
  LabelledValue result = with_axes_of(x);
  // What is padded with another number is not zero, along whatever axis it lies.
  const bool pads_nothing = pads.size() == 2 * axes.size() && std::all_of(pads.begin(), pads.end(), [](const ExpressionPtr& one) { return one->value <= 0; });
  if (constant && !with_zero && !pads_nothing) result.zero.assign(result.zero.size(), 0);
  if (pads.size() != 2 * axes.size()) {
    for (const int64_t axis : axes) {
      const auto at = static_cast<size_t>(Analysis::normal(axis, x.rank()));
      if (!x.axes[at].is_fixed()) a.labels.freeze(x.axes[at], a.because("how far it pads is computed at run time", "export with static shapes"));
      result.axes[at] = a.fixed(-1);
    }
    return a.out(0, std::move(result));
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto at = static_cast<size_t>(Analysis::normal(axes[i], x.rank()));
    const int64_t before = pads[i]->value;
    const int64_t after = pads[i + axes.size()]->value;
    const Axis axis = x.axes.at(at);
    if (before == 0 && after == 0) continue;
    if (axis.is_fixed() || !constant || before < 0 || after < 0) {
      a.labels.freeze(axis, a.because(constant ? "it crops this axis" : "it repeats this axis at its ends"));
      result.axes[at] = {axis.length < 0 ? -1 : axis.length + before + after, nullptr, axis.is_fixed() ? axis.anchor : a.space()};
      continue;
    }
    std::vector<Label> labels;
    const Axis front = a.labels.fresh(before);
    const Axis back = a.labels.fresh(after);
    for (const Axis* piece : {&front, &axis, &back}) labels.insert(labels.end(), piece->labels->begin(), piece->labels->end());
    result.axes[at] = axis_of(std::move(labels));
    result.zero[at] = result.zero[at] != 0 && with_zero;
    const int64_t length = result.axes[at].length;
    if (before > 0) a.count(pads[i], result.axes[at], 0, before);
    if (after > 0) a.count(pads[i + axes.size()], result.axes[at], length - after, length);
  }
  a.out(0, std::move(result));
}

/// New axes that come from a shape operand: an axis whose length is stated by a Length is that axis.
Axis stated(Analysis& a, const ExpressionPtr& size) {
  if (size->kind == Expression::Kind::Length && size->value > 1) return size->axis;
  if (size->kind == Expression::Kind::Constant && size->value > 1 && (size->tensor_id >= 0 || size->node != nullptr)) {
    const Axis axis = a.labels.fresh(size->value);
    a.count(size, axis, 0, size->value);
    return axis;
  }
  a.freeze_lengths(size, a.space());
  return a.fixed(size->value);
}

void expand(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const std::vector<ExpressionPtr>* given = a.parameter(1);
  if (given == nullptr) {
    LabelledValue result = a.inferred(0);
    for (size_t i = 0; i < x.axes.size(); ++i) {
      const int at = result.rank() - x.rank() + static_cast<int>(i);
      if (!x.axes[i].is_fixed()) a.labels.freeze(x.axes[i], a.because("its target shape is computed at run time", "fold constants (onnxsim) before cutting"));
      else if (result.known && at >= 0 && x.axes[i].length != 1) result.axes[static_cast<size_t>(at)] = x.axes[i];
    }
    return a.out(0, std::move(result));
  }
  const std::vector<ExpressionPtr> sizes = *given;
  const int rank = std::max(x.rank(), static_cast<int>(sizes.size()));
  LabelledValue result;
  result.known = true;
  result.all_zero = x.all_zero;
  for (int i = 0; i < rank; ++i) {
    const int own = i - (rank - x.rank());
    const int place = i - (rank - static_cast<int>(sizes.size()));
    const bool has_own = own >= 0 && x.axes[static_cast<size_t>(own)].length != 1;
    if (has_own) {
      const Axis& axis = x.axes[static_cast<size_t>(own)];
      if (place >= 0 && sizes[static_cast<size_t>(place)]->value > 1) a.bind(sizes[static_cast<size_t>(place)], axis);
      result.axes.push_back(axis);
      result.zero.push_back(x.zero[static_cast<size_t>(own)]);
    } else {
      result.axes.push_back(place >= 0 ? stated(a, sizes[static_cast<size_t>(place)]) : a.fixed(1));
      result.zero.push_back(x.all_zero);
    }
  }
  a.out(0, std::move(result));
}

void constant_of_shape(Analysis& a) {
  const std::vector<ExpressionPtr>* given = a.parameter(0);
  if (given == nullptr) return a.out(0, a.inferred(0));
  float fill = 0.0F;
  if (const Attribute* value = a.node().find("value")) {
    const auto* stored = std::get_if<StoredTensor>(&value->value);
    if (stored != nullptr && stored->id >= 0 && stored->type != DType::String) fill = a.file.tensor_data(stored->id).to_floats().at(0);
  }
  LabelledValue result;
  result.known = true;
  result.all_zero = fill == 0.0F;
  for (const ExpressionPtr& size : std::vector<ExpressionPtr>(*given)) {
    result.axes.push_back(stated(a, size));
    result.zero.push_back(result.all_zero);
  }
  a.out(0, std::move(result));
}

void tile(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const std::vector<ExpressionPtr>* repeats = a.parameter(1);
  if (repeats == nullptr || repeats->size() != x.axes.size()) return a.freeze_all("how often it repeats is computed at run time", "export with static shapes");
  LabelledValue result;
  result.known = true;
  result.zero = x.zero;
  for (size_t i = 0; i < x.axes.size(); ++i) {
    const int64_t times = (*repeats)[i]->value;
    a.freeze_lengths((*repeats)[i], a.space());
    if (x.axes[i].length < 0) result.axes.push_back(a.fixed(-1));
    else if (x.axes[i].length == 1 || times == 0) result.axes.push_back(a.fixed(x.axes[i].length * times));
    else result.axes.push_back(a.labels.join(a.fixed(times), x.axes[i]));
  }
  a.out(0, std::move(result));
}

/// Listed axes get sizes of their own.
void center_crop_pad(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const std::vector<ExpressionPtr>* given = a.parameter(1);
  std::vector<int64_t> axes = a.node().integers("axes");
  for (int i = 0; i < x.rank() && a.node().find("axes") == nullptr; ++i) axes.push_back(i);
  LabelledValue result = with_axes_of(x);
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto at = static_cast<size_t>(Analysis::normal(axes[i], x.rank()));
    if (at >= x.axes.size()) return a.freeze_all("its axis is out of range", "export the model again");
    a.labels.freeze(x.axes[at], a.because("it crops or pads this axis on both sides"));
    result.axes[at] = a.fixed(given != nullptr && i < given->size() ? (*given)[i]->value : -1);
    result.zero[at] = 0;
  }
  a.out(0, std::move(result));
}

/// Opset 1: the borders of a picture [N, C, H, W] go.
void crop(Analysis& a) {
  const LabelledValue& x = a.in(0);
  if (x.rank() != 4) return a.freeze_all("its operand is no picture", "export the model again");
  const std::vector<int64_t> border = a.node().integers("border", {0, 0, 0, 0});
  const std::vector<int64_t> size = a.node().integers("scale");
  LabelledValue result = with_axes_of(x);
  for (size_t i = 0; i < 2; ++i) {
    const Axis& axis = x.axes[2 + i];
    a.labels.freeze(axis, a.because("it crops this axis"));
    const bool known = axis.length >= 0 && border.size() == 4;
    result.axes[2 + i] = a.fixed(size.size() == 2 ? size[i] : known ? axis.length - border[1 - i] - border[3 - i] : -1);
  }
  a.out(0, std::move(result));
}

/// Windows along an axis, which become a new last axis.
void unfold(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const auto at = static_cast<size_t>(Analysis::normal(a.node().integer("dim", -1), x.rank()));
  if (at >= x.axes.size()) return a.freeze_all("its axis is out of range", "export the model again");
  a.labels.freeze(x.axes[at], a.because("it takes windows along this axis"));
  const int64_t size = a.node().integer("size", 1);
  const int64_t step = a.node().integer("step", 1);
  LabelledValue result = with_axes_of(x);
  result.axes[at] = a.fixed(x.axes[at].length < size || step < 1 ? -1 : (x.axes[at].length - size) / step + 1);
  result.axes.push_back(a.fixed(size));
  result.zero.push_back(0);
  a.out(0, std::move(result));
}

/// Numbers of Constant nodes that are not kept as tensors; shapes with lengths that are not known.
void constant(Analysis& a) {
  LabelledValue result;
  result.known = true;
  for (const Attribute& attribute : a.node().attributes) {
    if (const auto* list = std::get_if<std::vector<float>>(&attribute.value)) result.axes = {a.fixed(static_cast<int64_t>(list->size()))};
    else if (const auto* numbers = std::get_if<std::vector<int64_t>>(&attribute.value)) result.axes = {a.fixed(static_cast<int64_t>(numbers->size()))};
    else if (const auto* texts = std::get_if<std::vector<std::string>>(&attribute.value)) result.axes = {a.fixed(static_cast<int64_t>(texts->size()))};
    if (const auto* number = std::get_if<float>(&attribute.value)) result.number = *number;
  }
  a.out(0, std::move(result));
}

/// With a length that is not known: the others enter the graph as numbers.
void shape(Analysis& a) {
  for (const Axis& axis : a.in(0).axes) a.labels.freeze(axis, a.because("its length enters the computation", "fold constants (onnxsim) before cutting"));
  LabelledValue result;
  result.known = true;
  result.axes = {a.fixed(a.node().op_type == "Size" || a.node().find("start") != nullptr || a.node().find("end") != nullptr ? -1 : a.in(0).rank())};
  if (a.node().op_type == "Size") result.axes.clear();
  a.out(0, std::move(result));
}

}  // namespace

void concatenate(Analysis& a, const std::vector<const LabelledValue*>& parts) {
  LabelledValue result = *parts.front();
  result.stored = -1;
  result.integers.reset();
  const auto at = static_cast<size_t>(Analysis::normal(a.node().integer("axis", 1), result.rank()));
  std::vector<Label> labels;
  int64_t length = 0;
  bool fixed = true;
  for (const LabelledValue* part : parts) {
    const LabelledValue& x = *part;
    if (x.rank() != result.rank() || at >= x.axes.size()) return a.freeze_all("its operands differ in rank", "export the model again");
    result.all_zero = result.all_zero && x.all_zero;
    for (size_t axis = 0; axis < x.axes.size(); ++axis) {
      result.zero[axis] = result.zero[axis] != 0 && (x.zero[axis] != 0 || (axis == at && x.axes[axis].is_fixed()) || x.all_zero);
      if (axis == at) continue;
      if (x.axes[axis].length == result.axes[axis].length && x.axes[axis].length >= 0) {
        a.labels.unite(result.axes[axis], x.axes[axis]);
      } else {
        a.labels.freeze(result.axes[axis], a.space());
        a.labels.freeze(x.axes[axis], a.space());
      }
    }
    const Axis& next = x.axes[at];
    length = length < 0 || next.length < 0 ? -1 : length + next.length;
    fixed = fixed && next.is_fixed();
  }
  const Axis& first = parts.front()->axes[at];
  if (first.is_fixed() && !fixed) {
    result.zero[at] = 1;
    for (const LabelledValue* part : parts) result.zero[at] = result.zero[at] != 0 && (part->axes[at].is_fixed() || part->zero[at] != 0);
  }
  if (fixed || length < 0) {
    for (const LabelledValue* part : parts) a.labels.freeze(part->axes[at], a.space());
    result.axes[at] = {length, nullptr, first.is_fixed() ? first.anchor : a.space()};
  } else {
    for (const LabelledValue* part : parts) {
      for (int64_t j = 0; j < part->axes[at].length; ++j) labels.push_back(part->axes[at].at(j));
    }
    result.axes[at] = axis_of(std::move(labels));
  }
  a.out(0, std::move(result));
}

void add_movement_rules(RuleTable& table) {
  table["Concat"] = concat;
  table["com.microsoft.QLinearConcat"] = quantised_concat;
  table["Split"] = split;
  table["Slice"] = slice;
  table["Pad"] = pad;
  table["com.microsoft.Pad"] = pad;
  table["CenterCropPad"] = center_crop_pad;
  table["Crop"] = crop;
  table["com.microsoft.UnfoldTensor"] = unfold;
  table["Expand"] = expand;
  table["ConstantOfShape"] = constant_of_shape;
  table["Tile"] = tile;
  table["Constant"] = constant;
  table["Shape"] = shape;
  table["Size"] = shape;
}

}  // namespace sparsify
