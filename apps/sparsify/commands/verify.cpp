#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "pipeline/compare.h"
#include "pipeline/name_check.h"
#include "report/text_table.h"
#include "sparsify/command.h"
#include "sparsify/recipe_flags.h"

namespace sparsify {
namespace {

struct Flags {
  RecipeFlags recipe;
  std::string other;
  std::string pattern;
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  double tolerance = 1e-4;
};

int check_rule(const Flags& flags, const ModelFile& file, const Context& context) {
  std::vector<NameGlob> globs;
  for (const std::string& glob : flags.include) globs.push_back({.glob = glob, .where = "--include"});
  for (const std::string& glob : flags.exclude) globs.push_back({.glob = glob, .where = "--exclude"});
  for (const std::string& warning : check_names(file, globs)) log_warning("{}", warning);
  const std::vector<std::string> include = flags.include.empty() ? std::vector<std::string>{"*"} : flags.include;
  const PatternCheck check = check_pattern(file, parse_yaml(flags.pattern, "--pattern"), include, flags.exclude);
  if (context.json) {
    print(nlohmann::ordered_json{{"pattern", flags.pattern}, {"obeying", check.obeying}, {"violations", check.violations},
                                 {"ineligible", check.ineligible}, {"left_out", check.left_out}}
              .dump(2) +
          "\n");
  } else {
    std::string text = fmt::format("{} tensors obey {}, {} break it, {} cannot take it{}\n", check.obeying, flags.pattern,
                                   check.violations.size(), check.ineligible.size(),
                                   check.left_out > 0 ? fmt::format(", {} are left out", check.left_out) : "");
    for (const std::string& violation : check.violations) text += "  broken: " + violation + "\n";
    if (context.verbose) {
      for (const std::string& reason : check.ineligible) text += "  cannot: " + reason + "\n";
    }
    print(text);
  }
  if (check.violations.empty() && check.obeying > 0) return kDone;
  throw GateError{{.what = check.obeying == 0 && check.violations.empty()
                               ? fmt::format("no tensor can take the pattern {}", flags.pattern)
                               : fmt::format("{} tensors break the pattern {}", check.violations.size(), flags.pattern),
                   .where = file.path(),
                   .fix = "leave out what is meant to stay dense (prune leaves the first and the last layer): --exclude GLOB or --include GLOB; or prune with --pattern first"}};
}

/// A pruned model computes something else than the dense one; that is no fault of the file.
std::string advice(const ModelFile& a, const ModelFile& b, const Comparison& comparison) {
  double most = 0;
  bool can_allow = true;  // no tolerance helps where integers or shapes differ
  for (const OutputComparison& output : comparison.outputs) {
    most = std::max(most, output.relative());
    can_allow = can_allow && (output.equal() || (!output.exact && output.problem.empty() && std::isfinite(output.relative())));
  }
  const std::string reason = pruning_difference(a, b);
  if (reason.empty()) return can_allow ? "see the table; --tolerance sets what is allowed" : "see the table: shapes, integers and infinities must be equal, whatever the --tolerance";
  const std::string allow = can_allow ? fmt::format(", or allow it with --tolerance {:.1g}", most * 1.5) : "";
  return fmt::format("a pruned model is expected to differ ({}): measure what that costs with `sparsify eval {} --data ...`{}", reason, b.path(), allow);
}

int run(const Flags& flags, const Context& context) {
  const Recipe recipe = flags.recipe.recipe();
  const ModelFile a = ModelFile::load(recipe.model);
  if (!flags.pattern.empty()) return check_rule(flags, a, context);
  if (!flags.include.empty() || !flags.exclude.empty()) {
    throw ConfigError{{.what = "globs say which weights a pattern is checked on, and no pattern is given",
                       .where = flags.include.empty() ? "--exclude" : "--include",
                       .fix = "add --pattern 2:4, or remove the globs"}};
  }
  std::map<std::string, Setting> sets = recipe.data;
  if (!sets.contains("eval")) {
    if (flags.other.empty()) {
      throw ConfigError{{.what = "there is nothing to compare with",
                         .where = "verify",
                         .fix = "give a second model, recorded outputs (--data onnx:DIR), or a rule (--pattern 2:4)"}};
    }
    sets["eval"] = parse_data_flag("random:,limit=16,batch_size=4", "--data");
  }
  const DataSource data("eval", sets, a.model().graph.inputs, static_cast<uint64_t>(recipe.seed));
  const CompareOptions options{.tolerance = flags.tolerance,
                               .session = {.threads = static_cast<int>(recipe.threads), .device = recipe.device, .optimise = false}};
  std::optional<ModelFile> b;
  if (!flags.other.empty()) b = ModelFile::load(flags.other);
  const Comparison comparison = b ? compare_models(a, *b, data, options) : compare_with_recorded(a, data, options);
  nlohmann::ordered_json outputs = nlohmann::ordered_json::array();
  TextTable table({{.title = "output", .flexible = true}, {.title = "max |difference|", .right = true}, {.title = "max |value|", .right = true},
                   {.title = "relative", .right = true}, {.title = "verdict"}});
  for (const OutputComparison& output : comparison.outputs) {
    outputs.push_back({{"name", output.name}, {"max_difference", output.largest_difference}, {"max_value", output.largest_value},
                       {"relative", output.relative()}, {"equal", output.equal()}, {"problem", output.problem}});
    table.add_row({output.name, fmt::format("{:.3g}", output.largest_difference), fmt::format("{:.3g}", output.largest_value),
                   fmt::format("{:.2g}", output.relative()),
                   {!output.problem.empty() ? output.problem : output.equal() ? "equal" : fmt::format("differs from batch {} on", output.first_batch),
                    output.equal() ? Paint::Good : Paint::Bad}});
  }
  const StructureDifference& structure = comparison.structure;
  std::vector<std::string> differences = structure.signature;
  differences.insert(differences.end(), structure.graph.begin(), structure.graph.end());
  if (context.json) {
    print(nlohmann::ordered_json{{"passed", comparison.passed()}, {"tolerance", comparison.tolerance}, {"samples", comparison.samples},
                                 {"data", data.describe()}, {"outputs", outputs}, {"structure", differences},
                                 {"same_signature", structure.signature.empty()}, {"notes", structure.notes}}
              .dump(2) +
          "\n");
  } else {
    std::string text = table.render(context.width(), context.colour(), context.utf8());
    for (const std::string& difference : differences) text += "structure: " + difference + "\n";
    if (b && structure.empty()) text += "structure: the same inputs, outputs, nodes, attributes and initializers, but for the values of tensors\n";
    for (const std::string& note : structure.notes) text += "note: " + note + "\n";
    print(text + "inputs: " + data.describe() + "\n");
  }
  if (comparison.passed()) return kDone;
  const std::string where = b ? recipe.model + " and " + flags.other : recipe.model;
  if (comparison.outputs_equal()) {
    throw GateError{{.what = "the signatures differ: " + structure.signature.front(),
                     .where = where,
                     .fix = "what calls the one model by names and shapes cannot call the other: export both with the same inputs and outputs"}};
  }
  throw GateError{{.what = "the outputs differ by more than the tolerance", .where = where, .fix = b ? advice(a, *b, comparison) : "see the table; --tolerance sets what is allowed"}};
}

std::function<int()> declare(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<Flags>();
  app.add_option("A", flags->recipe.model, "ONNX file")->required();
  app.add_option("B", flags->other, "ONNX file to compare with");
  app.add_option("--pattern", flags->pattern, "check that the weights obey a rule such as 2:4")->type_name("PATTERN");
  app.add_option("--include", flags->include, "with --pattern: glob on node and initializer names, once for each; all when absent")->type_name("GLOB")->allow_extra_args(false);
  app.add_option("--exclude", flags->exclude, "with --pattern: glob on names that are left out; once for each")->type_name("GLOB")->allow_extra_args(false);
  app.add_option("--tolerance", flags->tolerance, "largest |difference| / largest |value| of floats that counts as equal; with 0 bits must be equal, as integers always must")->capture_default_str();
  flags->recipe.declare_data(app);
  flags->recipe.declare_run(app);
  return [flags, &context] { return run(*flags, context); };
}

const RegisterCommand entry{{"verify", "compare two models, or one with recorded outputs or a pattern", declare}};

}  // namespace
}  // namespace sparsify
