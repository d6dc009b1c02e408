#include <nlohmann/json.hpp>

#include "base/error.h"
#include "pipeline/families.h"
#include "report/text_table.h"
#include "sparsify/command.h"

namespace sparsify {
namespace {

int run(const std::string& family, const Context& context) {
  std::vector<Family> shown;
  for (const Family& one : families()) {
    if (family.empty() || one.name == family) shown.push_back(one);
  }
  if (shown.empty()) plugins_of(family);  // throws with the nearest name
  nlohmann::ordered_json document = nlohmann::ordered_json::object();
  std::string text;
  for (const Family& one : shown) {
    TextTable table({{.title = "name"}, {.title = "what it does", .flexible = true}});
    for (const PluginEntry& plugin : plugins_of(one.name)) {
      table.add_row({plugin.name, plugin.description});
      document[one.name][plugin.name] = plugin.description;
    }
    text += painted(one.name, Paint::Bold, context.colour()) + ": " + one.purpose + "\n" +
            table.render(context.width(), context.colour(), context.utf8(), 2) + "\n";
  }
  if (family.empty()) text += "`sparsify explain FAMILY NAME` shows the options of each; `sparsify ops` the operators.\n";
  print(context.json ? document.dump(2) + "\n" : text);
  return kDone;
}

std::function<int()> declare(CLI::App& app, Context& context) {
  const auto family = std::make_shared<std::string>();
  app.add_option("FAMILY", *family, "criterion, pattern, allocation, schedule, \"data format\", metric, runtime; all when absent");
  return [family, &context] { return run(*family, context); };
}

const RegisterCommand entry{{"list", "what there is to choose from", declare}};

}  // namespace
}  // namespace sparsify
