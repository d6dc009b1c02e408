#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/options.h"
#include "config/value.h"

namespace sparsify {

/// Which tensors a rule takes. Globs are matched against node and initializer names.
struct Selection {
  std::vector<std::string> ops = {"Conv", "Gemm", "MatMul"};
  std::vector<std::string> include = {"*"};
  std::vector<std::string> exclude;
  /// What a tensor is to its operator: `weight`, `bias`, `norm`, `embedding`.
  std::vector<std::string> kinds = {"weight"};
  /// The first and last layers are left alone unless this is set or `include` names them without a wildcard.
  bool first_last = false;
};

/// One entry of `prune:`.
struct PruneRule {
  Selection select;
  Value criterion;   ///< a name, or a map with `name`; default: magnitude
  Value pattern;     ///< default: unstructured
  Value allocation;  ///< default: uniform for patterns that fix the density, else global
  Value solver;      ///< default: none
  Value sparsity;    ///< a number in [0, 1) or a budget map; null where the pattern fixes it (2:4)
  /// Least fraction that every layer keeps, and at least one weight per output channel; 0 turns both off.
  double min_density = 0.01;
  Mark mark;
};

struct Gate {
  std::string name;
  double limit = 0;
  Mark mark;
};

/// A whole run. The only home of defaults: the command line reads its own from here.
struct Recipe {
  std::string model;
  std::string output;
  int64_t seed = 0;
  std::string device = "auto";
  int64_t threads = 0;  ///< 0: auto
  std::map<std::string, Value> data;  ///< named sets: train, eval, calibration, ...
  std::vector<PruneRule> prune;
  Value schedule;
  Value train;
  std::string metric = "auto";  ///< top1 when the data has class labels, else mse to the dense model
  std::vector<Gate> gates;
  std::vector<std::string> report_formats = {"json", "html", "csv", "junit"};

  Value source;  ///< the tree it was read from, after --set and flags
};

/// Typed and checked: unknown keys, wrong types and values out of range are ConfigErrors with file and line.
/// Paths relative to the recipe's file are resolved against its folder (`base`; "" = leave them).
Recipe read_recipe(const Value& tree, const std::string& base);

/// Everything, defaults included, in the order of docs/design.md: reading it back gives the same recipe.
Value resolved(const Recipe& recipe);

/// JSON Schema (draft 2020-12) of recipes; plugin families contribute their names and options through `plugins`:
/// family -> name -> option records.
nlohmann::ordered_json recipe_schema(
    const std::map<std::string, std::map<std::string, std::vector<OptionRecord>>>& plugins);

/// `cifar10:data/cifar10,split=test,mean=[0.4,0.5]` as a data set; values are YAML, commas inside brackets belong to them.
Value parse_data_flag(const std::string& text, const std::string& flag);

}  // namespace sparsify
