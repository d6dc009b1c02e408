#include "evidence/surroundings.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <unordered_map>

#include "mask/weight_use.h"
#include "onnx/flat_graph.h"

namespace sparsify {
namespace {

/// A stored tensor seen through operators that only rearrange or rescale it.
struct Alias {
  int id = -1;
  size_t rank = 0;
  std::vector<int> axes;    ///< empty after a reshape
  bool in_stored_layout = true;
};

bool is_activation(const std::string& op) {
  static const std::set<std::string> names = {
      "Relu",     "LeakyRelu", "PRelu",    "Clip", "Elu",  "Selu",     "Celu", "ThresholdedRelu", "Sigmoid",   "HardSigmoid",
      "HardSwish", "Tanh",     "Softplus", "Softsign", "Gelu", "FastGelu", "Mish", "Swish",       "QuickGelu"};
  return names.contains(op);
}

class Explorer {
 public:
  Explorer(const ModelFile& file, const std::vector<PrunableTensor>& layers) : file_(file), flat_(flatten(file.model())) {
    for (size_t i = 0; i < layers.size(); ++i) index_of_[layers[i].id] = i;
    found_.resize(layers.size());
    for (size_t i = 0; i < layers.size(); ++i) {
      channels_.push_back(layers[i].output_channels());
      found_[i].nested = layers[i].nested;
    }
  }

  std::vector<LayerSurroundings> run() {
    for (const FlatTensor& flat : flat_.tensors) {
      std::vector<int> axes(flat.tensor.shape.size());
      std::iota(axes.begin(), axes.end(), 0);
      aliases_[flat.value] = {flat.tensor.id, axes.size(), axes, true};
    }
    for (const FlatNode& flat : flat_.nodes) {
      for (const std::string& input : flat.inputs) {
        if (!input.empty()) readers_[input].push_back(&flat);
      }
    }
    for (const std::string& output : flat_.outputs) graph_outputs_.insert(output);
    for (const FlatNode& flat : flat_.nodes) visit(flat);
    return std::move(found_);
  }

 private:
  const Alias* alias_of(const FlatNode& flat, size_t position) const {
    if (position >= flat.inputs.size()) return nullptr;
    const auto found = aliases_.find(flat.inputs[position]);
    return found == aliases_.end() ? nullptr : &found->second;
  }

  void visit(const FlatNode& flat) {
    for (size_t position = 0; position < flat.inputs.size(); ++position) {
      const Alias* alias = alias_of(flat, position);
      if (alias == nullptr) continue;
      if (position == 0 && pass_through(flat, *alias)) continue;
      const auto layer = index_of_.find(alias->id);
      if (layer == index_of_.end()) continue;
      const bool other_is_stored = position == 0 && alias_of(flat, 1) != nullptr;
      if (use_of(flat, position, static_cast<int>(alias->rank), other_is_stored).kind != "weight") continue;
      add_use(flat, position, *alias, layer->second);
    }
  }

  bool pass_through(const FlatNode& flat, const Alias& from) {
    const std::string& op = flat.node->op_type;
    Alias to = from;
    if (op == "DequantizeLinear") {
      const auto layer = index_of_.find(from.id);
      if (layer != index_of_.end() && from.in_stored_layout && !is_prunable_float(file_.tensor(from.id).type)) {
        found_[layer->second].real_values.push_back(flat.outputs.at(0));
      }
    } else if (op == "Transpose") {
      std::vector<int64_t> order = flat.node->integers("perm");
      if (order.empty()) {
        for (size_t axis = from.rank; axis-- > 0;) order.push_back(static_cast<int64_t>(axis));
      }
      for (size_t i = 0; i < to.axes.size() && i < order.size(); ++i) to.axes[i] = from.axes[static_cast<size_t>(order[i])];
      to.in_stored_layout = false;
    } else if (op == "Reshape" || op == "Squeeze" || op == "Unsqueeze" || op == "Flatten") {
      to.axes.clear();
      to.rank = 2;  // only products take a reshaped weight here, and they look at its last two axes
      to.in_stored_layout = false;
    } else if (op != "Identity" && op != "Cast" && op != "CastLike" && op != "QuantizeLinear") {
      return false;
    }
    aliases_[flat.outputs.at(0)] = std::move(to);
    return true;
  }

  void add_use(const FlatNode& flat, size_t position, const Alias& weight, size_t layer) {
    LayerUse use{.node = *flat.node, .output = flat.outputs.at(0), .axes = weight.axes};
    const std::string& op = flat.node->op_type;
    if (op == "Gemm" || op == "MatMul" || op == "FusedMatMul" || op == "FusedGemm") {
      const bool second = position == 1;
      const bool transposed = flat.node->integer(second ? "transA" : "transB", 0) != 0;
      use.input = flat.inputs.at(second ? 0 : 1);
      use.contracted_axis = second != transposed ? -1 : -2;
      use.channel_axis = second ? -1 : -2;
    } else if (position == 1) {
      use.input = flat.inputs.at(0);
    }
    follow(use, layer);
    found_[layer].uses.push_back(std::move(use));
  }

  /// Walks on while the value has one reader and that only scales, shifts, stores or activates it.
  void follow(LayerUse& use, size_t layer) {
    use.observed = use.output;
    while (!graph_outputs_.contains(use.observed)) {
      const auto readers = readers_.find(use.observed);
      if (readers == readers_.end() || readers->second.size() != 1) return;
      const FlatNode& next = *readers->second.front();
      const std::string& op = next.node->op_type;
      const bool leads = !next.inputs.empty() && next.inputs[0] == use.observed;
      const bool adds_constant = op == "Add" && (alias_of(next, 0) != nullptr || alias_of(next, 1) != nullptr);
      if (op == "BatchNormalization" && leads) {
        take_batch_norm(next, layer);
      } else if (is_activation(op) && leads) {
        use.observed = next.outputs.at(0);
        use.activation = op;
        return;
      } else if (!adds_constant && !(leads && (op == "Identity" || op == "Dropout" || op == "QuantizeLinear" || op == "DequantizeLinear"))) {
        return;
      }
      if (op == "QuantizeLinear" && !is_dequantised_next(next.outputs.at(0))) return;
      use.observed = next.outputs.at(0);
    }
  }

  bool is_dequantised_next(const std::string& value) const {
    const auto readers = readers_.find(value);
    return readers != readers_.end() && readers->second.size() == 1 && readers->second.front()->node->op_type == "DequantizeLinear";
  }

  void take_batch_norm(const FlatNode& flat, size_t layer) {
    const Alias* scale = alias_of(flat, 1);
    if (scale == nullptr || !found_[layer].batch_norm_scale.empty()) return;
    const std::vector<float> gamma = file_.tensor_data(scale->id).to_floats();
    if (static_cast<int64_t>(gamma.size()) == channels_[layer]) found_[layer].batch_norm_scale.assign(gamma.begin(), gamma.end());
  }

  const ModelFile& file_;
  FlatGraph flat_;
  std::map<int, size_t> index_of_;  ///< tensor id -> layer
  std::vector<int64_t> channels_;
  std::unordered_map<std::string, Alias> aliases_;
  std::unordered_map<std::string, std::vector<const FlatNode*>> readers_;
  std::set<std::string> graph_outputs_;
  std::vector<LayerSurroundings> found_;
};

}  // namespace

std::string LayerSurroundings::activation() const {
  if (uses.empty()) return "";
  const bool same = std::all_of(uses.begin(), uses.end(), [&](const LayerUse& use) { return use.activation == uses.front().activation; });
  return same ? uses.front().activation : "";
}

std::vector<LayerSurroundings> find_surroundings(const ModelFile& file, const std::vector<PrunableTensor>& layers) {
  return Explorer(file, layers).run();
}

}  // namespace sparsify
