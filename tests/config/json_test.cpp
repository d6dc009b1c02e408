#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "config/fault.h"
#include "config/setting.h"

using namespace sparsify;
using Catch::Contains;

namespace fs = std::filesystem;

namespace {

std::string written(const std::string& name, const std::string& text) {
  const fs::path folder = fs::temp_directory_path() / "sparsify_config_test";
  fs::create_directories(folder);
  const std::string path = (folder / name).string();
  std::ofstream(path) << text;
  return path;
}

}  // namespace

TEST_CASE("JSON keeps its lines, also of numbers before a line end", "[config][json]") {
  const Setting root = parse_json(
      "{\n  \"a\": 1,\n  \"b\": [1.5,\n    2\n  ],\n  \"c\":\n    {\"d\": null}\n}", "r.json");
  CHECK(root.mark().line == 1);
  CHECK(root.find("a")->mark().text() == "r.json:2");
  CHECK(root.find("b")->mark().line == 3);
  CHECK(root.find("b")->list()[0].mark().line == 3);
  CHECK(root.find("b")->list()[1].mark().line == 4);
  CHECK(root.find("c")->mark().line == 6);
  CHECK(root.find("c")->find("d")->mark().line == 7);
}

TEST_CASE("JSON's escapes and types come through", "[config][json]") {
  const Setting root = parse_json(
      R"({"a": "x\/y\u00e9\ud83d\ude00\"\n", "b": true, "c": 1e3, "d": -2, "e": 18446744073709551615})",
      "t");
  CHECK(root.find("a")->text() == "x/y\xC3\xA9\xF0\x9F\x98\x80\"\n");
  CHECK(root.find("b")->flag());
  CHECK_FALSE(root.find("c")->is_integer());
  CHECK(root.find("d")->integer() == -2);
  CHECK(root.find("e")->number() == 0x1p64);
}

TEST_CASE("faults in JSON are reported with their line", "[config][json]") {
  CHECK(problem_of([] { parse_json("{\"a\": 1,\n \"a\": 2}", "r.json"); }).where == "r.json:2 (a)");
  const Problem problem = problem_of([] { parse_json("{\"a\": 1,\n \"b\": tru\n}", "r.json"); });
  CHECK(problem.where == "r.json:2 (b)");
  CHECK_THAT(problem.what, Contains("the JSON does not parse"));
  CHECK_THAT(problem_of([] { parse_json("{\"a\": [1, 2\n", "r.json"); }).where,
             Contains("r.json:"));
  CHECK_THAT(problem_of([] { parse_json("", "r.json"); }).where, Contains("r.json:1"));
  CHECK_THAT(problem_of([] { parse_json("{} {}", "r.json"); }).what, Contains("does not parse"));
}

TEST_CASE("a recipe file is JSON or YAML by its name", "[config][json]") {
  CHECK(read_yaml_file(written("r.json", R"({"model": "a\/b.onnx"})")).find("model")->text() ==
        "a/b.onnx");
  const std::string yaml = written("r.yaml", "model: a/b.onnx\n");
  CHECK(read_yaml_file(yaml).find("model")->mark().text() == yaml + ":1");
  CHECK(parse_yaml(R"({"model": "a.onnx", "prune": [{"sparsity": 0.5}]})", "t")
            .find("prune")
            ->list()
            .size() == 1);
}

TEST_CASE("a file that cannot be read is a recipe error with its path", "[config][json]") {
  const Problem problem = problem_of([] { read_yaml_file("/nowhere/r.yaml"); });
  CHECK(problem.where == "/nowhere/r.yaml");
  CHECK_THAT(problem.what, Contains("No such file"));
  CHECK_THAT(problem_of([] { read_yaml_file(fs::temp_directory_path().string()); }).what,
             Contains("directory"));
  CHECK_THAT(problem_of([] { read_yaml_file("/dev/zero"); }).what, Contains("larger than"));
}

TEST_CASE("a value becomes JSON with its order", "[config][json]") {
  const Setting root = parse_yaml("{z: 1, a: [1.5, true, null, x]}", "t");
  CHECK(to_json(root).dump() == R"({"z":1,"a":[1.5,true,null,"x"]})");
}
