#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "onnx/model_file.h"
#include "program/op.h"

namespace sparsify {

/// Where a step finds a value: slot `index` of the frame `depth` levels out (0 = its own).
struct SlotRef {
  int depth = 0;
  int index = -1;  ///< -1: an optional input that is not given
};

struct Plan;

/// One node, ready to run: operator looked up, names resolved to slots.
struct Step {
  const Node* node = nullptr;
  const OpSpec* op = nullptr;
  int64_t opset = 0;
  bool takes_any_layout = false;  ///< computes the same, as fast, from values in channels-last order
  std::vector<SlotRef> inputs;
  std::vector<int> outputs;       ///< own slots; -1: not given
  std::vector<SlotRef> captured;  ///< what its subgraphs read from this frame and those around it
  std::vector<int> release;       ///< own slots that nobody reads after this step
  std::map<std::string, std::unique_ptr<Plan>, std::less<>> subplans;  ///< by attribute
};

/// A graph or subgraph, functions inlined.
struct Plan {
  std::vector<Step> steps;
  std::vector<std::string> slot_names;             ///< one per slot; inlined names carry their call's label
  std::vector<int> inputs;                         ///< slots of the graph inputs
  std::vector<SlotRef> outputs;
  std::vector<std::pair<int, StoredTensor>> stored;  ///< slot <- tensor of the file
  std::vector<std::pair<int, Value>> constants;      ///< slot <- value made while planning
  std::deque<Node> owned_nodes;                      ///< function bodies with their attributes filled in
};

/// Resolves names, looks up operators, inlines model functions, expands schema functions, finds last uses.
/// throws ResourceError naming node, operator, domain and opset when an operator is neither built in nor a function
std::unique_ptr<Plan> make_plan(const ModelFile& file);

/// Dense value of a sparse tensor whose parts are given.
Value dense_of(const StoredSparseTensor& sparse, const Value& values, const Value& indices);

}  // namespace sparsify
