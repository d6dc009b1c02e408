#include <onnx/defs/schema.h>

#include <algorithm>
#include <tuple>

#include "onnx/checker.h"
#include "onnx/proto_convert.h"

namespace sparsify {

int newest_known_opset() {
  return proto::OpSchemaRegistry::DomainToVersionRange::Instance().Map().at("").second;
}

std::vector<OperatorSchema> operator_schemas() {
  std::vector<OperatorSchema> schemas;
  for (const proto::OpSchema& schema : proto::OpSchemaRegistry::get_all_schemas_with_history()) {
    schemas.push_back({schema.Name(), normal_domain(schema.domain()), schema.SinceVersion(),
                       schema.Deprecated(),
                       schema.HasFunction() || schema.HasContextDependentFunction()});
  }
  std::sort(schemas.begin(), schemas.end(), [](const OperatorSchema& a, const OperatorSchema& b) {
    return std::tie(a.domain, a.name, a.since_version) < std::tie(b.domain, b.name, b.since_version);
  });
  return schemas;
}

}  // namespace sparsify
