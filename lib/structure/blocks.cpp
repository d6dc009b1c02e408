#include "structure/blocks.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <set>

#include "base/error.h"
#include "mask/prunable.h"

namespace sparsify {
namespace {

class Finder {
 public:
  Finder(const ModelFile& file, const Structure& structure) : file_(file), structure_(structure), graph_(structure.graph()) {
    const FlatGraph& graph = graph_;
    for (const Node& node : file.model().graph.nodes) main_.emplace(&node, node.index);
    for (const FlatTensor& tensor : graph.tensors) tensors_.emplace(tensor.value, tensor.tensor.id);
    for (const StoredTensor& tensor : file.model().graph.initializers) initializers_.insert(tensor.id);
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      for (const std::string& output : graph.nodes[i].outputs) producer_.emplace(output, i);
      for (const std::string& input : graph.nodes[i].inputs) {
        if (!input.empty()) readers_[input].push_back(i);
      }
    }
    outputs_.insert(graph.outputs.begin(), graph.outputs.end());
    const bool quantised = std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const FlatNode& node) { return node.node->op_type == "DequantizeLinear"; });
    if (quantised) weights_ = find_tensors(file);
  }

  std::vector<Block> run(std::vector<RefusedSum>* refused) const {
    std::vector<Block> blocks;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const FlatNode& node = graph_.nodes[i];
      if ((node.node->op_type != "Add" && node.node->op_type != "Sum") || !main_.contains(node.node) || node.inputs.size() != 2) continue;
      if (!way_to_tensor(node.inputs[0]).empty() || !way_to_tensor(node.inputs[1]).empty()) continue;  // a bias
      std::string reason = refusal(node);
      std::array<std::string, 2> whys;
      std::optional<Block> block;
      for (const size_t side : {0UL, 1UL}) {
        if (block || !reason.empty()) break;
        block = block_of(i, node.inputs[side], node.inputs[1 - side], whys[side]);
      }
      if (block) blocks.push_back(std::move(*block));
      else if (reason.empty()) reason = whys[0] == whys[1] ? whys[0] : whys[0] + "; the other way round: " + whys[1];
      if (!reason.empty() && refused != nullptr) refused->push_back({node.label, reason});
    }
    return blocks;
  }

 private:
  /// Why nothing can read the sum's shortcut in its place, or "".
  std::string refusal(const FlatNode& node) const {
    if (outputs_.contains(node.outputs[0])) return "it is an output of the model";
    const auto readers = readers_.find(node.outputs[0]);
    if (readers == readers_.end()) return "";
    const bool captured = std::any_of(readers->second.begin(), readers->second.end(), [&](size_t reader) { return graph_.nodes[reader].nested; });
    return captured ? "a loop or branch reads it" : "";
  }

  /// Whether a value is spread to the shape of the sum. Sizes that are not known count as equal: the proof looks at them.
  bool is_broadcast(const std::string& shortcut, const std::string& output) const {
    const Shape from = structure_.shape(shortcut), to = structure_.shape(output);
    if (to.empty()) return false;  // as a rank that is not known
    if (from.empty()) return true;  // a single number, most likely
    if (from.size() != to.size()) return true;
    for (size_t axis = 0; axis < from.size(); ++axis) {
      if (from[axis] >= 0 && to[axis] >= 0 ? from[axis] != to[axis] : from[axis] == 1) return true;
    }
    return false;
  }

  /// s + f(s) with f ending in `branch`, if that is one; else `why` not.
  std::optional<Block> block_of(size_t add, const std::string& shortcut, const std::string& branch, std::string& why) const {
    const auto no = [&](const char* reason) {
      why = reason;
      return std::nullopt;
    };
    if (!producer_.contains(branch)) return no("the branch is an input of the model");
    const std::set<size_t> inside = branch_nodes(add, shortcut, branch);
    if (inside.size() < 2) return no("what leads to the branch is read elsewhere");
    if (is_broadcast(shortcut, graph_.nodes[add].outputs[0])) return no("the shortcut has another shape than the sum");
    Block block{.name = graph_.nodes[add].label, .output = graph_.nodes[add].outputs[0], .shortcut = shortcut, .nodes = {}, .labels = {}, .tensors = {}, .silenced = {}};
    if (!silence(branch, inside, block.silenced)) return no("no weights of its last layer make the branch zero");
    const std::set<std::string> stream = derived_from(shortcut, add);
    bool reads_stream = false;
    for (const size_t index : inside) {
      const FlatNode& node = graph_.nodes[index];
      block.nodes.push_back(main_.at(node.node));
      block.labels.push_back(node.label);
      reads_stream = reads_stream || (index != add && std::any_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) { return stream.contains(input); }));
    }
    if (!reads_stream) return no("the branch does not begin at the shortcut");
    for (const auto& [value, id] : tensors_) {
      if (initializers_.contains(id) && is_private(value, inside)) block.tensors.push_back(id);
    }
    // x + c x^3 of a GELU is a sum around a branch too, and so is what some normalisations scale by channel, but no layer.
    const auto is_weight = [&](int id) {
      const Shape& shape = file_.tensor(id).shape;
      return std::count_if(shape.begin(), shape.end(), [](int64_t size) { return size > 1; }) >= 2;
    };
    if (std::none_of(block.tensors.begin(), block.tensors.end(), is_weight)) return no("the branch has no weights of its own");
    std::sort(block.nodes.begin(), block.nodes.end());
    return block;
  }

  /// The shortcut, what it is a sum of (blocks in parallel read the stream in front of both), and what follows from these before the sum.
  std::set<std::string> derived_from(const std::string& shortcut, size_t add) const {
    std::set<std::string> values;
    std::vector<std::string> left{shortcut};
    while (!left.empty()) {
      const std::string value = left.back();
      left.pop_back();
      if (value.empty() || tensors_.contains(value) || !values.insert(value).second) continue;
      const auto producer = producer_.find(value);
      if (producer == producer_.end()) continue;
      const FlatNode& node = graph_.nodes[producer->second];
      if (node.node->op_type == "Add" || node.node->op_type == "Sum") left.insert(left.end(), node.inputs.begin(), node.inputs.end());
    }
    for (size_t at = 0; at < add; ++at) {
      const FlatNode& node = graph_.nodes[at];
      const bool follows = std::any_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) { return values.contains(input); });
      if (follows) values.insert(node.outputs.begin(), node.outputs.end());
    }
    return values;
  }

  /// Whether only these nodes read the value.
  bool is_private(const std::string& value, const std::set<size_t>& inside) const {
    const auto readers = readers_.find(value);
    return readers != readers_.end() && !outputs_.contains(value) &&
           std::all_of(readers->second.begin(), readers->second.end(), [&](size_t reader) { return inside.contains(reader); });
  }

  /// The Add, and all that leads to `branch` and to nothing else. Empty when the branch is needed elsewhere.
  std::set<size_t> branch_nodes(size_t add, const std::string& shortcut, const std::string& branch) const {
    std::set<size_t> inside{add};
    for (size_t at = add; at-- > 0;) {  // topological: readers come later
      const FlatNode& node = graph_.nodes[at];
      if (!main_.contains(node.node)) continue;
      bool feeds = false;
      bool leaks = false;
      for (const std::string& output : node.outputs) {
        leaks = leaks || outputs_.contains(output) || output == shortcut;
        const auto readers = readers_.find(output);
        if (readers == readers_.end()) continue;
        for (const size_t reader : readers->second) (inside.contains(reader) ? feeds : leaks) = true;
      }
      if (feeds && !leaks) inside.insert(at);
    }
    return inside.contains(producer_.at(branch)) ? inside : std::set<size_t>{};
  }

  /// Tensors of the branch's last layer that make its value zero; false where none do for certain.
  bool silence(const std::string& value, const std::set<size_t>& inside, std::vector<int>& tensors) const {
    const auto found = producer_.find(value);
    if (found == producer_.end() || !inside.contains(found->second)) return false;
    const FlatNode& node = graph_.nodes[found->second];
    const std::string& op = node.node->op_type;
    const auto stored = [&](size_t input) { return input < node.inputs.size() ? way_to_tensor(node.inputs[input]) : std::vector<std::string>{}; };
    const auto is_stored = [&](size_t input) { return !stored(input).empty(); };
    const auto take = [&](size_t input) {
      if (input >= node.inputs.size() || node.inputs[input].empty()) return true;
      const std::vector<std::string> way = stored(input);
      if (way.empty() || !std::all_of(way.begin(), way.end(), [&](const std::string& step) { return is_private(step, inside); })) return false;
      tensors.push_back(tensors_.at(way.back()));
      return true;
    };
    if (op == "Conv" || op == "ConvTranspose" || op == "Gemm" || op == "BatchNormalization") return take(1) && take(2);
    if (op == "MatMul") return is_stored(1) ? take(1) : take(0);
    if (op == "Mul" && (is_stored(0) || is_stored(1))) return take(is_stored(0) ? 0 : 1);
    if (op == "Mul") return silence_any(node, inside, tensors);  // a gate
    if (op == "Add" && (is_stored(0) || is_stored(1))) {
      const size_t constant = is_stored(0) ? 0 : 1;
      return take(constant) && silence(node.inputs[1 - constant], inside, tensors);
    }
    if (op == "Add" || op == "Sum" || op == "Concat") {
      return std::all_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) { return silence(input, inside, tensors); });
    }
    static const std::set<std::string> keeps_zero{"Cast",    "Dropout", "Expand",    "Flatten", "GlobalAveragePool", "Identity", "ReduceMean", "ReduceSum",
                                                  "Relu",    "Reshape", "Slice",     "Split",   "Squeeze",           "Tanh",     "Transpose",  "Unsqueeze"};
    return keeps_zero.contains(op) && silence(node.inputs[0], inside, tensors);
  }

  /// The values from this one to the stored tensor that it is, but for operators that keep zero; none where it is not.
  std::vector<std::string> way_to_tensor(const std::string& value) const {
    static const std::set<std::string> keeps_zero{"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"};
    std::vector<std::string> way{value};
    while (!tensors_.contains(way.back())) {
      const auto found = producer_.find(way.back());
      if (found == producer_.end()) return {};
      const FlatNode& node = graph_.nodes[found->second];
      const bool is_weight = node.node->op_type == "DequantizeLinear" && has_zero(node);
      if (!is_weight && !keeps_zero.contains(node.node->op_type)) return {};
      way.push_back(node.inputs[0]);
    }
    return way;
  }

  /// Zero can be written into the stored tensor that a DequantizeLinear reads: its zero point is 0, or known to those who write.
  bool has_zero(const FlatNode& dequantize) const {
    const auto tensor = tensors_.find(dequantize.inputs[0]);
    if (tensor == tensors_.end() || bits_of(file_.tensor(tensor->second).type) < 8) return false;
    if (dequantize.inputs.size() < 3 || dequantize.inputs[2].empty()) return true;
    const auto point = tensors_.find(dequantize.inputs[2]);
    if (point == tensors_.end()) return false;
    const HostTensor stored = file_.tensor_data(point->second);
    const auto bytes = stored.bytes();
    if (std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{0}; })) return true;
    return std::any_of(weights_.begin(), weights_.end(), [&](const PrunableTensor& one) {
      if (one.id != tensor->second || one.zero_point_id != point->second) return false;
      return stored.count() == (one.scale_axis < 0 ? 1 : one.shape[static_cast<size_t>(one.scale_axis)]);
    });
  }

  /// One factor that is zero is enough: the first that can be.
  bool silence_any(const FlatNode& node, const std::set<size_t>& inside, std::vector<int>& tensors) const {
    for (const std::string& input : node.inputs) {
      std::vector<int> more = tensors;
      if (!silence(input, inside, more)) continue;
      tensors = std::move(more);
      return true;
    }
    return false;
  }

  const ModelFile& file_;
  std::vector<PrunableTensor> weights_;  ///< of a quantised graph
  const Structure& structure_;
  const FlatGraph& graph_;
  std::map<const Node*, int> main_;
  std::map<std::string, int> tensors_;
  std::set<int> initializers_;
  std::map<std::string, size_t> producer_;
  std::map<std::string, std::vector<size_t>> readers_;
  std::set<std::string> outputs_;
};

}  // namespace

std::vector<Block> find_blocks(const ModelFile& file, const Structure& structure, std::vector<RefusedSum>* refused) { return Finder(file, structure).run(refused); }

void remove_blocks_(const ModelFile& file, const std::vector<Block>& blocks, GraphEdits& edits) {
  std::map<std::string, std::string> instead;
  std::set<int> gone;
  for (const Block& block : blocks) {
    instead[block.output] = block.shortcut;
    for (const int node : block.nodes) {
      gone.insert(node);
      edits.removed_nodes.insert({-1, node});
      edits.attributes.erase({-1, node});
      edits.inputs.erase({-1, node});
      for (const std::string& output : file.model().graph.nodes[static_cast<size_t>(node)].outputs) edits.removed_values.insert(output);
    }
    for (const int id : block.tensors) {
      edits.removed_tensors.insert(id);
      edits.slices.erase(id);
      edits.tensors.erase(id);
      edits.removed_values.insert(file.tensor(id).name);
    }
  }
  for (const Node& node : file.model().graph.nodes) {
    if (gone.contains(node.index)) continue;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      std::string name = node.inputs[i];
      for (auto next = instead.find(name); next != instead.end(); next = instead.find(name)) name = next->second;
      if (name != node.inputs[i]) edits.inputs[{-1, node.index}][static_cast<int>(i)] = name;
    }
  }
}

}  // namespace sparsify
