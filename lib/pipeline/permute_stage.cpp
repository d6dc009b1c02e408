#include "pipeline/permute_stage.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "patterns/pattern.h"
#include "pipeline/cut.h"
#include "tensor/n_of_m.h"
#include "tensor/permute_columns.h"

namespace sparsify {
namespace {

/// Pairs of stripes times rows that one sweep of the search may look at: about a second. Wider layers are searched on evenly spaced rows.
constexpr int64_t kSweep = 400'000'000;
/// Of the annealing, over all groups, in units of half a second; and swaps for each pair of columns, after which a small matrix has no more to gain.
constexpr double kEffort = 20;
constexpr double kSwapsAPair = 400;

struct NOfMRule {
  int n = 0;
  int m = 0;
};

std::optional<NOfMRule> n_of_m_of(const PruneRule& rule, const std::string& path) {
  const std::string text = make_pattern(rule.pattern, path)->describe();
  NOfMRule numbers;
  const char* end = text.data() + text.size();
  const auto [colon, bad_n] = std::from_chars(text.data(), end, numbers.n);
  if (bad_n != std::errc{} || colon == end || *colon != ':') return std::nullopt;
  const auto [rest, bad_m] = std::from_chars(colon + 1, end, numbers.m);
  if (bad_m != std::errc{} || rest != end) return std::nullopt;
  return numbers;
}

/// A layer that N:M will prune.
struct Layer {
  PrunableTensor tensor;
  NOfMRule rule;
  std::vector<float> weights;  ///< as stored
  double total = 0;
};

double kept_of(const Layer& layer, const std::vector<float>& weights) {
  const BitMask mask = select_n_of_m(ScoreView::magnitudes(weights), layer.tensor.shape, layer.tensor.input_axis, layer.rule.n, layer.rule.m);
  double sum = 0;
  for (int64_t i = 0; i < mask.size(); ++i) {
    if (mask[i]) sum += std::fabs(static_cast<double>(weights[static_cast<size_t>(i)]));
  }
  return sum;
}

std::vector<float> in_order(const Layer& layer, const std::map<int, std::vector<AxisSlice>>& axes) {
  const auto found = axes.find(layer.tensor.id);
  if (found == axes.end()) return layer.weights;
  return sliced(HostTensor::of<float>(DType::Float32, layer.tensor.shape, layer.weights), found->second).to_floats();
}

std::vector<UnitOrder> orders_in(const Structure& structure, const std::vector<GroupOrder>& named, const std::string& path) {
  std::vector<UnitOrder> orders;
  for (const GroupOrder& one : named) {
    const auto& groups = structure.groups();
    const auto group = std::find_if(groups.begin(), groups.end(), [&](const Group& candidate) { return candidate.name == one.group; });
    bool fits = group != groups.end() && group->units == static_cast<int64_t>(one.order.size());
    std::vector<int64_t> sorted = one.order;
    std::sort(sorted.begin(), sorted.end());
    for (size_t i = 0; i < sorted.size(); ++i) fits = fits && sorted[i] == static_cast<int64_t>(i);
    if (fits) {
      for (const Member& member : group->members) {
        for (size_t unit = 0; unit < one.order.size(); ++unit) {
          fits = fits && member.indices[unit].size() == member.indices[static_cast<size_t>(one.order[unit])].size();
        }
      }
      for (size_t unit = 0; unit < one.order.size(); ++unit) {
        fits = fits && (one.order[unit] == static_cast<int64_t>(unit) || !group->unit_frozen[unit]);
      }
    }
    if (!fits) {
      throw ResourceError{{.what = fmt::format("the order of the channels of \"{}\" does not fit the model", one.group),
                           .where = path,
                           .fix = "use a checkpoint of the graph that the plan was made for, or prune this model anew"}};
    }
    orders.push_back({group->id, one.order});
  }
  return orders;
}

class Finder {
 public:
  Finder(const ModelFile& file, const Recipe& recipe, const PermuteRequest& request)
      : file_(file), recipe_(recipe), request_(request),
        structure_(Structure::analyse(file, {.inputs = request.inputs})) {}

  std::vector<GroupOrder> run() {
    read_layers();
    std::vector<const Group*> groups;
    for (const Group& group : structure_.groups()) {
      if (group.free_units() > 1 && !readers_of(group).empty()) groups.push_back(&group);
    }
    effort_ = std::min(1.0, kEffort / static_cast<double>(std::max<size_t>(groups.size(), 1)));
    Progress progress("reordering channels", static_cast<int64_t>(groups.size()));
    for (const Group* group : groups) {
      check_interrupt();
      reorder(*group);
      progress.advance();
    }
    std::vector<GroupOrder> named;
    for (const UnitOrder& order : orders_) named.push_back({structure_.groups()[static_cast<size_t>(order.group)].name, order.order});
    return named;
  }

  std::vector<KeptMagnitude> weigh(const std::vector<GroupOrder>& named) {
    read_layers();
    std::vector<KeptMagnitude> kept;
    const auto axes = permuted_axes(file_, structure_, orders_in(structure_, named, file_.path()));
    for (const Layer& layer : layers_) {
      const auto found = axes.find(layer.tensor.id);
      const bool reordered = found != axes.end() && std::any_of(found->second.begin(), found->second.end(), [&](const AxisSlice& slice) {
        return slice.axis == layer.tensor.input_axis;
      });
      if (!reordered || layer.total <= 0) continue;
      kept.push_back({layer.tensor.id, kept_of(layer, layer.weights) / layer.total, kept_of(layer, in_order(layer, axes)) / layer.total});
    }
    return kept;
  }

 private:
  void read_layers() {
    for (const Selected& one : select_tensors(find_tensors(file_), recipe_.prune).selected) {
      const PruneRule& rule = recipe_.prune[one.rule];
      if (!rule.permute) continue;
      const std::string path = fmt::format("prune.{}.pattern", one.rule);
      if (!make_pattern(rule.pattern, path)->refuses(one.tensor).empty()) continue;
      Layer layer{.tensor = one.tensor, .rule = *n_of_m_of(rule, path), .weights = std::vector<float>(static_cast<size_t>(one.tensor.count())), .total = 0};
      read_weights(file_, one.tensor, layer.weights);
      for (const float weight : layer.weights) {
        if (!std::isfinite(weight)) return layers_.clear();  // the decision stage refuses such a model
        layer.total += std::fabs(static_cast<double>(weight));
      }
      layers_.push_back(std::move(layer));
    }
  }

  /// One member of the group per layer that reads it along its groups of M.
  std::vector<std::pair<const Layer*, const Member*>> readers_of(const Group& group) const {
    std::vector<std::pair<const Layer*, const Member*>> readers;
    for (const Member& member : group.members) {
      for (const Layer& layer : layers_) {
        if (layer.tensor.id == member.tensor_id && layer.tensor.input_axis == member.axis) readers.emplace_back(&layer, &member);
      }
    }
    std::stable_sort(readers.begin(), readers.end(), [](const auto& a, const auto& b) { return a.first->tensor.count() > b.first->tensor.count(); });
    return readers;
  }

  void reorder(const Group& group) {
    for (const std::vector<int64_t>& units : interchangeable_units(structure_, group)) {
      const auto readers = readers_of(group);
      const int m = readers.front().first->rule.m;
      const std::vector<int64_t> slots = slots_of(*readers.front().second, readers.front().first->tensor, units, m);
      if (static_cast<int64_t>(slots.size()) <= m) continue;
      UnitOrder order{.group = group.id, .order = best_order(group, readers, slots)};
      if (order.order.empty()) continue;
      const double before = kept_by(group, orders_);
      orders_.push_back(order);
      if (kept_by(group, orders_) > before * (1 + 1e-9)) continue;
      orders_.pop_back();
    }
  }

  /// The units whose first indices fill whole groups of M, in that order; the rest of the axis stays as it is.
  static std::vector<int64_t> slots_of(const Member& member, const PrunableTensor& tensor, const std::vector<int64_t>& units, int m) {
    std::map<int64_t, int64_t> unit_at;
    for (const int64_t unit : units) {
      const std::vector<int64_t>& indices = member.indices[static_cast<size_t>(unit)];
      if (!indices.empty()) unit_at.emplace(indices.front(), unit);
    }
    const int64_t length = tensor.shape[static_cast<size_t>(member.axis)];
    std::vector<int64_t> slots;
    for (int64_t first = 0; first < length; first += m) {
      const int64_t last = std::min(first + m, length);
      std::vector<int64_t> stripe;
      for (int64_t i = first; i < last && unit_at.contains(i); ++i) stripe.push_back(unit_at.at(i));
      if (static_cast<int64_t>(stripe.size()) == last - first) slots.insert(slots.end(), stripe.begin(), stripe.end());
    }
    return slots;
  }

  /// Every group of M slots is a group of M on this axis as well.
  static bool is_aligned(const Member& member, const std::vector<int64_t>& slots, size_t which, int m) {
    int64_t first = 0;
    for (size_t slot = 0; slot < slots.size(); ++slot) {
      const std::vector<int64_t>& indices = member.indices[static_cast<size_t>(slots[slot])];
      if (which >= indices.size()) return false;
      const auto place = static_cast<int64_t>(slot % static_cast<size_t>(m));
      if (place == 0) first = indices[which];
      if (first % m != 0 || indices[which] != first + place) return false;
    }
    return true;
  }

  /// Empty if nothing is gained on the columns that were looked at.
  std::vector<int64_t> best_order(const Group& group, const std::vector<std::pair<const Layer*, const Member*>>& readers, const std::vector<int64_t>& slots) const {
    const NOfMRule rule = readers.front().first->rule;
    const auto axes = permuted_axes(file_, structure_, orders_);
    const auto columns = static_cast<int64_t>(slots.size());
    std::vector<float> matrix;
    for (const auto& [layer, member] : readers) {
      if (layer->rule.n != rule.n || layer->rule.m != rule.m) continue;
      const std::vector<float> weights = in_order(*layer, axes);
      const AxisSplit at = split_at(layer->tensor.shape, member->axis);
      for (size_t which = 0; is_aligned(*member, slots, which, rule.m); ++which) {
        for (int64_t outer = 0; outer < at.outer; ++outer) {
          for (int64_t inner = 0; inner < at.inner; ++inner) {
            for (const int64_t slot : slots) {
              const int64_t index = member->indices[static_cast<size_t>(slot)][which];
              matrix.push_back(std::fabs(weights[static_cast<size_t>((outer * at.size + index) * at.inner + inner)]));
            }
          }
        }
      }
    }
    int64_t rows = static_cast<int64_t>(matrix.size()) / columns;
    if (rows == 0) return {};
    const int64_t stripes = (columns + rule.m - 1) / rule.m;
    thin_out(matrix, rows, columns, std::max<int64_t>(64, kSweep / (stripes * stripes)));
    const double enough = kSwapsAPair * static_cast<double>(columns * columns) * static_cast<double>(rows) / 2e8;
    const ColumnPermutation found = permute_columns(matrix, rows, columns, rule.n, rule.m, {.effort = std::min(effort_, enough), .seed = request_.seed});
    if (found.kept <= found.kept_before) return {};
    std::vector<int64_t> order(static_cast<size_t>(group.units));
    std::iota(order.begin(), order.end(), int64_t{0});
    for (size_t slot = 0; slot < slots.size(); ++slot) order[static_cast<size_t>(slots[slot])] = slots[static_cast<size_t>(found.order[slot])];
    return order;
  }

  static void thin_out(std::vector<float>& matrix, int64_t& rows, int64_t columns, int64_t most) {
    if (rows <= most) return;
    for (int64_t row = 0; row < most; ++row) {
      std::copy_n(matrix.begin() + row * rows / most * columns, columns, matrix.begin() + row * columns);
    }
    rows = most;
    matrix.resize(static_cast<size_t>(rows * columns));
  }

  /// Magnitude that all layers of the group keep in that order: also those whose groups of M were not searched.
  double kept_by(const Group& group, const std::vector<UnitOrder>& orders) const {
    const auto axes = permuted_axes(file_, structure_, orders);
    std::set<int> done;
    double sum = 0;
    for (const auto& [layer, member] : readers_of(group)) {
      if (done.insert(layer->tensor.id).second) sum += kept_of(*layer, in_order(*layer, axes));
    }
    return sum;
  }

  const ModelFile& file_;
  const Recipe& recipe_;
  const PermuteRequest& request_;
  Structure structure_;
  std::vector<Layer> layers_;
  std::vector<UnitOrder> orders_;
  double effort_ = 1;
};

bool same_bytes(const HostTensor& a, const HostTensor& b) {
  return a.type() == b.type() && a.shape() == b.shape() && a.strings() == b.strings() && a.bytes().size() == b.bytes().size() &&
         std::memcmp(a.bytes().data(), b.bytes().data(), a.bytes().size()) == 0;
}

/// The file as it was written against the given one, tensor by tensor.
VerificationResult check_tensors(const ModelFile& given, const ModelFile& permuted, const std::map<int, std::vector<AxisSlice>>& axes) {
  std::string difference = given.tensor_count() == permuted.tensor_count() ? "" : "the file holds another number of tensors";
  for (int id = 0; id < given.tensor_count() && difference.empty(); ++id) {
    const auto moved = axes.find(id);
    const HostTensor expected = moved == axes.end() ? given.tensor_data(id) : sliced(given.tensor_data(id), moved->second);
    if (!same_bytes(expected, permuted.tensor_data(id))) difference = fmt::format("tensor \"{}\" is not the input's in the new order", given.tensor(id).name);
    given.release_tensor_data(id);
    permuted.release_tensor_data(id);
  }
  return {.check = "permutation_exact",
          .passed = difference.empty(),
          .detail = difference.empty() ? fmt::format("{} tensors are the input's in the new order, all others have its bytes", axes.size()) : difference};
}

PermutedModel written(const ModelFile& file, const std::map<int, std::vector<AxisSlice>>& axes, const std::string& output) {
  ModelFile copy = ModelFile::load(file.path(), {.allow_linked_data = true});  // what was let in once
  for (const auto& [id, slices] : axes) copy.replace_tensor_(id, sliced(file.tensor_data(id), slices).copy());
  PermutedModel model;
  model.writer = copy.write(output + ".permuted", {.overwrite = true});
  model.file = std::make_unique<ModelFile>(model.writer->reopen());
  model.checks.push_back(check_tensors(file, *model.file, axes));
  return model;
}

}  // namespace

bool permutes(const Recipe& recipe) {
  bool any = false;
  for (size_t i = 0; i < recipe.prune.size(); ++i) {
    const PruneRule& rule = recipe.prune[i];
    if (!rule.permute) continue;
    any = true;
    const std::string path = fmt::format("prune.{}.pattern", i);
    if (const auto numbers = n_of_m_of(rule, path)) {
      if (numbers->m <= kMaxPermutedGroup) continue;
      throw ConfigError{{.what = fmt::format("permute searches groups of at most {} channels, and the pattern is {}:{}", kMaxPermutedGroup, numbers->n, numbers->m),
                         .where = fmt::format("{} (prune.{}.permute)", rule.mark.text(), i),
                         .fix = "give a smaller M, or remove permute"}};
    }
    throw ConfigError{{.what = fmt::format("permute reorders channels for groups of N:M, and the pattern is {}", make_pattern(rule.pattern, path)->describe()),
                       .where = fmt::format("{} (prune.{}.permute)", rule.mark.text(), i),
                       .fix = "give an N:M pattern, such as 2:4, or remove permute"}};
  }
  return any;
}

std::vector<GroupOrder> find_permutation(const ModelFile& file, const Recipe& recipe, const PermuteRequest& request) { return Finder(file, recipe, request).run(); }

std::vector<KeptMagnitude> kept_magnitudes(const ModelFile& file, const Recipe& recipe, const std::vector<GroupOrder>& orders, const PermuteRequest& request) {
  return Finder(file, recipe, request).weigh(orders);
}

PermutedModel permute(const ModelFile& file, const std::vector<GroupOrder>& orders, const std::string& output, const PermuteRequest& request) {
  const Structure structure = Structure::analyse(file, {.inputs = request.inputs});
  const ProofInputs inputs = random_inputs(file, structure, request.seed);
  const double tolerance = proof_tolerance(file, structure.graph());
  const auto tried = [&](const std::vector<GroupOrder>& some) {
    PermutedModel model = written(file, permuted_axes(file, structure, orders_in(structure, some, file.path())), output);
    model.orders = some;
    VerificationResult proof = prove_equal(file, *model.file, inputs, tolerance, {.threads = request.threads, .device = request.device});
    proof.check = "permutation_equal";
    if (proof.passed) {
      proof.detail = fmt::format("with {} groups of channels reordered, the dense model gives the same outputs on {} random inputs (tolerance {:.2g} of the largest)",
                                 some.size(), inputs.size(), tolerance);
    }
    model.checks.push_back(std::move(proof));
    return model;
  };
  PermutedModel model = tried(orders);
  if (model.checks.back().passed) return model;
  std::vector<GroupOrder> sound;
  std::vector<std::string> warnings;
  for (const GroupOrder& order : orders) {
    const PermutedModel alone = tried({order});
    if (alone.checks.back().passed) sound.push_back(order);
    else warnings.push_back(fmt::format("the channels of \"{}\" keep their order: reordered, {}", order.group, alone.checks.back().detail));
  }
  model = tried(sound);
  model.warnings = std::move(warnings);
  return model;
}

}  // namespace sparsify
