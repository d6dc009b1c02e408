#include "config/flag_over_recipe.h"

#include "config/options.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

bool is_plugin(const std::string& name) { return name == "taylor" || name == "magnitude" || name == "block"; }

/// What a recipe, `--set` on top of it and then `--criterion` leave of the key `c`.
std::string left(const std::string& yaml, const std::string& assignment, const std::string& flag) {
  Setting root = parse_yaml(yaml, "r.yaml");
  if (!assignment.empty()) set_path(root, assignment, "--set");
  const Setting merged = flag_over_recipe(root.find("c"), parse_yaml(flag, "--criterion"), "--criterion", is_plugin);
  Setting shown{Setting::Map{}};
  const NamedOptions named = split_name(merged, "c");
  shown.set("name", Setting(named.name));
  for (const char* key : {"order", "norm", "value"}) {
    const Setting value = named.options.value(key);
    if (!value.is_null()) shown.set(key, value);
  }
  named.options.reject_unread();
  return to_yaml(shown);
}

}  // namespace

TEST_CASE("options of the plugin that a flag names stay, from the recipe and from --set", "[config][set]") {
  CHECK(left("c: {name: taylor, order: 2}", "", "taylor") == "name: taylor\norder: 2\n");
  CHECK(left("c: {taylor: {order: 2}}", "", "taylor") == "name: taylor\norder: 2\n");
  CHECK(left("c: taylor", "", "taylor") == "name: taylor\n");
  CHECK(left("", "", "taylor") == "name: taylor\n");
}

TEST_CASE("options without a name belong to the plugin that a flag names", "[config][set]") {
  CHECK(left("", "c.order=2", "taylor") == "name: taylor\norder: 2\n");
  CHECK(left("c: {order: 2, norm: 1}", "", "taylor") == "name: taylor\norder: 2\nnorm: 1\n");
}

TEST_CASE("a flag's own options win", "[config][set]") {
  CHECK(left("c: {name: taylor, order: 2, norm: 1}", "", "{name: taylor, order: 1}") == "name: taylor\norder: 1\nnorm: 1\n");
  CHECK(left("c: {block: [4, 1]}", "", "{block: [1, 4]}") == "name: block\nvalue: [1, 4]\n");
}

TEST_CASE("a recipe's options of another plugin go, and those of --set stay to be read", "[config][set]") {
  CHECK(left("c: {name: taylor, order: 2}", "", "magnitude") == "name: magnitude\n");
  CHECK(left("c: {block: [4, 1]}", "", "magnitude") == "name: magnitude\n");
  CHECK(left("c: {name: taylor, order: 2}", "c.norm=l1", "magnitude") == "name: magnitude\nnorm: l1\n");
}

TEST_CASE("keys that --set gives stay beside a flag for the whole map", "[config][set]") {
  Setting root = parse_yaml("d: {format: npz, scale: 16}", "r.yaml");
  set_path(root, "d.limit=8", "--set");
  set_path(root, "d.path=a", "--set");
  const Setting flag = parse_yaml("{format: csv, path: b}", "--data");
  const Setting merged = with_set_options(root.find("d"), flag);
  CHECK(to_yaml(merged) == "format: csv\npath: b\nlimit: 8\n");
}

TEST_CASE("of two keys that say the same, the command line's stands and the recipe's goes", "[config][set]") {
  const auto left_of = [](const std::string& yaml, const std::vector<std::pair<std::string, std::string>>& typed) {
    Setting root = parse_yaml(yaml, "r.yaml");
    for (const auto& [assignment, source] : typed) set_path(root, assignment, source);
    settle_alternatives_(*root.find("train"), "train", "epochs", "steps");
    return to_yaml(*root.find("train"));
  };
  CHECK(left_of("train: {steps: 2, workers: 1}", {{"train.epochs=3", "--epochs"}}) == "workers: 1\nepochs: 3\n");
  CHECK(left_of("train: {epochs: 3}", {{"train.steps=2", "--set"}}) == "steps: 2\n");
  CHECK(left_of("train: {epochs: 3, steps: 2}", {}) == "epochs: 3\nsteps: 2\n");
  CHECK(left_of("train: {epochs: 1, steps: 2}", {{"train.epochs=3", "--epochs"}}) == "epochs: 3\n");
  CHECK(left_of("train: {}", {{"train.steps=2", "--set"}, {"train.epochs=3", "--epochs"}}) == "steps: 2\nepochs: 3\n");
  CHECK(left_of("train: {epochs: 3}", {{"train.steps=2", "--set"}, {"train.epochs=null", "--set"}}) == "epochs: null\nsteps: 2\n");
}
