#include "onnx/files.h"

#include <onnx/onnx_pb.h>

namespace sparsify {

namespace {

std::string value_info(std::string_view name, int elements, int type) {
  ONNX_NAMESPACE::ValueInfoProto info;
  info.set_name(std::string(name));
  auto* tensor = info.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type);
  tensor->mutable_shape()->add_dim()->set_dim_value(elements);
  return info.SerializeAsString();
}

}  // namespace

std::string model_with(std::string_view tensor, std::string_view extra, int elements, int type,
                       int64_t opset) {
  const std::string node = bytes_field(1, "x") + bytes_field(1, "w") + bytes_field(2, "y") +
                           bytes_field(3, "product") + bytes_field(4, "Mul");
  const std::string graph = bytes_field(1, node) + bytes_field(2, "main") + bytes_field(5, tensor) +
                            bytes_field(11, value_info("x", elements, type)) +
                            bytes_field(12, value_info("y", elements, type));
  return number_field(1, 8) + std::string(extra) + bytes_field(7, graph) +
         bytes_field(8, number_field(2, static_cast<uint64_t>(opset)));
}

std::string tensor_head(std::initializer_list<int64_t> dims, int type, std::string_view name) {
  std::string out;
  for (const int64_t size : dims) out += number_field(1, static_cast<uint64_t>(size));
  return out + number_field(2, static_cast<uint64_t>(type)) + bytes_field(8, name);
}

}  // namespace sparsify
