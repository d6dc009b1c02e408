// Scatter and its kin: elements written at places that only a run knows. Along the axes that the places do not address,
// operands and result go index by index.
#include <set>

#include "structure/analysis.h"
#include "structure/index_grid.h"

namespace sparsify {
namespace {

constexpr const char* kStatic = "only the run knows where it writes; this axis stays";

bool zero_along(const LabelledValue& value, size_t axis) { return value.all_zero || value.zero[axis] != 0; }

/// What a removed slice of the result is, where nothing of it was written and where something was.
bool stays_zero(const Analysis& a, const LabelledValue& data, size_t data_axis, const LabelledValue& updates, size_t updates_axis) {
  const bool product = a.node().text("reduction", "none") == "mul";  // 0 * x
  return zero_along(data, data_axis) && (product || zero_along(updates, updates_axis));
}

/// Data, indices and updates of one rank; the indices address `axis`.
void scatter_elements(Analysis& a) {
  const LabelledValue& data = a.in(0);
  const LabelledValue& indices = a.in(1);
  const LabelledValue& updates = a.in(2);
  const auto at = static_cast<size_t>(Analysis::normal(a.node().integer("axis", 0), data.rank()));
  if (indices.rank() != data.rank() || updates.rank() != data.rank() || at >= data.axes.size()) {
    return a.freeze_all("its operands differ in rank", "export the model again");
  }
  LabelledValue result;
  result.known = true;
  for (size_t i = 0; i < data.axes.size(); ++i) {
    const int64_t length = data.axes[i].length;
    const bool along = i != at && length >= 0 && indices.axes[i].length == length && updates.axes[i].length == length;
    const LabelledValue* operands[] = {&data, &indices, &updates};
    Axis axis = data.axes[i];
    for (const LabelledValue* operand : operands) {
      const Axis& own = operand->axes[i];
      if (along) a.labels.unite(axis, own);
      else a.labels.freeze(own, a.because(i == at ? "it writes along this axis" : "it writes to some of these indices only", kStatic));
      if (along && axis.is_fixed()) axis = own;
    }
    result.axes.push_back(axis);
    result.zero.push_back(along && stays_zero(a, data, i, updates, i));
  }
  a.out(0, std::move(result));
}

/// Which of the data's indices along `axis` are written to is stored, a number for each index of one axis of what is written: then these go
/// together, and the numbers move with what goes in front of them. Returns that axis.
std::optional<size_t> writes_known(Analysis& a, size_t axis) {
  const Axis& written = a.in(0).axes[axis];
  const std::optional<IndexComponent> component = written.is_fixed() ? std::nullopt : index_component(a, 1, axis);
  if (!component) return std::nullopt;
  std::vector<Label> labels;
  for (const int64_t position : component->positions) {
    if (position < 0 || position >= written.length) return std::nullopt;
    labels.push_back(written.at(position));
  }
  const Axis& updates = a.in(2).axes[component->axis];
  const Axis& indices = a.in(1).axes[component->axis];
  if (updates.length != static_cast<int64_t>(labels.size()) || indices.length != updates.length) return std::nullopt;
  const Axis taken = axis_of(std::move(labels));
  a.labels.unite(updates, taken);
  a.labels.unite(indices, taken);
  for (size_t i = 0; i < component->numbers.size(); ++i) a.count(component->numbers[i], written, 0, component->numbers[i]->value);
  return component->axis;
}

/// The last axis of the indices addresses the first axes of the data; what is written has the others behind those of the indices.
void scatter_nd(Analysis& a) {
  const LabelledValue& data = a.in(0);
  const LabelledValue& indices = a.in(1);
  const LabelledValue& updates = a.in(2);
  const int64_t depth = indices.axes.empty() ? -1 : indices.axes.back().length;
  if (depth < 0 || depth > data.rank() || updates.rank() != indices.rank() - 1 + data.rank() - depth) {
    return a.freeze_all("its operands' shapes are not known before run time", "export with static shapes");
  }
  const auto first = static_cast<size_t>(depth);
  const size_t shift = indices.axes.size() - 1;
  std::set<size_t> moved;  // axes of the indices that follow the data
  LabelledValue result;
  result.known = true;
  result.axes = data.axes;
  result.zero.assign(data.axes.size(), 0);
  for (size_t i = 0; i < data.axes.size(); ++i) {
    if (i < first) {
      const std::optional<size_t> known = writes_known(a, i);
      if (!known) a.labels.freeze(data.axes[i], a.because("it writes along this axis", kStatic));
      else moved.insert(*known);
      if (known) result.zero[i] = stays_zero(a, data, i, updates, *known);
      continue;
    }
    const size_t own = i - first + shift;
    a.labels.unite(data.axes[i], updates.axes[own]);
    if (data.axes[i].is_fixed()) result.axes[i] = updates.axes[own];
    result.zero[i] = stays_zero(a, data, i, updates, own);
  }
  for (size_t i = 0; i < indices.axes.size(); ++i) {
    if (moved.contains(i)) continue;
    a.labels.freeze(indices.axes[i], a.because("they are the places it writes to", kStatic));
    if (i < shift) a.labels.freeze(updates.axes[i], a.because("it writes along this axis", kStatic));
  }
  a.out(0, std::move(result));
}

/// A cache [batch, ..., places, ...] and what is written to it; of the places along `axis` a run says which.
void tensor_scatter(Analysis& a) {
  const LabelledValue& cache = a.in(0);
  const LabelledValue& update = a.in(1);
  const auto at = static_cast<size_t>(Analysis::normal(a.node().integer("axis", -2), cache.rank()));
  if (cache.rank() != update.rank() || at >= cache.axes.size()) return a.freeze_all("its operands differ in rank", "export the model again");
  if (a.has(2)) {  // a place for each sample
    a.hold_others(2, {});
    a.labels.freeze(cache.axes[0], a.space());
    a.labels.freeze(update.axes[0], a.space());
  }
  LabelledValue result;
  result.known = true;
  result.axes = cache.axes;
  result.zero.assign(cache.axes.size(), 0);
  for (size_t i = 0; i < cache.axes.size(); ++i) {
    if (i == at || cache.axes[i].length != update.axes[i].length || cache.axes[i].length < 0) {
      a.labels.freeze(cache.axes[i], a.because("it writes along this axis", kStatic));
      a.labels.freeze(update.axes[i], a.because("it writes along this axis", kStatic));
      continue;
    }
    a.labels.unite(cache.axes[i], update.axes[i]);
    if (cache.axes[i].is_fixed()) result.axes[i] = update.axes[i];
    result.zero[i] = zero_along(cache, i) && zero_along(update, i);
  }
  a.out(0, std::move(result));
}

/// Each index becomes a new axis with one element on.
void one_hot(Analysis& a) {
  const LabelledValue& indices = a.in(0);
  const auto at = static_cast<size_t>(Analysis::normal(a.node().integer("axis", -1), indices.rank() + 1));
  const std::optional<std::vector<int64_t>> depth = a.integers(1);
  a.hold_others(1, {});
  a.hold_others(2, {});
  LabelledValue result;
  result.known = true;
  result.axes = indices.axes;
  if (at > result.axes.size()) return a.freeze_all("its axis is out of range", "export the model again");
  result.axes.insert(result.axes.begin() + static_cast<std::ptrdiff_t>(at), a.fixed(depth && depth->size() == 1 ? depth->front() : -1));
  result.zero.assign(result.axes.size(), 0);
  a.out(0, std::move(result));
}

/// Of `axis` some indices stay, which a run says; without an axis the operand is flattened.
void compress(Analysis& a) {
  const LabelledValue& x = a.in(0);
  if (a.node().find("axis") == nullptr) return a.freeze_all("it takes elements of the flattened operand that only the run knows", kStatic);
  const auto at = static_cast<size_t>(Analysis::normal(a.node().integer("axis", 0), x.rank()));
  if (at >= x.axes.size()) return a.freeze_all("its axis is out of range", "export the model again");
  a.labels.freeze(x.axes[at], a.because("only the run knows which of these indices it takes", kStatic));
  for (const Axis& axis : a.in(1).axes) a.labels.freeze(axis, a.because("it says which indices are taken", kStatic));
  LabelledValue result = with_axes_of(x);
  result.axes[at] = a.fixed(-1);
  result.zero[at] = 0;
  a.out(0, std::move(result));
}

}  // namespace

void add_scatter_rules(RuleTable& table) {
  table["ScatterElements"] = scatter_elements;
  table["Scatter"] = scatter_elements;
  table["ScatterND"] = scatter_nd;
  table["TensorScatter"] = tensor_scatter;
  table["OneHot"] = one_hot;
  table["Compress"] = compress;
}

}  // namespace sparsify
