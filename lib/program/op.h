#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "onnx/graph.h"
#include "program/value.h"

namespace sparsify {

/// One execution of one node, as an operator's function sees it.
///
/// An operator reads its inputs and attributes and sets its outputs. It branches on opset() only where the meaning
/// changed; a newer version that only widens types needs nothing. Integers that describe shapes are CPU tensors.
class OpCall {
 public:
  virtual ~OpCall() = default;

  const Node& node() const { return *node_; }
  /// Version of the node's operator set in this model (or function body).
  int64_t opset() const { return opset_; }
  /// Batch statistics and dropout, as Program::run was asked.
  bool training() const { return training_; }
  /// Where floating-point values live.
  at::Device device() const { return device_; }

  size_t input_count() const { return inputs_.size(); }
  /// False for an optional input that is absent or an empty optional.
  bool has(size_t input) const { return input < inputs_.size() && inputs_[input] != nullptr && !inputs_[input]->empty(); }
  /// throws ResourceError naming the node if it is absent
  const Value& value(size_t input) const;
  /// A tensor input. throws ResourceError if it is absent or no tensor
  const at::Tensor& tensor(size_t input) const;
  DType type(size_t input) const { return value(input).type(); }
  /// A tensor input moved to the device of `other`: indices that were computed on the CPU lane.
  at::Tensor tensor_on(size_t input, const at::Tensor& other) const;
  /// An integer tensor (any rank, flattened) as numbers: axes, shapes, repeats, k.
  std::vector<int64_t> integers(size_t input) const;
  int64_t integer(size_t input) const;
  /// A one-element tensor of any numeric type.
  double number(size_t input) const;

  // Attributes.
  int64_t attribute(std::string_view name, int64_t otherwise) const { return node_->integer(name, otherwise); }
  double attribute_number(std::string_view name, double otherwise) const;
  std::string attribute_text(std::string_view name, std::string_view otherwise) const { return node_->text(name, otherwise); }
  std::vector<int64_t> attribute_integers(std::string_view name, std::vector<int64_t> otherwise = {}) const {
    return node_->integers(name, std::move(otherwise));
  }
  std::vector<float> attribute_numbers(std::string_view name) const;
  std::vector<std::string> attribute_texts(std::string_view name) const;
  bool has_attribute(std::string_view name) const { return node_->find(name) != nullptr; }
  /// A tensor-valued attribute, loaded from the file; a weight if it is floating point.
  Value attribute_tensor(std::string_view name) const;
  /// Axes that moved from an attribute to an input: `axes` of Squeeze, ReduceSum ... nullopt if given nowhere.
  std::optional<std::vector<int64_t>> axes_from(std::string_view attribute_name, size_t input) const;

  size_t output_count() const { return outputs_.size(); }
  /// False for an optional output that nobody asked for.
  bool wants(size_t output) const { return output < outputs_.size() && outputs_[output] != nullptr; }
  void set(size_t output, Value value);
  /// Keeps the logical type of input 0 for types that LibTorch lacks: elementwise and movement operators.
  void set_like_input(size_t output, const at::Tensor& tensor, size_t input = 0);

  /// Runs a subgraph attribute (If, Loop, Scan) with its own inputs; it sees the names around it.
  virtual std::vector<Value> run_subgraph(std::string_view attribute_name, const std::vector<Value>& inputs) = 0;

  /// Random numbers of this node in this run; the `seed` attribute, if given, fixes them.
  Rng random() const;

  /// `node "conv1" (Conv, opset 17)` for messages.
  std::string where() const;
  /// throws ResourceError{what, where(), fix}
  [[noreturn]] void fail(std::string what, std::string fix) const;

 protected:
  friend class Executor;
  virtual Value load_tensor(const StoredTensor& tensor) const = 0;

  const Node* node_ = nullptr;
  int64_t opset_ = 0;
  bool training_ = false;
  at::Device device_ = at::kCPU;
  uint64_t seed_ = 0;
  std::vector<const Value*> inputs_;
  std::vector<Value*> outputs_;
};

using OpFunction = void (*)(OpCall&);

enum class Gradient {
  Yes,   ///< reaches every floating-point input
  Some,  ///< reaches some inputs; `notes` says which
  No,    ///< integer, boolean or otherwise not differentiable: cuts the gradient
};

/// Inputs whose *values* (not only shapes) decide the shapes of the outputs: bit i for input i.
using InputBits = uint32_t;
inline constexpr InputBits kNoInputs = 0;
inline constexpr InputBits kAllInputs = ~InputBits{0};
constexpr InputBits input_bits(std::initializer_list<int> inputs) {
  InputBits bits = 0;
  for (const int input : inputs) bits |= InputBits{1} << input;
  return bits;
}

/// One line of the support matrix.
struct OpSpec {
  std::string name;
  OpFunction function = nullptr;
  Gradient gradient = Gradient::Yes;
  InputBits shape_inputs = kNoInputs;
  std::string notes{};      ///< limits, shown by `sparsify ops`
  bool deterministic = true;  ///< false: random operators are never folded
  std::string domain{};     ///< "" = ai.onnx
};

/// Registers a family: `const RegisterOps entries{{.name = "Relu", .function = relu}, ...};` on the last lines of its file.
struct RegisterOps {
  RegisterOps(std::initializer_list<OpSpec> specs);
  RegisterOps(std::string domain, std::initializer_list<OpSpec> specs);
};

/// nullptr if there is none. An operator is found by name whatever its version: the function branches on opset().
const OpSpec* find_op(const std::string& domain, const std::string& name);
std::vector<const OpSpec*> all_ops();  ///< sorted by domain and name

// Helpers that most families need.

/// A negative axis counts from the end. throws through `call` when it is outside [-rank, rank).
int64_t normalise_axis(const OpCall& call, int64_t axis, int64_t rank);
std::vector<int64_t> normalise_axes(const OpCall& call, std::vector<int64_t> axes, int64_t rank);
/// An int64 CPU tensor of rank 1.
at::Tensor integer_tensor(const std::vector<int64_t>& values);

}  // namespace sparsify
