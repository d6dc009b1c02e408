#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "onnx/model_file.h"
#include "program/value.h"

namespace sparsify {

struct BatchShare;
struct Plan;

/// A floating-point tensor of the file as a leaf of the program, in the file's layout.
struct Parameter {
  std::string name;  ///< initializer, or output of the Constant node
  int tensor_id = -1;
  at::Tensor tensor;
  /// A running mean or variance of a BatchNormalization: it follows the batches (RunOptions::update_statistics), an
  /// optimiser leaves it alone.
  bool is_statistic = false;
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
  bool training = false;  ///< BatchNormalization uses the batch's statistics, Dropout drops (its mask follows from `seed`)
  /// In training: BatchNormalization also moves its stored mean and variance, in place in the parameters, as
  /// stored * momentum + batch * (1 - momentum). False leaves them, as for gradients that are only looked at.
  bool update_statistics = true;
  bool gradients = false; ///< record for backward; otherwise inference mode
  bool float64 = false;   ///< floating-point inputs are float64 whatever the model says; so must its parameters be by then
  /// Convolutions and matrix products of float32 are computed in bfloat16, and what lies between them where it loses little
  /// (program/bfloat16.h); weights, outputs and taps are float32. Faster where the device multiplies bfloat16 (AMX, AVX-512 BF16,
  /// GPUs); elsewhere float32 kernels work on the rounded values.
  bool bfloat16 = false;
  /// On the CPU: convolutions of images with the channels last in memory; for inference nodes are fused and dead inputs
  /// overwritten as well. False: node by node, in the file's order of axes.
  bool optimise = true;
  uint64_t seed = 0;
  std::vector<std::string> taps{};  ///< values to hand out beside the outputs
  /// What takes the place of values of the main graph, by name, as they are made; in runs with `gradients`.
  std::map<std::string, std::function<at::Tensor(const at::Tensor&)>> after{};
  const BatchShare* share = nullptr;  ///< of several processes that run one batch together; null: alone
};

struct RunResult {
  std::vector<Value> outputs;         ///< in graph order
  std::map<std::string, Value> taps;  ///< by value name
};

/// An ONNX graph as a differentiable LibTorch program. The file's tensors are its parameters; nothing of the graph is
/// rewritten, so that a name in the file is a name here.
///
/// The first run with an input signature (types and shapes) finds what does not depend on the data: constants and shape
/// arithmetic are computed once for that signature. Values are freed after their last use. Later runs for inference on
/// the CPU also join nodes into one kernel where LibTorch has one (RunOptions::optimise); they differ by rounding.
class Program {
 public:
  /// throws ResourceError naming node, operator, domain and opset for an operator that is not supported
  static std::unique_ptr<Program> build(const ModelFile& file, const ProgramOptions& options = {});
  ~Program();

  const std::vector<ValueInfo>& inputs() const;
  const std::vector<ValueInfo>& outputs() const;

  /// Floating-point initializers and constants, in file order. Replacing a `tensor` or writing into one with LibTorch's
  /// operators changes later runs; parameters_changed() is needed only after writing through a pointer.
  std::vector<Parameter>& parameters();
  Parameter* find_parameter(const std::string& name);
  /// Exchanges any tensor of the file, integers too, for later runs; same type and shape.
  void replace_stored(int tensor_id, const Value& value);
  /// Forgets what was folded from parameters.
  void parameters_changed();

  /// throws ShapeError when inputs do not fit the signature, ResourceError naming the node that fails,
  ///        ExhaustedError when memory runs out
  RunResult run(const std::vector<Value>& inputs, const RunOptions& options = {});

  // For Cursor, which runs the plan in an order of its own.
  const Plan& plan() const;
  const ModelFile& file() const;
  at::Device device() const;
  /// Parameters (as they are now) and the other stored tensors, by tensor id.
  std::map<int, Value> stored_values() const;
  /// throws ShapeError when inputs do not fit the signature
  void check_inputs(const std::vector<Value>& inputs) const;

  /// Found statically: parameters that reach an output only through a non-differentiable operator.
  std::vector<GradientCut> gradient_cuts() const;

 private:
  struct Impl;
  explicit Program(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sparsify
