// Sequences of tensors whose number and order the graph states, as scripted models and newer exporters write Split and Concat.
#include <algorithm>

#include "structure/analysis.h"

namespace sparsify {
namespace {

constexpr const char* kRuntime = "which element of the sequence it means is computed at run time";
constexpr const char* kFix = "export the model again without sequences";

LabelledValue sequence_of(std::vector<LabelledValue> items) {
  LabelledValue result;
  result.known = true;
  result.is_sequence = true;
  result.items = std::move(items);
  return result;
}

/// As an element of a sequence: what it holds, not where it is stored.
LabelledValue element(const LabelledValue& value) {
  LabelledValue result = value;
  result.stored = -1;
  result.integers.reset();
  return result;
}

/// A stated position in [0, last] of a sequence of `size`, -1 if it is none; negative ones count from the end.
int64_t position(Analysis& a, size_t input, size_t size, int64_t last) {
  a.parameter(input);
  const std::optional<std::vector<int64_t>> given = a.integers(input);
  if (!a.in(0).is_sequence || !given || given->size() != 1) return -1;
  const int64_t at = given->front() < 0 ? given->front() + static_cast<int64_t>(size) : given->front();
  return at > last ? -1 : std::max<int64_t>(at, -1);
}

void construct(Analysis& a) {
  std::vector<LabelledValue> items;
  for (size_t i = 0; i < a.flat().inputs.size(); ++i) items.push_back(element(a.in(i)));
  a.out(0, sequence_of(std::move(items)));
}

void insert(Analysis& a) {
  std::vector<LabelledValue> items = a.in(0).items;
  const auto size = static_cast<int64_t>(items.size());
  const int64_t at = !a.in(0).is_sequence ? -1 : a.has(2) ? position(a, 2, items.size(), size) : size;
  if (at < 0) return a.freeze_all(kRuntime, kFix);
  items.insert(items.begin() + at, element(a.in(1)));
  a.out(0, sequence_of(std::move(items)));
}

void erase(Analysis& a) {
  std::vector<LabelledValue> items = a.in(0).items;
  const int64_t last = static_cast<int64_t>(items.size()) - 1;
  const int64_t at = a.has(1) ? position(a, 1, items.size(), last) : last;
  if (at < 0) return a.freeze_all(kRuntime, kFix);
  items.erase(items.begin() + at);
  a.out(0, sequence_of(std::move(items)));
}

void at_position(Analysis& a) {
  const std::vector<LabelledValue>& items = a.in(0).items;
  const int64_t at = position(a, 1, items.size(), static_cast<int64_t>(items.size()) - 1);
  if (at < 0) return a.freeze_all(kRuntime, kFix);
  a.out(0, LabelledValue(items[static_cast<size_t>(at)]));
}

void length(Analysis& a) {
  LabelledValue result;
  result.known = true;
  a.out(0, std::move(result));
}

/// Equal parts (one number), stated parts (a list), or one index each (nothing).
void split_to_sequence(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const auto at = static_cast<size_t>(Analysis::normal(a.node().integer("axis", 0), x.rank()));
  if (at >= x.axes.size()) return a.freeze_all("its axis is out of range", "export the model again");
  const Axis axis = x.axes[at];
  const bool single = !a.has(1);
  std::vector<ExpressionPtr> sizes;
  if (const std::vector<ExpressionPtr>* given = single ? nullptr : a.parameter(1)) sizes = *given;
  const bool listed = !single && a.in(1).rank() == 1;
  if (axis.length < 1 || (!single && (sizes.empty() || sizes.front()->value < 1))) {
    return a.freeze_all("the sizes of its parts are computed at run time", "export with constant sizes");
  }
  if (single) a.labels.freeze(axis, a.because("it takes its indices one by one"));
  std::vector<std::pair<int64_t, int64_t>> parts;
  for (int64_t first = 0; first < axis.length;) {
    if (listed && parts.size() == sizes.size()) break;
    const int64_t size = single ? 1 : listed ? sizes[parts.size()]->value : sizes.front()->value;
    if (size < 1) return a.freeze_all("its parts do not fit its operand", "export the model again");
    parts.emplace_back(first, std::min(first + size, axis.length));
    first += size;
  }
  const auto part = [&](size_t which) {
    const auto [first, last] = parts[which];
    if (axis.is_fixed()) return Axis{last - first, nullptr, axis.anchor};
    return axis_of({axis.labels->begin() + first, axis.labels->begin() + last});
  };
  std::vector<LabelledValue> items;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (listed && !axis.is_fixed()) a.count(sizes[i], axis, parts[i].first, parts[i].second, 1, 1, static_cast<int64_t>(i));
    if (!single && !listed && !axis.is_fixed() && i > 0) {
      // One number for all: as much must remain of each part.
      if (part(i).length == part(0).length) a.labels.unite(part(0), part(i));
      else a.labels.freeze(axis, a.because("its parts are of unequal, unstated sizes"));
    }
    LabelledValue item = with_axes_of(x);
    item.all_zero = x.all_zero;
    item.axes[at] = part(i);
    if (single && a.node().integer("keepdims", 1) == 0) {
      item.axes.erase(item.axes.begin() + static_cast<std::ptrdiff_t>(at));
      item.zero.erase(item.zero.begin() + static_cast<std::ptrdiff_t>(at));
    }
    items.push_back(std::move(item));
  }
  if (!single && !listed && !axis.is_fixed()) a.count(sizes.front(), axis, parts[0].first, parts[0].second, 1, 1, 0);
  a.out(0, sequence_of(std::move(items)));
}

/// Concat of the elements, or a stack of them along a new axis.
void concat_from_sequence(Analysis& a) {
  if (!a.in(0).is_sequence || a.in(0).items.empty()) return a.freeze_all("the elements of its sequence are not known before run time", kFix);
  std::vector<LabelledValue> items = a.in(0).items;
  if (a.node().integer("new_axis", 0) != 0) {
    for (LabelledValue& item : items) {
      const int at = Analysis::normal(a.node().integer("axis", 0), item.rank() + 1);
      if (at < 0 || at > item.rank()) return a.freeze_all("its axis is out of range", "export the model again");
      item.axes.insert(item.axes.begin() + at, a.fixed(1));
      item.zero.insert(item.zero.begin() + at, 0);
      item.integers.reset();
    }
  }
  std::vector<const LabelledValue*> parts;
  for (const LabelledValue& item : items) parts.push_back(&item);
  concatenate(a, parts);
}

}  // namespace

void add_sequence_rules(RuleTable& table) {
  table["SequenceConstruct"] = construct;
  table["SequenceEmpty"] = construct;
  table["SequenceInsert"] = insert;
  table["SequenceErase"] = erase;
  table["SequenceAt"] = at_position;
  table["SequenceLength"] = length;
  table["SplitToSequence"] = split_to_sequence;
  table["ConcatFromSequence"] = concat_from_sequence;
}

}  // namespace sparsify
