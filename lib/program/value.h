#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "tensor/host_tensor.h"

namespace sparsify {

/// What flows along an edge of the graph: a tensor, a string tensor, a sequence, or nothing (an absent or empty
/// optional).
///
/// Types that LibTorch has are held as they are. The others are held in a wider type that can represent every value,
/// with `type` saying what they mean: uint16 in int32, uint32 in int64, uint64 in int64 (the same 64 bits), int4, uint4,
/// int2, uint2 in int8, float4e2m1 and float8e8m0 in float32.
class Value {
 public:
  Value() = default;
  /// The type follows from the tensor's own.
  Value(at::Tensor tensor);  // NOLINT(google-explicit-constructor): operators return tensors
  /// `tensor` is in the carrier of `type` (carrier_of); integers are wrapped into the type's range.
  Value(at::Tensor tensor, DType type);
  /// A float32 that is kept rounded to bfloat16 while a run computes in it: `tensor` is bfloat16, type() is Float32.
  /// The executor and its kernels make and resolve them; no operator's function sees one.
  static Value of_rounded(at::Tensor tensor);
  static Value of_strings(HostTensor strings);
  static Value of_sequence(std::vector<Value> items);

  bool empty() const { return kind_ == Kind::None; }
  bool is_tensor() const { return kind_ == Kind::Tensor; }
  bool is_strings() const { return kind_ == Kind::Strings; }
  bool is_sequence() const { return kind_ == Kind::Sequence; }
  bool is_rounded() const { return is_tensor() && type_ == DType::Float32 && tensor_.scalar_type() == at::kBFloat16; }

  const at::Tensor& tensor() const { return tensor_; }
  /// The same numbers as floats that carry a gradient past the rounding to integers (straight-through estimator),
  /// so that a DequantizeLinear right behind a QuantizeLinear does not cut it. Undefined where there is none.
  const at::Tensor& straight_through() const { return straight_through_; }
  Value with_straight_through(at::Tensor floats) const;
  DType type() const { return type_; }
  const HostTensor& strings() const { return strings_; }
  const std::vector<Value>& items() const { return *items_; }

  /// `float32[2, 3]`, `sequence of 3`
  std::string describe() const;

 private:
  enum class Kind { None, Tensor, Strings, Sequence };

  Kind kind_ = Kind::None;
  DType type_ = DType::Undefined;
  at::Tensor tensor_;
  at::Tensor straight_through_;
  HostTensor strings_;
  std::shared_ptr<const std::vector<Value>> items_;
};

/// The LibTorch type that carries an ONNX element type (see Value).
/// throws ResourceError for types without a carrier (string, unknown numbers)
at::ScalarType carrier_of(DType type);
/// The ONNX type of a LibTorch type.
DType type_of(at::ScalarType type);

/// Copies; packed types (int4 ...) are unpacked into their carrier and back.
Value from_host(const HostTensor& tensor);
HostTensor to_host(const Value& value);

}  // namespace sparsify
