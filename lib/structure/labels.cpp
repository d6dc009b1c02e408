#include "structure/labels.h"

#include <algorithm>
#include <map>

#include "base/error.h"

namespace sparsify {
namespace {

uint64_t pair_key(Label a, Label b) { return static_cast<uint64_t>(static_cast<uint32_t>(a)) << 32 | static_cast<uint32_t>(b); }

/// Numbers equal elements alike, in order of first appearance.
template <class Key>
std::vector<size_t> number(const std::vector<Key>& keys, size_t& count) {
  std::map<Key, size_t> seen;
  std::vector<size_t> ids;
  for (const Key& key : keys) ids.push_back(seen.try_emplace(key, seen.size()).first->second);
  count = seen.size();
  return ids;
}

}  // namespace

Axis axis_of(std::vector<Label> labels) {
  const auto length = static_cast<int64_t>(labels.size());
  return {length, std::make_shared<const std::vector<Label>>(std::move(labels))};
}

Label Labels::add(int family) {
  const auto label = static_cast<Label>(labels_.size());
  labels_.push_back({label, family, 0, -1, -1, -1});
  reasons_.emplace_back();
  return label;
}

Label Labels::anchor(Freeze freeze, bool silent) {
  const Label label = add(-1);
  freezes_.emplace_back(std::move(freeze), silent);
  entry(label).anchor = -static_cast<int>(freezes_.size());
  reasons_[static_cast<size_t>(label)] = {label};
  return label;
}

Axis Labels::fresh(int64_t length) {
  std::vector<Label> labels;
  const int family = families_++;
  for (int64_t i = 0; i < length; ++i) labels.push_back(add(family));
  return axis_of(std::move(labels));
}

Label Labels::root(Label label) {
  while (entry(label).parent != label) label = entry(label).parent = entry(entry(label).parent).parent;
  return label;
}

bool Labels::is_frozen(Label label) { return !reasons_[static_cast<size_t>(root(label))].empty(); }

const std::vector<Label>& Labels::reasons(Label label) { return reasons_[static_cast<size_t>(root(label))]; }

Label Labels::effective(Label label) {
  for (Label at = root(label);;) {
    const Entry& e = entry(at);
    if (e.grid < 0) return at;
    const Label row = root(e.row);
    const Label column = root(e.column);
    if (row == column || is_frozen(row)) at = column;
    else if (is_frozen(column)) at = row;
    else return at;
  }
}

void Labels::expand(Label label, std::vector<Label>& out) {
  const Label at = root(label);
  if (entry(at).grid >= 0) {
    expand(entry(at).row, out);
    expand(entry(at).column, out);
  } else if (!is_frozen(at) && std::find(out.begin(), out.end(), at) == out.end()) {
    out.push_back(at);
  }
}

void Labels::expand_all(Label label, std::vector<Label>& out) {
  const Label at = root(label);
  if (entry(at).grid >= 0) {
    expand_all(entry(at).row, out);
    expand_all(entry(at).column, out);
  } else if (std::find(out.begin(), out.end(), at) == out.end()) {
    out.push_back(at);
  }
}

void Labels::freeze_root(Label at, Label anchor) {
  std::vector<Label>& reasons = reasons_[static_cast<size_t>(at)];
  if (std::find(reasons.begin(), reasons.end(), anchor) != reasons.end()) return;
  reasons.push_back(anchor);
  if (entry(at).grid >= 0) {
    freeze(entry(at).row, anchor);
    freeze(entry(at).column, anchor);
  }
}

void Labels::freeze(Label label, Label anchor) {
  const Label at = root(label);
  if (!is_anchor(at)) freeze_root(at, anchor);
}

void Labels::freeze(const Axis& axis, Label anchor) {
  if (!axis.labels) return;
  for (const Label label : *axis.labels) freeze(label, anchor);
}

bool Labels::contains(Label joined, Label simple) {
  std::vector<Label> parts;
  expand_all(joined, parts);
  return std::find(parts.begin(), parts.end(), simple) != parts.end();
}

/// joined == simple where joined is made of simple and others: the others must stay.
void Labels::freeze_others(Label joined, Label simple) {
  std::vector<Label> parts;
  expand_all(joined, parts);
  for (const Label part : parts) {
    if (part != simple) freeze_root(part, regrouped());
  }
}

void Labels::merge_roots(Label keep, Label gone) {
  const std::vector<Label> gone_reasons = std::move(reasons_[static_cast<size_t>(gone)]);
  reasons_[static_cast<size_t>(gone)].clear();
  entry(gone).parent = keep;
  for (const Label reason : gone_reasons) freeze_root(keep, reason);
}

void Labels::unite(Label a, Label b) {
  a = root(a);
  b = root(b);
  if (a == b) return;
  if (is_anchor(a) || is_anchor(b)) {
    if (!is_anchor(a)) freeze_root(a, b);
    if (!is_anchor(b)) freeze_root(b, a);
    return;
  }
  // A frozen class may not take the short way through its factors: both must become frozen.
  if (is_frozen(a) || is_frozen(b)) {
    for (const Label reason : std::vector<Label>(reasons(a))) freeze(b, reason);
    for (const Label reason : std::vector<Label>(reasons(b))) freeze(a, reason);
    if (entry(a).grid < 0 && entry(b).grid < 0) merge_roots(std::min(a, b), std::max(a, b));
    return;
  }
  a = effective(a);
  b = effective(b);
  if (a == b) return;
  const bool a_joined = entry(a).grid >= 0;
  const bool b_joined = entry(b).grid >= 0;
  if (a_joined && b_joined) {
    unite_joined(a, b);
  } else if (a_joined != b_joined) {
    const Label joined = a_joined ? a : b;
    const Label simple = a_joined ? b : a;
    if (contains(joined, simple)) freeze_others(joined, simple);
    else merge_roots(joined, simple);
  } else {
    merge_roots(std::min(a, b), std::max(a, b));
  }
}

void Labels::unite_joined(Label a, Label b) {
  const Entry x = entry(a);
  const Entry y = entry(b);
  // Copies: refining may add grids.
  const Grid first = grids_[static_cast<size_t>(x.grid)];
  const Grid second = grids_[static_cast<size_t>(y.grid)];
  const size_t rows = first.rows.size();
  const size_t other_rows = second.rows.size();
  if (rows == other_rows && first.columns.size() == second.columns.size()) {
    unite(x.row, y.row);
    unite(x.column, y.column);
    return;
  }
  const bool same_count = rows * first.columns.size() == other_rows * second.columns.size();
  if (same_count && rows < other_rows && other_rows % rows == 0) {
    split(axis_of(second.rows), static_cast<int64_t>(rows), static_cast<int64_t>(other_rows / rows));
    split(axis_of(first.columns), static_cast<int64_t>(other_rows / rows), static_cast<int64_t>(second.columns.size()));
    const Entry upper = entry(effective(y.row));     // (p, k)
    const Entry lower = entry(effective(x.column));  // (k, e)
    if (upper.grid >= 0 && lower.grid >= 0) {
      unite(x.row, upper.row);
      unite(lower.row, upper.column);
      unite(lower.column, y.column);
      return;
    }
  } else if (same_count && other_rows < rows && rows % other_rows == 0) {
    unite_joined(b, a);
    return;
  }
  // No common refinement: the second is regrouped by its longer factor alone.
  const bool by_column = second.columns.size() >= other_rows;
  for (const Label label : by_column ? second.rows : second.columns) freeze(label, regrouped());
  unite(a, by_column ? y.column : y.row);
}

void Labels::unite(const Axis& a, const Axis& b) {
  if (a.labels == b.labels && a.labels) return;
  if (a.is_fixed() && b.is_fixed()) return;
  if (a.is_fixed()) return freeze(b, a.anchor);
  if (b.is_fixed()) return freeze(a, b.anchor);
  invariant(a.length == b.length, "united axes have one length");
  for (int64_t i = 0; i < a.length; ++i) unite(a.at(i), b.at(i));
}

bool Labels::stay_equal(const Axis& a, const Axis& b) {
  if (a.length != b.length || a.is_fixed() || b.is_fixed()) return false;
  const auto parts_of = [this](const Axis& axis) {
    std::vector<std::vector<Label>> all;
    for (const Label label : *axis.labels) {
      std::vector<Label> parts;
      expand_all(label, parts);
      std::sort(parts.begin(), parts.end());
      all.push_back(std::move(parts));
    }
    std::sort(all.begin(), all.end());
    return all;
  };
  return a.labels == b.labels || parts_of(a) == parts_of(b);
}

Label Labels::regrouped() {
  if (regrouped_ < 0) {
    regrouped_ = anchor({.node = "", .op = "Reshape", .reason = "its indices are regrouped in ways that do not fit together",
                         .fix = "cut the other groups; these blocks only stay whole"});
  }
  return regrouped_;
}

Label Labels::lone() {
  if (lone_ < 0) lone_ = anchor({.node = "", .op = "", .reason = "it is a single index", .fix = "nothing: an axis keeps one index"}, true);
  return lone_;
}

Axis Labels::join(const Axis& rows, const Axis& columns) {
  if (rows.length == 1) return columns;
  if (columns.length == 1) return rows;
  if (rows.length < 0 || columns.length < 0) {
    freeze(rows, lone());
    freeze(columns, lone());
    return fixed(-1, lone());
  }
  const int64_t length = rows.length * columns.length;
  if (rows.is_fixed() && columns.is_fixed()) return {length, nullptr, rows.anchor, rows.stated && columns.stated};
  std::vector<Label> labels(static_cast<size_t>(length));
  int grid = -1;
  int family = -1;
  for (int64_t i = 0; i < rows.length; ++i) {
    for (int64_t j = 0; j < columns.length; ++j) {
      Label& out = labels[static_cast<size_t>(i * columns.length + j)];
      if (columns.is_fixed()) {
        out = rows.at(i);
      } else if (rows.is_fixed()) {
        out = columns.at(j);
      } else {
        const uint64_t key = pair_key(root(rows.at(i)), root(columns.at(j)));
        const auto known = joined_.find(key);
        if (known != joined_.end()) {
          out = known->second;
          continue;
        }
        if (grid < 0) {
          grid = static_cast<int>(grids_.size());
          grids_.push_back({*rows.labels, *columns.labels});
          family = families_++;
        }
        out = add(family);
        entry(out).grid = grid;
        entry(out).row = rows.at(i);
        entry(out).column = columns.at(j);
        if (is_frozen(rows.at(i)) && is_frozen(columns.at(j))) reasons_[static_cast<size_t>(out)] = reasons(rows.at(i));
        joined_[key] = out;
      }
    }
  }
  return axis_of(std::move(labels));
}

std::pair<Axis, Axis> Labels::split(const Axis& axis, int64_t rows, int64_t columns) {
  invariant(axis.length == rows * columns, "an axis splits into its factors");
  if (axis.is_fixed()) return {{rows, nullptr, axis.anchor, axis.stated}, {columns, nullptr, axis.anchor, axis.stated}};
  if (rows == 1) return {fixed(1, lone()), axis};
  if (columns == 1) return {axis, fixed(1, lone())};
  std::vector<Label> roots;
  for (const Label label : *axis.labels) roots.push_back(effective(label));
  const auto height = static_cast<size_t>(rows);
  const auto width = static_cast<size_t>(columns);
  std::vector<std::vector<Label>> row_keys(height);
  std::vector<std::vector<Label>> column_keys(width, std::vector<Label>(height));
  for (size_t i = 0; i < height; ++i) {
    row_keys[i].assign(roots.begin() + static_cast<std::ptrdiff_t>(i * width), roots.begin() + static_cast<std::ptrdiff_t>((i + 1) * width));
    for (size_t j = 0; j < width; ++j) column_keys[j][i] = roots[i * width + j];
  }
  size_t unique_rows = 0;
  size_t unique_columns = 0;
  const std::vector<size_t> row_of = number(row_keys, unique_rows);
  const std::vector<size_t> column_of = number(column_keys, unique_columns);
  if (unique_columns == 1 && unique_rows == 1) {
    freeze(roots[0], lone());
    return {fixed(rows, lone()), fixed(columns, lone())};
  }
  if (unique_columns == 1) {
    std::vector<Label> labels;
    for (size_t i = 0; i < height; ++i) labels.push_back(roots[i * width]);
    return {axis_of(std::move(labels)), fixed(columns, lone())};
  }
  if (unique_rows == 1) return {fixed(rows, lone()), axis_of(row_keys[0])};
  std::vector<Label> cells(unique_rows * unique_columns);
  for (size_t i = 0; i < height; ++i) {
    for (size_t j = 0; j < width; ++j) cells[row_of[i] * unique_columns + column_of[j]] = roots[i * width + j];
  }
  const auto [upper, lower] = split_grid(cells, unique_rows, unique_columns);
  const auto spread = [](const Axis& from, const std::vector<size_t>& which) {
    if (from.is_fixed()) return Axis{static_cast<int64_t>(which.size()), nullptr, from.anchor};
    std::vector<Label> labels;
    for (const size_t i : which) labels.push_back(from.at(static_cast<int64_t>(i)));
    return axis_of(std::move(labels));
  };
  return {spread(upper, row_of), spread(lower, column_of)};
}

/// No two rows and no two columns are alike.
std::pair<Axis, Axis> Labels::split_grid(const std::vector<Label>& cells, size_t rows, size_t columns) {
  const auto cell = [&](size_t i, size_t j) { return cells[i * columns + j]; };
  const auto height = static_cast<int64_t>(rows);
  const auto width = static_cast<int64_t>(columns);
  const auto all = [&](auto&& holds) {
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = 0; j < columns; ++j) {
        if (!holds(i, j)) return false;
      }
    }
    return true;
  };
  const auto joined = [&](Label label) { return entry(label).grid >= 0; };
  if (all([&](size_t i, size_t j) { return is_frozen(cell(i, j)); })) {
    const Label why = reasons(cells[0])[0];
    return {fixed(height, why), fixed(width, why)};
  }
  if (all([&](size_t i, size_t j) { return joined(cell(i, j)); })) {
    // Joined in this very way before?
    const auto row = [&](size_t i, size_t j) { return root(entry(cell(i, j)).row); };
    const auto column = [&](size_t i, size_t j) { return root(entry(cell(i, j)).column); };
    if (all([&](size_t i, size_t j) { return row(i, j) == row(i, 0) && column(i, j) == column(0, j); })) {
      std::vector<Label> upper;
      std::vector<Label> lower;
      for (size_t i = 0; i < rows; ++i) upper.push_back(row(i, 0));
      for (size_t j = 0; j < columns; ++j) lower.push_back(column(0, j));
      return {axis_of(std::move(upper)), axis_of(std::move(lower))};
    }
    // Joined of other sizes, in order: split the longer factor.
    const Grid known = grids_[static_cast<size_t>(entry(cells[0]).grid)];
    const size_t old_rows = known.rows.size();
    const size_t old_columns = known.columns.size();
    const bool in_order = old_rows * old_columns == cells.size() && all([&](size_t i, size_t j) {
      const size_t flat = i * columns + j;
      return row(i, j) == root(known.rows[flat / old_columns]) && column(i, j) == root(known.columns[flat % old_columns]);
    });
    if (in_order && old_rows % rows == 0) {
      const auto [upper, middle] = split(axis_of(known.rows), height, static_cast<int64_t>(old_rows / rows));
      return {upper, join(middle, axis_of(known.columns))};
    }
    if (in_order && rows % old_rows == 0) {
      const auto [middle, lower] = split(axis_of(known.columns), static_cast<int64_t>(rows / old_rows), width);
      return {join(axis_of(known.rows), middle), lower};
    }
  }
  std::vector<Label> sorted = cells;
  std::sort(sorted.begin(), sorted.end());
  const bool distinct = std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
  if (distinct && all([&](size_t i, size_t j) { return !joined(cell(i, j)) && !is_frozen(cell(i, j)); })) {
    const Axis upper = fresh(height);
    const Axis lower = fresh(width);
    const auto grid = static_cast<int>(grids_.size());
    grids_.push_back({*upper.labels, *lower.labels});
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = 0; j < columns; ++j) {
        Entry& e = entry(cell(i, j));
        e.grid = grid;
        e.row = upper.at(static_cast<int64_t>(i));
        e.column = lower.at(static_cast<int64_t>(j));
        joined_[pair_key(e.row, e.column)] = cell(i, j);
      }
    }
    return {upper, lower};
  }
  // Indices of the longer factor go together over the shorter one, which stays whole.
  std::vector<Label> labels;
  if (rows <= columns) {
    for (size_t j = 0; j < columns; ++j) {
      for (size_t i = 1; i < rows; ++i) unite(cell(0, j), cell(i, j));
      labels.push_back(cell(0, j));
    }
    return {fixed(height, regrouped()), axis_of(std::move(labels))};
  }
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 1; j < columns; ++j) unite(cell(i, 0), cell(i, j));
    labels.push_back(cell(i, 0));
  }
  return {axis_of(std::move(labels)), fixed(width, regrouped())};
}

}  // namespace sparsify
