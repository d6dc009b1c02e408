#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "structure/structure.h"

namespace sparsify {

using Label = int32_t;

/// One axis of one value: a label per index, or fixed: nothing along it is ever removed.
struct Axis {
  int64_t length = -1;  ///< -1: not known (then fixed)
  std::shared_ptr<const std::vector<Label>> labels = nullptr;
  Label anchor = -1;    ///< of a fixed axis: the frozen label that says why
  bool stated = false;  ///< of a fixed axis: the model states its length for every run

  bool is_fixed() const { return labels == nullptr; }
  Label at(int64_t index) const { return labels ? (*labels)[static_cast<size_t>(index)] : anchor; }
};

Axis axis_of(std::vector<Label> labels);

/// Union-find over the labels of all indices of all axes. A label may be *joined* of two others: it is removed when either
/// is (an index of a flattened or split axis). Constraints only grow; where two ways of joining do not fit together, the
/// smaller factor is frozen, which is exact and only less free.
class Labels {
 public:
  /// A frozen label of its own, never merged with others. Silent ones (batch, space) explain nothing by themselves.
  Label anchor(Freeze freeze, bool silent = false);
  Axis fixed(int64_t length, Label anchor) const { return {length, nullptr, anchor}; }
  /// A family of new labels.
  Axis fresh(int64_t length);

  void unite(Label a, Label b);
  /// Index by index; lengths must agree unless one is fixed. Uniting with a fixed axis freezes.
  void unite(const Axis& a, const Axis& b);
  void freeze(Label label, Label anchor);
  void freeze(const Axis& axis, Label anchor);

  /// The same labels in any order: whatever is removed, as many indices of the one remain as of the other.
  bool stay_equal(const Axis& a, const Axis& b);
  /// Axis of length rows * columns -> (rows, columns), row-major.
  std::pair<Axis, Axis> split(const Axis& axis, int64_t rows, int64_t columns);
  /// The inverse of split.
  Axis join(const Axis& rows, const Axis& columns);

  bool is_frozen(Label label);
  /// Anchors that froze the label's class.
  const std::vector<Label>& reasons(Label label);
  const Freeze& freeze_of(Label anchor) const { return freezes_[static_cast<size_t>(-labels_[static_cast<size_t>(anchor)].anchor - 1)].first; }
  bool is_silent(Label anchor) const { return freezes_[static_cast<size_t>(-labels_[static_cast<size_t>(anchor)].anchor - 1)].second; }
  bool is_anchor(Label label) const { return labels_[static_cast<size_t>(label)].anchor < 0; }

  /// Representatives of the simple classes that the label stands for: one, or several for a joined label. Factors that are
  /// frozen are left out; empty = never removed.
  void expand(Label label, std::vector<Label>& out);
  /// Representatives of all simple classes, frozen ones too.
  void expand_all(Label label, std::vector<Label>& out);
  int family(Label label) const { return labels_[static_cast<size_t>(label)].family; }
  size_t size() const { return labels_.size(); }
  int families() const { return families_; }
  Label root(Label label);

 private:
  struct Entry {
    Label parent = -1;
    int family = -1;
    int anchor = 0;  ///< < 0: an anchor, -index - 1 into freezes_
    int grid = -1;   ///< of a joined class (at its root)
    Label row = -1;
    Label column = -1;
  };
  /// The two label vectors that joined labels are made of.
  struct Grid {
    std::vector<Label> rows;
    std::vector<Label> columns;
  };

  Label add(int family);
  Entry& entry(Label label) { return labels_[static_cast<size_t>(label)]; }
  /// The root, seen through joined labels of which all but one factor are frozen.
  Label effective(Label label);
  bool contains(Label joined, Label simple);
  void freeze_others(Label joined, Label simple);
  void merge_roots(Label keep, Label gone);
  void unite_joined(Label a, Label b);
  void freeze_root(Label root, Label anchor);
  Label regrouped();
  Label lone();
  std::pair<Axis, Axis> split_grid(const std::vector<Label>& cells, size_t rows, size_t columns);

  std::vector<Entry> labels_;
  std::vector<std::vector<Label>> reasons_;  ///< by root
  std::vector<std::pair<Freeze, bool>> freezes_;
  std::vector<Grid> grids_;
  std::unordered_map<uint64_t, Label> joined_;
  int families_ = 0;
  Label regrouped_ = -1;
  Label lone_ = -1;
};

}  // namespace sparsify
