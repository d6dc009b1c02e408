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

/// Runs the steps of one plan.
class Executor final : public OpCall {
 public:
  Executor(const RunContext& context, Frame& frame);

  /// Fills the slots of stored tensors and constants.
  void load_constants();
  /// `skip[i]`: step i's outputs are there already. `keep[slot]`: not to be released. Both may be empty.
  void run(const std::vector<bool>& skip, const std::vector<bool>& keep);
  void run_step(const Step& step);

  std::vector<Value> run_subgraph(std::string_view attribute_name, const std::vector<Value>& inputs) override;

 private:
  Value load_tensor(const StoredTensor& tensor) const override;

  const RunContext& context_;
  Frame& frame_;
  const Step* step_ = nullptr;
};

}  // namespace sparsify
