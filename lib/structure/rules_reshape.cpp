// Reshape and its kin: axes are split into factors and joined again.
#include <algorithm>

#include "structure/analysis.h"

namespace sparsify {
namespace {

struct Piece {
  Axis axis;
  bool zero = true;  ///< removed slices are zero; true for fixed axes, which lose none
};

/// The axes of `x` regrouped to `target` sizes, all known. nullopt: sizes that share no factors in a way that keeps blocks.
std::optional<std::vector<Piece>> regroup(Analysis& a, const LabelledValue& x, const std::vector<int64_t>& target) {
  std::vector<Piece> queue;
  for (size_t i = 0; i < x.axes.size(); ++i) {
    if (x.axes[i].length != 1) queue.push_back({x.axes[i], x.axes[i].is_fixed() || x.zero[i] != 0});
  }
  std::reverse(queue.begin(), queue.end());  // the next axis is at the back
  std::vector<Piece> result;
  for (const int64_t size : target) {
    if (size == 1) {
      result.push_back({a.fixed(1), true});
      continue;
    }
    Piece made{a.fixed(1), true};
    while (made.axis.length < size) {
      if (queue.empty() || size % made.axis.length != 0) return std::nullopt;
      const int64_t wanted = size / made.axis.length;
      Piece next = queue.back();
      queue.pop_back();
      if (wanted % next.axis.length != 0) {
        if (next.axis.length % wanted != 0) return std::nullopt;
        const auto [upper, lower] = a.labels.split(next.axis, wanted, next.axis.length / wanted);
        queue.push_back({lower, next.zero});
        next.axis = upper;
      }
      made.axis = a.labels.join(made.axis, next.axis);
      made.zero = made.zero && next.zero;
    }
    if (made.axis.length != size) return std::nullopt;
    result.push_back(std::move(made));
  }
  return queue.empty() ? std::optional(result) : std::nullopt;
}

void give_regrouped(Analysis& a, const std::vector<int64_t>& target) {
  const auto pieces = regroup(a, a.in(0), target);
  if (!pieces) return a.freeze_all("it regroups axes in a way that keeps no blocks", "exclude these layers");
  LabelledValue result;
  result.known = true;
  for (const Piece& piece : *pieces) {
    result.axes.push_back(piece.axis);
    result.zero.push_back(piece.zero);
  }
  result.all_zero = a.in(0).all_zero;
  a.out(0, std::move(result));
}

bool is_known(const LabelledValue& x) {
  return std::all_of(x.axes.begin(), x.axes.end(), [](const Axis& axis) { return axis.length > 0; });
}

/// The number follows the axis whatever is cut: it is stored, or it is the length of the very axis.
bool follows(Analysis& a, const Expression& number, const Axis& axis) {
  using Kind = Expression::Kind;
  if (number.kind == Kind::Constant) return number.tensor_id >= 0 || number.node != nullptr;
  return number.kind == Kind::Length && a.labels.stay_equal(number.axis, axis);
}

/// Sizes computed from lengths of other axes become stored ones. Of those that only the run knows one is written as -1; more only
/// where they are the very length of the operand's axis in the same place, as 0. What the probe's sizes suggest is no guide: with a
/// batch of one, batch * heads looks like heads.
bool pin_target(Analysis& a, const LabelledValue& x, const std::vector<ExpressionPtr>& numbers, const std::vector<int64_t>& target,
                const std::vector<Piece>& pieces) {
  if (a.node().integer("allowzero", 0) != 0) return false;
  const auto is_known_size = [&](size_t i) { return numbers[i]->kind == Expression::Kind::Constant || is_static(*numbers[i]); };
  size_t unknown = 0;
  for (size_t i = 0; i < numbers.size(); ++i) unknown += is_known_size(i) ? 0 : 1;
  std::vector<int64_t> whole;
  bool in_place = true;
  int left_open = 0;
  for (size_t i = 0; i < numbers.size(); ++i) {
    in_place = in_place && i < x.axes.size() && x.axes[i].length == target[i];
    const Axis& axis = pieces[i].axis;
    int64_t size = axis.is_fixed() ? numbers[i]->value : axis.length;
    if (!is_known_size(i)) size = unknown > 1 && in_place && numbers[i]->kind == Expression::Kind::Length && axis.is_fixed() ? 0 : -1;
    left_open += size == -1 ? 1 : 0;
    whole.push_back(size);
  }
  const int pinned = left_open <= 1 ? a.pin(1, whole) : -1;
  if (pinned < 0) return false;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const Axis& axis = pieces[i].axis;
    if (axis.is_fixed()) continue;
    if (whole[i] > 0) a.count_pinned(pinned, static_cast<int64_t>(i), axis);
    else a.pin_moves(pinned, axis);  // batch * heads: the run knows it, and the graph's own number is wrong once heads go
  }
  return true;
}

void reshape(Analysis& a) {
  const LabelledValue& x = a.in(0);
  std::vector<ExpressionPtr> numbers;
  if (a.has(1)) {
    if (const std::vector<ExpressionPtr>* given = a.parameter(1)) numbers = *given;
  } else {
    numbers = attribute_numbers(a.node(), "shape");
  }
  const LabelledValue expected = a.inferred(0);
  std::vector<int64_t> target;
  const bool numbered = !numbers.empty() || !a.has(1) || (a.in(1).integers && a.in(1).integers->empty());
  if (!is_known(x)) return a.freeze_all("the shape of its operand is not known before run time", "give input shapes with --input");
  if (numbered) {
    int64_t count = 1;
    int64_t known = 1;
    for (const Axis& axis : x.axes) count *= axis.length;
    for (size_t i = 0; i < numbers.size(); ++i) {
      int64_t size = numbers[i]->value;
      if (size == 0 && a.node().integer("allowzero", 0) == 0 && i < x.axes.size()) size = x.axes[i].length;
      if (size > 0) known *= size;
      target.push_back(size);
    }
    for (int64_t& size : target) {
      if (size == -1 && known > 0) size = count / known;
    }
  } else {
    if (!expected.known || !is_known(expected)) return a.freeze_all("its target shape is computed at run time", "export with static shapes");
    for (const Axis& axis : expected.axes) target.push_back(axis.length);
  }
  const auto pieces = regroup(a, x, target);
  if (!pieces) return a.freeze_all("it regroups axes in a way that keeps no blocks", "exclude these layers");
  bool pinned = false;
  for (size_t i = 0; numbered && a.has(1) && i < pieces->size(); ++i) {
    const Axis& axis = (*pieces)[i].axis;
    if (axis.is_fixed() || numbers[i]->value <= 0 || follows(a, *numbers[i], axis)) continue;
    pinned = pin_target(a, x, numbers, target, *pieces);
    break;
  }
  LabelledValue result;
  result.known = true;
  for (size_t i = 0; i < pieces->size(); ++i) {
    const Axis& axis = (*pieces)[i].axis;
    result.axes.push_back(axis);
    result.zero.push_back((*pieces)[i].zero);
    if (pinned) continue;
    if (!numbered) {
      if (!axis.is_fixed()) a.labels.freeze(axis, a.because("its target shape is computed at run time", "fold constants (onnxsim) before cutting"));
    } else if (numbers[i]->value == 0) {
      a.labels.unite(axis, x.axes[i]);
    } else if (numbers[i]->value > 0) {
      a.bind(numbers[i], axis);
    }
  }
  result.all_zero = x.all_zero;
  a.out(0, std::move(result));
}

void flatten_to_matrix(Analysis& a) {
  const LabelledValue& x = a.in(0);
  if (!is_known(x)) return a.freeze_all("the shape of its operand is not known before run time", "give input shapes with --input");
  const int axis = Analysis::normal(a.node().integer("axis", 1), x.rank());
  std::vector<int64_t> target = {1, 1};
  for (int i = 0; i < x.rank(); ++i) target[i < axis ? 0 : 1] *= x.axes[static_cast<size_t>(i)].length;
  give_regrouped(a, target);
}

void transpose(Analysis& a) {
  const LabelledValue& x = a.in(0);
  std::vector<int64_t> order = a.node().integers("perm");
  for (int axis = x.rank() - 1; axis >= 0 && static_cast<int>(order.size()) < x.rank(); --axis) order.push_back(axis);
  LabelledValue result;
  result.known = true;
  for (const int64_t axis : order) {
    const auto at = static_cast<size_t>(Analysis::normal(axis, x.rank()));
    result.axes.push_back(x.axes.at(at));
    result.zero.push_back(x.zero.at(at));
  }
  result.all_zero = x.all_zero;
  a.out(0, std::move(result));
}

void squeeze(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const auto listed = a.node().find("axes") == nullptr && !a.has(1) ? std::optional(std::vector<int64_t>{}) : a.attribute_or_input("axes", 1);
  if (!listed) return a.freeze_all("its axes are computed at run time", "export with constant axes");
  std::vector<bool> drop(x.axes.size(), false);
  for (const int64_t axis : *listed) drop.at(static_cast<size_t>(Analysis::normal(axis, x.rank()))) = true;
  LabelledValue result;
  result.known = true;
  for (size_t i = 0; i < x.axes.size(); ++i) {
    if (listed->empty() ? x.axes[i].length == 1 : drop[i]) continue;
    result.axes.push_back(x.axes[i]);
    result.zero.push_back(x.zero[i]);
  }
  result.all_zero = x.all_zero;
  a.out(0, std::move(result));
}

void unsqueeze(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const auto listed = a.attribute_or_input("axes", 1);
  if (!listed) return a.freeze_all("its axes are computed at run time", "export with constant axes");
  const size_t rank = x.axes.size() + listed->size();
  std::vector<bool> added(rank, false);
  for (const int64_t axis : *listed) added.at(static_cast<size_t>(Analysis::normal(axis, static_cast<int>(rank)))) = true;
  LabelledValue result;
  result.known = true;
  size_t next = 0;
  for (size_t i = 0; i < rank; ++i) {
    result.axes.push_back(added[i] ? a.fixed(1) : x.axes.at(next));
    result.zero.push_back(added[i] ? char{0} : x.zero.at(next));
    next += added[i] ? 0 : 1;
  }
  result.all_zero = x.all_zero;
  a.out(0, std::move(result));
}

/// [N, C, H, W] -> [N, C / b^2, H * b, W * b]: of the channels only whole blocks of b^2 can go.
void depth_to_space(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const int64_t block = a.node().integer("blocksize", 1);
  const int64_t inner = block * block;
  if (x.rank() != 4 || x.axes[1].length < inner) return a.freeze_all("its operand's shape is not known before run time", "give input shapes with --input");
  a.hold_others(0, {0, 1});
  const bool column_row_depth = a.node().text("mode", "DCR") == "CRD";
  const int64_t depth = x.axes[1].length / inner;
  const auto parts = column_row_depth ? a.labels.split(x.axes[1], depth, inner) : a.labels.split(x.axes[1], inner, depth);
  a.labels.freeze(column_row_depth ? parts.second : parts.first, a.because("it lays these channels out in space"));
  const auto longer = [&](const Axis& axis) { return a.fixed(axis.length < 0 ? -1 : axis.length * block); };
  LabelledValue result;
  result.known = true;
  result.axes = {x.axes[0], column_row_depth ? parts.first : parts.second, longer(x.axes[2]), longer(x.axes[3])};
  result.zero = {x.zero[0], x.zero[1], 0, 0};
  a.out(0, std::move(result));
}

/// [N, C * block, L] -> [N, C, ...]: the sizes of the image and of a block are operands.
void columns_to_image(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const std::vector<ExpressionPtr>* sizes = a.parameter(1);
  a.parameter(2);
  const auto block = a.integers(2);
  int64_t inner = 1;
  for (const int64_t size : block.value_or(std::vector<int64_t>{})) inner *= size;
  if (x.rank() != 3 || !block || inner < 1 || x.axes[1].length < 1 || x.axes[1].length % inner != 0) {
    return a.freeze_all("its operands' shapes are not known before run time", "export with static shapes");
  }
  const auto [channels, places] = a.labels.split(x.axes[1], x.axes[1].length / inner, inner);
  a.labels.freeze(places, a.because("it lays these channels out in space"));
  a.labels.freeze(x.axes[2], a.because("it lays these columns out in space"));
  LabelledValue result;
  result.known = true;
  result.axes = {x.axes[0], channels};
  for (size_t i = 0; i < block->size(); ++i) result.axes.push_back(a.fixed(sizes != nullptr && i < sizes->size() ? (*sizes)[i]->value : -1));
  result.zero.assign(result.axes.size(), 0);
  result.zero[1] = x.zero[1];
  a.out(0, std::move(result));
}

/// [N, C, H, W] -> [N, b^2 * C, H / b, W / b]
void space_to_depth(Analysis& a) {
  const LabelledValue& x = a.in(0);
  const int64_t block = a.node().integer("blocksize", 1);
  if (x.rank() != 4) return a.freeze_all("its operand's shape is not known before run time", "give input shapes with --input");
  a.hold_others(0, {0, 1});
  const auto shorter = [&](const Axis& axis) { return a.fixed(axis.length < 0 ? -1 : axis.length / block); };
  LabelledValue result;
  result.known = true;
  result.axes = {x.axes[0], a.labels.join(a.fixed(block * block), x.axes[1]), shorter(x.axes[2]), shorter(x.axes[3])};
  result.zero = {x.zero[0], x.zero[1], 0, 0};
  a.out(0, std::move(result));
}

}  // namespace

void add_reshape_rules(RuleTable& table) {
  table["Reshape"] = reshape;
  table["Flatten"] = flatten_to_matrix;
  table["Transpose"] = transpose;
  table["Squeeze"] = squeeze;
  table["Unsqueeze"] = unsqueeze;
  table["com.microsoft.ExpandDims"] = unsqueeze;
  table["Col2Im"] = columns_to_image;
  table["DepthToSpace"] = depth_to_space;
  table["SpaceToDepth"] = space_to_depth;
}

}  // namespace sparsify
