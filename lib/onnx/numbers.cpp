#include "onnx/numbers.h"

#include <onnx/defs/tensor_proto_util.h>

#include <algorithm>
#include <cmath>

#include "onnx/proto_convert.h"

namespace sparsify {
namespace {

using Type = proto::TensorProto;

constexpr int64_t kMostReal = 64;  // the scales of a Resize; more are weights

template <class T>
void read_values(const proto::TensorProto& tensor, Numbers& numbers) {
  for (const T value : proto::ParseData<T>(&tensor)) numbers.values.push_back(static_cast<double>(value));
}

}  // namespace

bool is_integer(int32_t type) { return type == Type::INT64 || type == Type::INT32 || type == Type::BOOL; }

int64_t count_of(const Dims& dims) {
  int64_t count = 1;
  for (const int64_t size : dims) {
    if (size < 0 || size > kFoldedElements) return kFoldedElements + 1;
    count *= size;
    if (count > kFoldedElements) return count;
  }
  return count;
}

int64_t whole(double value) {
  constexpr double kLimit = 9.2e18;
  return static_cast<int64_t>(std::clamp(value, -kLimit, kLimit));
}

double stored(double value, int32_t type) {
  if (type == Type::BOOL) return value != 0;
  if (type == Type::FLOAT) return static_cast<float>(value);
  return is_integer(type) ? std::trunc(value) : value;
}

std::optional<Numbers> read_numbers(const proto::TensorProto& tensor) {
  Numbers numbers{tensor.data_type(), {tensor.dims().begin(), tensor.dims().end()}, {}};
  const int64_t count = count_of(numbers.dims);
  if (count > (is_integer(numbers.type) ? kFoldedElements : kMostReal) || (tensor.has_data_location() && tensor.data_location() == Type::EXTERNAL)) return std::nullopt;
  if (count > 0) {
    switch (numbers.type) {
      case Type::INT64: read_values<int64_t>(tensor, numbers); break;
      case Type::INT32: read_values<int32_t>(tensor, numbers); break;
      case Type::BOOL:  // ParseData knows no bool
        for (const char byte : tensor.raw_data()) numbers.values.push_back(byte != 0);
        for (const int32_t value : tensor.int32_data()) numbers.values.push_back(value != 0);
        break;
      case Type::FLOAT: read_values<float>(tensor, numbers); break;
      case Type::DOUBLE: read_values<double>(tensor, numbers); break;
      default: return std::nullopt;
    }
  }
  if (static_cast<int64_t>(numbers.values.size()) != count) return std::nullopt;
  return numbers;
}

void write_numbers(const Numbers& numbers, const std::string& name, proto::TensorProto& tensor) {
  tensor.set_name(name);
  tensor.set_data_type(numbers.type);
  for (const int64_t size : numbers.dims) tensor.add_dims(size);
  for (const double value : numbers.values) {
    switch (numbers.type) {
      case Type::INT64: tensor.add_int64_data(whole(value)); break;
      case Type::FLOAT: tensor.add_float_data(static_cast<float>(value)); break;
      case Type::DOUBLE: tensor.add_double_data(value); break;
      default: tensor.add_int32_data(static_cast<int32_t>(whole(value))); break;
    }
  }
}

Dims strides_of(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t axis = dims.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * dims[axis];
  return strides;
}

std::optional<Numbers> gathered(const Numbers& from, const Dims& dims, const std::function<int64_t(const Dims& at)>& source) {
  const int64_t count = count_of(dims);
  if (count > kFoldedElements) return std::nullopt;
  Numbers result{from.type, dims, {}};
  Dims at(dims.size(), 0);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t index = source(at);
    if (index < 0 || index >= static_cast<int64_t>(from.values.size())) return std::nullopt;
    result.values.push_back(from.values[static_cast<size_t>(index)]);
    for (size_t axis = dims.size(); axis-- > 0;) {
      if (++at[axis] < dims[axis]) break;
      at[axis] = 0;
    }
  }
  return result;
}

std::optional<Numbers> broadcast(const Numbers& from, const Dims& dims) {
  if (from.dims.size() > dims.size()) return std::nullopt;
  const size_t lead = dims.size() - from.dims.size();
  const Dims strides = strides_of(from.dims);
  for (size_t axis = 0; axis < from.dims.size(); ++axis) {
    if (from.dims[axis] != 1 && from.dims[axis] != dims[lead + axis]) return std::nullopt;
  }
  return gathered(from, dims, [&](const Dims& at) {
    int64_t index = 0;
    for (size_t axis = 0; axis < from.dims.size(); ++axis) {
      if (from.dims[axis] != 1) index += at[lead + axis] * strides[axis];
    }
    return index;
  });
}

Dims common(const Dims& a, const Dims& b) {
  Dims dims(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < dims.size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    dims[dims.size() - 1 - i] = x == 1 ? y : x;
  }
  return dims;
}

}  // namespace sparsify
