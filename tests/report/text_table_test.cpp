#include "report/text_table.h"

#include "support/catch.h"

using namespace sparsify;
using Catch::Contains;

TEST_CASE("columns are left out before two names of a table look the same", "[report][table]") {
  TextTable table({{.title = "name", .flexible = true}, {.title = "note", .drop_order = 1}});
  const std::string same = "0123456789";
  for (const char* middle : {"a", "b"}) table.add_row({same + same + middle + same + same, "twelve chars"});

  CHECK_THAT(table.render(60, false, false), Contains(same + same + "a" + same + same + "  twelve chars"));
  const std::string narrow = table.render(42, false, false);  // 41 for the name whole; shortened, its middle is what goes
  CHECK_THAT(narrow, Contains(same + same + "a" + same + same) && Contains(same + same + "b" + same + same) && !Contains("twelve"));
  const std::string narrowest = table.render(20, false, false);  // nothing is left to leave out
  CHECK_THAT(narrowest, Contains("012345...90123456789\n012345...90123456789\n"));
}
