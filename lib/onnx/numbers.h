#pragma once

// Only for .cpp files of onnx/: everything else sees the graph without protobuf.
#include <onnx/onnx_pb.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sparsify {

/// The largest constant that counts as shape arithmetic: a table of positions has thousands of entries.
constexpr int64_t kFoldedElements = 4096;

using Dims = std::vector<int64_t>;

/// A small constant. Doubles hold every size that occurs; INT64_MAX as the end of a slice is clamped there anyway.
struct Numbers {
  int32_t type = ONNX_NAMESPACE::TensorProto::INT64;
  Dims dims;
  std::vector<double> values;
};

bool is_integer(int32_t type);

/// Elements of a tensor; more than kFoldedElements if there are more, or a size is not known.
int64_t count_of(const Dims& dims);

/// Rounds towards zero; what no int64 holds becomes the nearest that it does.
int64_t whole(double value);

/// `value` as an element of `type` holds it.
double stored(double value, int32_t type);

/// nullopt for what is too large, lies in another file, or is of a type that no shape is computed in.
std::optional<Numbers> read_numbers(const ONNX_NAMESPACE::TensorProto& tensor);
void write_numbers(const Numbers& numbers, const std::string& name, ONNX_NAMESPACE::TensorProto& tensor);

/// Of a tensor in row-major order, in elements.
Dims strides_of(const Dims& dims);

/// Element `at` (coordinates in `dims`) of the result is element `source(at)` of `from`; nullopt if there is no such element.
std::optional<Numbers> gathered(const Numbers& from, const Dims& dims, const std::function<int64_t(const Dims& at)>& source);

/// Repeated along axes of size 1, as ONNX broadcasts; nullopt if the shapes do not fit.
std::optional<Numbers> broadcast(const Numbers& from, const Dims& dims);

/// The shape that both broadcast to.
Dims common(const Dims& a, const Dims& b);

}  // namespace sparsify
