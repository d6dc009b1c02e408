#include "mask/scores.h"

#include "support/catch.h"

using namespace sparsify;

TEST_CASE("the pruned count is rounded half away from zero", "[mask][scores]") {
  CHECK(kept_count(10, 0.5) == 5);
  CHECK(kept_count(5, 0.5) == 2);  // 2.5 pruned -> 3
  CHECK(kept_count(7, 0.0) == 7);
  CHECK(kept_count(1, 0.9) == 0);
  CHECK(kept_count(0, 0.9) == 0);
  CHECK(kept_count(268'336, 0.9) == 268'336 - 241'502);
}
