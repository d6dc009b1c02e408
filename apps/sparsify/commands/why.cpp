#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/names.h"
#include "pipeline/groups.h"
#include "report/text.h"
#include "report/text_table.h"
#include "sparsify/command.h"
#include "sparsify/group_json.h"

namespace sparsify {
namespace {

struct Flags {
  std::string model;
  std::string layer;
};

using Json = nlohmann::ordered_json;

std::string member_rows(const Group& group, const Context& context) {
  TextTable table({{.title = "tensor", .flexible = true}, {.title = "axis", .right = true}, {.title = "is"}, {.title = "indices", .right = true},
                   {.title = "a unit", .right = true}});
  for (const Member& member : group.members) {
    size_t indices = 0;
    size_t most = 0;
    for (const std::vector<int64_t>& unit : member.indices) {
      indices += unit.size();
      most = std::max(most, unit.size());
    }
    table.add_row({member.tensor, std::to_string(member.axis), role_text(member.role), std::to_string(indices), std::to_string(most)});
  }
  return table.render(context.width(), context.colour(), context.utf8(), 2);
}

std::string group_text(const Group& group, const Context& context) {
  std::string verdict = group.is_cuttable() ? fmt::format("{} of its {} units can be cut", group.free_units(), group.units)
                                            : fmt::format("none of its {} units can be cut", group.units);
  if (group.units == 1) verdict = "a single unit: cutting it would leave nothing";
  std::string text = fmt::format("{}  {}, {}\n", painted(group.name, Paint::Bold, context.colour()), group.kind,
                                 painted(verdict, group.is_cuttable() ? Paint::Good : Paint::Bad, context.colour()));
  text += member_rows(group, context);
  for (const Freeze& freeze : group.frozen) {
    text += fmt::format("  held by {}\n", to_text(freeze));
    text += fmt::format("          what would change that: {}\n", freeze.fix);
  }
  return text + "\n";
}

int run(const Flags& flags, const Context& context) {
  const ModelFile file = ModelFile::load(flags.model);
  const GroupReport report = report_groups(file, context.shapes());
  const std::vector<GroupedWeight> weights = weights_of_layer(report, flags.layer);
  std::set<int> groups;
  for (const GroupedWeight& weight : weights) groups.insert(weight.groups.begin(), weight.groups.end());
  if (context.json) {
    Json document = {{"model", flags.model}, {"layer", flags.layer}, {"tensors", Json::array()}, {"groups", Json::array()}};
    for (const GroupedWeight& weight : weights) {
      document["tensors"].push_back({{"name", weight.tensor.layer}, {"initializer", weight.tensor.initializer}, {"shape", weight.tensor.shape},
                                     {"cuttable", weight.cuttable}, {"groups", weight.groups}});
    }
    for (const int id : groups) document["groups"].push_back(to_json(report.groups[static_cast<size_t>(id)]));
    print(document.dump(2) + "\n");
    return kDone;
  }
  std::string text;
  for (const GroupedWeight& weight : weights) {
    text += fmt::format("{} {} of {} \"{}\": {}\n", weight.tensor.initializer, shape_text(weight.tensor.shape), weight.tensor.op, weight.tensor.layer,
                        weight.groups.empty() ? "none of its axes belongs to a group" : weight.cuttable ? "can be cut" : "cannot be cut");
  }
  text += "\n";
  for (const int id : groups) text += group_text(report.groups[static_cast<size_t>(id)], context);
  print(text);
  return kDone;
}

std::function<int()> declare(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<Flags>();
  app.add_option("MODEL", flags->model, "ONNX file")->required();
  app.add_option("LAYER", flags->layer, "name of a node, an initializer or a group (globs allowed)")->required();
  add_input_option(app, context);
  return [flags, &context] { return run(*flags, context); };
}

const RegisterCommand entry{{"why", "what a layer is coupled to, what stops it from being cut, what would change that", declare}};

}  // namespace
}  // namespace sparsify
