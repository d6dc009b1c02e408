#include <fmt/format.h>

#include "report/renderers.h"
#include "report/text.h"

namespace sparsify {
namespace {

template <class T>
std::string number_or_empty(const std::optional<T>& value) {
  return value ? fmt::format("{}", *value) : "";
}

}  // namespace

std::string to_csv(const RunReport& report) {
  std::string out =
      "name,initializer,op,shape,type,pattern,params,prunable,kept,target,sparsity,sparsity_before,macs,skipped,shape_after\r\n";
  for (const LayerRow& row : report.layers) {
    out += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\r\n", csv_field(row.name),
                       csv_field(row.initializer), csv_field(row.op), shape_text(row.shape), csv_field(row.type),
                       csv_field(row.pattern), row.params, row.prunable, row.kept,
                       number_or_empty(row.target), row.sparsity, row.sparsity_before,
                       number_or_empty(row.macs), csv_field(row.skipped.value_or("")), row.shape_after.empty() ? "" : shape_text(row.shape_after));
  }
  return out;
}

}  // namespace sparsify
