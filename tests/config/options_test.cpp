#include "config/options.h"

#include "config/fault.h"

using namespace sparsify;
using Catch::Contains;

namespace {

Options options_of(const std::string& yaml, const std::string& path = "prune.0.criterion") {
  return Options(parse_yaml(yaml, "r.yaml"), path);
}

}  // namespace

TEST_CASE("an absent key gives its default, and so does null", "[config][options]") {
  const Options options = options_of("{a: ~}");
  CHECK(options.number("a", 1.5) == 1.5);
  CHECK(options.integer("b", 3) == 3);
  CHECK(options.text("c", "x") == "x");
  CHECK(options.flag("d", true));
  CHECK(options.choice("e", "l1", {"l1", "l2"}) == "l1");
  CHECK(options.numbers("f", {1, 2}) == std::vector<double>{1, 2});
  CHECK(options.integers("g", {}).empty());
  CHECK(options.texts("h", {"x"}) == std::vector<std::string>{"x"});
  CHECK_FALSE(options.optional_number("i"));
  CHECK_FALSE(options.optional_integer("j"));
  CHECK_FALSE(options.optional_text("k"));
  CHECK(options.value("l").is_null());
  CHECK_FALSE(options.has("a"));
  CHECK(Options{}.section("m").number("n", 2) == 2);
  options.reject_unread();
}

TEST_CASE("given values come typed", "[config][options]") {
  const Options options =
      options_of("{a: 2, b: 1e3, c: x, d: false, e: l2, f: [1, .5], g: 7, h: [x, y], i: z, j: 5}");
  CHECK(options.number("a", 0) == 2);
  CHECK(options.integer("b", 0) == 1000);
  CHECK(options.text("c", "") == "x");
  CHECK_FALSE(options.flag("d", true));
  CHECK(options.choice("e", "l1", {"l1", "l2"}) == "l2");
  CHECK(options.numbers("f", {}) == std::vector<double>{1, 0.5});
  CHECK(options.integers("g", {}) == std::vector<int64_t>{7});
  CHECK(options.texts("h", {}) == std::vector<std::string>{"x", "y"});
  CHECK(options.texts("i", {}) == std::vector<std::string>{"z"});
  CHECK(options.optional_integer("j") == 5);
  options.reject_unread();
}

TEST_CASE("a value that breaks its rule is named with place and fix", "[config][options]") {
  const Options options = options_of(
      "order: 3\nsparsity: 1.4\nlr: abc\nsteps: 2.5\nmean: [0.5, x]\nflip: 1\nname: 5\nnorm: "
      "l3\nnan: .nan\n");
  const NumberRange unit{.min = 0, .max = 1, .below_max = true};

  Problem problem = problem_of([&] { options.number("sparsity", 0, unit); });
  CHECK(problem.what == "sparsity is 1.4");
  CHECK(problem.where == "r.yaml:2 (prune.0.criterion.sparsity)");
  CHECK(problem.fix == "use a number in [0, 1)");

  problem = problem_of([&] { options.integer("order", 1, {.min = 1, .max = 2}); });
  CHECK(problem.what == "order is 3");
  CHECK(problem.fix == "use an integer in [1, 2]");

  problem = problem_of([&] { options.number("lr", 0, {.min = 0, .above_min = true}); });
  CHECK(problem.what == "lr is the text \"abc\"");
  CHECK(problem.fix == "use a number above 0");

  problem = problem_of([&] { options.integer("steps", 0, {.min = 1}); });
  CHECK(problem.what == "steps is 2.5");
  CHECK(problem.fix == "use an integer of at least 1");

  problem = problem_of([&] { options.numbers("mean", {}, {.max = 1}); });
  CHECK(problem.what == "mean[1] is the text \"x\"");
  CHECK(problem.where == "r.yaml:5 (prune.0.criterion.mean.1)");
  CHECK(problem.fix == "use a list, each a number of at most 1");

  CHECK(problem_of([&] { options.flag("flip", false); }).fix == "use true or false");
  CHECK(problem_of([&] { options.text("name", ""); }).fix == "use text, in quotes: \"5\"");

  problem = problem_of([&] { options.choice("norm", "l1", {"l1", "l2"}); });
  CHECK(problem.what == "norm is \"l3\"");
  CHECK(problem.fix == "did you mean \"l1\"? all: l1, l2");
  CHECK(problem_of([&] { options.choices("norm", {}, {"l1", "l2"}); }).what == "norm is \"l3\"");
  CHECK(options.choices("norm", {}, {"l3"}) == std::vector<std::string>{"l3"});
  CHECK(problem_of([&] { options.number("nan", 0); }).what == "nan is nan");
  CHECK(problem_of([&] { options_of("[1, 2]"); }).what == "prune.0.criterion is a list of 2");
}

TEST_CASE("the end of an open range is outside, that of a closed one inside", "[config][options]") {
  const Options options = options_of("{one: 1, zero: 0}");
  CHECK(options.number("one", 0, {.min = 0, .max = 1}) == 1);
  CHECK(options.number("zero", 1, {.min = 0, .max = 1, .below_max = true}) == 0);
  CHECK_THROWS_AS(options.number("one", 0, {.min = 0, .max = 1, .below_max = true}), ConfigError);
  CHECK_THROWS_AS(options.number("zero", 1, {.min = 0, .max = 1, .above_min = true}), ConfigError);
}

TEST_CASE("a required text that is missing says where to add it", "[config][options]") {
  const Problem problem = problem_of(
      [] { options_of("\nother: 1", "data.eval").required_text("format", "the data format"); });
  CHECK(problem.what == "format is missing");
  CHECK(problem.where == "r.yaml:2 (data.eval.format)");
  CHECK(problem.fix == "add `format: ...`: the data format");
}

TEST_CASE("a key that nobody read is an error that names the closest known key",
          "[config][options]") {
  const Options options = options_of("order: 1\nsparsty: 0.5\n", "prune.0");
  options.integer("order", 1);
  options.number("sparsity", 0);
  const Problem problem = problem_of([&] { options.reject_unread(); });
  CHECK(problem.what == "\"sparsty\" is no key of prune.0");
  CHECK(problem.where == "r.yaml:2 (prune.0.sparsty)");
  CHECK(problem.fix == "did you mean \"sparsity\"? all: order, sparsity");
  CHECK(problem_of([] { options_of("{a: 1}", "solver").reject_unread(); }).fix ==
        "remove it: solver takes no keys");
}

TEST_CASE("unread keys of sections are found through the parent", "[config][options]") {
  const Options options = options_of("optimizer:\n  lr: 0.1\n  momentun: 0.9\n", "train");
  const Options optimizer = options.section("optimizer");
  CHECK(optimizer.number("lr", 0) == 0.1);
  optimizer.number("momentum", 0);
  const Problem problem = problem_of([&] { options.reject_unread(); });
  CHECK(problem.where == "r.yaml:3 (train.optimizer.momentun)");
  CHECK_THAT(problem.fix, Contains("did you mean \"momentum\"?"));
}

TEST_CASE("what was read is on record with default, range and help", "[config][options]") {
  const Options options = options_of("{order: 2, inner: {x: 1}}");
  options.integer("order", 1, {.min = 1, .max = 2}, "terms of the series");
  options.value("order");
  options.texts("names", {"a"});
  options.section("inner").number("x", 0.5);
  const std::vector<OptionRecord>& records = options.records();
  REQUIRE(records.size() == 3);
  CHECK(records[0].key == "order");
  CHECK(records[0].type == "integer");
  CHECK(records[0].default_value.integer() == 1);
  CHECK(records[0].actual.integer() == 2);
  CHECK(records[0].range.max == 2);
  CHECK(records[0].help == "terms of the series");
  CHECK(describe_allowed(records[0]) == "an integer in [1, 2]");
  CHECK(records[1].type == "list");
  CHECK(records[1].items == "text");
  CHECK(records[2].type == "map");
  REQUIRE(records[2].fields.size() == 1);
  CHECK(records[2].fields[0].key == "x");
  CHECK(options.resolved() == parse_yaml("{order: 2, names: [a], inner: {x: 1}}", "t"));
}

TEST_CASE("a plugin is named by text, by `name`, or by the only key of a map",
          "[config][options]") {
  CHECK(split_name(Setting("magnitude"), "c").name == "magnitude");
  const NamedOptions taylor = split_name(parse_yaml("{name: taylor, order: 2}", "t"), "c");
  CHECK(taylor.name == "taylor");
  CHECK(taylor.options.integer("order", 1) == 2);
  taylor.options.reject_unread();
  const NamedOptions block = split_name(parse_yaml("{block: [4, 1]}", "t"), "pattern");
  CHECK(block.name == "block");
  CHECK(block.options.integers("value", {}) == std::vector<int64_t>{4, 1});
  block.options.reject_unread();
  const NamedOptions nested = split_name(parse_yaml("{taylor: {order: 2, x: 1}}", "t"), "c");
  CHECK(nested.options.integer("order", 1) == 2);
  CHECK(problem_of([&] { nested.options.reject_unread(); }).where == "t:1 (c.taylor.x)");
  CHECK(split_name(parse_yaml("{flip: }", "t"), "c").name == "flip");
}

TEST_CASE("a plugin without a name is refused", "[config][options]") {
  for (const char* yaml : {"", "5", "[a]", "{}", "{a: 1, b: 2}", "{name: 5}", "{name: }", "''"}) {
    CAPTURE(yaml);
    const Problem problem =
        problem_of([&] { split_name(parse_yaml(yaml, "r.yaml"), "prune.0.criterion"); });
    CHECK_THAT(problem.where, Contains("prune.0.criterion"));
    CHECK_THAT(problem.fix, Contains("criterion: {name: NAME"));
  }
}
