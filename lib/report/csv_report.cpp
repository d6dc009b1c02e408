#include <fmt/format.h>

#include "report/renderers.h"
#include "report/text.h"

namespace sparsify {
namespace {

std::string field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

template <class T>
std::string number_or_empty(const std::optional<T>& value) {
  return value ? fmt::format("{}", *value) : "";
}

}  // namespace

std::string to_csv(const RunReport& report) {
  std::string out =
      "name,initializer,op,shape,type,pattern,params,prunable,kept,target,sparsity,sparsity_before,macs,skipped,shape_after\r\n";
  for (const LayerRow& row : report.layers) {
    out += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\r\n", field(row.name),
                       field(row.initializer), field(row.op), shape_text(row.shape), field(row.type),
                       field(row.pattern), row.params, row.prunable, row.kept,
                       number_or_empty(row.target), row.sparsity, row.sparsity_before,
                       number_or_empty(row.macs), field(row.skipped.value_or("")), row.shape_after.empty() ? "" : shape_text(row.shape_after));
  }
  return out;
}

}  // namespace sparsify
