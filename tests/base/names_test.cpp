#include "base/names.h"

#include "support/catch.h"

using namespace sparsify;

TEST_CASE("a mistyped name finds its nearest neighbour", "[base][names]") {
  CHECK(closest_name("wnda", {"magnitude", "taylor", "wanda"}) == "wanda");
  CHECK(closest_name("Magnitud", {"magnitude", "taylor", "wanda"}) == "magnitude");
  CHECK(closest_name("xyz", {"magnitude", "taylor", "wanda"}).empty());
}

TEST_CASE("a glob's star runs over slashes and dots", "[base][names]") {
  CHECK(glob_match("*conv1*", "/layer1/layer1.0/conv1/Conv"));
  CHECK(glob_match("layer?.weight", "layer1.weight"));
  CHECK_FALSE(glob_match("conv1", "/conv1/Conv"));
}
