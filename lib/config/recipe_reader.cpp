#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/names.h"
#include "config/option_check.h"
#include "config/recipe_parts.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

/// What stands in a file is relative to it; what a flag gave is relative to the working folder.
std::string resolved_path(const std::string& path, const Mark& mark, const std::string& base) {
  if (base.empty() || path.empty() || mark.line == 0 || fs::path(path).is_absolute()) return path;
  return (fs::path(base) / path).lexically_normal().string();
}

int64_t read_threads(const Options& root) {
  const Setting value = root.value("threads", "auto, or how many processor threads to use");
  if (value.is_null() || (value.is_text() && value.text() == "auto")) return 0;
  if (value.is_integer() && value.integer() >= 1 && value.integer() <= 4096) return value.integer();
  throw ConfigError{{.what = "threads is " + value.describe(),
                     .where = root.where("threads"),
                     .fix = "use auto or an integer in [1, 4096]"}};
}

void check_device(const Options& root, const std::string& device) {
  const std::string index = device.starts_with("cuda:") ? device.substr(5) : "";
  const bool numbered = !index.empty() && index.size() < 4 &&
                        index.find_first_not_of("0123456789") == std::string::npos;
  if (numbered || device == "auto" || device == "cpu" || device == "cuda") return;
  throw ConfigError{{.what = fmt::format("no device is named \"{}\"", device),
                     .where = root.where("device"),
                     .fix = suggest(device, {"auto", "cpu", "cuda", "cuda:0"})}};
}

/// `train.distill.teacher` is the path of a model.
void resolve_teacher(Setting& train, const std::string& base) {
  Setting* distill = train.find("distill");
  Setting* teacher = distill == nullptr ? nullptr : distill->find("teacher");
  if (teacher == nullptr || !teacher->is_text()) return;
  const Mark mark = teacher->mark();
  *teacher = Setting(resolved_path(teacher->text(), mark, base));
  teacher->set_mark(mark);
}

/// A source (`format`) or a part of another set (`from`); follows `from` to a source.
void check_set(const std::string& name, const std::map<std::string, Setting>& sets) {
  std::set<std::string> seen;
  std::string at = name;
  while (true) {
    const Setting& set = sets.at(at);
    const Options options(set, "data." + at);
    const bool format = options.has("format");
    if (format == options.has("from")) {
      throw ConfigError{{.what = fmt::format("the data set \"{}\" has {} format {} from", at,
                                             format ? "both" : "neither", format ? "and" : "nor"),
                         .where = options.where(format ? "from" : ""),
                         .fix = "give a source, as in {format: cifar10, path: data/cifar10}, or a "
                                "set to draw from, as in "
                                "{from: train, samples: 1024}"}};
    }
    if (format) {
      options.required_text("format");
      return;
    }
    const std::string from = options.required_text("from");
    seen.insert(at);
    std::vector<std::string> others;
    for (const auto& [other, unused] : sets) {
      if (!seen.contains(other)) others.push_back(other);
    }
    if (std::find(others.begin(), others.end(), from) == others.end()) {
      throw ConfigError{
          {.what = seen.contains(from) ? fmt::format("the data set \"{}\" draws from itself", from)
                                       : fmt::format("no data set is named \"{}\"", from),
           .where = options.where("from"),
           .fix = others.empty() ? "add a set with a format to data" : suggest(from, others)}};
    }
    at = from;
  }
}

std::map<std::string, Setting> read_data(const Setting& data, const std::string& base) {
  const Options options(data, "data");
  std::map<std::string, Setting> sets;
  if (data.is_null()) return sets;
  for (const auto& [name, given] : data.map()) {
    if (given.is_null()) continue;
    if (!given.is_map()) {
      throw ConfigError{
          {.what = fmt::format("the data set \"{}\" is {}", name, given.describe()),
           .where = options.where(name),
           .fix = "use a map, as in {format: cifar10, path: data/cifar10, split: test}"}};
    }
    Setting set = given;
    for (const char* key : {"path", "vocabulary"}) {
      Setting* path = set.find(key);
      const bool is_count = key == std::string("vocabulary") && path != nullptr && path->is_integer();  // of `random`
      if (path == nullptr || path->is_null() || is_count) continue;
      const Mark mark = path->mark();
      const std::string text = Options(given, "data." + name).text(key, "");
      *path = Setting(resolved_path(text, mark, base));
      path->set_mark(mark);
    }
    sets.emplace(name, std::move(set));
  }
  for (const auto& [name, unused] : sets) check_set(name, sets);
  return sets;
}

/// A set is read by its name, by `from` of another set, or by `train.validation`; any other is misspelt, and its run would measure nothing.
void require_used_sets(const Recipe& recipe) {
  std::vector<std::string> read = {"train", "eval", "calibration", "validation"};
  std::set<std::string> used(read.begin(), read.end());
  for (const auto& [name, set] : recipe.data) {
    if (const Setting* from = set.find("from"); from != nullptr && from->is_text()) used.insert(from->text());
  }
  if (const Setting* named = recipe.train.find("validation"); named != nullptr && named->is_text()) used.insert(named->text());
  for (const auto& [name, set] : recipe.data) {
    if (used.contains(name)) continue;
    throw ConfigError{{.what = fmt::format("nothing reads the data set \"{}\"", name),
                       .where = place_of(set.mark(), "data." + name),
                       .fix = suggest(name, read) + "; other sets serve as `from` of one of these"}};
  }
}

/// A plugin's option `table` is a file.
void resolve_table_(Setting& plugin, const std::string& base) {
  if (!plugin.is_map()) return;
  for (auto& [key, value] : plugin.map()) {
    if (key == "table" && value.is_text()) {
      const Mark mark = value.mark();
      value = Setting(resolved_path(value.text(), mark, base));
      value.set_mark(mark);
    } else {
      resolve_table_(value, base);
    }
  }
}

/// One map may stand for a list of one.
std::vector<PruneRule> read_rules(const Setting& prune, const std::string& base) {
  Setting::List entries;
  if (prune.is_list()) {
    entries = prune.list();
  } else if (!prune.is_null()) {
    entries.push_back(prune);
  }
  std::vector<PruneRule> rules;
  for (size_t i = 0; i < entries.size(); ++i) {
    const std::string path = fmt::format("prune.{}", i);
    const Options options(entries[i], path);
    rules.push_back(read_rule(options, path));
    rules.back().mark = entries[i].mark();
    resolve_table_(rules.back().allocation, base);
    options.reject_unread();
  }
  return rules;
}

}  // namespace

void read_scalars(const Options& root, Recipe& recipe) {
  recipe.model = root.text("model", recipe.model, "the ONNX file to prune");
  recipe.output = root.text("output", recipe.output,
                            "the ONNX file to write; the evidence goes to a folder beside it");
  recipe.seed = root.integer("seed", recipe.seed, {.min = 0}, "of everything random");
  recipe.device = root.text("device", recipe.device, "auto, cpu, cuda, cuda:1");
  recipe.threads = read_threads(root);
  root.choice("precision", "float32", {"float32", "bf16"},  // precision_of() gives it
              "of products and convolutions in training, evidence and measuring; weights stay float32");
  recipe.metric = root.text("metric", recipe.metric, "auto, top1, top5, loss, mse ...");
  recipe.repair = root.choice("repair", recipe.repair, {"auto", "none", "least_squares", "statistics"},
                              "bring every layer's outputs back to the dense network's: weights of what a cut leaves, or statistics");
  recipe.report_formats =
      root.section("report", "what the run leaves")
          .choices("formats", recipe.report_formats, {"json", "html", "csv", "junit"});
  check_device(root, recipe.device);
}

std::vector<Gate> read_gates(const Options& gates) {
  struct Kind {
    const char* name;
    NumberRange range;
    const char* help;
  };
  const Kind kinds[] = {
      {"max_accuracy_drop", {.min = -100, .max = 100}, "points of the metric that may be lost"},
      {"min_accuracy", {.min = 0, .max = 100}, "least value of the metric, in points"},
      {"min_sparsity", {.min = 0, .max = 1}, "least fraction of zeros over the prunable weights"},
      {"max_size_bytes", {.min = 0}, "of the written model with its external data"},
      {"max_params", {.min = 0}, "weights of the written model"},
      {"max_macs", {.min = 0}, "multiply-accumulates of one sample"},
      {"max_latency", {.min = 0, .above_min = true}, "median milliseconds of one run"},
  };
  std::vector<Gate> read;
  for (const Kind& kind : kinds) {
    if (const auto limit = gates.optional_number(kind.name, kind.range, kind.help)) {
      read.push_back({.name = kind.name, .limit = *limit, .mark = gates.value(kind.name).mark()});
    }
  }
  return read;
}

Recipe read_recipe(const Setting& tree, const std::string& base) {
  const Options root(tree);
  Recipe recipe;
  recipe.source = tree;
  read_scalars(root, recipe);
  const auto mark = [&](std::string_view key) {
    const Setting* value = tree.find(key);
    return value != nullptr ? value->mark() : Mark{};
  };
  recipe.model = resolved_path(recipe.model, mark("model"), base);
  recipe.output = resolved_path(recipe.output, mark("output"), base);
  recipe.data = read_data(root.value("data", "named data sets"), base);
  recipe.prune = read_rules(root.value("prune", "rules, applied in order"), base);
  if (const Setting fresh = root.value("initialise", "fresh weights in the place of the file's, before anything else"); !fresh.is_null()) split_name(fresh, "initialise");
  if (const Setting schedule = root.value("schedule", "when: sparsity as a function of progress"); !schedule.is_null()) {
    recipe.schedule = schedule;
    split_name(recipe.schedule, "schedule");
  }
  recipe.train = root.value("train", "how accuracy is recovered");
  Options(recipe.train, "train");
  resolve_teacher(recipe.train, base);
  require_used_sets(recipe);
  recipe.gates = read_gates(root.section("gates", "conditions that the result must meet"));
  root.reject_unread();
  return recipe;
}

}  // namespace sparsify
