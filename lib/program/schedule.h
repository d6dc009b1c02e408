#pragma once

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "program/executor.h"
#include "program/plan.h"

namespace sparsify {

/// What runs in place of an operator where more is known than its node says: several nodes in one kernel, or one that
/// writes over an input that nobody else holds. For inference only: kernels record no gradient.
class Kernel {
 public:
  virtual ~Kernel() = default;
  /// Reads and sets slots of the frame. throws what LibTorch throws
  virtual void run(Frame& frame) const = 0;
  /// Told once: slots that nobody reads after this kernel.
  virtual void inputs_end(const std::vector<int>& slots) { (void)slots; }
};

/// One entry of a schedule.
struct Work {
  const Step* step = nullptr;       ///< errors name its node
  std::unique_ptr<Kernel> kernel{}; ///< null: the operator itself
  std::vector<int> reads{};         ///< own slots, subgraphs' included
  std::vector<int> writes{};
  std::vector<int> release{};       ///< own slots that nobody reads afterwards
};

/// What the first run with a signature found out about one slot.
struct SlotKnowledge {
  uint8_t facts = kUnknown;     ///< SlotFacts
  std::vector<int64_t> shape{}; ///< of a tensor, in that run
  at::ScalarType type = at::ScalarType::Undefined;
  bool rounded = false;         ///< kept in bfloat16 although it is float32 (Value::is_rounded)
};

/// The steps of a plan that are left for one signature: what does not depend on the data is there already.
struct Schedule {
  std::vector<Work> works;
  std::vector<std::pair<int, Value>> values;  ///< slot <- value that is folded
  std::vector<int> stored;                    ///< indices into Plan::stored that something reads
  std::vector<int> constants;                 ///< indices into Plan::constants
  bool reorders_layouts = false;              ///< values may be in channels-last order
};

/// Everything that a schedule is made from.
struct Learned {
  std::vector<bool> known;                 ///< per step: its outputs are folded
  std::vector<std::pair<int, Value>> made; ///< what they are
  std::vector<SlotKnowledge> slots;
};

/// Operands and results of kernels: what is computed in bfloat16 stays so.
at::Tensor operand(const Frame& frame, int slot, bool bfloat16);
Value result_of(const at::Tensor& result);

/// An operator of the standard domain that no kernel has replaced.
bool is_operator(const Work& work, std::string_view op);
/// Slot of an input of a step's own graph; -1 if absent or of a graph around it.
int slot_of(const Step& step, size_t input);

/// Works for the steps that are not folded, in the plan's order; releases and what must be loaded are left to finish().
Schedule make_schedule(const Plan& plan, const Learned& learned);

/// Replaces works by fused and overwriting kernels, for inference on the CPU (`program/fuse.cpp`).
///   stored  values of Plan::stored, by position
///   keep    slots that a tap asks for: they are neither fused away nor overwritten; may be empty
///   bfloat16  kernels compute in bfloat16 and leave their results so (program/bfloat16.h)
void fuse(Schedule& schedule, const Plan& plan, const Learned& learned, const std::vector<Value>& stored,
          const std::vector<bool>& keep, bool bfloat16);

/// Finds the last reader of every slot and drops what nobody reads.
void finish(Schedule& schedule, const Plan& plan, Learned& learned, const std::vector<bool>& keep);

/// Lets elementwise works write over an input that ends with them. After finish().
void overwrite_inputs(Schedule& schedule, const Learned& learned);

}  // namespace sparsify
