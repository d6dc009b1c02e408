#include "pipeline/plan_file.h"

#include <fmt/core.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/names.h"
#include "base/sha256.h"
#include "config/setting.h"
#include "mask/mask_set.h"
#include "pipeline/cut_stage.h"

namespace sparsify {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Attribute& attribute) {
  std::ostringstream out;
  out << attribute.name << '=' << attribute.reference;
  const auto list = [&out](const auto& items) {
    for (const auto& item : items) out << item << ',';
  };
  std::visit(
      [&](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, float> || std::is_same_v<T, std::string>) out << value;
        else if constexpr (std::is_same_v<T, std::vector<int64_t>> || std::is_same_v<T, std::vector<float>> ||
                           std::is_same_v<T, std::vector<std::string>>) list(value);
        else if constexpr (std::is_same_v<T, StoredTensor>) out << name_of(value.type) << to_text(value.shape);
        else if constexpr (std::is_same_v<T, std::shared_ptr<const Graph>>) {
          for (const Node& node : value->nodes) out << node.op_type << '(' << join(node.inputs) << ")->" << join(node.outputs) << ';';
        }
      },
      attribute.value);
  return out.str();
}

/// One line a node, without its weights: what must be equal for a plan to fit.
std::string describe(const Node& node) {
  std::vector<std::string> attributes;
  for (const Attribute& attribute : node.attributes) attributes.push_back(text_of(attribute));
  return fmt::format("{}{}{} \"{}\" ({}) -> ({}) {{{}}}", node.domain, node.domain.empty() ? "" : ".", node.op_type, node.name,
                     join(node.inputs), join(node.outputs), join(attributes, "; "));
}

std::vector<std::string> describe_nodes(const ModelGraph& model) {
  std::vector<std::string> lines;
  for (const Node& node : model.graph.nodes) lines.push_back(describe(node));
  for (const Function& function : model.functions) {
    for (const Node& node : function.nodes) lines.push_back(function.name + ": " + describe(node));
  }
  return lines;
}

[[noreturn]] void damaged(const std::string& path, const std::string& what) {
  throw ResourceError{{.what = what, .where = path, .fix = "use the plan.json that a run wrote, with its masks.safetensors beside it"}};
}

/// Users name the folder that a run left.
std::string plan_in(const std::string& path) {
  return std::filesystem::is_directory(path) ? (std::filesystem::path(path) / "plan.json").string() : path;
}

Json parsed(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw ResourceError{{.what = "the plan cannot be read", .where = path, .fix = "check the path"}};
  const Json plan = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (plan.is_discarded() || !plan.is_object() || plan.value("schema_version", 0) != 1 || !plan.contains("graph") ||
      !plan.contains("tensors") || !plan.contains("masks")) {
    damaged(path, "the file is not a plan of this version");
  }
  return plan;
}

/// throws Json::exception where a value is missing or of another type
Decisions replayed_cut(const Json& plan, const ModelFile& file) {
  const Json& cut = plan.at("cut");
  std::vector<KeptUnits> groups;
  for (const Json& group : cut.at("groups")) {
    groups.push_back({group.at("name").get<std::string>(), group.at("units").get<int64_t>(), group.at("kept").get<std::vector<int64_t>>()});
  }
  CutPlan made = replay_cut(file, groups, cut.at("blocks").get<std::vector<std::string>>());
  std::map<std::string, std::string> scope;  // what the rules selected and left whole counts as well
  for (const Json& tensor : plan.at("tensors")) scope.emplace(tensor.at("initializer").get<std::string>(), tensor.at("pattern").get<std::string>());
  for (const PrunableTensor& tensor : find_tensors(file)) {
    const auto found = scope.find(tensor.initializer);
    if (found != scope.end()) made.patterns.insert_or_assign(tensor.id, found->second);
  }
  return decisions_of_cut(file, std::move(made));
}

/// throws Json::exception where a value is missing or of another type
Decisions decisions_of(const std::string& path, const ModelFile& file) {
  const Json plan = parsed(path);
  const std::vector<std::string> here = describe_nodes(file.model());
  const auto there = plan["graph"].get<std::vector<std::string>>();
  for (size_t i = 0; i < std::max(here.size(), there.size()); ++i) {
    const std::string ours = i < here.size() ? here[i] : "nothing";
    const std::string planned = i < there.size() ? there[i] : "nothing";
    if (ours == planned) continue;
    throw ResourceError{{.what = fmt::format("the plan is for another graph: node {} is {}, the plan has {}", i, ours, planned),
                         .where = fmt::format("{} applied to {}", path, file.path()),
                         .fix = "use a checkpoint of the graph that the plan was made for, or prune this model anew"}};
  }
  if (plan.contains("cut")) return replayed_cut(plan, file);
  const std::string masks_path = (std::filesystem::path(path).parent_path() / plan["masks"].value("path", "")).string();
  if (sha256_of_file(masks_path) != plan["masks"].value("sha256", "")) damaged(masks_path, "the masks are not those of the plan");
  const MaskSet masks = read_masks(masks_path);

  Decisions decisions;
  std::map<std::string, PrunableTensor> tensors;
  for (PrunableTensor& tensor : find_tensors(file)) tensors.emplace(tensor.initializer, std::move(tensor));
  for (size_t i = 0; i < plan["tensors"].size(); ++i) {
    const Json& entry = plan["tensors"][i];
    const std::string name = entry.value("initializer", "");
    const auto found = tensors.find(name);
    const auto mask = std::find_if(masks.begin(), masks.end(), [&](const auto& one) { return one.first == name; });
    if (mask == masks.end()) damaged(masks_path, fmt::format("there is no mask for \"{}\"", name));
    const auto shape = entry.value("shape", Shape{});
    const std::string type = entry.value("type", "");
    if (found == tensors.end() || found->second.shape != shape || name_of(found->second.type) != type) {
      throw ResourceError{{.what = fmt::format("the plan prunes \"{}\" ({}{}), the model has {}", name, type, to_text(shape),
                                               found == tensors.end() ? "no such weight"
                                                                      : name_of(found->second.type) + to_text(found->second.shape)),
                           .where = fmt::format("{} applied to {}", path, file.path()),
                           .fix = "use a checkpoint of the graph that the plan was made for, or prune this model anew"}};
    }
    if (mask->second.shape != shape) {
      damaged(masks_path, fmt::format("the mask of \"{}\" has shape {}, the plan says {}", name, to_text(mask->second.shape), to_text(shape)));
    }
    Decision decision{.tensor = found->second, .mask = mask->second.bits};
    decision.pattern_setting = parse_yaml(entry.at("pattern").dump(), path);
    decision.pattern = "plan";
    if (entry.at("target").is_number()) decision.target = entry.at("target").get<double>();
    tensors.erase(found);
    decisions.decided.push_back(std::move(decision));
  }
  for (const auto& [name, tensor] : tensors) decisions.skipped.push_back({tensor, "not in the plan"});
  std::sort(decisions.skipped.begin(), decisions.skipped.end(),
            [](const Skipped& a, const Skipped& b) { return a.tensor.node_order < b.tensor.node_order; });
  return decisions;
}

}  // namespace

void write_plan(const std::string& folder, const ModelFile& file, const Decisions& decisions, bool overwrite,
                const std::vector<GroupOrder>& orders) {
  MaskSet masks;
  Json tensors = Json::array();
  for (const Decision& decision : decisions.decided) {
    const PrunableTensor& tensor = decision.tensor;
    masks.emplace_back(tensor.initializer, Mask{tensor.shape, decision.mask});
    tensors.push_back({{"initializer", tensor.initializer},
                       {"layer", tensor.layer},
                       {"type", name_of(tensor.type)},
                       {"shape", tensor.shape},
                       {"pattern", to_json(decision.pattern_setting)},
                       {"target", decision.target ? Json(*decision.target) : Json()},
                       {"kept", decision.mask.kept()}});
  }
  const std::string masks_path = (std::filesystem::path(folder) / "masks.safetensors").string();
  const std::string masks_sha256 = write_masks(masks_path, masks, overwrite);
  Json plan = {{"schema_version", 1},
                     {"model", {{"path", file.path()}, {"sha256", file.sha256()}}},
                     {"masks", {{"path", "masks.safetensors"}, {"sha256", masks_sha256}}},
                     {"tensors", tensors},
                     {"graph", describe_nodes(file.model())}};
  for (const GroupOrder& one : orders) plan["permutation"].push_back({{"group", one.group}, {"order", one.order}});
  if (decisions.cut) {
    plan["cut"] = {{"groups", Json::array()}, {"blocks", Json::array()}, {"tensors", Json::array()}};
    for (const KeptUnits& group : kept_units(*decisions.cut)) {
      plan["cut"]["groups"].push_back({{"name", group.group}, {"units", group.units}, {"kept", group.kept}});
    }
    for (const Block& block : decisions.cut->blocks) plan["cut"]["blocks"].push_back(block.name);
    for (const TensorCut& tensor : decisions.cut->cut.tensors) {
      Json axes = Json::object();
      for (const AxisSlice& slice : tensor.kept) axes[std::to_string(slice.axis)] = slice.kept;
      plan["cut"]["tensors"].push_back({{"tensor", tensor.tensor}, {"before", tensor.before}, {"after", tensor.after}, {"kept", axes}});
    }
  }
  write_file_atomically((std::filesystem::path(folder) / "plan.json").string(), plan.dump(1) + "\n", overwrite);
}

std::vector<GroupOrder> read_plan_orders(const std::string& given) {
  const std::string path = plan_in(given);
  try {
    std::vector<GroupOrder> orders;
    const Json plan = parsed(path);
    if (!plan.contains("permutation")) return orders;
    for (const Json& one : plan["permutation"]) orders.push_back({one.at("group").get<std::string>(), one.at("order").get<std::vector<int64_t>>()});
    return orders;
  } catch (const Json::exception& e) {
    damaged(path, fmt::format("the plan is damaged: {}", e.what()));
  }
}

Decisions read_plan(const std::string& given, const ModelFile& file) {
  const std::string path = plan_in(given);
  try {
    return decisions_of(path, file);
  } catch (const Json::exception& e) {
    damaged(path, fmt::format("the plan is damaged: {}", e.what()));
  }
}

}  // namespace sparsify
