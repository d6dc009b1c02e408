#include <cmath>
#include <filesystem>
#include <fstream>

#include "config/fault.h"
#include "config/setting.h"

using namespace sparsify;
using Catch::Contains;

namespace {

Setting scalar(const std::string& text) { return *parse_yaml("x: " + text, "t").find("x"); }

}  // namespace

TEST_CASE("scalars get the types of YAML's core schema", "[config][yaml]") {
  CHECK(scalar("").is_null());
  CHECK(scalar("~").is_null());
  CHECK(scalar("null").is_null());
  CHECK(scalar("true").flag());
  CHECK_FALSE(scalar("False").flag());
  CHECK(scalar("12").integer() == 12);
  CHECK(scalar("-7").integer() == -7);
  CHECK(scalar("+7").integer() == 7);
  CHECK(scalar("0x1F").integer() == 31);
  CHECK(scalar("0o17").integer() == 15);
  CHECK(scalar("017").integer() == 17);
  CHECK(scalar("9223372036854775807").integer() == INT64_MAX);
  CHECK(scalar("9223372036854775808").number() == 0x1p63);
  CHECK_FALSE(scalar("1e3").is_integer());
  CHECK(scalar("1e3").number() == 1000);
  CHECK(scalar("5e-4").number() == 5e-4);
  CHECK(scalar(".5").number() == 0.5);
  CHECK(scalar("-.5").number() == -0.5);
  CHECK(scalar("3.").number() == 3);
  CHECK(scalar("1.5E+2").number() == 150);
  CHECK(std::isinf(scalar("-.inf").number()));
  CHECK(std::isnan(scalar(".nan").number()));
}

TEST_CASE("what is not a core number or flag stays text", "[config][yaml]") {
  for (const std::string text : {"2:4", "1_000", "yes", "off", "1e", "e5", ".", "-", "0x", "0x-1",
                                 "1.2.3", "cuda:1", "nan", "inf", "1e999"}) {
    CAPTURE(text);
    REQUIRE(scalar(text == "-" ? "'-'" : text).is_text());
    CHECK(scalar(text == "-" ? "'-'" : text).text() == text);
  }
  CHECK(parse_yaml("{pattern: 2:4, next: 1}", "t").find("pattern")->text() == "2:4");
}

TEST_CASE("quotes and tags decide over the type", "[config][yaml]") {
  CHECK(scalar("\"2:4\"").text() == "2:4");
  CHECK(scalar("'12'").text() == "12");
  CHECK(scalar("\"true\"").text() == "true");
  CHECK(scalar("''").text().empty());
  CHECK(scalar("!!str 12").text() == "12");
  CHECK_FALSE(scalar("!!float 12").is_integer());
  CHECK(scalar("|\n  a\n  b").text() == "a\nb");
  const Problem problem = problem_of([] { parse_yaml("a: 1\nb: !!int abc", "r.yaml"); });
  CHECK(problem.where == "r.yaml:2 (b)");
}

TEST_CASE("every value knows its line, that of its key in a map", "[config][yaml]") {
  const Setting root = parse_yaml(
      "# comment\nprune:\n  - sparsity: 0.5\n    select:\n      ops: [Conv,\n        Gemm]\n",
      "r.yaml");
  CHECK(root.mark().text() == "r.yaml:2");
  const Setting& prune = *root.find("prune");
  CHECK(prune.mark().line == 2);
  const Setting& rule = prune.list()[0];
  CHECK(rule.mark().line == 3);
  CHECK(rule.find("sparsity")->mark().text() == "r.yaml:3");
  CHECK(rule.find("select")->mark().line == 4);
  CHECK(rule.find("select")->find("ops")->list()[1].mark().line == 6);
  CHECK(Mark{"--set", 0}.text() == "--set");
  CHECK(Mark{}.text() == "default");
}

TEST_CASE("aliases are copies of what they name", "[config][yaml]") {
  const Setting root = parse_yaml("a: &norm {mean: [1, 2]}\nb: *norm\nc: &s text\nd: [*s]\n", "t");
  CHECK(*root.find("b") == *root.find("a"));
  CHECK(root.find("d")->list()[0].text() == "text");
  CHECK(root.find("b")->mark().line == 2);
  CHECK(root.find("b")->find("mean")->mark().line == 1);
  CHECK(problem_of([] { parse_yaml("a: &x [1, *x]", "t"); }).what ==
        "an alias stands inside the value that it names");
}

TEST_CASE("aliases of aliases do not fill the memory", "[config][yaml]") {
  std::string text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 12; ++i) {
    std::string list;
    for (int j = 0; j < 10; ++j) list += "*a" + std::to_string(i - 1) + ", ";
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + list + "1]\n";
  }
  CHECK(problem_of([&] { parse_yaml(text, "t"); }).what == "more than 1000000 values");
  CHECK_THAT(
      problem_of([] { parse_yaml(std::string(300, '[') + std::string(300, ']'), "t"); }).what,
      Contains("levels"));
  CHECK_THROWS_AS(parse_yaml(std::string(100000, '['), "t"), ConfigError);
  CHECK_THROWS_AS(parse_json(std::string(100000, '['), "t"), ConfigError);
}

TEST_CASE("a key that is there twice is an error with both lines", "[config][yaml]") {
  const Problem problem =
      problem_of([] { parse_yaml("train:\n  lr: 1\n  epochs: 2\n  lr: 3\n", "r.yaml"); });
  CHECK(problem.what == "the key \"lr\" is there twice, first in line 2");
  CHECK(problem.where == "r.yaml:4 (train.lr)");
  CHECK(problem.fix == "keep one of the two");
}

TEST_CASE("text that does not parse is reported with its line", "[config][yaml]") {
  struct Case {
    std::string text;
    int line;
  };
  const Case cases[] = {{"a: 1\nb: [1, 2\n", 2}, {"a: 1\n b: 2\n", 2},       {"a: b: c\n", 1},
                        {"a:\n\tb: 1\n", 2},     {"a: \"open\n", 1},         {"a: \"open\n  ", 2},
                        {"a: 'open", 1},         {"a: 1\nb: *nowhere\n", 2}, {"a: 1\n}\n", 2},
                        {"? [1]\n: 2\n", 1}};
  for (const Case& one : cases) {
    CAPTURE(one.text);
    const Problem problem = problem_of([&] { parse_yaml(one.text, "r.yaml"); });
    CHECK_THAT(problem.where, Catch::StartsWith("r.yaml:" + std::to_string(one.line)));
    CHECK_FALSE(problem.what.empty());
    CHECK_FALSE(problem.fix.empty());
  }
  CHECK(problem_of([] { parse_yaml("a: 1\n---\nb: 2\n", "r.yaml"); }).what ==
        "a second document starts here");
}

TEST_CASE("an empty file is null", "[config][yaml]") {
  CHECK(parse_yaml("", "t").is_null());
  CHECK(parse_yaml("# only a comment\n", "t").is_null());
  CHECK(parse_yaml("\xEF\xBB\xBF"
                   "a: 1\r\nb: 2\r\n",
                   "t")
            .find("b")
            ->integer() == 2);
}

TEST_CASE("printed YAML reads back as the same value", "[config][yaml]") {
  const Setting root = parse_yaml(R"(
model: ../nets/résumé.onnx
empty: {}
none: []
null_key:
texts: ["2:4", "yes", "12", "", "a, b", "x: y", "# no", "tab\there", "line\nbreak", "qu\"ote", "back\\slash", "~", "-", "*", "...", "é"]
numbers: [1, 1.0, 5e-4, 1e22, 0.1, -0.0, .inf, -.inf, 9223372036854775807]
deep: [[1, [2, 3]], {a: [{b: {c: d}}]}, [{x: 1, y: {z: 2}}, 3]]
"odd key: 1": true
long: {aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: 1, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb: 2, ccccccccccccc: 3}
)",
                                  "t");
  const std::string printed = to_yaml(root);
  CAPTURE(printed);
  CHECK(parse_yaml(printed, "t") == root);
  for (const Setting& value :
       {Setting{}, Setting(1), Setting("a b"), Setting(Setting::List{}), Setting(Setting::Map{})}) {
    CHECK(parse_yaml(to_yaml(value), "t") == value);
  }
}

TEST_CASE("printed YAML is short where it can be", "[config][yaml]") {
  const Setting root = parse_yaml(
      "{prune: [{select: {ops: [Conv]}, sparsity: 0.5}], gates: {min_sparsity: 1.0}}", "t");
  CHECK(to_yaml(root) ==
        "prune:\n  - select: {ops: [Conv]}\n    sparsity: 0.5\ngates: {min_sparsity: 1.0}\n");
}
