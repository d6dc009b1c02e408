#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/density_limits.h"
#include "config/options.h"
#include "config/setting.h"

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
  /// Depthwise convolutions are left alone in the same way: they hold few weights (nine a channel), and losing them costs most.
  bool depthwise = false;
};

/// One entry of `prune:`.
struct PruneRule {
  Selection select;
  Setting criterion{"magnitude"};   ///< a name, or a map with `name`
  Setting pattern{"unstructured"};
  Setting allocation;  ///< null: uniform for patterns that fix the density, else global
  Setting sparsity;    ///< a number in [0, 1) or a budget map; null where the pattern fixes it (2:4)
  Setting solver{"none"};
  /// Least fraction that every layer keeps, and at least one weight per output channel; 0 turns both off.
  double min_density = 0.01;
  DensityLimits limits{};  ///< beside min_density
  /// Of an N:M rule: channels are reordered first, so that groups of M lose less; the dense model computes the same.
  bool permute = false;
  Mark mark;
};

/// `{macs: 0.5}`: the most that the result may have, as a fraction of the input model.
struct SparsityBudget {
  std::string kind;      ///< macs, params, bytes, latency
  double fraction = 1;   ///< in (0, 1]
  std::string runtime;   ///< of a latency budget; "" = the pipeline's choice
};

/// The budget in PruneRule::sparsity; nullopt where that is a number or null.
std::optional<SparsityBudget> budget_of(const PruneRule& rule);

/// A condition that the result must meet: max_accuracy_drop (points), min_accuracy (points), min_sparsity (fraction),
/// max_size_bytes, max_params, max_macs, max_latency (ms).
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
  std::map<std::string, Setting> data;  ///< named sets: train, eval, calibration, ...
  std::vector<PruneRule> prune;
  Setting schedule{"one_shot"};  ///< a name, or a map with `name`
  Setting train;                 ///< a map; null: no training
  std::string metric = "auto";  ///< top1 when the data has class labels, else mse to the dense model
  std::string repair = "auto";  ///< auto, none, statistics, least_squares (of cuts)
  std::vector<Gate> gates;
  std::vector<std::string> report_formats = {"json", "html", "csv", "junit"};

  Setting source;  ///< the tree it was read from, after --set and flags
};

/// Typed and checked: unknown keys, wrong types and values out of range are ConfigErrors with file and line.
/// `model`, `output` and the `path` of data sets are resolved against the recipe's folder `base` ("" = leave them)
/// where they were written in a file; what a flag or `--set` gave is relative to the working folder, as typed.
Recipe read_recipe(const Setting& tree, const std::string& base);

/// Everything, defaults included, in the order of docs/design.md: reading it back gives the same recipe.
/// A recipe that is to be written into `folder` gets its relative paths rewritten to start there.
Setting resolved(const Recipe& recipe, const std::string& folder = "");

/// JSON Schema (draft 2020-12) of recipes; plugin families contribute their names and options through `plugins`:
/// family (criterion, pattern, allocation, solver, schedule, `data format`) -> name -> option records. Of a family that
/// is absent, any name and any options pass. The keys of `train:` are plugins["train"][""].
nlohmann::ordered_json recipe_schema(
    const std::map<std::string, std::map<std::string, std::vector<OptionRecord>>>& plugins);

/// `cifar10:data/cifar10,split=test,mean=[0.4,0.5]` as a data set; values are YAML, commas inside brackets and quotes
/// belong to them. A path with commas is put in quotes; `random` and `random:,limit=64` have none.
/// `flag` (`--data`) is the mark and the place in messages.
Setting parse_data_flag(const std::string& text, const std::string& flag);

}  // namespace sparsify
