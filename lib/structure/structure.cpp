#include "structure/structure.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "mask/prunable.h"
#include "structure/analysis.h"

namespace sparsify {

/// Where a simple class of labels went: a unit of a listed group, or nowhere.
struct Place {
  int group = -1;
  int unit = -1;
};

struct Structure::Impl {
  Impl(const ModelFile& file, const StructureOptions& options) : analysis(file, options) {}

  Analysis analysis;
  std::vector<Group> groups;
  std::unordered_map<Label, Place> places;  ///< by representative, free units only
  std::unordered_map<Label, std::vector<Place>> expanded;

  /// The free units a label stands for.
  const std::vector<Place>& places_of(Label label) {
    const auto [entry, fresh] = expanded.try_emplace(label);
    if (fresh) {
      std::vector<Label> parts;
      analysis.labels.expand(label, parts);
      for (const Label part : parts) {
        const auto found = places.find(part);
        if (found != places.end()) entry->second.push_back(found->second);
      }
    }
    return entry->second;
  }

  bool goes(Label label, const Removed& removed) {
    for (const Place& place : places_of(label)) {
      if (removed[static_cast<size_t>(place.group)][static_cast<size_t>(place.unit)]) return true;
    }
    return false;
  }

  std::vector<int64_t> kept(const Axis& axis, int64_t first, int64_t last, const Removed& removed) {
    std::vector<int64_t> indices;
    for (int64_t i = first; i < last; ++i) {
      if (axis.is_fixed() || !goes(axis.at(i), removed)) indices.push_back(i);
    }
    return indices;
  }
};

namespace {

/// Groups are families of labels that share classes, seen on the axes of weights.
class Grouper {
 public:
  Grouper(Analysis& analysis, const std::vector<PrunableTensor>& tensors) : a_(analysis), labels_(analysis.labels) {
    for (const PrunableTensor& tensor : tensors) tensors_[tensor.id] = &tensor;
    for (const PrunableTensor& tensor : tensors) order_.push_back(tensor.id);
    for (const auto& [id, axes] : a_.tensor_axes) {
      if (id >= 0 && !tensors_.contains(id)) order_.push_back(id);
    }
  }

  void run() {
    join_families();
    for (const int id : order_) {
      const auto axes = a_.tensor_axes.find(id);
      if (axes == a_.tensor_axes.end()) continue;
      for (size_t axis = 0; axis < axes->second.size(); ++axis) add_axis(id, static_cast<int>(axis), axes->second[axis]);
    }
    drop_unweighted();
    for (const std::string& value : a_.value_order) add_value(value);
    mark_heads();
    for (size_t g = 0; g < groups.size(); ++g) finish(groups[g], static_cast<int>(g));
  }

  std::vector<Group> groups;
  std::unordered_map<Label, Place> places;  ///< of all units, frozen ones too

 private:
  int family_root(int family) {
    while (parents_[static_cast<size_t>(family)] != family) {
      int& parent = parents_[static_cast<size_t>(family)];
      parent = parents_[static_cast<size_t>(parent)];
      family = parent;
    }
    return family;
  }

  /// Classes are of one group when they are indices of one axis that produces them, or of factors that a split made. What
  /// only consumes them or runs along them (a concatenation's reader, its biases) does not tie their producers together.
  void join_families() {
    parents_.resize(static_cast<size_t>(labels_.families()));
    std::iota(parents_.begin(), parents_.end(), 0);
    std::set<int> loose;
    for (const auto& [id, axes] : a_.tensor_axes) {
      for (size_t axis = 0; axis < axes.size(); ++axis) {
        if (!axes[axis].is_fixed() && !ties(id, static_cast<int>(axis))) loose.insert(labels_.family(axes[axis].at(0)));
      }
    }
    for (const bool tying : {true, false}) {
      for (Label label = 0; label < static_cast<Label>(labels_.size()); ++label) {
        if (labels_.family(label) < 0 || loose.contains(labels_.family(label)) == tying) continue;
        std::vector<Label> simple;
        labels_.expand_all(label, simple);
        // A joined label is of no family of its own: its factors are.
        if (simple.size() != 1 || labels_.family(simple[0]) < 0) continue;
        const auto [entry, fresh] = family_of_.try_emplace(simple[0], labels_.family(label));
        if (fresh || !tying) continue;
        const int a = family_root(labels_.family(label));
        const int b = family_root(entry->second);
        parents_[static_cast<size_t>(std::max(a, b))] = std::min(a, b);
      }
    }
  }

  bool ties(int id, int axis) const {
    const auto found = tensors_.find(id);
    if (found == tensors_.end() || role_of(id, axis) != Role::Output) return false;
    return !found->second->depthwise();
  }

  /// Several layers use the weight, one the other way round: either axis produces the indices of one of them.
  static bool is_turned(const PrunableTensor& tensor, int axis) {
    if (tensor.output_axis >= 0 || tensor.input_axis >= 0 || tensor.used_by.size() < 2) return false;
    const auto rank = static_cast<int>(tensor.shape.size());
    return tensor.op.find("Conv") != std::string::npos ? axis < 2 : axis >= rank - 2;
  }

  Role role_of(int id, int axis) const {
    const auto tensor = tensors_.find(id);
    if (a_.passive_tensors.contains(id) || tensor == tensors_.end()) return Role::Passive;
    const std::string& kind = tensor->second->kind;
    if (kind == "weight" || kind == "integer weight" || kind == "embedding") {
      if (axis == tensor->second->output_axis) return Role::Output;
      if (axis == tensor->second->input_axis) return Role::Input;
      if (kind == "weight" && is_turned(*tensor->second, axis)) return Role::Output;
    }
    return Role::Vector;
  }

  void add_axis(int id, int axis, const Axis& own) {
    if (own.is_fixed()) return;
    const Role role = role_of(id, axis);
    std::map<int, size_t> member_of;  // group -> position in its members
    for (int64_t i = 0; i < own.length; ++i) {
      std::vector<Label> parts;
      labels_.expand_all(own.at(i), parts);
      for (const Label part : parts) {
        if (labels_.family(part) < 0) continue;
        const int group = group_of(part);
        Group& at = groups[static_cast<size_t>(group)];
        const auto [position, fresh] = member_of.try_emplace(group, at.members.size());
        if (fresh) {
          const auto tensor = tensors_.find(id);
          at.members.push_back({id, tensor != tensors_.end() ? tensor->second->initializer : a_.file.tensor(id).name, axis, role, {}});
        }
        const Place place = place_of(part, group);
        Member& member = at.members[position->second];
        if (member.indices.size() <= static_cast<size_t>(place.unit)) member.indices.resize(static_cast<size_t>(place.unit) + 1);
        member.indices[static_cast<size_t>(place.unit)].push_back(i);
      }
    }
  }

  int group_of(Label simple) {
    const auto own = family_of_.find(simple);
    const int family = family_root(own != family_of_.end() ? own->second : labels_.family(simple));
    const auto [entry, fresh] = by_family_.try_emplace(family, static_cast<int>(groups.size()));
    if (fresh) groups.emplace_back();
    return entry->second;
  }

  Place place_of(Label simple, int group) {
    const auto [entry, fresh] = places.try_emplace(simple);
    if (fresh) {
      Group& at = groups[static_cast<size_t>(group)];
      entry->second = {group, static_cast<int>(at.units++)};
      at.unit_frozen.push_back(labels_.is_frozen(simple));
      for (const Label reason : labels_.reasons(simple)) add_reason(at, reason);
    }
    return entry->second;
  }

  void add_reason(Group& group, Label anchor) {
    const Freeze& freeze = labels_.freeze_of(anchor);
    const bool known = std::any_of(group.frozen.begin(), group.frozen.end(), [&](const Freeze& one) {
      return one.node == freeze.node && one.op == freeze.op && one.reason == freeze.reason;
    });
    if (!known) group.frozen.push_back(freeze);
  }

  /// Axes of kernels, positions and tables that no layer produces or contracts explain nothing.
  void drop_unweighted() {
    std::vector<int> renumbered(groups.size(), -1);
    std::vector<Group> listed;
    for (size_t g = 0; g < groups.size(); ++g) {
      const bool weighted = std::any_of(groups[g].members.begin(), groups[g].members.end(), [](const Member& member) {
        return member.role == Role::Output || member.role == Role::Input;
      });
      if (!weighted) continue;
      renumbered[g] = static_cast<int>(listed.size());
      listed.push_back(std::move(groups[g]));
    }
    groups = std::move(listed);
    for (auto at = places.begin(); at != places.end();) {
      at->second.group = renumbered[static_cast<size_t>(at->second.group)];
      at = at->second.group < 0 ? places.erase(at) : std::next(at);
    }
  }

  void add_value(const std::string& name) {
    const LabelledValue& value = a_.values.at(name);
    for (size_t axis = 0; axis < value.axes.size(); ++axis) {
      if (value.axes[axis].is_fixed()) continue;
      std::vector<int> seen;
      for (const Label label : *value.axes[axis].labels) {
        std::vector<Label> parts;
        labels_.expand_all(label, parts);
        for (const Label part : parts) {
          const auto place = places.find(part);
          if (place == places.end() || std::find(seen.begin(), seen.end(), place->second.group) != seen.end()) continue;
          seen.push_back(place->second.group);
          groups[static_cast<size_t>(place->second.group)].values.push_back({name, static_cast<int>(axis)});
        }
      }
    }
  }

  void mark_heads() {
    for (const Label label : a_.heads) {
      std::vector<Label> parts;
      labels_.expand_all(label, parts);
      for (const Label part : parts) {
        const auto place = places.find(part);
        if (place != places.end()) groups[static_cast<size_t>(place->second.group)].kind = "head";
      }
    }
  }

  void finish(Group& group, int id) {
    group.id = id;
    if (group.kind.empty()) group.kind = "channel";
    for (Member& member : group.members) member.indices.resize(static_cast<size_t>(group.units));
    std::sort(group.members.begin(), group.members.end(), [](const Member& a, const Member& b) {
      return std::tie(a.tensor_id, a.axis) < std::tie(b.tensor_id, b.axis);
    });
    const PrunableTensor* first = nullptr;
    bool produced = false;
    for (const Member& member : group.members) {
      const auto tensor = tensors_.find(member.tensor_id);
      if (tensor == tensors_.end() || (member.role != Role::Output && member.role != Role::Input)) continue;
      const bool output = member.role == Role::Output;
      const bool better = first == nullptr || (output && !produced) ||
                          (output == produced && std::tie(tensor->second->node_order, tensor->second->id) < std::tie(first->node_order, first->id));
      if (!better) continue;
      first = tensor->second;
      produced = output;
    }
    std::string name = first == nullptr ? "group" : first->layer;
    if (!produced) name += ":inputs";
    if (group.kind == "head") name += ":heads";
    const int copies = used_names_[name]++;
    group.name = copies == 0 ? name : fmt::format("{}:{}", name, copies + 1);
  }

  Analysis& a_;
  Labels& labels_;
  std::map<int, const PrunableTensor*> tensors_;
  std::vector<int> order_;  ///< tensor ids, weights in node order first
  std::vector<int> parents_;
  std::unordered_map<Label, int> family_of_;  ///< of a simple class
  std::map<int, int> by_family_;
  std::map<std::string, int> used_names_;
};

}  // namespace

int64_t Group::free_units() const { return std::count(unit_frozen.begin(), unit_frozen.end(), false); }

Structure::Structure(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Structure::Structure(Structure&&) noexcept = default;
Structure& Structure::operator=(Structure&&) noexcept = default;
Structure::~Structure() = default;

Structure Structure::analyse(const ModelFile& file, const StructureOptions& options) {
  auto impl = std::make_unique<Impl>(file, options);
  impl->analysis.run();
  const std::vector<PrunableTensor> tensors = find_tensors(file);
  Grouper grouper(impl->analysis, tensors);
  grouper.run();
  impl->groups = std::move(grouper.groups);
  for (const auto& [label, place] : grouper.places) {
    if (!impl->groups[static_cast<size_t>(place.group)].unit_frozen[static_cast<size_t>(place.unit)]) impl->places.emplace(label, place);
  }
  return Structure(std::move(impl));
}

const FlatGraph& Structure::graph() const { return impl_->analysis.graph; }
const std::vector<Group>& Structure::groups() const { return impl_->groups; }
const std::vector<Count>& Structure::counts() const { return impl_->analysis.counts; }
const std::vector<Rescale>& Structure::rescales() const { return impl_->analysis.rescales; }

const std::vector<Pin>& Structure::pins() const { return impl_->analysis.pins; }

bool Structure::moves(const Pin& pin, const Removed& removed) const {
  return std::any_of(pin.lines.begin(), pin.lines.end(), [&](int line) {
    const Axis& axis = impl_->analysis.lines.at(static_cast<size_t>(line));
    return static_cast<int64_t>(impl_->kept(axis, 0, axis.length, removed).size()) != axis.length;
  });
}

Shape Structure::shape(const std::string& value) const {
  Shape shape;
  const auto found = impl_->analysis.values.find(value);
  if (found == impl_->analysis.values.end()) return shape;
  for (const Axis& axis : found->second.axes) shape.push_back(axis.length);
  return shape;
}

Removed Structure::nothing_removed() const {
  Removed removed;
  for (const Group& group : impl_->groups) removed.emplace_back(static_cast<size_t>(group.units), false);
  return removed;
}

std::vector<int64_t> Structure::kept(const std::string& value, int axis, const Removed& removed) const {
  const auto found = impl_->analysis.values.find(value);
  if (found == impl_->analysis.values.end() || axis < 0 || axis >= found->second.rank()) return {};
  const Axis& own = found->second.axes[static_cast<size_t>(axis)];
  return impl_->kept(own, 0, std::max<int64_t>(own.length, 0), removed);
}

std::vector<int64_t> Structure::indices_a_unit(const std::string& value, int axis, const Group& group) const {
  std::vector<int64_t> counts(static_cast<size_t>(group.units), 0);
  const auto found = impl_->analysis.values.find(value);
  if (found == impl_->analysis.values.end() || axis < 0 || axis >= found->second.rank()) return counts;
  const Axis& own = found->second.axes[static_cast<size_t>(axis)];
  for (int64_t i = 0; !own.is_fixed() && i < own.length; ++i) {
    for (const Place& place : impl_->places_of(own.at(i))) {
      if (place.group == group.id) ++counts[static_cast<size_t>(place.unit)];
    }
  }
  return counts;
}

std::vector<int64_t> Structure::kept(int tensor_id, int axis, const Removed& removed) const {
  const auto found = impl_->analysis.tensor_axes.find(tensor_id);
  if (found == impl_->analysis.tensor_axes.end() || axis < 0 || axis >= static_cast<int>(found->second.size())) return {};
  const Axis& own = found->second[static_cast<size_t>(axis)];
  return impl_->kept(own, 0, own.length, removed);
}

int64_t Structure::count(const Count& count, const Removed& removed) const {
  const Axis& line = impl_->analysis.lines.at(static_cast<size_t>(count.line));
  return count.sign * static_cast<int64_t>(impl_->kept(line, count.first, count.last, removed).size());
}

double Structure::share(const Rescale& rescale, const Removed& removed) const {
  const Axis& line = impl_->analysis.lines.at(static_cast<size_t>(rescale.line));
  return static_cast<double>(impl_->kept(line, 0, line.length, removed).size()) / static_cast<double>(rescale.total);
}

bool Structure::empties(const Removed& removed) const {
  const auto is_empty = [&](const Axis& axis) { return !axis.is_fixed() && axis.length > 0 && impl_->kept(axis, 0, axis.length, removed).empty(); };
  for (const auto& [name, value] : impl_->analysis.values) {
    if (std::any_of(value.axes.begin(), value.axes.end(), is_empty)) return true;
  }
  return std::any_of(impl_->analysis.lines.begin(), impl_->analysis.lines.end(), is_empty);
}

}  // namespace sparsify
