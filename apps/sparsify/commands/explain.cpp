#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/names.h"
#include "pipeline/families.h"
#include "report/text_table.h"
#include "sparsify/command.h"

namespace sparsify {
namespace {

std::string range_text(const OptionRecord& record) {
  if (!record.choices.empty()) return join(record.choices, " | ");
  const bool low = std::isfinite(record.range.min);
  const bool high = std::isfinite(record.range.max);
  if (!low && !high) return "";
  if (!high) return fmt::format(">= {:g}", record.range.min);
  if (!low) return fmt::format("{} {:g}", record.range.below_max ? "<" : "<=", record.range.max);
  return fmt::format("[{:g}, {:g}{}", record.range.min, record.range.max, record.range.below_max ? ")" : "]");
}

int run(const std::string& family, const std::string& name, const Context& context) {
  std::string description;
  for (const PluginEntry& plugin : plugins_of(family)) {
    if (plugin.name == name) description = plugin.description;
  }
  const std::vector<OptionRecord> records = options_of(family, name);
  if (context.json) {
    nlohmann::ordered_json options = nlohmann::ordered_json::array();
    for (const OptionRecord& record : records) {
      options.push_back({{"key", record.key},
                         {"type", record.type},
                         {"default", to_json(record.default_value)},
                         {"required", record.required},
                         {"range", range_text(record)},
                         {"help", record.help}});
    }
    print(nlohmann::ordered_json{{"family", family}, {"name", name}, {"description", description}, {"options", options}}.dump(2) + "\n");
    return kDone;
  }
  std::string text = painted(name, Paint::Bold, context.colour()) + " (" + family + "): " + description + "\n";
  if (records.empty()) {
    print(text + "  no options\n");
    return kDone;
  }
  TextTable table({{.title = "option"}, {.title = "type"}, {.title = "default"}, {.title = "range"}, {.title = "meaning", .flexible = true}});
  for (const OptionRecord& record : records) {
    const std::string otherwise = record.required ? "required" : record.default_value.is_null() ? "-" : to_json(record.default_value).dump();
    table.add_row({record.key, record.type, otherwise, range_text(record), record.help});
  }
  constexpr int kUnshortened = 1000;  // a meaning cut in the middle explains nothing
  print(text + table.render(kUnshortened, context.colour(), context.utf8(), 2));
  return kDone;
}

std::function<int()> declare(CLI::App& app, Context& context) {
  const auto family = std::make_shared<std::string>();
  const auto name = std::make_shared<std::string>();
  app.add_option("FAMILY", *family, "criterion, pattern, allocation, schedule, \"data format\", metric, runtime")->required();
  app.add_option("NAME", *name, "one of `sparsify list FAMILY`")->required();
  return [family, name, &context] { return run(*family, *name, context); };
}

const RegisterCommand entry{{"explain", "the options of one choice: defaults, ranges, meaning", declare}};

}  // namespace
}  // namespace sparsify
