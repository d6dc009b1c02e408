#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "report/renderers.h"
#include "report/sample_report.h"
#include "support/catch.h"

using namespace sparsify;

// Named by html_in_browser.py, which opens what this writes.
TEST_CASE("the sample reports are written for a browser to open", "[.samples]") {
  const char* folder = std::getenv("SPARSIFY_REPORT_SAMPLES");
  REQUIRE(folder != nullptr);
  const std::vector<std::string> formats = {"html", "json", "csv", "junit"};
  CHECK(write_report(small_report(), std::string(folder) + "/small", formats, true).size() == 4);
  CHECK(write_report(resnet56_report(), std::string(folder) + "/resnet56", formats, true).size() == 4);
}
