#include "pipeline/groups.h"
#include "pipeline/inspect.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/names.h"
#include "report/text.h"
#include "report/text_table.h"
#include "sparsify/command.h"
#include "sparsify/group_json.h"

namespace sparsify {
namespace {

struct Flags {
  std::string model;
  bool storage = false;
  bool groups = false;
};

using Json = nlohmann::ordered_json;

Json to_json(const std::optional<int64_t>& number) { return number ? Json(*number) : Json(); }

std::string sparsity_of(const InspectedTensor& row) {
  return row.tensor.count() == 0 ? "-" : sparsity_text(static_cast<double>(row.zeros) / static_cast<double>(row.tensor.count()));
}

Json document_of(const Inspection& inspection, const Flags& flags) {
  Json tensors = Json::array();
  for (const InspectedTensor& row : inspection.tensors) {
    const PrunableTensor& tensor = row.tensor;
    Json entry = {{"name", tensor.layer}, {"initializer", tensor.initializer}, {"op", tensor.op}, {"kind", tensor.kind},
                  {"type", name_of(tensor.type)}, {"shape", tensor.shape}, {"params", tensor.count()}, {"zeros", row.zeros},
                  {"macs", to_json(row.macs)}, {"output_axis", tensor.output_axis}, {"input_axis", tensor.input_axis},
                  {"groups", tensor.groups}, {"first", tensor.first}, {"last", tensor.last}, {"used_by", tensor.used_by},
                  {"two_of_four", row.two_of_four}, {"skipped", row.skipped.empty() ? Json() : Json(row.skipped)}};
    if (flags.storage) {
      entry["storage"] = {{"dense", row.storage.dense}, {"coo", row.storage.coo}, {"csr", row.storage.csr},
                          {"bitmap", row.storage.bitmap}, {"compressed", row.storage.compressed}};
    }
    tensors.push_back(std::move(entry));
  }
  const auto signature = [](const std::vector<ValueInfo>& values) {
    Json list = Json::array();
    for (const ValueInfo& value : values) list.push_back({{"name", value.name}, {"signature", value.signature()}});
    return list;
  };
  const ModelFigures& figures = inspection.figures;
  return {{"model", {{"path", figures.path}, {"sha256", figures.sha256}, {"params", figures.params}, {"nonzero", figures.nonzero},
                     {"macs", to_json(figures.macs)}, {"size_bytes", figures.size_bytes}, {"ir_version", inspection.ir_version},
                     {"opsets", inspection.opsets}, {"producer", inspection.producer}, {"checker", inspection.checker}}},
          {"inputs", signature(inspection.inputs)},
          {"outputs", signature(inspection.outputs)},
          {"operators", inspection.operators},
          {"tensors", tensors},
          {"warnings", inspection.warnings}};
}

std::string header_of(const Inspection& inspection, const Context& context) {
  const ModelFigures& figures = inspection.figures;
  std::string text = painted(figures.path, Paint::Bold, context.colour()) + "\n";
  std::vector<std::string> opsets;
  for (const auto& [domain, version] : inspection.opsets) opsets.push_back((domain.empty() ? "ai.onnx" : domain) + " " + std::to_string(version));
  text += fmt::format("  {} params ({} zero), {} MACs a sample, {}\n", with_commas(figures.params), with_commas(figures.params - figures.nonzero),
                      figures.macs ? short_count(*figures.macs) : "unknown", bytes_text(figures.size_bytes));
  text += fmt::format("  IR {}, opset {}{}{}\n", inspection.ir_version, join(opsets), inspection.producer.empty() ? "" : ", made by ",
                      inspection.producer);
  for (const ValueInfo& value : inspection.inputs) text += fmt::format("  in  {} {}\n", value.name, value.signature());
  for (const ValueInfo& value : inspection.outputs) text += fmt::format("  out {} {}\n", value.name, value.signature());
  std::vector<std::string> operators;
  for (const auto& [name, count] : inspection.operators) operators.push_back(fmt::format("{} {}", count, name));
  text += "  operators: " + join(operators) + "\n";
  text += inspection.checker.empty() ? "  the ONNX checker passes\n" : "  the ONNX checker says: " + inspection.checker + "\n";
  for (const std::string& warning : inspection.warnings) text += "  warning: " + warning + "\n";
  return text + "\n";
}

std::string layers_of(const Inspection& inspection, const Context& context) {
  TextTable table({{.title = "layer", .flexible = true}, {.title = "op"}, {.title = "shape"}, {.title = "params", .right = true},
                   {.title = "MACs", .right = true, .drop_order = 3}, {.title = "sparsity", .right = true}, {.title = "2:4", .drop_order = 2},
                   {.title = "pruned by default", .drop_order = 1}});
  for (const InspectedTensor& row : inspection.tensors) {
    if (row.tensor.kind != "weight" && !context.verbose) continue;
    std::string two_of_four = row.two_of_four == "yes" || row.two_of_four == "possible" ? row.two_of_four : "no";
    table.add_row({context.verbose ? row.tensor.initializer : row.tensor.layer, row.tensor.op, shape_text(row.tensor.shape),
                   with_commas(row.tensor.count()), row.macs ? short_count(*row.macs) : "-", sparsity_of(row), two_of_four,
                   row.skipped.empty() ? "yes" : "no: " + row.skipped});
  }
  return table.render(context.width(), context.colour(), context.utf8());
}

std::string storage_of(const Inspection& inspection, const Context& context) {
  TextTable table({{.title = "initializer", .flexible = true}, {.title = "dense", .right = true}, {.title = "COO", .right = true},
                   {.title = "CSR", .right = true}, {.title = "bitmap", .right = true}, {.title = "compressed", .right = true}});
  StorageSizes total;
  for (const InspectedTensor& row : inspection.tensors) {
    const StorageSizes& s = row.storage;
    total.dense += s.dense;
    total.coo += s.coo;
    total.csr += s.csr;
    total.bitmap += s.bitmap;
    total.compressed += s.compressed;
    table.add_row({row.tensor.initializer, bytes_text(s.dense), bytes_text(s.coo), bytes_text(s.csr), bytes_text(s.bitmap), bytes_text(s.compressed)});
  }
  table.add_rule();
  table.add_row({"all", bytes_text(total.dense), bytes_text(total.coo), bytes_text(total.csr), bytes_text(total.bitmap), bytes_text(total.compressed)});
  return "\n" + table.render(context.width(), context.colour(), context.utf8());
}

std::string groups_of(const GroupReport& report, const Context& context) {
  TextTable table({{.title = "group", .flexible = true}, {.title = "kind"}, {.title = "units", .right = true}, {.title = "free", .right = true},
                   {.title = "tensors", .right = true, .drop_order = 1}, {.title = "held by", .flexible = true, .drop_order = 2}});
  for (const Group& group : report.groups) {
    const std::string more = group.frozen.size() > 1 ? fmt::format(" (+{})", group.frozen.size() - 1) : "";
    table.add_row({group.name, group.kind, std::to_string(group.units), std::to_string(group.is_cuttable() ? group.free_units() : 0),
                   std::to_string(group.members.size()), group.frozen.empty() ? "" : (group.frozen[0].op.empty() ? "" : group.frozen[0].op + ": ") + group.frozen[0].reason + more});
  }
  return table.render(context.width(), context.colour(), context.utf8()) +
         fmt::format("\n{} of {} weights ({:.1f} %) lie in groups that can be cut\n", with_commas(report.cuttable), with_commas(report.prunable),
                     100 * report.share());
}

int run_groups(const Flags& flags, const Context& context) {
  const GroupReport report = report_groups(ModelFile::load(flags.model), context.shapes());
  print(context.json ? to_json(report).dump(2) + "\n" : groups_of(report, context));
  return kDone;
}

int run(const Flags& flags, const Context& context) {
  if (flags.groups) return run_groups(flags, context);
  const ModelFile file = ModelFile::load(flags.model);
  const Inspection inspection = inspect(file, {.input_shapes = context.shapes(), .storage = flags.storage});
  if (context.json) {
    print(document_of(inspection, flags).dump(2) + "\n");
  } else {
    print(header_of(inspection, context) + layers_of(inspection, context) + (flags.storage ? storage_of(inspection, context) : ""));
  }
  return kDone;
}

std::function<int()> declare(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<Flags>();
  app.add_option("MODEL", flags->model, "ONNX file")->required();
  app.add_flag("--storage", flags->storage, "bytes of every tensor as dense, COO, CSR, bitmap and compressed");
  app.add_flag("--groups", flags->groups, "what must be cut together, what can be cut, and what holds the rest (docs/structured.md)");
  add_input_option(app, context);
  return [flags, &context] { return run(*flags, context); };
}

const RegisterCommand entry{{"inspect", "layers, shapes, params, MACs, sparsity and what can be pruned", declare}};

}  // namespace
}  // namespace sparsify
