#pragma once

#include <initializer_list>
#include <string>
#include <variant>
#include <vector>

#include "onnx/graph.h"
#include "program/op.h"
#include "program/value.h"

namespace sparsify {

/// One node on its own, for tests of operators.
struct OneNode {
  std::string op;
  int64_t opset = 21;
  std::vector<Attribute> attributes{};
  bool training = false;
  uint64_t seed = 0;
  std::string domain{};
};

/// Runs the node; an empty Value is an absent input. throws what the operator throws; c10::Error for LibTorch's own
std::vector<Value> run_op(const OneNode& node, const std::vector<Value>& inputs, size_t outputs = 1);

/// A float32 tensor.
Value floats(const std::vector<int64_t>& shape, const std::vector<float>& numbers);
/// An integer or boolean tensor of any type, in its carrier.
Value integers(DType type, const std::vector<int64_t>& shape, const std::vector<int64_t>& numbers);

std::vector<float> to_floats(const Value& value);
std::vector<int64_t> to_integers(const Value& value);

}  // namespace sparsify
