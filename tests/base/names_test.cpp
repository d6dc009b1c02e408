#include "base/names.h"

#include "support/catch.h"

using namespace sparsify;

TEST_CASE("a mistyped name finds its nearest neighbour", "[base][names]") {
  const std::vector<std::string> names = {"magnitude", "taylor", "wanda"};
  CHECK(closest_name("wnda", names) == "wanda");
  CHECK(closest_name("wadna", names) == "wanda");  // a swap is one edit
  CHECK(closest_name("Magnitud", names) == "magnitude");
  CHECK(closest_name("mag", names) == "magnitude");
  CHECK(closest_name("xyz", names).empty());
  CHECK(closest_name("", names).empty());
  CHECK(closest_name("x", {"a"}).empty());
  CHECK(closest_name("wanda", {}).empty());
}

TEST_CASE("the nearest name comes first, then all", "[base][names]") {
  CHECK(suggest("wnda", {"taylor", "wanda"}) == "did you mean \"wanda\"? all: taylor, wanda");
  CHECK(suggest("xyz", {"taylor", "wanda"}) == "use one of these; all: taylor, wanda");
}

TEST_CASE("a glob's star runs over slashes and dots", "[base][names]") {
  CHECK(glob_match("*conv1*", "/layer1/layer1.0/conv1/Conv"));
  CHECK(glob_match("layer?.weight", "layer1.weight"));
  CHECK(glob_match("*", ""));
  CHECK(glob_match("*", ".hidden/name"));
  CHECK(glob_match("layer[123].*", "layer2.0.weight"));
  CHECK(glob_match("a\\b", "a\\b"));
  CHECK(glob_match("blocks[1]/w", "blocks[1]/w"));  // a name as it is printed
  CHECK_FALSE(glob_match("layer[!123].*", "layer2.0.weight"));
  CHECK_FALSE(glob_match("conv1", "/conv1/Conv"));
  CHECK_FALSE(glob_match("layer?.weight", "layer10.weight"));
  CHECK_FALSE(glob_match("Conv", "conv"));
}

TEST_CASE("join puts separators between all parts, empty ones too", "[base][names]") {
  CHECK(join({}) == "");
  CHECK(join({"a"}) == "a");
  CHECK(join({"", "a", ""}) == ", a, ");
  CHECK(join({"a", "b"}, " and ") == "a and b");
}
