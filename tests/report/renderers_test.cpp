#include "report/renderers.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "report/mask_picture.h"
#include "report/sample_report.h"
#include "support/catch.h"

using namespace sparsify;
using Catch::Contains;

namespace {

size_t occurrences(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

}  // namespace

TEST_CASE("report.json has the keys that scripts rely on, and null for what was not measured", "[report][json]") {
  const nlohmann::ordered_json json = to_json(small_report());

  CHECK(json["schema_version"] == 1);
  CHECK(json["tool"]["version"].is_string());
  CHECK(json["model"]["params"] == 1000);
  CHECK(json["result"]["nonzero"] == 298);
  CHECK(json["result"]["macs"].is_null());
  CHECK(json["result"]["prunable"] == 780);
  CHECK(json["result"]["pruned"] == 702);
  CHECK(json["metric"]["before"] == 91.73);
  REQUIRE(json["gradient_cuts"].size() == 2);
  CHECK(json["gradient_cuts"][0]["weights"].empty());
  CHECK(json["gradient_cuts"][1]["op"] == "Round");
  CHECK(json["gradient_cuts"][1]["weights"][0] == "conv1.weight");
  CHECK(json["layers"].size() == 4);
  CHECK(json["layers"][0]["kept"] == 11);
  CHECK(json["layers"][0]["skipped"].is_null());
  CHECK(json["layers"][2]["skipped"] == "bias: not selected (kinds)");
  CHECK(json["layers"][1]["target"].is_null());
  CHECK(json["gates"][0]["passed"] == false);
  CHECK(json["verification"][0]["check"] == "reload");
  CHECK(json["timings"]["total_s"] == 2.0);
  CHECK(nlohmann::ordered_json::parse(to_json_text(small_report())) == json);
}

TEST_CASE("a CSV field with commas or quotes is quoted, and every layer has its line", "[report][csv]") {
  const std::string csv = to_csv(small_report());

  CHECK(occurrences(csv, "\r\n") == 5);  // the header and four layers
  CHECK_THAT(csv, Contains("\"comma,\"\"quote\"\"\""));
  CHECK_THAT(csv, Contains("4x3x3x3"));
}

TEST_CASE("JUnit has a case for each gate and verification, failures with both numbers", "[report][junit]") {
  const std::string xml = to_junit(small_report());

  CHECK(occurrences(xml, "<testcase ") == 4);
  CHECK(occurrences(xml, "<failure ") == 2);
  CHECK_THAT(xml, Contains("max_accuracy_drop"));
  CHECK_THAT(xml, Contains("1.63"));
  CHECK_THAT(xml, Contains("&lt; 2:4 &gt;"));
  CHECK(occurrences(xml, "< 2:4 >") == 0);
}

TEST_CASE("no name in the data can break out of the HTML page", "[report][html]") {
  const std::string html = to_html(small_report());

  CHECK(occurrences(html, "</script><b>") == 0);
  CHECK(occurrences(html, "<img src=x") == 0);
  CHECK(occurrences(html, "http://") + occurrences(html, "https://") == occurrences(html, "http://www.w3.org/"));
  CHECK_THAT(html, Contains("&lt;b&gt;bold &amp;"));
  CHECK(to_html(resnet56_report()).size() < 300000);
}

TEST_CASE("the terminal summary keeps to its width and to ASCII when asked", "[report][terminal]") {
  const std::string text = to_terminal(small_report(), {.width = 80, .colour = false, .utf8 = false, .html_path = "slim.sparsify/report.html"});

  size_t longest = 0;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    if (text.compare(start, 6, "Report") != 0) longest = std::max(longest, end - start);
    start = end + 1;
  }
  CHECK(longest <= 80);
  CHECK(std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 128; }));
  CHECK_THAT(text, Contains("91.73") && Contains("90.1") && Contains("slim.sparsify/report.html"));
}

TEST_CASE("of a cut network the terminal shows widths before and after, and counts the vectors that follow", "[report][terminal]") {
  RunReport report;
  report.model.path = "net.onnx";
  report.layers = {
      {.name = "conv1", .initializer = "conv1.weight", .op = "Conv", .shape = {16, 3, 3, 3}, .params = 432, .prunable = 432, .kept = 216, .sparsity = 0.5, .shape_after = {8, 3, 3, 3}},
      {.name = "bn1", .initializer = "bn1.weight", .op = "BatchNormalization", .shape = {16}, .params = 16, .prunable = 16, .kept = 8, .sparsity = 0.5, .shape_after = {8}},
      {.name = "bn1", .initializer = "bn1.bias", .op = "BatchNormalization", .shape = {16}, .params = 16, .prunable = 16, .kept = 8, .sparsity = 0.5, .shape_after = {8}},
  };

  report.groups = {{.name = "conv1", .kind = "channel", .units = 16, .kept = 8}};
  report.prunable = 464;
  report.pruned = 232;

  const std::string text = to_terminal(report, {.width = 120, .utf8 = false, .html_path = ""});

  CHECK_THAT(text, Contains("232 of 464 prunable weights are removed"));
  CHECK_THAT(to_html(report), Contains("232 of 464 prunable weights are removed"));
  CHECK_THAT(to_terminal(small_report(), {.width = 120, .utf8 = false, .html_path = ""}), Contains("prunable weights are zero"));
  CHECK_THAT(text, Contains("16x3x3x3 -> 8x3x3x3"));
  CHECK_THAT(text, Contains("1 layer and 2 vectors"));
  CHECK_THAT(text, Contains("464"));  // they count: 432 + 16 + 16
  CHECK(occurrences(text, "bn1") == 0);
  CHECK(occurrences(to_terminal(report, {.width = 120, .utf8 = false, .verbose = true, .html_path = ""}), "bn1") == 2);
}

TEST_CASE("an existing report is kept unless it may be overwritten", "[report][files]") {
  const auto folder = std::filesystem::temp_directory_path() / "sparsify-report-test";
  std::filesystem::remove_all(folder);

  CHECK(write_report(small_report(), folder.string(), {"json", "csv"}, false).size() == 2);
  CHECK_THROWS_AS(write_report(small_report(), folder.string(), {"json"}, false), ConfigError);
  CHECK_THROWS_AS(write_report(small_report(), folder.string(), {"pdf"}, true), ConfigError);
  std::filesystem::remove_all(folder);
}

TEST_CASE("a mask picture's cell is the share of kept weights, whatever axis holds the channels", "[report][picture]") {
  Mask mask{{2, 4}, BitMask(8)};
  mask.bits.prune(0);
  mask.bits.prune(5);

  const MaskPicture rows = draw_mask("w", mask, 0);
  CHECK(rows.rows == 2);
  CHECK(rows.columns == 4);
  CHECK(rows.density == std::vector<uint8_t>{0, 255, 255, 255, 255, 0, 255, 255});

  const MaskPicture columns = draw_mask("w", mask, 1);  // channels side by side in memory
  CHECK(columns.rows == 4);
  CHECK(columns.columns == 2);
  CHECK(columns.density == std::vector<uint8_t>{0, 255, 255, 0, 255, 255, 255, 255});
}
