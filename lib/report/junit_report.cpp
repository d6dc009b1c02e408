#include <fmt/format.h>

#include <algorithm>

#include "report/renderers.h"
#include "report/text.h"
#include "report/wording.h"

namespace sparsify {
namespace {

struct Case {
  std::string name;
  bool passed = false;
  std::string message;
};

/// Children in the order that the schemas of Ant and Jenkins ask for: properties, testcase, system-out, system-err.
std::string suite(const std::string& name, const std::vector<Case>& cases, const RunReport& report,
                  double seconds) {
  const auto failures = std::count_if(cases.begin(), cases.end(), [](const Case& c) { return !c.passed; });
  std::string timestamp = report.started.substr(0, report.started.find('Z'));  // the schema allows no zone
  if (timestamp.empty()) timestamp = "1970-01-01T00:00:00";
  std::string out = fmt::format(
      "  <testsuite name=\"sparsify.{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"0\" "
      "time=\"{:.3f}\" timestamp=\"{}\" hostname=\"localhost\">\n    <properties>\n",
      name, cases.size(), failures, seconds, escape_markup(timestamp));
  const auto property = [&](const char* key, const std::string& value) {
    if (value.empty()) return;
    out += fmt::format("      <property name=\"{}\" value=\"{}\"/>\n", key, escape_markup(value));
  };
  property("model", report.model.path);
  property("model.sha256", report.model.sha256);
  if (report.result) {
    property("result", report.result->path);
    property("result.sha256", report.result->sha256);
  }
  property("sparsity", fmt::format("{}", report.sparsity));
  out += "    </properties>\n";
  for (const Case& one : cases) {
    out += fmt::format("    <testcase classname=\"sparsify.{}\" name=\"{}\" time=\"0\"", name,
                       escape_markup(one.name));
    if (one.passed) {
      out += "/>\n";
      continue;
    }
    const std::string message = escape_markup(one.message);
    out += fmt::format(">\n      <failure message=\"{}\" type=\"{}\">{}</failure>\n    </testcase>\n",
                       message, name, message);
  }
  return out + "    <system-out></system-out>\n    <system-err></system-err>\n  </testsuite>\n";
}

}  // namespace

std::string to_junit(const RunReport& report) {
  std::vector<Case> gates;
  for (const GateResult& gate : report.gates) {
    gates.push_back({.name = gate.name,
                     .passed = gate.passed,
                     .message = fmt::format("{} is {}", gate.name, gate_text(gate))});
  }
  std::vector<Case> checks;
  for (const VerificationResult& check : report.verification) {
    checks.push_back({.name = check.check,
                      .passed = check.passed,
                      .message = check.detail.empty() ? check.check + " does not hold" : check.detail});
  }
  const double seconds = report.timings.empty() ? 0 : report.timings.back().second;
  const auto failed = [](const Case& c) { return !c.passed; };
  const auto failures = std::count_if(gates.begin(), gates.end(), failed) +
                        std::count_if(checks.begin(), checks.end(), failed);
  return fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                     "<testsuites name=\"sparsify\" tests=\"{}\" failures=\"{}\" errors=\"0\" time=\"{:.3f}\">\n",
                     gates.size() + checks.size(), failures, seconds) +
         suite("gates", gates, report, 0) + suite("verification", checks, report, seconds) +
         "</testsuites>\n";
}

}  // namespace sparsify
