#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "pipeline/operators.h"
#include "report/renderers.h"
#include "report/text_table.h"
#include "sparsify/command.h"

namespace sparsify {
namespace {

struct Flags {
  std::string model;
  bool markdown = false;
};

std::string versions_text(const OperatorRow& row) {
  std::string text;
  for (const int version : row.versions) text += (text.empty() ? "" : " ") + std::to_string(version);
  return text;
}

nlohmann::ordered_json to_json(const OperatorRow& row) {
  return {{"domain", row.domain.empty() ? "ai.onnx" : row.domain}, {"operator", row.name}, {"versions", row.versions},
          {"gradient", row.gradient}, {"notes", row.notes}};
}

int show_matrix(const Flags& flags, const Context& context) {
  const std::vector<OperatorRow> rows = make_operator_catalog()->all();
  if (flags.markdown) {
    print(operators_markdown(rows));
    return kDone;
  }
  nlohmann::ordered_json document = nlohmann::ordered_json::array();
  TextTable table({{.title = "domain"}, {.title = "operator"}, {.title = "versions", .drop_order = 1}, {.title = "gradient"},
                   {.title = "notes", .flexible = true}});
  for (const OperatorRow& row : rows) {
    document.push_back(to_json(row));
    table.add_row({row.domain.empty() ? "ai.onnx" : row.domain, row.name, versions_text(row), row.gradient, row.notes});
  }
  print(context.json ? document.dump(2) + "\n" : table.render(context.width(), context.colour(), context.utf8()));
  return kDone;
}

int show_needs(const Flags& flags, const Context& context) {
  const ModelFile file = ModelFile::load(flags.model);
  const ModelNeeds needs = make_operator_catalog()->needs(file);
  nlohmann::ordered_json document = {{"model", flags.model}, {"operators", nlohmann::ordered_json::array()},
                                     {"gradient_cuts", nlohmann::ordered_json::array()}};
  TextTable table({{.title = "operator"}, {.title = "nodes", .right = true}, {.title = "supported"}, {.title = "gradient"},
                   {.title = "first node or note", .flexible = true}});
  int missing = 0;
  for (const OperatorNeed& need : needs.operators) {
    nlohmann::ordered_json row = to_json(need.row);
    row["nodes"] = need.nodes;
    row["supported"] = need.supported;
    row["example"] = need.example;
    document["operators"].push_back(row);
    missing += need.supported ? 0 : 1;
    const std::string name = (need.row.domain.empty() ? "" : need.row.domain + ".") + need.row.name;
    table.add_row({name, std::to_string(need.nodes), {need.supported ? "yes" : "NO", need.supported ? Paint::Good : Paint::Bad},
                   need.row.gradient, need.supported && !need.row.notes.empty() ? need.row.notes : need.example});
  }
  std::string text = table.render(context.width(), context.colour(), context.utf8());
  for (const GradientCutRow& cut : needs.gradient_cuts) {
    document["gradient_cuts"].push_back(gradient_cut_object(cut));
    text += fmt::format("a gradient ends at \"{}\" ({} \"{}\"): {}{}\n", cut.value, cut.op, cut.node, cut.reason,
                        cut.weights.empty() ? "" : "; no gradient reaches " + join(cut.weights));
  }
  print(context.json ? document.dump(2) + "\n" : text);
  if (missing == 0) return kDone;
  throw ResourceError{{.what = fmt::format("{} operators of the model are not supported", missing),
                       .where = flags.model,
                       .fix = "export the model without them, or cut them off in front of or behind the network"}};
}

std::function<int()> declare(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<Flags>();
  app.add_option("MODEL", flags->model, "what this model needs; the whole support matrix when absent");
  app.add_flag("--markdown", flags->markdown, "the matrix as the page docs/operators.md");
  return [flags, &context] { return flags->model.empty() ? show_matrix(*flags, context) : show_needs(*flags, context); };
}

const RegisterCommand entry{{"ops", "which operators run and have gradients; what a model needs", declare}};

}  // namespace
}  // namespace sparsify
