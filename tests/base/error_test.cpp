#include "base/error.h"

#include "support/catch.h"

using namespace sparsify;

TEST_CASE("an error reads as what, where and fix", "[base][error]") {
  const ConfigError error{{.what = "sparsity is 1.4",
                           .where = "r.yaml:12 (prune.0.sparsity)",
                           .fix = "use a number in [0, 1)"}};
  CHECK(std::string(error.what()) ==
        "error: sparsity is 1.4\n"
        "   at: r.yaml:12 (prune.0.sparsity)\n"
        "  fix: use a number in [0, 1)");
}

TEST_CASE("context is added behind the place, innermost first", "[base][error]") {
  try {
    try {
      throw ShapeError{{.what = "3 is not 4", .where = "conv1.weight", .fix = "use another model"}};
    } catch (Error& e) {
      e.add_context("while scoring layer1");
      e.add_context("in rule 0");
      throw;
    }
  } catch (const ResourceError& e) {  // the class survives rethrowing
    CHECK(std::string(e.what()) ==
          "error: 3 is not 4\n   at: conv1.weight (while scoring layer1, in rule 0)\n  fix: use "
          "another model");
    CHECK(e.problem().where == "conv1.weight");
  }
}

TEST_CASE("a caller that knows better replaces the place", "[base][error]") {
  ConfigError error{
      {.what = "no criterion is named \"wnda\"", .where = "criterion", .fix = "use another"}};
  error.set_where("r.yaml:3 (prune.0.criterion)");
  CHECK(error.problem().where == "r.yaml:3 (prune.0.criterion)");
  CHECK(std::string(error.what()).find("at: r.yaml:3") != std::string::npos);
}

TEST_CASE("the class of an error gives the exit code", "[base][error]") {
  const Problem problem{"what", "where", "fix"};
  CHECK(ConfigError{problem}.exit_code() == 2);
  CHECK(ResourceError{problem}.exit_code() == 3);
  CHECK(ShapeError{problem}.exit_code() == 3);
  CHECK(GateError{problem}.exit_code() == 4);
  CHECK(ExhaustedError{problem}.exit_code() == 5);
  CHECK(InterruptedError{problem}.exit_code() == 130);
}

TEST_CASE("a broken invariant is our bug and says where it was claimed", "[base][error]") {
  CHECK_NOTHROW(invariant(true, "one is one"));
  CHECK_THROWS_WITH(invariant(false, "one is two"),
                    Catch::Contains("one is two") && Catch::Contains("error_test.cpp:"));
}
