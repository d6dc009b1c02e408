#include <cmath>
#include <nlohmann/json.hpp>

#include "config/recipe_parts.h"

namespace sparsify {
namespace {

using Json = nlohmann::ordered_json;
using Plugins = std::map<std::string, std::map<std::string, std::vector<OptionRecord>>>;

Json object_schema(const std::vector<OptionRecord>& records);

/// Whole numbers without a decimal point.
Json bound(double number) {
  const bool whole = number == std::floor(number) && std::abs(number) < 0x1p53;
  return whole ? Json(static_cast<int64_t>(number)) : Json(number);
}

Json scalar_schema(const OptionRecord& record, const std::string& type) {
  Json schema = Json::object();
  if (type == "flag") schema["type"] = "boolean";
  if (type == "text") schema["type"] = "string";
  if (type == "choice") schema["enum"] = record.choices;
  if (type == "number" || type == "integer") {
    schema["type"] = type;
    const NumberRange& range = record.range;
    if (std::isfinite(range.min))
      schema[range.above_min ? "exclusiveMinimum" : "minimum"] = bound(range.min);
    if (std::isfinite(range.max))
      schema[range.below_max ? "exclusiveMaximum" : "maximum"] = bound(range.max);
  }
  return schema;
}

Json record_schema(const OptionRecord& record) {
  Json schema = scalar_schema(record, record.type);
  if (record.type == "list") {
    const Json element = scalar_schema(record, record.items);
    schema["anyOf"] = {{{"type", "array"}, {"items", element}},
                       element};  // one element stands for a list of one
  } else if (record.type == "map") {
    schema = record.fields.empty() ? Json{{"type", "object"}} : object_schema(record.fields);
  }
  if (!record.help.empty()) schema["description"] = record.help;
  const Setting& otherwise = record.default_value;
  const bool empty = otherwise.is_null() || (otherwise.is_text() && otherwise.text().empty());
  if (!empty) schema["default"] = to_json(otherwise);
  return schema;
}

/// A map of exactly these keys.
Json object_schema(const std::vector<OptionRecord>& records) {
  Json schema = {{"type", "object"}, {"properties", Json::object()}};
  for (const OptionRecord& record : records) {
    schema["properties"][record.key] = record_schema(record);
    if (record.required) schema["required"].push_back(record.key);
  }
  schema["additionalProperties"] = false;
  return schema;
}

/// The three spellings that split_name() accepts, of each plugin of a family.
Json plugin_schema(const Plugins& plugins, const std::string& family,
                   const std::vector<std::string>& further_names = {},
                   const std::string& text_pattern = "") {
  const auto found = plugins.find(family);
  if (found == plugins.end()) {
    return {{"anyOf", {{{"type", "string"}}, {{"type", "object"}, {"minProperties", 1}}}}};
  }
  Json names = further_names;
  Json spellings = Json::array();
  for (const auto& [name, records] : found->second) {
    names.push_back(name);
    Json options = object_schema(records);
    Json full = options;
    full["properties"]["name"] = {{"const", name}};
    full["required"].push_back("name");
    spellings.push_back(full);

    Json brief = {{"anyOf", {{{"type", "null"}}, options}}};
    for (const OptionRecord& record : records) {
      if (record.key == "value") brief["anyOf"].push_back(record_schema(record));
    }
    spellings.push_back({{"type", "object"},
                         {"properties", Json::object({{name, brief}})},
                         {"required", Json::array({name})},
                         {"additionalProperties", false}});
  }
  Json all = Json::array({Json{{"enum", names}}});
  if (!text_pattern.empty()) all.push_back({{"type", "string"}, {"pattern", text_pattern}});
  for (Json& spelling : spellings) all.push_back(std::move(spelling));
  return {{"anyOf", all}};
}

/// The keys that every format takes and those of images, as docs/design.md promises them.
std::vector<OptionRecord> common_data_records() {
  return {
      {.key = "path", .type = "text", .help = "file or folder, relative to the recipe"},
      {.key = "split", .type = "text", .help = "train, test ..."},
      {.key = "limit", .type = "integer", .range = {.min = 0}, .help = "only so many samples"},
      {.key = "shuffle", .type = "any", .help = "seeded order"},
      {.key = "batch_size", .type = "integer", .range = {.min = 1}},
      {.key = "layout", .type = "text"},
      {.key = "scale", .type = "number", .help = "pixels are divided by it"},
      {.key = "mean", .type = "list", .items = "number", .help = "subtracted per channel"},
      {.key = "std",
       .type = "list",
       .items = "number",
       .range = {.min = 0, .above_min = true},
       .help = "divided by per channel"},
      {.key = "resize", .type = "any"},
      {.key = "center_crop", .type = "any"},
      {.key = "augment", .type = "any", .help = "of training samples: [{random_crop: 4}, flip]"},
  };
}

Json data_set_schema(const Plugins& plugins) {
  std::vector<OptionRecord> common = common_data_records();
  const auto found = plugins.find("data format");
  const bool known = found != plugins.end();
  if (known && found->second.contains("")) {
    for (const OptionRecord& record : found->second.at("")) {
      std::erase_if(common, [&](const OptionRecord& other) { return other.key == record.key; });
      common.push_back(record);
    }
  }
  const auto source = [&](const Json& format, const std::vector<OptionRecord>& own) {
    Json schema = object_schema(common);
    schema["required"] = Json::array({"format"});
    for (const OptionRecord& record : own) {
      schema["properties"][record.key] = record_schema(record);
      if (record.required) schema["required"].push_back(record.key);
    }
    schema["properties"]["format"] = format;
    schema["additionalProperties"] = !known;
    return schema;
  };
  Json subset = object_schema(common);
  subset["properties"]["from"] = {{"type", "string"}, {"description", "the set to draw from"}};
  subset["properties"]["samples"] = {
      {"type", "integer"}, {"minimum", 1}, {"description", "how many, chosen by the seed"}};
  subset["required"] = Json::array({"from"});

  Json all = Json::array();
  if (!known) all.push_back(source({{"type", "string"}}, {}));
  if (known) {
    for (const auto& [name, own] : found->second) {
      if (!name.empty()) all.push_back(source({{"const", name}}, own));
    }
  }
  all.push_back(subset);
  return {{"anyOf", all}};
}

Json sparsity_schema() {
  Json all = Json::array({Json{{"type", "number"}, {"minimum", 0}, {"exclusiveMaximum", 1}}});
  for (const std::string& kind : budget_kinds()) {
    Json budget = {
        {"type", "object"},
        {"properties",
         Json::object({{kind, {{"type", "number"}, {"exclusiveMinimum", 0}, {"maximum", 1}}}})},
        {"required", Json::array({kind})},
        {"additionalProperties", false}};
    if (kind == "latency") budget["properties"]["runtime"] = {{"type", "string"}};
    all.push_back(std::move(budget));
  }
  return {{"anyOf", all}};
}

Json rule_schema() {
  const Options nothing;
  const PruneRule rule = read_rule(nothing, "prune.0");
  Json schema = object_schema(nothing.records());
  const auto refer = [&](const char* key, const Setting& otherwise) {
    Json& property = schema["properties"][key];
    property["$ref"] = std::string("#/$defs/") + key;
    if (!otherwise.is_null()) property["default"] = to_json(otherwise);
  };
  refer("criterion", rule.criterion);
  refer("pattern", rule.pattern);
  refer("allocation", rule.allocation);
  refer("sparsity", rule.sparsity);
  refer("solver", rule.solver);
  return schema;
}

/// Without the records of train/, the keys that docs/design.md names and any others.
Json train_schema(const Plugins& plugins) {
  const auto found = plugins.find("train");
  if (found != plugins.end() && found->second.contains(""))
    return object_schema(found->second.at(""));
  Json schema = object_schema({
      {.key = "epochs", .type = "number", .range = {.min = 0}},
      {.key = "batch_size", .type = "integer", .range = {.min = 1}},
      {.key = "optimizer", .type = "any"},
      {.key = "lr_schedule", .type = "any"},
      {.key = "loss", .type = "any"},
      {.key = "distill", .type = "any"},
  });
  schema["additionalProperties"] = true;
  return schema;
}

}  // namespace

Json recipe_schema(const Plugins& plugins) {
  const Options nothing;
  Recipe recipe;
  read_scalars(nothing, recipe);
  read_gates(nothing.section("gates", "conditions that the result must meet"));

  const Json scalars = object_schema(nothing.records())["properties"];
  Json properties = Json::object();
  const auto take = [&](const char* key) { properties[key] = scalars.at(key); };
  take("model");
  take("output");
  take("seed");
  take("device");
  properties["device"]["pattern"] = "^(auto|cpu|cuda(:[0-9]{1,3})?)$";
  take("threads");
  properties["threads"]["anyOf"] = {{{"const", "auto"}},
                                    {{"type", "integer"}, {"minimum", 1}, {"maximum", 4096}}};
  properties["threads"]["default"] = "auto";
  take("precision");
  properties["data"] = {{"type", "object"},
                        {"description", "named data sets: train, eval, calibration ..."},
                        {"additionalProperties", {{"$ref", "#/$defs/data_set"}}}};
  properties["prune"] = {
      {"description", "rules, applied in order: a tensor belongs to the last rule that selects it"},
      {"anyOf",
       {{{"type", "array"}, {"items", {{"$ref", "#/$defs/rule"}}}}, {{"$ref", "#/$defs/rule"}}}}};
  properties["initialise"] = {{"$ref", "#/$defs/initialise"}};
  properties["schedule"] = {{"$ref", "#/$defs/schedule"}, {"default", to_json(recipe.schedule)}};
  properties["train"] = {{"$ref", "#/$defs/train"}};
  take("metric");
  take("repair");
  take("gates");
  take("report");
  const Json parts = {{"rule", rule_schema()},
                      {"criterion", plugin_schema(plugins, "criterion")},
                      {"pattern", plugin_schema(plugins, "pattern", {}, "^[0-9]+:[0-9]+$")},
                      {"allocation", plugin_schema(plugins, "allocation")},
                      {"solver", plugin_schema(plugins, "solver", {"none", "auto"})},
                       {"initialise", plugin_schema(plugins, "initialiser")},
                      {"schedule", plugin_schema(plugins, "schedule")},
                      {"sparsity", sparsity_schema()},
                      {"data_set", data_set_schema(plugins)},
                      {"train", train_schema(plugins)}};
  return {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
          {"title", "sparsify recipe"},
          {"description", "one run of sparsify, in YAML or JSON"},
          {"type", "object"},
          {"properties", properties},
          {"additionalProperties", false},
          {"$defs", parts}};
}

}  // namespace sparsify
