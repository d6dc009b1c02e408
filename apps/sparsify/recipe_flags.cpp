#include "sparsify/recipe_flags.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "config/flag_over_recipe.h"
#include "pipeline/families.h"
#include "train/loss_names.h"

namespace sparsify {
namespace {

Setting text_setting(const std::string& text, const char* flag) {
  Setting setting(text);
  setting.set_mark({flag, 0});
  return setting;
}

Setting yaml_setting(const std::string& text, const char* flag) {
  Setting setting = parse_yaml(text, flag);
  setting.set_mark({flag, 0});
  return setting;
}

Setting list_setting(const std::vector<std::string>& texts, const char* flag) {
  Setting::List list;
  for (const std::string& text : texts) list.emplace_back(text);
  Setting setting(std::move(list));
  setting.set_mark({flag, 0});
  return setting;
}

/// Rule 0, made if there is none; a single rule may stand without a list.
Setting& first_rule(Setting& tree) {
  if (tree.find("prune") == nullptr || tree.find("prune")->is_null()) tree.set("prune", Setting(Setting::List{}));
  Setting& rules = *tree.find("prune");
  if (rules.is_map()) rules = Setting(Setting::List{rules});
  if (!rules.is_list()) {
    throw ConfigError{{.what = "prune is " + rules.describe(), .where = rules.mark().text() + " (prune)", .fix = "make it a list of rules"}};
  }
  if (rules.list().empty()) {
    rules.list().emplace_back(Setting::Map{});
    rules.list().back().set_mark({"command line", 0});
  }
  return rules.list().front();
}

/// `train: {optimizer: adam}` becomes a map that takes an `lr`; without an optimizer it is sgd.
void name_optimizer(Setting& tree) {
  const Setting* train = tree.find("train");
  const Setting* optimizer = train == nullptr ? nullptr : train->find("optimizer");
  if (optimizer != nullptr && optimizer->is_map()) return;
  set_path(tree, "train.optimizer={name: " + (optimizer != nullptr && optimizer->is_text() ? optimizer->text() : "sgd") + "}", "--lr");
}

bool is_plugin(const std::string& family, const std::string& name) {
  const std::vector<PluginEntry> plugins = plugins_of(family);
  return std::any_of(plugins.begin(), plugins.end(), [&](const PluginEntry& plugin) { return plugin.name == name; });
}

bool is_loss(const std::string& name) { return std::find(loss_names().begin(), loss_names().end(), name) != loss_names().end(); }

}  // namespace

void RecipeFlags::declare_data(CLI::App& app) {
  app.add_option("--data", data, "data set to measure with: FORMAT:PATH[,key=value...]")->type_name("DATA");
  app.add_option("--metric", metric, "top1, top5, loss, mse, auc ... (default: what fits the data)")->type_name("NAME");
}

void RecipeFlags::declare_run(CLI::App& app) {
  app.add_option("--config", config, "recipe, YAML or JSON")->type_name("FILE");
  app.add_option("--set", sets, "set one key of the recipe: prune.0.sparsity=0.8")->type_name("KEY=YAML")->allow_extra_args(false);
  app.add_option("--seed", seed, "of everything random")->type_name("N");
  app.add_option("--threads", threads, "auto (what the machine has), or how many processor threads to use")->type_name("N");
  app.add_option("--device", device, "auto, cpu, cuda, cuda:1")->type_name("NAME");
}

void RecipeFlags::declare_precision(CLI::App& app) {
  app.add_option("--precision", precision, "float32, or bf16: products and convolutions in bfloat16, weights in float32")->type_name("NAME");
}

void RecipeFlags::declare_pruning(CLI::App& app) {
  app.add_option("--criterion", criterion, "what makes a weight matter (`sparsify list criterion`)")->type_name("NAME");
  app.add_option("--pattern", pattern, "unstructured, 2:4, {block: [4, 1]} ...")->type_name("PATTERN");
  app.add_option("--allocation", allocation, "how layers share the sparsity: global, uniform ...")->type_name("NAME");
  app.add_option("--sparsity", sparsity, "fraction of zeros in [0, 1)")->type_name("S");
  app.add_option("--solver", solver, "corrects the weights that stay")->type_name("NAME");
  app.add_flag("--permute", permute, "of an N:M pattern: first reorder channels so that it loses less magnitude");
  app.add_option("--include", include, "glob on node and initializer names; once for each")->type_name("GLOB")->allow_extra_args(false);
  app.add_option("--exclude", exclude, "glob on node and initializer names; once for each")->type_name("GLOB")->allow_extra_args(false);
  app.add_option("--train-data", train_data, "data set to train or calibrate with")->type_name("DATA");
  app.add_option("--calibration-data", calibration_data, "data set to calibrate with (default: 1,024 samples of --train-data)")->type_name("DATA");
}

void RecipeFlags::declare_training(CLI::App& app) {
  app.add_option("--epochs", epochs, "passes over the training data (train.epochs)")->type_name("N");
  app.add_option("--lr", lr, "learning rate (train.optimizer.lr)")->type_name("RATE");
  app.add_option("--loss", loss, "cross_entropy, bce, mse, mae, huber, distill (train.loss)")->type_name("NAME");
  app.add_option("--teacher", teacher, "dense ONNX model to learn from (train.distill.teacher)")->type_name("FILE");
}

Recipe RecipeFlags::recipe() const {
  Setting tree = config.empty() ? Setting(Setting::Map{}) : read_yaml_file(config);
  if (tree.is_null()) tree = Setting(Setting::Map{});
  for (const std::string& assignment : own_sets) set_path(tree, assignment, "command line");
  for (const std::string& assignment : sets) set_path(tree, assignment, "--set");
  const auto set_text = [&tree](const std::string& text, const char* key, const char* flag) {
    if (!text.empty()) tree.set(key, text_setting(text, flag));
  };
  set_text(model, "model", "MODEL");
  set_text(output, "output", "-o");
  set_text(metric, "metric", "--metric");
  set_text(device, "device", "--device");
  set_text(precision, "precision", "--precision");
  if (!seed.empty()) tree.set("seed", yaml_setting(seed, "--seed"));
  if (!threads.empty()) tree.set("threads", yaml_setting(threads, "--threads"));
  const auto set_rule = [&tree](const std::string& text, const char* key, const char* flag) {
    if (!text.empty()) first_rule(tree).set(key, yaml_setting(text, flag));
  };
  const auto set_plugin = [&tree](const std::string& text, const char* key, const char* flag) {
    if (text.empty()) return;
    Setting& rule = first_rule(tree);
    rule.set(key, flag_over_recipe(rule.find(key), yaml_setting(text, flag), flag, [key](const std::string& name) { return is_plugin(key, name); }));
  };
  set_plugin(criterion, "criterion", "--criterion");
  set_plugin(pattern, "pattern", "--pattern");
  set_plugin(allocation, "allocation", "--allocation");
  set_rule(sparsity, "sparsity", "--sparsity");
  set_plugin(solver, "solver", "--solver");
  if (permute) set_rule("true", "permute", "--permute");
  const auto set_globs = [&tree](const std::vector<std::string>& globs, const char* key, const char* flag) {
    if (globs.empty()) return;
    Setting& rule = first_rule(tree);
    if (rule.find("select") == nullptr) rule.set("select", Setting(Setting::Map{})).set_mark({flag, 0});
    rule.find("select")->set(key, list_setting(globs, flag));
  };
  set_globs(include, "include", include_flag);
  set_globs(exclude, "exclude", "--exclude");
  const auto set_data = [&tree](const std::string& text, const char* key, const char* flag) {
    if (text.empty()) return;
    if (tree.find("data") == nullptr || tree.find("data")->is_null()) tree.set("data", Setting(Setting::Map{}));
    Setting& sets_of_data = *tree.find("data");
    sets_of_data.set(key, with_set_options(sets_of_data.find(key), parse_data_flag(text, flag)));
  };
  set_data(data, "eval", "--data");
  set_data(train_data, "train", "--train-data");
  set_data(calibration_data, "calibration", "--calibration-data");
  const auto set_train = [&tree](const std::string& text, const char* path, const char* flag) {
    if (text.empty()) return;
    set_path(tree, std::string("train.") + path + "=" + text, flag);
  };
  if (!lr.empty()) name_optimizer(tree);
  set_train(epochs, "epochs", "--epochs");
  set_train(lr, "optimizer.lr", "--lr");
  if (Setting* train = tree.find("train")) settle_alternatives_(*train, "train", "epochs", "steps");
  if (!loss.empty()) {
    const Setting* train = tree.find("train");
    const Setting* before = train == nullptr ? nullptr : train->find("loss");
    const Setting merged = flag_over_recipe(before, yaml_setting(loss, "--loss"), "--loss", is_loss);
    set_path(tree, "train.loss=", "--loss");
    *tree.find("train")->find("loss") = merged;
  }
  if (!teacher.empty()) {
    const Setting* train = tree.find("train");
    if (train == nullptr || train->find("distill") == nullptr) set_path(tree, "train.distill={}", "--teacher");
    tree.find("train")->find("distill")->set("teacher", text_setting(teacher, "--teacher"));
  }
  return read_recipe(tree, config.empty() ? "" : std::filesystem::path(config).parent_path().string());
}

}  // namespace sparsify
