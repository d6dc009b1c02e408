#include <nlohmann/json.hpp>
#include <regex>

#include "config/fault.h"
#include "config/recipe.h"

using namespace sparsify;
using Json = nlohmann::ordered_json;

namespace {

/// As much of JSON Schema 2020-12 as recipe_schema() uses; any other keyword fails the test.
bool is_valid(const Json& schema, const Json& value, const Json& root) {
  bool valid = true;
  for (const auto& [key, rule] : schema.items()) {
    if (key == "$ref") {
      const std::string name = rule.get<std::string>();
      valid = valid && is_valid(root.at(Json::json_pointer(name.substr(1))), value, root);
    } else if (key == "type") {
      const std::string type = rule.get<std::string>();
      const bool integral =
          value.is_number_integer() ||
          (value.is_number() && value.get<double>() == static_cast<double>(value.get<int64_t>()));
      valid = valid &&
              ((type == "object" && value.is_object()) || (type == "array" && value.is_array()) ||
               (type == "string" && value.is_string()) ||
               (type == "boolean" && value.is_boolean()) || (type == "null" && value.is_null()) ||
               (type == "number" && value.is_number()) || (type == "integer" && integral));
    } else if (key == "properties") {
      for (const auto& [name, inner] : rule.items()) {
        if (value.is_object() && value.contains(name))
          valid = valid && is_valid(inner, value[name], root);
      }
    } else if (key == "additionalProperties") {
      if (!value.is_object()) continue;
      for (const auto& [name, inner] : value.items()) {
        const bool listed = schema.contains("properties") && schema["properties"].contains(name);
        if (!listed)
          valid = valid && (rule.is_boolean() ? rule.get<bool>() : is_valid(rule, inner, root));
      }
    } else if (key == "required") {
      for (const Json& name : rule)
        valid = valid && (!value.is_object() || value.contains(name.get<std::string>()));
    } else if (key == "minProperties") {
      valid = valid && value.size() >= rule.get<size_t>();
    } else if (key == "items") {
      if (!value.is_array()) continue;
      for (const Json& element : value) valid = valid && is_valid(rule, element, root);
    } else if (key == "anyOf") {
      bool any = false;
      for (const Json& choice : rule) any = any || is_valid(choice, value, root);
      valid = valid && any;
    } else if (key == "enum") {
      valid = valid && std::find(rule.begin(), rule.end(), value) != rule.end();
    } else if (key == "const") {
      valid = valid && value == rule;
    } else if (key == "pattern") {
      valid = valid &&
              (!value.is_string() ||
               std::regex_search(value.get<std::string>(), std::regex(rule.get<std::string>())));
    } else if (key == "minimum" || key == "exclusiveMinimum" || key == "maximum" ||
               key == "exclusiveMaximum") {
      if (!value.is_number()) continue;
      const double number = value.get<double>();
      const double bound = rule.get<double>();
      valid = valid && (key == "minimum"            ? number >= bound
                        : key == "maximum"          ? number <= bound
                        : key == "exclusiveMinimum" ? number > bound
                                                    : number < bound);
    } else if (key != "$schema" && key != "$defs" && key != "title" && key != "description" &&
               key != "default") {
      FAIL("the schema uses the keyword " + key);
    }
  }
  return valid;
}

Json plugin_schema() {
  const Options magnitude;
  const Options taylor;
  taylor.integer("order", 1, {.min = 1, .max = 2}, "terms of the series");
  taylor.choice("of", "weights", {"weights", "gates"});
  const Options block;
  block.integers("value", {4, 1}, {.min = 1});
  const Options cifar;
  CHECK_THROWS_AS(cifar.required_text("path"), ConfigError);  // on record all the same
  cifar.choice("split", "train", {"train", "test"});
  const Options train;
  train.number("epochs", 1, {.min = 0});
  train.section("optimizer").number("lr", 0.05, {.min = 0, .above_min = true});
  return recipe_schema(
      {{"criterion", {{"magnitude", magnitude.records()}, {"taylor", taylor.records()}}},
       {"pattern", {{"unstructured", {}}, {"block", block.records()}}},
       {"allocation", {{"global", {}}}},
       {"solver", {{"obs", {}}}},
       {"schedule", {{"one_shot", {}}, {"linear", {}}}},
       {"data format", {{"cifar10", cifar.records()}, {"random", {}}}},
       {"train", {{"", train.records()}}}});
}

bool accepts(const Json& schema, const std::string& yaml) {
  return is_valid(schema, to_json(parse_yaml(yaml, "t")), schema);
}

}  // namespace

TEST_CASE("the schema takes the recipes that the reader takes", "[config][schema]") {
  const char* const recipes[] = {
      "{}",
      "{model: a.onnx, output: b.onnx, seed: 1, device: cuda:1, threads: 4}",
      "{device: cpu, threads: auto, metric: top1}",
      "{data: {train: {format: cifar10, path: d, split: train, scale: 255, mean: [0.5], std: 0.2, "
      "augment: [{random_crop: 4}, flip]}}}",
      "{data: {eval: {format: random, limit: 4}, calibration: {from: eval, samples: 2}}}",
      "{prune: [{select: {ops: [Conv], include: '*', exclude: ['*conv1*']}, criterion: magnitude, "
      "pattern: unstructured, "
      "allocation: global, sparsity: 0.9, solver: none, min_density: 0.01}]}",
      "{prune: {criterion: {name: taylor, order: 2}, pattern: 2:4, sparsity: {macs: 0.5}}}",
      "{prune: {criterion: {taylor: {order: 1}}, pattern: {block: [4, 1]}, sparsity: {latency: "
      "0.6, runtime: x}}}",
      "{schedule: linear, train: {epochs: 3, optimizer: {lr: 0.05}}}",
      "{gates: {max_accuracy_drop: 0.5, min_sparsity: 0.9}, report: {formats: [json]}}",
  };
  const Json schema = plugin_schema();
  for (const char* recipe : recipes) {
    CAPTURE(recipe);
    CHECK_NOTHROW(read_recipe(parse_yaml(recipe, "t"), ""));
    CHECK(accepts(schema, recipe));
    CHECK(accepts(recipe_schema({}), recipe));
    CHECK(accepts(schema, to_yaml(resolved(read_recipe(parse_yaml(recipe, "t"), "")))));
  }
}

TEST_CASE("the schema refuses unknown keys, names and values out of range", "[config][schema]") {
  const char* const recipes[] = {
      "{prunes: []}",
      "{seed: -1}",
      "{device: gpu}",
      "{threads: 0}",
      "{prune: {sparsty: 0.5}}",
      "{prune: {sparsity: 1}}",
      "{prune: {sparsity: {macs: 0}}}",
      "{prune: {sparsity: {macs: 0.5, params: 0.5}}}",
      "{prune: {select: {opps: [Conv]}}}",
      "{prune: {criterion: wnda}}",
      "{prune: {criterion: {name: taylor, ordr: 2}}}",
      "{prune: {criterion: {name: taylor, order: 3}}}",
      "{prune: {criterion: {taylor: {of: neither}}}}",
      "{prune: {pattern: {block: [0, 1]}}}",
      "{prune: {pattern: '2:4x'}}",
      "{data: {eval: {format: cifar10}}}",
      "{data: {eval: {format: cifar10, path: x, splt: test}}}",
      "{data: {eval: {format: cifr10, path: x}}}",
      "{data: {eval: {path: x}}}",
      "{train: {epoch: 1}}",
      "{train: {optimizer: {lr: 0}}}",
      "{gates: {max_acuracy_drop: 1}}",
      "{gates: {min_sparsity: 90}}",
      "{report: {formats: [jsn]}}",
      "{prune: {select: {kinds: weights}}}",
  };
  const Json schema = plugin_schema();
  for (const char* recipe : recipes) {
    CAPTURE(recipe);
    CHECK_FALSE(accepts(schema, recipe));
  }
}

TEST_CASE("the schema carries defaults, ranges and descriptions", "[config][schema]") {
  const Json schema = plugin_schema();
  CHECK(schema["$schema"] == "https://json-schema.org/draft/2020-12/schema");
  CHECK(schema["additionalProperties"] == false);
  CHECK(schema["properties"]["seed"]["default"] == 0);
  CHECK(schema["$defs"]["rule"]["properties"]["min_density"]["default"] == 0.01);
  CHECK(schema["$defs"]["rule"]["properties"]["criterion"]["default"] == "magnitude");
  CHECK(schema["$defs"]["rule"]["properties"]["select"]["properties"]["ops"]["default"] ==
        Json({"Conv", "Gemm", "MatMul"}));
  CHECK(schema["properties"]["gates"]["properties"]["min_sparsity"]["maximum"] == 1);
  CHECK_FALSE(schema["properties"]["gates"]["properties"]["min_sparsity"]["description"]
                  .get<std::string>()
                  .empty());
}
