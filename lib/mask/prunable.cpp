#include "mask/prunable.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "mask/normalised.h"
#include "mask/weight_use.h"

namespace sparsify {
namespace {

/// A stored tensor seen through operators that only rearrange or rescale it.
struct Alias {
  size_t tensor = 0;       ///< index into FlatGraph::tensors
  Shape shape;             ///< as seen here
  std::vector<int> axes;   ///< stored axis of each axis seen here; -1: a mixture
  int scale_id = -1;
  int zero_point_id = -1;
  int scale_axis = -1;     ///< stored axis
};

/// Stored integers behind operators that pick or rearrange elements, before they are dequantised.
struct Table {
  Alias alias;
  const FlatNode* node = nullptr;  ///< the first of these operators
  int order = 0;
  bool rows_only = false;          ///< one lookup along the first axis, nothing else
};

using Aliases = std::unordered_map<std::string, Alias>;

/// Maps the axes of a reshaped tensor back: an axis is known when it stands between the same products of sizes.
std::vector<int> reshape_axes(const Shape& from, const std::vector<int>& axes, const Shape& to) {
  std::vector<int> result(to.size(), -1);
  int64_t left_to = 1;
  for (size_t j = 0; j < to.size(); ++j) {
    int64_t left_from = 1;
    for (size_t i = 0; i < from.size(); ++i) {
      if (left_from == left_to && from[i] == to[j] && from[i] != 1) result[j] = axes[i];
      left_from *= from[i];
    }
    left_to *= to[j];
  }
  return result;
}

/// The input that holds the zero point of the integer weight at `position`; SIZE_MAX: there is none.
size_t zero_point_input(const std::string& op, size_t position) {
  if (op == "QLinearConv" || op == "QLinearMatMul" || op == "QGemm") return 5;
  if (op == "MatMulIntegerToFloat") return position == 0 ? 4 : 5;
  if (op == "MatMulInteger" || op == "ConvInteger") return position == 0 ? 2 : 3;
  if (op == "QAttention") return 7;
  if (op == "DynamicQuantizeLSTM") return position == 1 ? 9 : 11;
  return op == "DynamicQuantizeMatMul" ? 3 : SIZE_MAX;
}

class Finder {
 public:
  explicit Finder(const ModelFile& file) : file_(file), flat_(flatten(file.model())), normalised_(find_normalised_values(file, flat_)) {}

  std::vector<PrunableTensor> run() {
    for (size_t i = 0; i < flat_.tensors.size(); ++i) {
      const StoredTensor& stored = flat_.tensors[i].tensor;
      std::vector<int> axes(stored.shape.size());
      std::iota(axes.begin(), axes.end(), 0);
      aliases_[flat_.tensors[i].value] = {i, stored.shape, axes, -1, -1, -1};
      constant_values_.insert(flat_.tensors[i].value);
    }
    for (size_t n = 0; n < flat_.nodes.size(); ++n) visit(flat_.nodes[n], static_cast<int>(n));
    drop_single_numbers();
    mark_first_layers();
    mark_last_layers();
    add_unused();
    std::vector<PrunableTensor> tensors;
    for (auto& [id, tensor] : found_) tensors.push_back(std::move(tensor));
    std::sort(tensors.begin(), tensors.end(), [](const PrunableTensor& a, const PrunableTensor& b) {
      return std::tie(a.node_order, a.id) < std::tie(b.node_order, b.id);
    });
    return tensors;
  }

 private:
  void visit(const FlatNode& flat, int order) {
    const bool constant = std::all_of(flat.inputs.begin(), flat.inputs.end(), [&](const std::string& name) {
      return name.empty() || constant_values_.contains(name);
    });
    if (constant && !flat.inputs.empty()) constant_values_.insert(flat.outputs.begin(), flat.outputs.end());
    for (const std::string& output : flat.outputs) producers_.emplace(output, &flat);
    for (size_t position = 0; position < flat.inputs.size(); ++position) {
      const auto alias = aliases_.find(flat.inputs[position]);
      if (alias == aliases_.end()) continue;
      if (position == 0 && pass_through(flat, alias->second)) continue;
      record(flat, order, position, alias->second);
    }
    follow_table(flat, order);
  }

  /// An integer table is looked up or rearranged first and dequantised then: the scale and the zero point are those of the table.
  void follow_table(const FlatNode& flat, int order) {
    if (flat.inputs.empty() || flat.outputs.empty()) return;
    const auto moved = tables_.find(flat.inputs[0]);
    if (flat.node->op_type == "DequantizeLinear") {
      if (moved != tables_.end()) record_table(flat, moved->second);
      return;
    }
    if (!only_moves(*flat.node)) return;
    Table table;
    if (moved != tables_.end()) {
      table = moved->second;
      table.rows_only = false;
    } else {
      const Alias* stored = alias_of(flat, 0);
      if (stored == nullptr || stored->scale_id >= 0 || aliases_.contains(flat.outputs[0])) return;
      if (is_prunable_float(flat_.tensors[stored->tensor].tensor.type)) return;
      const auto rank = static_cast<int64_t>(stored->shape.size());
      const int64_t axis = flat.node->integer("axis", 0);
      table = {*stored, &flat, order, flat.node->op_type == "Gather" && (axis == 0 || axis == -rank)};
    }
    for (const std::string& output : flat.outputs) tables_[output] = table;
  }

  void record_table(const FlatNode& dequantise, const Table& table) {
    const Alias* scale = alias_of(dequantise, 1);
    const Alias* zero_point = alias_of(dequantise, 2);
    const bool has_zero_point = dequantise.inputs.size() > 2 && !dequantise.inputs[2].empty();
    if (scale == nullptr || (has_zero_point && zero_point == nullptr) || dequantise.node->integer("block_size", 0) != 0) return;
    Alias seen = table.alias;
    seen.scale_id = flat_.tensors[scale->tensor].tensor.id;
    seen.zero_point_id = zero_point == nullptr ? -1 : flat_.tensors[zero_point->tensor].tensor.id;
    if (element_count(scale->shape) > 1) {  // behind a lookup of rows the table's last axes are the last ones still
      const int64_t axis = dequantise.node->integer("axis", 1);
      const auto rank = static_cast<int64_t>(seen.shape.size());
      if (!table.rows_only || axis >= 0 || rank + axis < 1) return;
      seen.scale_axis = seen.axes[static_cast<size_t>(rank + axis)];
      if (seen.scale_axis < 0) return;
    }
    record(*table.node, table.order, 0, seen);
  }

  const Alias* alias_of(const FlatNode& flat, size_t position) const {
    if (position >= flat.inputs.size()) return nullptr;
    const auto found = aliases_.find(flat.inputs[position]);
    return found == aliases_.end() ? nullptr : &found->second;
  }

  /// Identity, Cast, Transpose, Reshape ... of a stored tensor: the output is the same weight.
  bool pass_through(const FlatNode& flat, const Alias& from) {
    const std::string& op = flat.node->op_type;
    Alias to = from;
    const int rank = static_cast<int>(from.shape.size());
    if (op == "Identity" || op == "Cast" || op == "CastLike") {
    } else if (op == "QuantizeLinear") {
    } else if (op == "DequantizeLinear") {
      const Alias* scale = alias_of(flat, 1);
      if (scale == nullptr) return false;
      const Alias* zero_point = alias_of(flat, 2);
      const StoredTensor& stored = flat_.tensors[from.tensor].tensor;
      if (!is_prunable_float(stored.type)) {  // else a fake-quantised float weight: the float itself is the weight
        to.scale_id = flat_.tensors[scale->tensor].tensor.id;
        to.zero_point_id = zero_point == nullptr ? -1 : flat_.tensors[zero_point->tensor].tensor.id;
        int axis = static_cast<int>(flat.node->integer("axis", 1));
        if (axis < 0) axis += rank;
        const bool per_axis = element_count(scale->shape) > 1 && axis < rank;
        to.scale_axis = per_axis ? from.axes[static_cast<size_t>(axis)] : -1;
        const bool blocked = flat.node->integer("block_size", 0) != 0;
        if (blocked || (per_axis && to.scale_axis < 0)) return false;
      }
    } else if (op == "Transpose") {
      std::vector<int64_t> order = flat.node->integers("perm");
      if (order.empty()) {
        for (int axis = rank - 1; axis >= 0; --axis) order.push_back(axis);
      }
      for (size_t i = 0; i < order.size() && i < to.axes.size(); ++i) {
        to.axes[i] = from.axes[static_cast<size_t>(order[i])];
        to.shape[i] = from.shape[static_cast<size_t>(order[i])];
      }
    } else if (op == "Reshape" || op == "Squeeze" || op == "Unsqueeze" || op == "Flatten") {
      const std::optional<Shape> shape = static_shape(flat, from);
      if (!shape) return false;
      to.shape = *shape;
      to.axes = reshape_axes(from.shape, from.axes, to.shape);
    } else {
      return false;
    }
    aliases_[flat.outputs.at(0)] = std::move(to);
    return true;
  }

  std::vector<int64_t> stored_integers(const FlatNode& flat, size_t position) const {
    const Alias* alias = alias_of(flat, position);
    return alias == nullptr ? std::vector<int64_t>{}
                            : file_.tensor_data(flat_.tensors[alias->tensor].tensor.id).to_integers();
  }

  /// The shape after a Reshape, Flatten, Squeeze or Unsqueeze whose shape operand is stored.
  std::optional<Shape> static_shape(const FlatNode& flat, const Alias& from) const {
    const std::string& op = flat.node->op_type;
    const auto rank = static_cast<int64_t>(from.shape.size());
    const int64_t count = element_count(from.shape);
    if (op == "Reshape") {
      Shape shape = stored_integers(flat, 1);
      if (shape.empty()) return std::nullopt;
      int64_t known = 1;
      for (size_t i = 0; i < shape.size(); ++i) {
        if (shape[i] == 0 && flat.node->integer("allowzero", 0) == 0 && i < from.shape.size()) shape[i] = from.shape[i];
        if (shape[i] > 0) known *= shape[i];
      }
      for (int64_t& size : shape) {
        if (size == -1 && known > 0) size = count / known;
      }
      return element_count(shape) == count ? std::optional(shape) : std::nullopt;
    }
    if (op == "Flatten") {
      int64_t axis = flat.node->integer("axis", 1);
      if (axis < 0) axis += rank;
      int64_t rows = 1;
      for (int64_t i = 0; i < axis && i < rank; ++i) rows *= from.shape[static_cast<size_t>(i)];
      return rows == 0 ? std::nullopt : std::optional(Shape{rows, count / rows});
    }
    std::vector<int64_t> axes = flat.node->integers("axes");
    if (axes.empty()) axes = stored_integers(flat, 1);
    Shape shape;
    if (op == "Squeeze") {
      for (int64_t i = 0; i < rank; ++i) {
        const bool named = std::any_of(axes.begin(), axes.end(), [&](int64_t a) { return (a < 0 ? a + rank : a) == i; });
        if (axes.empty() ? from.shape[static_cast<size_t>(i)] != 1 : !named) shape.push_back(from.shape[static_cast<size_t>(i)]);
      }
      return shape;
    }
    if (axes.empty()) return std::nullopt;
    const int64_t out_rank = rank + static_cast<int64_t>(axes.size());
    std::set<int64_t> ones;
    for (const int64_t axis : axes) ones.insert(axis < 0 ? axis + out_rank : axis);
    size_t next = 0;
    for (int64_t i = 0; i < out_rank; ++i) shape.push_back(ones.contains(i) || next >= from.shape.size() ? 1 : from.shape[next++]);
    return shape;
  }

  void record(const FlatNode& flat, int order, size_t position, const Alias& alias) {
    const StoredTensor& stored = flat_.tensors[alias.tensor].tensor;
    const bool quantised = alias.scale_id >= 0;
    const bool integer = !quantised && (stored.type == DType::Int8 || stored.type == DType::UInt8);
    if (!is_prunable_float(stored.type) && !quantised && !integer) return;
    if (stored.shape.empty() && file_.model().graph.find_initializer(stored.name) == nullptr) return;
    const auto other = position == 0 ? flat.inputs.size() > 1 && aliases_.contains(flat.inputs[1]) : false;
    WeightUse use = use_of(flat, position, static_cast<int>(alias.shape.size()), other);
    if (integer) {  // of ConvInteger, QLinearConv, MatMulInteger ...: can be cut, but 0 need not be zero, so that it is not pruned
      if (use.kind != "weight") return;
      use.kind = "integer weight";
    }
    if (use.kind == "other" && !quantised && is_written_norm(flat, position, alias.shape)) use.kind = "norm";
    const auto stored_axis = [&](int axis) { return axis < 0 ? -1 : alias.axes[static_cast<size_t>(axis)]; };
    const auto [entry, fresh] = found_.try_emplace(stored.id);
    PrunableTensor& tensor = entry->second;
    if (fresh || (tensor.kind != "weight" && use.kind == "weight")) {
      tensor.id = stored.id;
      tensor.initializer = stored.name;
      tensor.layer = flat.label;
      tensor.op = flat.node->op_type;
      tensor.kind = use.kind;
      tensor.type = stored.type;
      tensor.shape = stored.shape;
      tensor.output_axis = stored_axis(use.output_axis);
      tensor.input_axis = stored_axis(use.input_axis);
      tensor.groups = use.groups;
      tensor.nested = flat.nested;
      tensor.scale_id = alias.scale_id;
      tensor.zero_point_id = alias.zero_point_id;
      tensor.scale_axis = alias.scale_axis;
      if (const Alias* zero_point = integer ? alias_of(flat, zero_point_input(tensor.op, position)) : nullptr) {
        tensor.zero_point_id = flat_.tensors[zero_point->tensor].tensor.id;
        tensor.scale_axis = element_count(zero_point->shape) > 1 ? tensor.output_axis : -1;
      }
      if (fresh) tensor.node_order = order;
    } else if (tensor.kind == "weight" && use.kind == "weight" &&
               (tensor.input_axis != stored_axis(use.input_axis) || tensor.output_axis != stored_axis(use.output_axis))) {
      // Shared by layers that contract different axes: no axis means the same for both.
      tensor.output_axis = tensor.input_axis = -1;
    }
    if (std::find(tensor.used_by.begin(), tensor.used_by.end(), flat.label) == tensor.used_by.end()) {
      tensor.used_by.push_back(flat.label);
    }
    if (use.kind == "weight" || use.kind == "embedding") layer_nodes_[&flat].push_back(stored.id);
    const bool one_added = use.kind == "bias" && !is_layer_op(*flat.node) && element_count(stored.shape) == 1;
    if (one_added && flat.inputs.size() == 2) single_numbers_.emplace_back(stored.id, flat.inputs[1 - position]);
  }

  /// Scale and shift of a normalisation that was exported as small operators. A shift of one axis counts as a bias already.
  bool is_written_norm(const FlatNode& flat, size_t position, const Shape& shape) const {
    const std::string& op = flat.node->op_type;
    if (flat.inputs.size() != 2 || !is_one_a_channel(shape)) return false;
    const auto other = normalised_.find(flat.inputs[1 - position]);
    if (other == normalised_.end()) return false;
    return op == "Mul" ? other->second == AfterNorm::Normalised : (op == "Add" || op == "Sub") && other->second == AfterNorm::Scaled;
  }

  /// One number that is added is the bias of a layer with one output, or a constant of a formula, such as an epsilon.
  void drop_single_numbers() {
    for (const auto& [id, added_to] : single_numbers_) {
      PrunableTensor& tensor = found_.at(id);
      if (tensor.kind == "bias" && !is_one_output(added_to)) tensor.kind = "other";
    }
  }

  bool is_one_output(const std::string& value) const {
    auto from = producers_.find(value);
    while (from != producers_.end() && (only_moves(*from->second->node) || from->second->node->op_type == "Cast") && !from->second->inputs.empty()) {
      if (layer_nodes_.contains(from->second)) return false;  // a lookup
      from = producers_.find(from->second->inputs[0]);
    }
    if (from == producers_.end()) return false;
    if (const std::string& op = from->second->node->op_type; op == "Add" || op == "Sub") {  // "wide and deep": a sum of such layers
      bool any = false;
      for (const std::string& input : from->second->inputs) {
        if (constant_values_.contains(input)) continue;
        if (!is_one_output(input)) return false;
        any = true;
      }
      return any;
    }
    if (!is_layer(*from->second)) return false;
    for (const int id : layer_nodes_.at(from->second)) {
      const PrunableTensor& weight = found_.at(id);
      const bool vector = weight.shape.size() == 1;  // all of it is contracted
      if (weight.output_axis < 0 ? !vector : weight.output_channels() != 1) return false;
    }
    return true;
  }

  bool is_layer(const FlatNode& flat) const { return layer_nodes_.contains(&flat) && is_layer_op(*flat.node); }

  /// First: all data inputs come from graph inputs with no layer between.
  void mark_first_layers() {
    std::set<std::string> raw(flat_.inputs.begin(), flat_.inputs.end());
    for (const FlatNode& flat : flat_.nodes) {
      bool any = false;
      bool all = true;
      for (const std::string& input : flat.inputs) {
        if (input.empty() || constant_values_.contains(input)) continue;
        any = true;
        all = all && raw.contains(input);
      }
      if (!any || !all) continue;
      if (is_layer(flat)) {
        for (const int id : layer_nodes_[&flat]) found_[id].first = true;
      } else {
        raw.insert(flat.outputs.begin(), flat.outputs.end());
      }
    }
  }

  /// Last: whatever happens to the output, no layer sees it before the graph ends.
  void mark_last_layers() {
    std::unordered_map<std::string, bool> tail;  // value -> every use so far leads to the end
    for (const std::string& output : flat_.outputs) tail[output] = true;
    const auto is_tail = [&tail](const std::string& name) {
      const auto found = tail.find(name);
      return found != tail.end() && found->second;
    };
    for (size_t n = flat_.nodes.size(); n-- > 0;) {
      const FlatNode& flat = flat_.nodes[n];
      bool used = false;
      bool ends = true;
      for (const std::string& output : flat.outputs) {
        if (!tail.contains(output)) continue;
        used = true;
        ends = ends && is_tail(output);
      }
      const bool layer = is_layer(flat);
      if (layer && used && ends) {
        for (const int id : layer_nodes_[&flat]) found_[id].last = true;
      }
      for (const std::string& input : flat.inputs) {
        const auto [entry, fresh] = tail.try_emplace(input, true);
        entry->second = entry->second && used && ends && !layer;
      }
    }
  }

  /// Stored but used by no node of the flattened graph, such as a direct graph output.
  void add_unused() {
    for (const FlatTensor& flat : flat_.tensors) {
      const StoredTensor& stored = flat.tensor;
      if (!is_prunable_float(stored.type) || found_.contains(stored.id)) continue;
      if (file_.model().graph.find_initializer(stored.name) == nullptr || used_somewhere(flat.value)) continue;
      PrunableTensor& tensor = found_[stored.id];
      tensor.id = stored.id;
      tensor.initializer = stored.name;
      tensor.layer = "";
      tensor.kind = "unused";
      tensor.type = stored.type;
      tensor.shape = stored.shape;
      tensor.node_order = static_cast<int>(flat_.nodes.size());
    }
  }

  bool used_somewhere(const std::string& value) const {
    return std::any_of(flat_.nodes.begin(), flat_.nodes.end(), [&](const FlatNode& flat) {
      return std::find(flat.inputs.begin(), flat.inputs.end(), value) != flat.inputs.end();
    });
  }

  const ModelFile& file_;
  FlatGraph flat_;
  std::map<std::string, AfterNorm> normalised_;
  Aliases aliases_;
  std::unordered_map<std::string, Table> tables_;
  std::set<std::string> constant_values_;
  std::map<int, PrunableTensor> found_;
  std::map<const FlatNode*, std::vector<int>> layer_nodes_;
  std::unordered_map<std::string, const FlatNode*> producers_;
  std::vector<std::pair<int, std::string>> single_numbers_;  ///< added numbers and what they are added to
};

}  // namespace

int64_t PrunableTensor::output_channels() const {
  return output_axis < 0 ? 1 : shape[static_cast<size_t>(output_axis)];
}

std::vector<PrunableTensor> find_tensors(const ModelFile& file) { return Finder(file).run(); }

void read_weights(const ModelFile& file, const PrunableTensor& tensor, std::span<float> out) {
  file.tensor_data(tensor.id).read_floats(0, out);
  if (tensor.scale_id < 0) return;
  const std::vector<float> scales = file.tensor_data(tensor.scale_id).to_floats();
  const std::vector<float> zeros =
      tensor.zero_point_id < 0 ? std::vector<float>(scales.size()) : file.tensor_data(tensor.zero_point_id).to_floats();
  int64_t inner = 1;
  int64_t length = 1;
  if (tensor.scale_axis >= 0) {
    length = tensor.shape[static_cast<size_t>(tensor.scale_axis)];
    for (size_t axis = static_cast<size_t>(tensor.scale_axis) + 1; axis < tensor.shape.size(); ++axis) inner *= tensor.shape[axis];
  }
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t which = tensor.scale_axis < 0 ? 0 : static_cast<size_t>(static_cast<int64_t>(i) / inner % length);
    out[i] = (out[i] - zeros[which]) * scales[which];
  }
}

}  // namespace sparsify
