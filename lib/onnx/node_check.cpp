#include <fmt/core.h>
#include <onnx/defs/schema.h>

#include <limits>

#include "onnx/checker.h"
#include "onnx/proto_convert.h"

namespace sparsify {
namespace {

using proto::AttributeProto;

AttributeProto::AttributeType type_of(const Attribute& attribute) {
  // In the order of the alternatives of Attribute::value.
  static constexpr AttributeProto::AttributeType kTypes[] = {
      AttributeProto::UNDEFINED, AttributeProto::INT,     AttributeProto::FLOAT, AttributeProto::STRING,
      AttributeProto::TENSOR,    AttributeProto::SPARSE_TENSOR, AttributeProto::GRAPH, AttributeProto::INTS,
      AttributeProto::FLOATS,    AttributeProto::STRINGS, AttributeProto::TENSORS, AttributeProto::GRAPHS};
  static_assert(std::size(kTypes) == std::variant_size_v<decltype(Attribute::value)>);
  return kTypes[attribute.value.index()];
}

std::string counted(std::string_view what, size_t given, int least, int most) {
  if (given >= static_cast<size_t>(least) && given <= static_cast<size_t>(most)) return "";
  const bool unlimited = most == std::numeric_limits<int>::max();
  const std::string allowed = least == most ? fmt::format("{}", least) : unlimited ? fmt::format("{} or more", least) : fmt::format("{} to {}", least, most);
  return fmt::format("{} {}{} where {} may be given", given, what, given == 1 ? "" : "s", allowed);
}

bool is_internal(std::string_view attribute) { return attribute.starts_with("__"); }

}  // namespace

std::string contradiction(const Node& node, int64_t opset) {
  const proto::OpSchema* schema = proto::OpSchemaRegistry::Schema(node.op_type, static_cast<int>(opset), node.domain);
  if (schema == nullptr) return "";
  if (std::string wrong = counted("input", node.inputs.size(), schema->min_input(), schema->max_input()); !wrong.empty()) return wrong;
  if (std::string wrong = counted("output", node.outputs.size(), schema->min_output(), schema->max_output()); !wrong.empty()) return wrong;
  for (const Attribute& attribute : node.attributes) {
    const auto known = schema->attributes().find(attribute.name);
    if (known == schema->attributes().end()) {
      if (is_internal(attribute.name)) continue;
      return fmt::format("attribute \"{}\" is unknown", attribute.name);
    }
    const AttributeProto::AttributeType given = type_of(attribute), wanted = known->second.type;
    if (given == AttributeProto::UNDEFINED || given == wanted) continue;
    return fmt::format("attribute \"{}\" is of type {} where {} belongs", attribute.name, AttributeProto::AttributeType_Name(given),
                       AttributeProto::AttributeType_Name(wanted));
  }
  return "";
}

}  // namespace sparsify
