// The catalog of the interpreter's operators, in the part that LibTorch lives in.
#include <algorithm>
#include <map>

#include "onnx/checker.h"
#include "onnx/flat_graph.h"
#include "pipeline/operators.h"
#include "program/gradient_cuts.h"
#include "program/op.h"
#include "program/plan.h"

namespace sparsify {
namespace {

std::string gradient_text(Gradient gradient) {
  return gradient == Gradient::Yes ? "yes" : gradient == Gradient::Some ? "some" : "no";
}

class Catalog final : public OperatorCatalog {
 public:
  explicit Catalog(const Options&) {}

  std::vector<OperatorRow> all() const override {
    std::map<std::pair<std::string, std::string>, OperatorRow> rows;
    for (const OpSpec* op : all_ops()) {
      rows[{op->domain, op->name}] = {op->domain, op->name, {}, gradient_text(op->gradient), op->notes};
    }
    std::map<std::pair<std::string, std::string>, std::vector<OperatorSchema>> schemas;
    for (const OperatorSchema& schema : operator_schemas()) schemas[{schema.domain, schema.name}].push_back(schema);
    for (auto& [key, versions] : schemas) {
      const bool known = rows.contains(key);
      const bool is_function = std::any_of(versions.begin(), versions.end(), [](const auto& one) { return one.is_function; });
      if (!known && !is_function) continue;
      OperatorRow& row = rows[key];
      if (!known) row = {key.first, key.second, {}, "through its body", "expanded from its schema"};
      for (const OperatorSchema& schema : versions) row.versions.push_back(schema.since_version);
    }
    std::vector<OperatorRow> list;
    for (auto& [key, row] : rows) list.push_back(std::move(row));
    return list;
  }

  ModelNeeds needs(const ModelFile& file) const override {
    std::map<std::pair<std::string, std::string>, OperatorRow> known;
    for (OperatorRow& row : all()) known.emplace(std::make_pair(row.domain, row.name), std::move(row));
    std::map<std::pair<std::string, std::string>, OperatorNeed> needed;
    bool complete = true;
    for (const FlatNode& flat : flatten(file.model()).nodes) {
      const auto key = std::make_pair(flat.node->domain, flat.node->op_type);
      OperatorNeed& need = needed[key];
      if (need.nodes++ > 0) continue;
      const auto found = known.find(key);
      need.supported = found != known.end();
      need.row = need.supported ? found->second : OperatorRow{key.first, key.second, {}, "", "not supported"};
      need.example = flat.label;
      complete = complete && need.supported;
    }
    ModelNeeds result;
    for (auto& [key, need] : needed) result.operators.push_back(std::move(need));
    if (complete) {
      const GradientEnds ends = find_gradient_ends(*make_plan(file));
      for (size_t i = 0; i < ends.cuts.size(); ++i) {
        const GradientCut& cut = ends.cuts[i];
        result.gradient_cuts.push_back({cut.value, cut.node, cut.op, cut.reason, ends.weights[i]});
      }
    }
    return result;
  }
};

const Register<OperatorCatalog, Catalog> entry{"libtorch", "operators of the interpreter"};

}  // namespace
}  // namespace sparsify
