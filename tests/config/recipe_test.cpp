#include "config/recipe.h"

#include <filesystem>

#include "config/fault.h"

using namespace sparsify;
using Catch::Contains;

namespace {

Recipe recipe_of(const std::string& yaml, const std::string& base = "") {
  return read_recipe(parse_yaml(yaml, "r.yaml"), base);
}

Problem fault(const std::string& yaml) {
  return problem_of([&] { recipe_of(yaml); });
}

/// Every key that docs/design.md shows.
const char* const kComplete = R"(
model: resnet20.onnx
output: slim.onnx
seed: 0
device: auto
threads: auto
data:
  train:       {format: cifar10, path: data/cifar10, split: train, scale: 255, mean: [0.5], std: [0.2], augment: [{random_crop: 4}, flip]}
  eval:        {format: cifar10, path: data/cifar10, split: test,  scale: 255, mean: [0.5], std: [0.2]}
  calibration: {from: train, samples: 1024}
prune:
  - select: {ops: [Conv, Gemm, MatMul], include: ["*"], exclude: ["*conv1*"]}
    criterion: magnitude
    pattern: unstructured
    allocation: global
    sparsity: 0.9
    solver: none
schedule: {name: imp, rounds: 10, rewind: {to_step: 500}}
train: {epochs: 3, batch_size: 128, optimizer: {name: sgd, lr: 0.05, momentum: 0.9, weight_decay: 5e-4}, lr_schedule: cosine,
        loss: cross_entropy, distill: {weight: 0.5, temperature: 4}}
metric: top1
gates: {max_accuracy_drop: 0.5, min_sparsity: 0.9}
report: {formats: [json, html, csv, junit]}
)";

}  // namespace

TEST_CASE("the complete recipe is read", "[config][recipe]") {
  const Recipe recipe = recipe_of(kComplete, "configs");
  CHECK(recipe.model == "configs/resnet20.onnx");
  CHECK(recipe.output == "configs/slim.onnx");
  CHECK(recipe.threads == 0);
  CHECK(recipe.data.size() == 3);
  CHECK(recipe.data.at("eval").find("path")->text() == "configs/data/cifar10");
  CHECK(recipe.data.at("calibration").find("samples")->integer() == 1024);
  REQUIRE(recipe.prune.size() == 1);
  const PruneRule& rule = recipe.prune[0];
  CHECK(rule.select.exclude == std::vector<std::string>{"*conv1*"});
  CHECK(rule.select.kinds == std::vector<std::string>{"weight"});
  CHECK(rule.criterion.text() == "magnitude");
  CHECK(rule.sparsity.number() == 0.9);
  CHECK(rule.min_density == 0.01);
  CHECK(rule.mark.text() == "r.yaml:12");
  CHECK(split_name(recipe.schedule, "schedule").name == "imp");
  CHECK(recipe.train.find("optimizer")->find("weight_decay")->number() == 5e-4);
  CHECK(recipe.metric == "top1");
  REQUIRE(recipe.gates.size() == 2);
  CHECK(recipe.gates[0].name == "max_accuracy_drop");
  CHECK(recipe.gates[0].limit == 0.5);
  CHECK(recipe.gates[0].mark.text() == "r.yaml:22");
  CHECK(recipe.source.find("seed")->integer() == 0);
}

TEST_CASE("an empty recipe is all defaults", "[config][recipe]") {
  const Recipe recipe = recipe_of("");
  CHECK(recipe.model.empty());
  CHECK(recipe.prune.empty());
  CHECK(recipe.device == "auto");
  CHECK(recipe.schedule.text() == "one_shot");
  CHECK(recipe.train.is_null());
  CHECK(recipe.metric == "auto");
  CHECK(recipe.report_formats == std::vector<std::string>{"json", "html", "csv", "junit"});
  const Recipe one = recipe_of("prune: {sparsity: 0.5}");
  REQUIRE(one.prune.size() == 1);
  CHECK(one.prune[0].criterion.text() == "magnitude");
  CHECK(one.prune[0].pattern.text() == "unstructured");
  CHECK(one.prune[0].allocation.is_null());
  CHECK(one.prune[0].solver.text() == "auto");
}

TEST_CASE("the resolved recipe gives the same run when it is read again", "[config][recipe]") {
  for (const std::string& yaml :
       {std::string(kComplete), std::string("prune: {pattern: 2:4, select: {ops: Conv}}"),
        std::string("{threads: 2, prune: [{sparsity: {latency: 0.6, runtime: onnxruntime}}, "
                    "{pattern: {block: [4, 1]}, "
                    "criterion: {name: taylor, order: 2}, sparsity: 0}]}")}) {
    const Setting once = resolved(recipe_of(yaml));
    const std::string printed = to_yaml(once);
    CAPTURE(printed);
    const Recipe again = recipe_of(printed);
    CHECK(resolved(again) == once);
    CHECK(to_yaml(resolved(again)) == printed);
  }
}

TEST_CASE("the resolved recipe has the keys in the order of the design", "[config][recipe]") {
  const Setting once = resolved(recipe_of(kComplete));
  std::string order;
  for (const auto& [key, value] : once.map()) order += key + " ";
  CHECK(order == "model output seed device threads precision data prune schedule train metric repair gates report ");
  CHECK(once.find("data")->map()[0].first == "train");
  std::string rule;
  for (const auto& [key, value] : once.find("prune")->list()[0].map()) rule += key + " ";
  CHECK(rule == "select criterion pattern allocation sparsity solver min_density ");
}

TEST_CASE("density limits by layer are read, checked and written back", "[config][recipe]") {
  const Recipe recipe = recipe_of("{prune: {sparsity: 0.5, max_density: 0.9, density_limits: {'*conv1*': [0.3, 0.8], 'fc': 0.5}}}");
  const DensityLimits& limits = recipe.prune[0].limits;
  CHECK(limits.max_density == 0.9);
  REQUIRE(limits.by_layer.size() == 2);
  CHECK(limits.by_layer[0].layers == "*conv1*");
  CHECK(limits.by_layer[0].min == 0.3);
  CHECK(limits.by_layer[0].max == 0.8);
  CHECK(limits.by_layer[1].min == 0.5);
  CHECK(limits.by_layer[1].max == 1);
  CHECK(resolved(recipe_of(to_yaml(resolved(recipe)))) == resolved(recipe));
  CHECK_THROWS_WITH(recipe_of("{prune: {density_limits: {a: [0.8, 0.3]}}}"), Catch::Contains("the density limits of \"a\" are [0.8, 0.3]: least 0.8 is above most 0.3"));
  CHECK_THROWS_WITH(recipe_of("{prune: {density_limits: {a: [0.1, 0.2, 0.3]}}}"), Catch::Contains("the density limits of \"a\" are a list of 3"));
  CHECK_THROWS_WITH(recipe_of("{prune: {density_limits: {a: 2}}}"), Catch::Contains("[0, 1]"));
  CHECK_THROWS_WITH(recipe_of("{prune: {density_limits: 0.3}}"), Catch::Contains("density_limits is"));
  CHECK_THROWS_WITH(recipe_of("{prune: {min_density: 0.5, max_density: 0.3}}"), Catch::Contains("below min_density"));
}

TEST_CASE("a table that an allocation names is found from the recipe, and from where it is written to", "[config][recipe]") {
  const Setting tree = parse_yaml("prune:\n  - allocation: {name: sensitivity, table: s/sensitivity.json}\n    sparsity: 0.5\n", "configs/r.yaml");
  const Recipe recipe = read_recipe(tree, "configs");
  CHECK(recipe.prune.at(0).allocation.find("table")->text() == "configs/s/sensitivity.json");
  const Setting there = resolved(recipe, "slim.sparsify");
  CHECK(there.find("prune")->list()[0].find("allocation")->find("table")->text() == "../configs/s/sensitivity.json");
}

TEST_CASE("a recipe written into another folder points to the same files", "[config][recipe]") {
  const Recipe recipe = recipe_of(
      "{model: nets/a.onnx, output: /tmp/b.onnx, data: {eval: {format: npz, path: x.npz}}}");
  const Setting there = resolved(recipe, "slim.sparsify");
  CHECK(there.find("model")->text() == "../nets/a.onnx");
  CHECK(there.find("output")->text() == "/tmp/b.onnx");
  CHECK(there.find("data")->find("eval")->find("path")->text() == "../x.npz");
  const Recipe again =
      read_recipe(parse_yaml(to_yaml(there), "slim.sparsify/recipe.yaml"), "slim.sparsify");
  CHECK(again.model == "nets/a.onnx");
  CHECK(again.data.at("eval").find("path")->text() == "x.npz");
}

TEST_CASE("paths of flags are relative to the working folder, those of the file to the file",
          "[config][recipe]") {
  Setting tree =
      parse_yaml("{model: a.onnx, data: {eval: {format: npz, path: ../x.npz}}}", "configs/r.yaml");
  set_path(tree, "output=out.onnx", "--set");
  tree.find("data")->set("train", parse_data_flag("npz:y.npz", "--train-data"));
  const Recipe recipe = read_recipe(tree, "configs");
  CHECK(recipe.model == "configs/a.onnx");
  CHECK(recipe.output == "out.onnx");
  CHECK(recipe.data.at("eval").find("path")->text() == "x.npz");
  CHECK(recipe.data.at("train").find("path")->text() == "y.npz");
  CHECK(recipe_of("model: /abs/a.onnx", "configs").model == "/abs/a.onnx");
}

TEST_CASE("an unknown key names the closest one at every level", "[config][recipe]") {
  struct Case {
    std::string yaml, where, nearest;
  };
  const Case cases[] = {
      {"model: a\nprunes: []\n", "r.yaml:2 (prunes)", "prune"},
      {"prune:\n  - sparsty: 0.5\n", "r.yaml:2 (prune.0.sparsty)", "sparsity"},
      {"prune:\n  - sparsity: 0.5\n  - select:\n      opps: [Conv]\n",
       "r.yaml:4 (prune.1.select.opps)", "ops"},
      {"gates:\n  max_acuracy_drop: 1\n", "r.yaml:2 (gates.max_acuracy_drop)", "max_accuracy_drop"},
      {"report: {format: json}", "r.yaml:1 (report.format)", "formats"},
      {"prune: {sparsity: {mac: 0.5}}", "r.yaml:1 (prune.0.sparsity.mac)", "macs"},
      {"device: cud", "r.yaml:1 (device)", "cuda"},
      {"report: {formats: [jsn]}", "r.yaml:1 (report.formats.0)", "json"},
      {"prune: {select: {kinds: [weights]}}", "r.yaml:1 (prune.0.select.kinds.0)", "weight"},
      {"data: {train: {format: npz}, calibration: {from: trian}}",
       "r.yaml:1 (data.calibration.from)", "train"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.yaml);
    const Problem problem = fault(one.yaml);
    CHECK(problem.where == one.where);
    CHECK_THAT(problem.fix, Contains("did you mean \"" + one.nearest + "\"?"));
  }
}

TEST_CASE("a budget that names two things is told those that its pattern takes", "[config][recipe]") {
  const auto fix_of = [](const std::string& pattern) -> std::string {
    try {
      read_recipe(parse_yaml("prune: {pattern: " + pattern + ", sparsity: {macs: 0.5, bytes: 0.5}}", "r.yaml"), "");
    } catch (const ConfigError& error) {
      return error.problem().fix;
    }
    return "";
  };
  CHECK(fix_of("channel") == "give one of: macs, params, bytes, memory");
  CHECK(fix_of("{head: {min_width: 2}}") == "give one of: macs, params, bytes, memory");
  CHECK(fix_of("unstructured") == "give one of: macs, params, bytes");
}

TEST_CASE("values out of their range say what is allowed", "[config][recipe]") {
  struct Case {
    std::string yaml, what, fix;
  };
  const Case cases[] = {
      {"prune: {sparsity: 1.4}", "sparsity is 1.4", "[0, 1)"},
      {"prune: {sparsity: 1}", "sparsity is 1", "[0, 1)"},
      {"prune: {sparsity: -0.1}", "sparsity is -0.1", "[0, 1)"},
      {"prune: {sparsity: 90}", "sparsity is 90", "for 90 percent write 0.9"},
      {"prune: {sparsity: 90%}", "sparsity is the text \"90%\"", "[0, 1)"},
      {"prune: {sparsity: {macs: 0}}", "macs is 0", "(0, 1]"},
      {"prune: {sparsity: {macs: 1.5}}", "macs is 1.5", "(0, 1]"},
      {"prune: {sparsity: {macs: 0.5, params: 0.5}}", "the budget names macs and params",
       "one of: macs, params"},
      {"prune: {sparsity: {}}", "the budget names nothing", "one of: macs"},
      {"prune: {sparsity: {macs: 0.5, runtime: x}}", "a budget of macs names the runtime \"x\"",
       "latency"},
      {"prune: {min_density: 2}", "min_density is 2", "[0, 1]"},
      {"prune: {select: {first_last: 1}}", "first_last is 1", "true or false"},
      {"prune: 0.5", "prune.0 is 0.5", "a map"},
      {"prune: {criterion: [a]}", "prune.0.criterion is a list of 1, not a name",
       "criterion: NAME"},
      {"seed: -1", "seed is -1", "at least 0"},
      {"threads: 0", "threads is 0", "auto or an integer"},
      {"threads: 1.5", "threads is 1.5", "auto or an integer"},
      {"model: 5", "model is 5", "\"5\""},
      {"gates: {min_sparsity: 90}", "min_sparsity is 90", "[0, 1]"},
      {"gates: [1]", "gates is a list of 1", "a map"},
      {"train: 3", "train is 3", "a map"},
      {"schedule: {rounds: 3, x: 1}", "schedule is a map without a name", "schedule: NAME"},
      {"data: {eval: x}", "the data set \"eval\" is the text \"x\"", "format: cifar10"},
      {"data: {eval: {split: test}}", "the data set \"eval\" has neither format nor from",
       "format: cifar10"},
      {"data: {eval: {format: npz, from: x}}", "the data set \"eval\" has both format and from",
       "from: train"},
      {"data: {evl: {format: npz, path: x}}", "nothing reads the data set \"evl\"", "did you mean \"eval\"?"},
      {"shedule: cubic", "\"shedule\" is no key of a recipe", "did you mean \"schedule\"?"},
      {"data: {a: {from: b}, b: {from: a}}", "the data set \"a\" draws from itself", "add a set"},
      {"data: {eval: {format: npz, path: 5}}", "path is 5", "\"5\""},
      {"[1]", "the recipe is a list of 1", "a map"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.yaml);
    const Problem problem = fault(one.yaml);
    CHECK(problem.what == one.what);
    CHECK_THAT(problem.where, Contains("r.yaml:1"));
    CHECK_THAT(problem.fix, Contains(one.fix));
  }
}

TEST_CASE("a budget is read from its map", "[config][recipe]") {
  const auto budget =
      budget_of(recipe_of("prune: {sparsity: {latency: 0.6, runtime: onnxruntime}}").prune[0]);
  REQUIRE(budget);
  CHECK(budget->kind == "latency");
  CHECK(budget->fraction == 0.6);
  CHECK(budget->runtime == "onnxruntime");
  CHECK_FALSE(budget_of(recipe_of("prune: {sparsity: 0.5}").prune[0]));
}
