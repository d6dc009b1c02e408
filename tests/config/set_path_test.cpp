#include "config/fault.h"
#include "config/recipe.h"

using namespace sparsify;
using Catch::Contains;

namespace {

std::string after(const std::string& yaml, const std::string& assignment) {
  Setting root = parse_yaml(yaml, "r.yaml");
  set_path(root, assignment, "--set");
  return to_yaml(root);
}

}  // namespace

TEST_CASE("an assignment replaces, adds and creates on its way", "[config][set]") {
  CHECK(after("prune: [{sparsity: 0.5}]", "prune.0.sparsity=0.8") ==
        "prune:\n  - {sparsity: 0.8}\n");
  CHECK(after("", "prune.0.sparsity=0.8") == "prune:\n  - {sparsity: 0.8}\n");
  CHECK(after("prune: [{sparsity: 0.5}]", "prune.1.sparsity=0.8") ==
        "prune:\n  - {sparsity: 0.5}\n  - {sparsity: 0.8}\n");
  CHECK(after("prune: {sparsity: 0.5}", "prune.0.sparsity=0.8") == "prune: {sparsity: 0.8}\n");
  CHECK(after("", "train.optimizer={name: sgd, lr: 5e-4}") ==
        "train:\n  optimizer: {name: sgd, lr: 0.0005}\n");
  CHECK(after("a: 1", "a=") == "a: null\n");
  CHECK(after("a: 1", "a=\"x=y\"") == "a: \"x=y\"\n");
}

TEST_CASE("an assigned value is marked by the flag", "[config][set]") {
  Setting root = parse_yaml("seed: 1", "r.yaml");
  set_path(root, "prune.0.sparsity=1.5", "--set");
  const Problem problem = problem_of([&] { read_recipe(root, ""); });
  CHECK(problem.what == "sparsity is 1.5");
  CHECK(problem.where == "--set (prune.0.sparsity)");
}

TEST_CASE("an assignment that leads nowhere is refused", "[config][set]") {
  const auto fault = [](const std::string& assignment) {
    return problem_of([&] { after("{seed: 1, prune: [{criterion: taylor}]}", assignment); });
  };
  CHECK(fault("prune.0.criterion.order=2").what ==
        "prune.0.criterion is the text \"taylor\", which has no keys");
  CHECK(fault("prune.0.criterion.order=2").where == "--set prune.0.criterion.order");
  CHECK(fault("prune.0.criterion.order=2").fix ==
        "set the whole value: prune.0.criterion={name: taylor, order: ...}");
  CHECK(fault("prune.2.sparsity=1").what == "\"2\" is no index of prune, which is a list of 1");
  CHECK(fault("prune.2.sparsity=1").fix == "use an index from 0 to 1; 1 adds an element");
  CHECK(fault("prune.sparsity=1").what ==
        "\"sparsity\" is no index of prune, which is a list of 1");
  CHECK_THAT(fault("seed.x=1").what, Contains("seed is 1"));
  for (const char* broken : {"seed", "=1", ".seed=1", "seed.=1", "a..b=1", ""}) {
    CAPTURE(broken);
    CHECK(fault(broken).fix == "write key=value, as in prune.0.sparsity=0.8");
  }
  CHECK(fault("seed=[1").where == "--set seed=[1");
}

TEST_CASE("the data flag is a data set", "[config][data]") {
  const Setting set = parse_data_flag(
      "cifar10:data/cifar10,split=test,scale=255,mean=[0.4,0.5],augment=[{random_crop: 4},flip]",
      "--data");
  CHECK(set == parse_yaml("{format: cifar10, path: data/cifar10, split: test, scale: 255, mean: "
                          "[0.4, 0.5], augment: [{random_crop: 4}, flip]}",
                          "t"));
  CHECK(set.find("mean")->list()[0].mark().text() == "--data");
  CHECK(parse_data_flag("random", "--data") == parse_yaml("{format: random}", "t"));
  CHECK(parse_data_flag("random:,limit=64", "--data") ==
        parse_yaml("{format: random, limit: 64}", "t"));
  CHECK(parse_data_flag("random,limit=64", "--data") ==
        parse_yaml("{format: random, limit: 64}", "t"));
  CHECK(parse_data_flag("npz:\"a,b.npz\",split='1,2'", "--data") ==
        parse_yaml("{format: npz, path: 'a,b.npz', split: '1,2'}", "t"));
  CHECK(parse_data_flag("image_folder:it's:here,limit=1", "--data").find("path")->text() ==
        "it's:here");
}

TEST_CASE("a data flag that cannot be split is refused", "[config][data]") {
  const auto fault = [](const std::string& text) {
    return problem_of([&] { parse_data_flag(text, "--data"); });
  };
  CHECK(fault("data/cifar10").what == "\"data/cifar10\" does not start with a data format");
  CHECK(fault("data/cifar10").where == "--data");
  CHECK_THAT(fault("").fix, Contains("FORMAT:PATH"));
  CHECK(fault("cifar10:x,split").what == "\"split\" is no key=value");
  CHECK_THAT(fault("cifar10:x,mean=[1,2").what, Contains("open"));
  CHECK(fault("cifar10:x,limit=1,limit=2").what == "the key \"limit\" is there twice");
  CHECK(fault("cifar10:x,path=y").what == "the key \"path\" is there twice");
  CHECK(fault("cifar10:x,augment={a: }}").where == "--data");
}
