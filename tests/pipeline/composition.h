#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "allocators/allocator.h"
#include "base/error.h"
#include "criteria/criterion.h"
#include "patterns/pattern.h"
#include "pipeline/decide.h"
#include "pipeline/permute_stage.h"
#include "pipeline/sensitivity.h"
#include "program/model_text.h"
#include "support/catch.h"

namespace sparsify::composition {

inline constexpr double kSparsity = 0.6;
inline constexpr const char* kTrain = "configs/quickstart/digits-train.npz";

/// `float[8,4] name = {...}`, evenly between two numbers.
inline std::string stored(std::mt19937& random, const std::string& name, const Shape& shape, double low, double high) {
  std::vector<std::string> numbers;
  for (int64_t i = 0; i < element_count(shape); ++i) numbers.push_back(fmt::format("{:.4f}", std::uniform_real_distribution<double>(low, high)(random)));
  return fmt::format("float[{}] {} = {{{}}}", fmt::join(shape, ","), name, fmt::join(numbers, ","));
}

inline std::string text_of(const std::vector<std::string>& tensors, const std::string& nodes) {
  return fmt::format("<ir_version: 8, opset_import: [\"\": 17]> graph (float[N,1,8,8] image) => (float[N,10] logits) <{}> {{{} logits = Gemm <transB = 1> (flat, classifier, bias) }}",
                     fmt::join(tensors, ", "), nodes);
}

/// The smallest network with all that the plugins look for: BatchNormalization, Relu, a shortcut, a convolution with groups, a classifier.
inline std::string convolutions() {
  std::mt19937 random(1);
  std::vector<std::string> tensors = {stored(random, "stem", {8, 1, 3, 3}, -0.5, 0.5), stored(random, "first", {8, 8, 3, 3}, -0.3, 0.3), stored(random, "grouped", {8, 4, 3, 3}, -0.3, 0.3),
                                      stored(random, "second", {8, 8, 1, 1}, -0.5, 0.5), stored(random, "classifier", {10, 8}, -0.5, 0.5), stored(random, "bias", {10}, -0.1, 0.1)};
  std::string nodes;
  for (const auto& [layer, input, attributes] : {std::tuple{"stem", "image", "pads = [1, 1, 1, 1], strides = [2, 2]"}, {"first", "stem_out", "pads = [1, 1, 1, 1]"},
                                                 {"grouped", "first_out", "pads = [1, 1, 1, 1], group = 2"}, {"second", "grouped_out", "kernel_shape = [1, 1]"}}) {
    const std::string name = layer;
    for (const char* vector : {"_scale", "_variance"}) tensors.push_back(stored(random, name + vector, {8}, 0.5, 1.5));
    for (const char* vector : {"_shift", "_mean"}) tensors.push_back(stored(random, name + vector, {8}, -0.2, 0.2));
    nodes += fmt::format(" {0}_conv = Conv <{2}> ({1}, {0}) {0}_norm = BatchNormalization ({0}_conv, {0}_scale, {0}_shift, {0}_mean, {0}_variance)", name, input, attributes);
    const bool closes = name == "second";
    if (closes) nodes += " sum = Add (second_norm, stem_out)";
    nodes += fmt::format(" {}_out = Relu ({})", name, closes ? "sum" : name + "_norm");
  }
  return text_of(tensors, nodes + " pooled = GlobalAveragePool (second_out) flat = Flatten (pooled)");
}

/// The lines of the image attend to each other: two heads of four.
inline std::string attention() {
  std::mt19937 random(2);
  std::vector<std::string> tensors = {"int64[3] lines = {-1, 8, 8}", "int64[4] apart = {-1, 8, 2, 4}", stored(random, "classifier", {10, 64}, -0.3, 0.3), stored(random, "bias", {10}, -0.1, 0.1)};
  for (const char* name : {"query", "key", "value", "joined"}) tensors.push_back(stored(random, name, {8, 8}, -0.5, 0.5));
  std::string nodes = " rows = Reshape (image, lines)";
  for (const auto& [name, order] : {std::pair{"query", "0, 2, 1, 3"}, {"key", "0, 2, 3, 1"}, {"value", "0, 2, 1, 3"}}) {
    nodes += fmt::format(" {0}_product = MatMul (rows, {0}) {0}_heads = Reshape ({0}_product, apart) {0}_turned = Transpose <perm = [{1}]> ({0}_heads)", name, order);
  }
  return text_of(tensors, nodes + " likeness = MatMul (query_turned, key_turned) shares = Softmax <axis = -1> (likeness) mixed = MatMul (shares, value_turned)"
                                  " back = Transpose <perm = [0, 2, 1, 3]> (mixed) together = Reshape (back, lines) projected = MatMul (together, joined)"
                                  " sum = Add (projected, rows) flat = Flatten (sum)");
}

/// The network that a rule is for: heads are only in one of them.
inline const TextModel& network_of(const std::string& rule) {
  static const TextModel convolving(convolutions());
  static const TextModel attending(attention());
  return rule.find("pattern: head") == std::string::npos ? convolving : attending;
}

/// Every registered pattern as a rule writes it, by its name; `block` and `n_of_m` need numbers, and N:M may reorder channels first.
inline const std::map<std::string, std::vector<std::string>>& writings() {
  static const auto* all = new std::map<std::string, std::vector<std::string>>{
      {"unstructured", {"unstructured"}}, {"per_row", {"per_row"}}, {"n_of_m", {"'2:4'", "'2:4', permute: true", "{n_of_m: {n: 2, m: 4, transposable: true}}"}},
      {"block", {"{block: [4, 1]}"}}, {"channel", {"channel"}}, {"head", {"head"}}, {"layer", {"layer"}}};
  return *all;
}

inline bool is_structured(const std::string& name) { return name == "channel" || name == "head" || name == "layer"; }
inline bool is_fixed(const std::string& pattern) { return pattern.starts_with("'2:4'") || pattern.find("n_of_m") != std::string::npos; }

/// Those that write zeros, or those that remove structure; a pattern that was registered and has no writing is an error here.
inline std::vector<std::string> patterns(bool structured) {
  std::vector<std::string> found;
  for (const std::string& name : Registry<Pattern>::instance().names()) {
    INFO("the pattern " << name << " takes no part in the composition test: add it to writings()");
    REQUIRE(writings().contains(name));
    if (is_structured(name) == structured) found.insert(found.end(), writings().at(name).begin(), writings().at(name).end());
  }
  return found;
}

inline Recipe recipe_of(const std::string& rule, const std::string& data = kTrain) {
  return read_recipe(parse_yaml(fmt::format("model: {}\nthreads: 1\ndata: {{train: {{format: npz, path: {}, scale: 16, limit: 8}}}}\nprune: {}", network_of(rule).path(), data, rule), "test"), "");
}

/// The model that a rule's masks are decided for: with its channels in another order where the rule says so.
inline const ModelFile& model_of(const std::string& rule) {
  static const ModelFile convolving = network_of("").load();
  static const ModelFile attending = network_of("pattern: head").load();
  const ModelFile& given = &network_of(rule) == &network_of("") ? convolving : attending;
  if (!permutes(recipe_of(rule))) return given;
  static const PermutedModel permuted = [&] {
    const Recipe recipe = recipe_of(rule);  // scores have no part in the order: one for all criteria
    return permute(given, find_permutation(given, recipe, {}), network_of(rule).path() + ".out.onnx", {});
  }();
  REQUIRE_FALSE(permuted.orders.empty());
  for (const VerificationResult& check : permuted.checks) CHECK(check.passed);
  return *permuted.file;
}

/// Short of rounds: what counts here is that it runs.
inline std::string short_of(const std::string& criterion) { return criterion == "synflow" ? "{name: synflow, rounds: 3}" : criterion; }

/// Gone with the program.
struct TableFile {
  std::string path;
  ~TableFile() { std::filesystem::remove(path); }
};

/// Measured once for the allocation that needs a table.
inline const std::string& table() {
  static const TableFile file = [] {
    SensitivityRequest request;
    request.recipe = recipe_of("{select: {first_last: true}}");
    request.data = "train";
    request.sparsities = {0.5, 0.9};
    request.patterns = {Setting("unstructured"), Setting("per_row"), parse_yaml("{block: [4, 1]}", "test")};
    const std::string path = (std::filesystem::temp_directory_path() / ("sparsify-composition-" + std::to_string(::getpid()) + ".json")).string();
    std::ofstream(path) << to_json_text(measure_sensitivity(request));
    return TableFile{path};
  }();
  return file.path;
}

inline std::vector<std::string> allocations() {
  std::vector<std::string> names = Registry<Allocator>::instance().names();
  names.emplace_back("null");
  return names;
}

inline std::string rule_of(const std::string& criterion, const std::string& pattern, const std::string& allocation, const std::string& solver = "none") {
  const std::string named = allocation == "sensitivity" ? "{name: sensitivity, table: '" + table() + "'}" : allocation;
  return "{select: {first_last: true}, criterion: " + short_of(criterion) + ", pattern: " + pattern + ", allocation: " + named + ", solver: " + solver +
         (is_fixed(pattern) ? "" : ", sparsity: 0.6") + (is_structured(pattern) ? "}" : ", min_density: 0}");
}

/// Units of the pattern that a mask keeps: blocks at an edge are smaller than the others.
inline int64_t kept_units(const Pattern& pattern, const Decision& one) {
  std::vector<float> bits(static_cast<size_t>(one.mask.size()));
  for (int64_t i = 0; i < one.mask.size(); ++i) bits[static_cast<size_t>(i)] = one.mask[i] ? 1.0F : 0.0F;
  std::vector<float> buffer;
  const ScoreView units = pattern.unit_scores(one.tensor, bits, buffer);
  int64_t kept = 0;
  for (int64_t i = 0; i < units.size(); ++i) kept += units[i] > 0;
  return kept;
}

/// A refusal names what, where and fix, and comes before any work: without data to read it is the same.
template <class Run>
void check_refusal(const ConfigError& refusal, const std::string& rule, const Run& run) {
  CHECK_FALSE(refusal.problem().what.empty());
  CHECK_FALSE(refusal.problem().where.empty());
  CHECK_FALSE(refusal.problem().fix.empty());
  std::string again;
  try {
    run(recipe_of(rule, "nowhere.npz"));
  } catch (const Error& error) {
    again = error.problem().what;
  }
  CHECK(again == refusal.problem().what);
}

}  // namespace sparsify::composition
