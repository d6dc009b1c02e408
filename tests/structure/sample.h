#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/names.h"
#include "program/model_text.h"
#include "structure/structure.h"
#include "support/catch.h"

namespace sparsify {

/// A model in few words: weights get small numbers of their own.
struct GraphSample {
  std::string inputs;   ///< `float[1,3,8,8] x`
  std::string outputs;  ///< `float[1,10] y`
  std::vector<std::pair<std::string, Shape>> weights;
  std::string nodes;
  std::string constants{};  ///< more initializers as text: `int64[2] shape = {1, -1}`
  int opset = 17;
};

inline std::string text_of(const GraphSample& sample) {
  std::vector<std::string> weights;
  for (const auto& [name, shape] : sample.weights) {
    std::vector<std::string> sizes;
    for (const int64_t size : shape) sizes.push_back(std::to_string(size));
    std::string numbers;
    for (int64_t i = 0; i < element_count(shape); ++i) numbers += fmt::format("{}{:.2f}", i == 0 ? "" : ", ", 0.01 * static_cast<double>((i * 37 + 11) % 97 + 1));
    weights.push_back(fmt::format("float[{}] {} = {{{}}}", join(sizes, ","), name, numbers));
  }
  if (!sample.constants.empty()) weights.push_back(sample.constants);
  return fmt::format("<ir_version: 8, opset_import: [\"\": {}]>\ngraph ({}) => ({}) <{}> {{ {} }}", sample.opset, sample.inputs, sample.outputs,
                     join(weights), sample.nodes);
}

inline Structure analysed(const GraphSample& sample, const StructureOptions& options = {}) {
  const TextModel text(text_of(sample));
  return Structure::analyse(text.load(), options);
}

/// The first group with such a member; axis -1: any.
inline const Group& group_of(const Structure& structure, const std::string& tensor, int axis, const std::string& kind = "") {
  const std::vector<Group>& groups = structure.groups();
  const auto found = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
    if (!kind.empty() && group.kind != kind) return false;
    return std::any_of(group.members.begin(), group.members.end(), [&](const Member& m) { return m.tensor == tensor && m.axis == axis; });
  });
  INFO(tensor << " axis " << axis);
  REQUIRE(found != groups.end());
  return *found;
}

/// `conv1.w:0 conv2.w:1`, in order of tensor and axis
inline std::string members_of(const Group& group) {
  std::vector<std::string> names;
  for (const Member& member : group.members) names.push_back(fmt::format("{}:{}", member.tensor, member.axis));
  std::sort(names.begin(), names.end());
  return join(names, " ");
}

inline const Member& member_of(const Group& group, const std::string& tensor, int axis) {
  for (const Member& member : group.members) {
    if (member.tensor == tensor && member.axis == axis) return member;
  }
  FAIL("no member " << tensor << ":" << axis);
  return group.members.front();
}

inline Removed without(const Structure& structure, const Group& group, const std::vector<size_t>& units) {
  Removed removed = structure.nothing_removed();
  for (const size_t unit : units) removed[static_cast<size_t>(group.id)][unit] = true;
  return removed;
}

}  // namespace sparsify
