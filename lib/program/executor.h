#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "program/op.h"
#include "program/plan.h"

namespace sparsify {

/// What all frames of one run share.
struct RunContext {
  const ModelFile* file = nullptr;
  const std::map<int, Value>* stored = nullptr;  ///< by tensor id: parameters and integer tensors
  at::Device device = at::kCPU;
  bool training = false;
  uint64_t seed = 0;
  bool bfloat16 = false;  ///< products of float32, and what follows them, are computed in bfloat16 (program/bfloat16.h)
  bool channels_last = false;  ///< convolutions of float32 images take and give that order in memory
  const std::map<std::string, std::function<at::Tensor(const at::Tensor&)>>* after = nullptr;  ///< see RunOptions
  const std::vector<bool>* handed_out = nullptr;  ///< per slot of the main graph: an output or a tap, which is float32 whatever `bfloat16` says
};

/// Marks what a first run learns about a slot: see Program.
enum SlotFacts : uint8_t { kUnknown = 0, kStaticValue = 1, kStaticShape = 2 };

/// The values of one plan while it runs.
struct Frame {
  const Plan* plan = nullptr;
  Frame* outer = nullptr;
  std::vector<Value> slots;

  const Value& at(SlotRef ref) const {
    const Frame* frame = this;
    for (int depth = 0; depth < ref.depth; ++depth) frame = frame->outer;
    return frame->slots[static_cast<size_t>(ref.index)];
  }
};

struct Schedule;
class Kernel;

/// Runs the steps of one plan.
class Executor final : public OpCall {
 public:
  Executor(const RunContext& context, Frame& frame);

  /// Fills the slots of stored tensors and constants.
  void load_constants();
  /// All steps of the plan.
  void run();
  /// What is left for a signature; loads what it needs.
  void run(const Schedule& schedule);
  void run_step(const Step& step);

  std::vector<Value> run_subgraph(std::string_view attribute_name, const std::vector<Value>& inputs) override;

 private:
  Value load_tensor(const StoredTensor& tensor) const override;
  void run_in_bfloat16(const Step& step);
  void arrange_inputs(const Step& step);
  void replace_outputs(const Step& step);
  bool is_handed_out(const Step& step) const;
  void widen_handed_out(const Step& step);
  void run_kernel(const Step& step, const Kernel& kernel, const std::vector<int>& reads);
  /// LibTorch's errors as ours, with the node and the shapes.
  template <class Action>
  void guarded(Action action);

  const RunContext& context_;
  Frame& frame_;
  const Step* step_ = nullptr;
  std::vector<Value> arranged_;  ///< inputs of the step that runs, in the order that it wants
};

}  // namespace sparsify
