#include "pipeline/cut_scope.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/names.h"
#include "mask/tensor_globs.h"
#include "pipeline/single_units.h"

namespace sparsify {
namespace {

bool matches(const std::vector<std::string>& globs, const std::vector<std::string>& names) {
  return std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return glob_match(glob, name); });
  });
}

/// The sums that the rule selects (all of them where it selects none), each reason once: `"a", "b": it is an output of the model`.
std::string why_none(const Selection& select, const std::vector<RefusedSum>& refused) {
  std::vector<RefusedSum> shown;
  std::copy_if(refused.begin(), refused.end(), std::back_inserter(shown),
               [&](const RefusedSum& sum) { return matches(select.include, {sum.name}) && !matches(select.exclude, {sum.name}); });
  std::vector<std::pair<std::string, std::string>> names;  // by reason, in the order of the graph
  for (const RefusedSum& sum : shown.empty() ? refused : shown) {
    const auto known = std::find_if(names.begin(), names.end(), [&](const auto& one) { return one.first == sum.reason; });
    if (known == names.end()) names.emplace_back(sum.reason, "\"" + sum.name + "\"");
    else known->second += ", \"" + sum.name + "\"";
  }
  std::vector<std::string> lines;
  for (const auto& [reason, sums] : names) lines.push_back(sums + ": " + reason);
  return join(lines, "; ");
}

}  // namespace

CutScope::CutScope(const ModelFile& file, const Structure& structure) : file_(file), structure_(structure) {
  for (PrunableTensor& tensor : find_tensors(file)) tensors_.emplace(tensor.id, std::move(tensor));
}

void CutScope::check(const CutRule& rule) const {
  if (rule.kind == "layer") selected_blocks(rule);
  else cuttable_groups(rule);
}

std::vector<size_t> CutScope::groups(const CutRule& rule, std::span<const CutRule> later) const {
  std::vector<size_t> groups = cuttable_groups(rule);
  std::erase_if(groups, [&](size_t group) {
    return std::any_of(later.begin(), later.end(), [&](const CutRule& other) { return other.kind == rule.kind && takes(other.rule->select, structure_.groups()[group]); });
  });
  return groups;
}

std::vector<Block> CutScope::blocks(const CutRule& rule, std::span<const CutRule> later) const {
  std::vector<Block> blocks = selected_blocks(rule);
  std::erase_if(blocks, [&](const Block& block) {
    return std::any_of(later.begin(), later.end(), [&](const CutRule& other) { return other.kind == rule.kind && takes(other.rule->select, block); });
  });
  return blocks;
}

/// A group belongs to a rule when a layer that produces its units does; one that touches an excluded weight is left alone.
bool CutScope::takes(const Selection& select, const Group& group) const {
  const bool any_op = select.ops == Selection{}.ops;  // LSTM, ConvTranspose ... are cut unless the recipe says otherwise
  bool included = false;
  for (const Member& member : group.members) {
    const auto found = tensors_.find(member.tensor_id);
    if (found == tensors_.end() || (member.role != Role::Output && member.role != Role::Input)) continue;
    const PrunableTensor& tensor = found->second;
    if (matches_any(select.exclude, tensor)) return false;
    const bool op = any_op || std::find(select.ops.begin(), select.ops.end(), tensor.op) != select.ops.end();
    included = included || (member.role == Role::Output && op && matches_any(select.include, tensor));
  }
  return (included || matches(select.include, {group.name})) && !matches(select.exclude, {group.name});
}

std::vector<size_t> CutScope::cuttable_groups(const CutRule& rule) const {
  const std::vector<Group>& groups = structure_.groups();
  std::vector<size_t> selected;
  std::vector<size_t> cuttable;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (groups[i].kind != rule.kind || !takes(rule.rule->select, groups[i])) continue;
    selected.push_back(i);
    if (groups[i].is_cuttable()) cuttable.push_back(i);
  }
  if (cuttable.empty()) throw_nothing(rule, selected);
  if (rule.kind == "head") leave_crossing_heads_(rule.rule->select, cuttable);
  return cuttable;
}

/// With grouped queries, key-value heads and one query head of each of them are groups that cross: cut by half both leave a quarter. The smaller one
/// stays unless it is named.
void CutScope::leave_crossing_heads_(const Selection& select, std::vector<size_t>& cuttable) const {
  const std::vector<Group>& groups = structure_.groups();
  const auto touches = [&](size_t group, const Member& wanted) {
    return std::any_of(groups[group].members.begin(), groups[group].members.end(),
                       [&](const Member& member) { return member.tensor_id == wanted.tensor_id && member.axis == wanted.axis; });
  };
  const auto is_crossed = [&](size_t small) {
    if (std::find(select.include.begin(), select.include.end(), groups[small].name) != select.include.end()) return false;
    return std::any_of(cuttable.begin(), cuttable.end(), [&](size_t large) {
      const std::vector<Member>& members = groups[small].members;
      return groups[large].members.size() > members.size() && std::all_of(members.begin(), members.end(), [&](const Member& member) { return touches(large, member); });
    });
  };
  std::vector<size_t> rest;
  std::copy_if(cuttable.begin(), cuttable.end(), std::back_inserter(rest), [&](size_t group) { return !is_crossed(group); });
  cuttable = std::move(rest);
}

bool CutScope::takes(const Selection& select, const Block& block) const {
  std::vector<std::string> names = block.labels;
  for (const int id : block.tensors) names.push_back(file_.tensor(id).name);
  return matches(select.include, names) && !matches(select.exclude, names);
}

std::vector<Block> CutScope::selected_blocks(const CutRule& rule) const {
  const Selection& select = rule.rule->select;
  std::vector<Block> selected;
  std::vector<std::string> names;
  std::vector<RefusedSum> refused;
  for (Block& block : find_blocks(file_, structure_, &refused)) {
    names.push_back(block.name);
    if (takes(select, block)) selected.push_back(std::move(block));
  }
  if (selected.empty()) {
    const std::string why = refused.empty() ? "" : ". Sums that are none: " + why_none(select, refused);
    if (names.empty()) refuse_setting(rule.rule->mark, rule.path, "the model has no residual block that can be replaced by its shortcut", "use the pattern channel" + why);
    const std::string nearest = closest_name(select.include.empty() ? "" : select.include.front(), names);
    const bool names_refused = std::any_of(refused.begin(), refused.end(), [&](const RefusedSum& sum) { return matches(select.include, {sum.name}); });
    refuse_setting(rule.rule->mark, rule.path, "the rule selects no residual block",
                   names_refused ? "select others: " + join(names) + why
                   : nearest.empty() ? "blocks are named by their Add: " + join(names) : fmt::format("did you mean \"{}\"?", nearest));
  }
  return selected;
}

void CutScope::throw_nothing(const CutRule& rule, const std::vector<size_t>& selected) const {
  const Selection& select = rule.rule->select;
  std::vector<std::string> names;
  for (const Group& group : structure_.groups()) {
    if (group.kind == rule.kind) names.push_back(group.name);
  }
  if (names.empty()) {
    refuse_setting(rule.rule->mark, rule.path, fmt::format("the model has no {} that can be told apart", rule.kind), "see `sparsify why MODEL LAYER`, or use another pattern");
  }
  std::vector<Group> groups;
  for (const size_t index : selected) groups.push_back(structure_.groups()[index]);
  for (Group& group : single_units(find_tensors(file_), structure_.groups())) {
    if (group.kind == rule.kind && takes(select, group)) groups.push_back(std::move(group));
  }
  if (!groups.empty()) {
    std::vector<std::string> reasons;
    for (const Group& group : groups) {
      const std::string why = group.units < 2 ? "it has a single unit" : group.frozen.empty() ? "all its units are frozen" : group.frozen.front().reason;
      if (reasons.size() < 3) reasons.push_back(fmt::format("\"{}\": {}", group.name, why));
    }
    const std::string which = groups.size() == 1 ? "the selected group cannot be cut" : fmt::format("none of the {} selected groups can be cut", groups.size());
    refuse_setting(rule.rule->mark, rule.path, fmt::format("{} ({})", which, join(reasons, "; ")),
           "select others; `sparsify why MODEL LAYER` says what would change that");
  }
  const std::string nearest = select.include.empty() ? "" : closest_name(select.include.front(), names);
  refuse_setting(rule.rule->mark, rule.path, fmt::format("rule selects no group (include {}; exclude {})", join(select.include), select.exclude.empty() ? "nothing" : join(select.exclude)),
         nearest.empty() ? "widen the globs; `sparsify inspect MODEL --groups` lists the groups" : fmt::format("did you mean \"{}\"?", nearest));
}

}  // namespace sparsify
