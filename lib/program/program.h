#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "onnx/model_file.h"
#include "program/value.h"

namespace sparsify {

/// A floating-point tensor of the file as a leaf of the program, in the file's layout.
struct Parameter {
  std::string name;  ///< initializer, or output of the Constant node
  int tensor_id = -1;
  at::Tensor tensor;
};

/// Where a gradient ends although a weight lies behind: a value that a non-differentiable operator made.
struct GradientCut {
  std::string value;
  std::string node;
  std::string op;
  std::string reason;
};

struct ProgramOptions {
  std::string device = "cpu";  ///< cpu | cuda | cuda:1
};

struct RunOptions {
  bool training = false;  ///< batch statistics, dropout
  bool gradients = false; ///< record for backward; otherwise inference mode
  bool float64 = false;   ///< floating-point inputs are float64 whatever the model says; so must its parameters be by then
  uint64_t seed = 0;
  std::vector<std::string> taps{};  ///< values to hand out beside the outputs
};

struct RunResult {
  std::vector<Value> outputs;         ///< in graph order
  std::map<std::string, Value> taps;  ///< by value name
};

/// An ONNX graph as a differentiable LibTorch program. The file's tensors are its parameters; nothing of the graph is
/// rewritten, so that a name in the file is a name here.
///
/// The first run with an input signature (types and shapes) finds what does not depend on the data: constants and shape
/// arithmetic are computed once for that signature. Values are freed after their last use.
class Program {
 public:
  /// throws ResourceError naming node, operator, domain and opset for an operator that is not supported
  static std::unique_ptr<Program> build(const ModelFile& file, const ProgramOptions& options = {});
  ~Program();

  const std::vector<ValueInfo>& inputs() const;
  const std::vector<ValueInfo>& outputs() const;

  /// Floating-point initializers and constants, in file order. Replacing a `tensor` changes later runs: call
  /// parameters_changed() after writing into one.
  std::vector<Parameter>& parameters();
  Parameter* find_parameter(const std::string& name);
  /// Exchanges any tensor of the file, integers too, for later runs; same type and shape.
  void replace_stored(int tensor_id, const Value& value);
  /// Forgets what was folded from parameters.
  void parameters_changed();

  /// throws ShapeError when inputs do not fit the signature, ResourceError naming the node that fails,
  ///        ExhaustedError when memory runs out
  RunResult run(const std::vector<Value>& inputs, const RunOptions& options = {});

  /// Found statically: parameters that reach an output only through a non-differentiable operator.
  std::vector<GradientCut> gradient_cuts() const;

 private:
  struct Impl;
  explicit Program(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sparsify
